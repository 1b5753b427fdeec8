package share

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
)

// everyByte percent-encodes all of text.
func everyByte(text string) string {
	var b strings.Builder
	for _, c := range []byte(text) {
		fmt.Fprintf(&b, "%%%02X", c)
	}
	return b.String()
}

// TestTheLinkInEverySpelling: name and value of the parameter may be encoded.
func TestTheLinkInEverySpelling(t *testing.T) {
	s := mustNew(t, plainName())
	host := firstHost(s)
	for query, want := range map[string]string{
		"devproxy=" + secret:                               "",
		"%64evproxy=" + secret:                             "",
		everyByte("devproxy") + "=" + everyByte(secret):    "",
		"devproxy=" + secret + "&devproxy=" + secret:       "",
		"a&devproxy=" + secret + "&b=%20":                  "?a&b=%20",
		"devproxy=x&devproxy=" + secret:                    "?devproxy=x",
		"a=1&&%64%65vproxy=" + secret + "&devproxy=&%zz=%": "?a=1&&devproxy=&%zz=%",
	} {
		_, answer := admit(s, ask("GET", host, "/p?"+query))
		if answer == nil || answer.Code != 303 || answer.Header().Get("Location") != "https://"+host+"/p"+want || answer.Header().Get("Set-Cookie") == "" {
			t.Errorf("%s: %+v", query, answer)
		}
	}
	for _, query := range []string{"Devproxy=" + secret, "devproxy=" + strings.ToUpper(secret), "devproxy=" + secret + "x", "devproxy=%zz" + secret,
		"%zzdevproxy=" + secret, "a=1;devproxy=" + secret, "devproxy%3d" + secret, "devproxy=%25" + everyByte(secret)[1:], secret + "=devproxy"} {
		if got := status(s, ask("GET", host, "/p?"+query)); got != 401 {
			t.Errorf("%s: %d, want 401", query, got)
		}
	}
}

// TestTheSecretIsInNoField that reaches the project, whatever the spelling of a page's
// URL in it, nor in the query.
func TestTheSecretIsInNoField(t *testing.T) {
	s := mustNew(t, plainName())
	host := firstHost(s)
	base := "https://" + host
	for _, test := range []struct{ name, in, want string }{
		{"Referer", base + "/?devproxy=" + secret, "https://shop.localhost:8443/"},
		{"Referer", base + "/a?b=1&devproxy=" + secret + "&c=%20#d", "https://shop.localhost:8443/a?b=1&c=%20#d"},
		{"Referer", base + "/a?%64evproxy=" + everyByte(secret), "https://shop.localhost:8443/a"},
		{"Referer", "https://idp.example/?to=" + url.QueryEscape(base+"/?devproxy="+secret), "https://idp.example/?to=" + url.QueryEscape(base+"/?devproxy=")},
		{"Referer", base + "/" + secret, "https://shop.localhost:8443/"},
		{"Referer", base + "/?x=" + strings.ReplaceAll(everyByte(secret), "%", "%2525"), "https://shop.localhost:8443/?x="},
		{"Referer", base + "/?devproxy=mine", "https://shop.localhost:8443/?devproxy=mine"},
		{"Referer", base + "/?x=%61", "https://shop.localhost:8443/?x=%61"},
		{"Hx-Current-Url", base + "/?a&devproxy=" + secret, "https://shop.localhost:8443/?a"},
		{"Next-Router-State-Tree", "%5B%22%3Fdevproxy%3D" + secret + "%22%5D", "%5B%22%3Fdevproxy%3D%22%5D"},
		{"X-State", `{"url":"/?devproxy=` + secret + `&a=1"}`, `{"url":"/?a=1"}`},
		{"X-State", `"\u00` + fmt.Sprintf("%02x", secret[0]) + secret[1:] + `"`, `""`},
		{"X-State", `"` + secret[:4] + `\u0034` + secret[5:] + `"`, `""`},
		{"X-State", `"` + secret[:10] + `\U0061` + secret[11:] + `"`, `""`},
		{"X-State", "#devproxy=" + secret, "#devproxy="},
		{"X-State", "/?#x&devproxy=" + secret + "&y", "/?#x&devproxy=&y"},
		{"X-State", "/?a#x&devproxy=" + secret, "/?a#x&devproxy="},
		{"X-State", "/?devproxy=" + secret + "#x", "/#x"},
		{"X-State", "devproxy=" + secret, "devproxy="},
		{"X-Url", "/?a=" + secret[:1] + "%3%31" + secret[2:], ""},
		{"X-Url", `C:\new\u0041`, `C:\new\u0041`},
		{"Cookie", "from=" + secret + "; a=b", "from=; a=b"},
		{"X-Token", secret, ""},
		{"X-Token", strings.ToUpper(secret), strings.ToUpper(secret)}, // it opens nothing
		{"X-Token", secret[1:], secret[1:]},
	} {
		r := ask("GET", host, "/", test.name, test.in)
		if test.name == "Cookie" {
			r.Header.Set("Authorization", "Bearer "+secret)
		} else {
			r.Header.Set("Cookie", key(t, s))
		}
		in, answer := admit(s, r)
		if in == nil || in.Header.Get(test.name) != test.want {
			t.Errorf("%s: %s\n became %q\n not    %q %v", test.name, test.in, in.Header.Get(test.name), test.want, answer)
			continue
		}
		if r.Header.Get(test.name) != test.in {
			t.Errorf("the visitor's request was changed: %s", r.Header.Get(test.name))
		}
	}
	for query, want := range map[string]string{
		"devproxy=" + secret + "&a": "?a", "next=%2F%3Fdevproxy%3D" + secret: "?next=%2F%3Fdevproxy%3D", "a;devproxy=" + secret: "?a;devproxy=",
		"a=%20&b": "?a=%20&b", "": "?",
	} {
		in, _ := admit(s, ask("POST", host, "/?"+query, "Cookie", key(t, s)))
		if in == nil || in.RequestURI != strings.TrimSuffix("/"+want, "?") && in.RequestURI != "/"+want || "?"+in.URL.RawQuery != want {
			t.Errorf("%s: %+v", query, in)
		}
	}
}

// TestAProjectsOwnValuesStay: a share without a secret hides nothing.
func TestAProjectsOwnValuesStay(t *testing.T) {
	for name, s := range map[string]*Share{"token": mustNew(t, oneHost()), "password": mustNew(t, withPassword())} {
		if in, _ := admit(s, ask("GET", single, "/?devproxy=&a", "Authorization", "Bearer open sesame")); in == nil || in.RequestURI != "/?devproxy=&a" {
			t.Errorf("%s, an empty parameter: %+v", name, in)
		}
		r := ask("GET", single, "/?devproxy="+secret, "X-Token", secret, "Referer", "https://x.example/?devproxy="+secret)
		if name == "password" {
			r.Header.Set("Authorization", "Bearer "+s.opts.Password)
		}
		in, _ := admit(s, r)
		if in == nil || in.RequestURI != "/?devproxy="+secret || in.Header.Get("X-Token") != secret || in.Header.Get("Referer") != "https://x.example/?devproxy="+secret {
			t.Errorf("%s: %+v", name, in)
		}
	}
	opts := oneHost()
	opts.Secret = []byte("short")
	if in, _ := admit(mustNew(t, opts), ask("GET", single, "/", "X-Token", "short")); in == nil || in.Header.Get("X-Token") != "short" {
		t.Errorf("%+v", in)
	}
}
