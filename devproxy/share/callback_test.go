package share

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
)

const callbackURL = "https://callback-0123456789abcdef.t.example.com:8443/auth/callback"

// callbackShare has a callback host of two paths.
func callbackShare(t *testing.T) *Share {
	t.Helper()
	s, err := New(Options{
		Hosts:    []Host{{Local: "shop.localhost", Public: "shop-0123456789abcdef.t.example.com:8443"}},
		Callback: []string{callbackURL, strings.Replace(callbackURL, "/auth/", "/other/", 1)},
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func authorization(back, state string) string {
	return "https://accounts.example/authorize?" + url.Values{"client_id": {"shop"}, "redirect_uri": {back}, "state": {state}, "scope": {"a b"}}.Encode()
}

func TestLoginsInLocation(t *testing.T) {
	tests := []struct {
		location string
		want     []string
	}{
		{authorization(callbackURL, "s1"), []string{"s1"}},
		{authorization(strings.Replace(callbackURL, "/auth/", "/other/", 1), "s+ /2"), []string{"s+ /2"}},
		{authorization(callbackURL+"?provider=google", "s3"), []string{"s3"}},
		{authorization(callbackURL, "s4") + "#fragment", []string{"s4"}},
		{authorization(callbackURL, "s5") + "&state=x", nil},
		{authorization(callbackURL, "s6") + "&redirect_uri=https://evil.example", nil},
		{authorization(callbackURL, "s7") + "&%zz", nil},
		{authorization(callbackURL+"/x", "s8"), nil},
		{authorization("https://evil.example/?"+callbackURL, "s9"), nil},
		{authorization("https://shop-0123456789abcdef.t.example.com:8443/auth/callback", "s10"), nil},
		{callbackURL + "?state=s11", nil},
		{"/login", nil},
	}
	for _, tt := range tests {
		var got []string
		callbackShare(t).Logins(func(state string) { got = append(got, state) }).Field(tt.location)
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s begins %q, want %q", tt.location, got, tt.want)
		}
	}
	if l := new(Share).Logins(func(string) {}); l != nil {
		t.Error("a share without a callback host has logins")
	}
}

// TestLoginsInJSON: a URL is found in the members of an object, however it is cut, before
// its last byte is passed on. It is found nowhere else.
func TestLoginsInJSON(t *testing.T) {
	to := authorization(callbackURL, "the state")
	quoted, err := json.Marshal(to)
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]bool{
		`{"url":` + string(quoted) + `,"redirect":true}`:                              true, // with \u0026
		`{"url":"` + to + "\"}\n":                                                     true,
		`{"url":"` + strings.ReplaceAll(to, "/", `\/`) + `"}`:                         true,
		`{"data":{"comment":` + string(quoted) + `}}`:                                 false,
		`[` + string(quoted) + `]`:                                                    false,
		`<a href="` + to + `">`:                                                       false,
		`{"text":"see ` + to + `"}`:                                                   false,
		`{"x":"` + strings.Repeat("x", maxAnswer) + `","url":` + string(quoted) + `}`: false,
	} {
		for _, size := range []int{1, 7, len(text)} {
			if size == 1 && len(text) > 1000 {
				continue
			}
			got := 0
			l := callbackShare(t).Logins(func(state string) {
				if got++; state != "the state" {
					t.Errorf("%.100s begins %q", text, state)
				}
			})
			for piece := range slices.Chunk([]byte(text), size) {
				l.Body(piece)
			}
			if (got == 1) != want || got > 1 {
				t.Errorf("%.100s in pieces of %d begins %d logins, want one: %t", text, size, got, want)
			}
		}
	}
	n := 0
	l := callbackShare(t).Logins(func(string) { n++ })
	for i := range 2 * maxLogins {
		l.Field(authorization(callbackURL, strings.Repeat("x", i+1)))
		l.Field(authorization(callbackURL, "x"))
	}
	if n != maxLogins {
		t.Errorf("one response begins %d logins, want %d", n, maxLogins)
	}
}

// TestLoginsOfHostileJSON: text that looks like the end of an answer over and over costs
// little.
func TestLoginsOfHostileJSON(t *testing.T) {
	l := callbackShare(t).Logins(func(string) {})
	l.Body([]byte(`{"url":"` + callbackURL + strings.Repeat("x", maxAnswer/2)))
	for range maxAnswer / 3 {
		l.Body([]byte("}"))
	}
	if l.reads > maxReads || l.body != nil {
		t.Errorf("the answer is read %d times", l.reads)
	}
}

// TestOtherCallback: a login that comes back to an address that does not last is told to
// the developer.
func TestOtherCallback(t *testing.T) {
	s := callbackShare(t)
	for location, want := range map[string]bool{
		authorization("https://shop.localhost/auth/callback", "s"):                                true,
		authorization("https://shop-0123456789abcdef.t.example.com:8443/other/callback?x=1", "s"): true,
		authorization("https://shop.localhost/elsewhere", "s"):                                    false,
		authorization("https://other.localhost/auth/callback", "s"):                               false,
		authorization(callbackURL, "s"):                                                           false,
		"/":                                                                                       false,
	} {
		r, _ := http.NewRequest(http.MethodGet, "https://shop.localhost/login", nil)
		told := slices.ContainsFunc(s.Advice(r, http.Header{"Location": {location}}, http.StatusFound, Visitor{}), func(text string) bool {
			return strings.Contains(text, "DEVPROXY_CALLBACK_URL")
		})
		if told != want {
			t.Errorf("%s: told %t, want %t", location, told, want)
		}
	}
}
