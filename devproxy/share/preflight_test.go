package share

import (
	"net/http"
	"strings"
	"testing"

	"github.com/devproxy/devproxy/tunnel/field"
)

// asPreflight returns a preflight of a page on origin.
func asPreflight(host, target, origin string, fields ...string) *http.Request {
	return ask("OPTIONS", host, target, append([]string{"Origin", origin, "Access-Control-Request-Method", "PUT"}, fields...)...)
}

// TestTheGateAnswersPreflights: the gate answers those of the share's own pages, on each
// of its hosts, and they do not reach the project.
func TestTheGateAnswersPreflights(t *testing.T) {
	named := mustNew(t, plainName())
	opts := several()
	opts.Password = "open sesame"
	zoned := mustNew(t, opts)
	const base = ".shop.t.example.com:8444"
	for name, test := range map[string]struct {
		s            *Share
		host, origin string
	}{
		"another host":         {named, "admin" + base, "https://shop.t.example.com:8444"},
		"the other way":        {named, "shop.t.example.com:8444", "https://admin" + base},
		"its own host":         {named, "shop.t.example.com:8444", "https://shop.t.example.com:8444"},
		"a wildcard's":         {named, "acme.tenant" + base, "https://other.tenant" + base},
		"with a password":      {zoned, shop, "https://" + admin},
		"to a host of a token": {zoned, admin, "https://" + shop},
	} {
		for _, target := range []string{"/", "/a?b=c", "/?devproxy=" + secret, "*", "//a%2fb"} {
			in, answer := admit(test.s, asPreflight(test.host, target, test.origin,
				"Access-Control-Request-Headers", "content-type, X-CSRF-Token", "Cookie", "a=b"))
			if in != nil || answer.Code != http.StatusNoContent || answer.Body.Len() > 0 {
				t.Fatalf("%s, %s: %+v %+v", name, target, in, answer)
			}
			for field, want := range map[string]string{
				"Access-Control-Allow-Origin":      test.origin,
				"Access-Control-Allow-Credentials": "true",
				"Access-Control-Allow-Methods":     "PUT",
				"Access-Control-Allow-Headers":     "content-type, x-csrf-token",
				"Access-Control-Max-Age":           "600",
				"Cache-Control":                    "no-store",
				"Vary":                             "Origin, Access-Control-Request-Method, Access-Control-Request-Headers",
				"Content-Type":                     "", "Content-Length": "", "Set-Cookie": "", "Location": "",
			} {
				if got := strings.Join(answer.Header()[field], "|"); got != want {
					t.Errorf("%s, %s: %s is %q, want %q", name, target, field, got, want)
				}
			}
		}
	}
}

// TestNothingKeylessPasses: in each case, one condition of a preflight is false.
func TestNothingKeylessPasses(t *testing.T) {
	for name, s := range map[string]*Share{"secret": mustNew(t, plainName()), "password": mustNew(t, withPassword())} {
		host := firstHost(s)
		own := "https://" + host
		change := func(f func(*http.Request)) *http.Request {
			r := asPreflight(host, "/", own, "Access-Control-Request-Headers", "x-a")
			f(r)
			return r
		}
		set := func(field string, values ...string) *http.Request {
			return change(func(r *http.Request) { r.Header[field] = values })
		}
		method := func(name string) *http.Request { return change(func(r *http.Request) { r.Method = name }) }
		for what, r := range map[string]*http.Request{
			"GET": method("GET"), "HEAD": method("HEAD"), "POST": method("POST"), "PUT": method("PUT"), "DELETE": method("DELETE"),
			"options": method("options"), "OPTIONS and a blank": method("OPTIONS "), "CONNECT": method("CONNECT"), "TRACE": method("TRACE"), "PROPFIND": method("PROPFIND"),
			"a body":                     change(func(r *http.Request) { r.ContentLength = 1 }),
			"a body of unknown length":   change(func(r *http.Request) { r.ContentLength = -1 }),
			"no method":                  set("Access-Control-Request-Method"),
			"an empty method":            set("Access-Control-Request-Method", ""),
			"two methods":                set("Access-Control-Request-Method", "PUT", "PUT"),
			"a list of methods":          set("Access-Control-Request-Method", "PUT, GET"),
			"a method with a line break": set("Access-Control-Request-Method", "PUT\r\nX: y"),
			"a forbidden method":         set("Access-Control-Request-Method", "Trace"),
			"another forbidden one":      set("Access-Control-Request-Method", "CONNECT"),
			"a third":                    set("Access-Control-Request-Method", "track"),
			"no origin":                  set("Origin"),
			"an empty origin":            set("Origin", ""),
			"null":                       set("Origin", "null"),
			"two origins":                set("Origin", own, own),
			"another site":               set("Origin", "https://evil.example"),
			"plain http":                 set("Origin", "http://"+host),
			"another port":               set("Origin", own+"1"),
			"a path":                     set("Origin", own+"/"),
			"a name below":               set("Origin", "https://evil."+strings.TrimSuffix(host, ":8444")),
			"the local origin":           set("Origin", "https://shop.localhost:8443"),
			"a field that is none":       set("Access-Control-Request-Headers", "x-a, b c"),
			"a line break in a field":    set("Access-Control-Request-Headers", "x-a\r\nset-cookie: a=b"),
			"markup in a field":          set("Access-Control-Request-Headers", "<x>"),
			"too many fields":            set("Access-Control-Request-Headers", many(maxRequestedFields+1)),
		} {
			in, answer := admit(s, r)
			if in != nil || answer.Code != http.StatusUnauthorized {
				t.Errorf("%s, %s: %+v %+v", name, what, in, answer)
				continue
			}
			for field := range answer.Header() {
				if strings.HasPrefix(field, "Access-Control-") {
					t.Errorf("%s, %s: %s is %q", name, what, field, answer.Header()[field])
				}
			}
		}
	}
}

// many is a list of n field names.
func many(n int) string {
	var names []string
	for i := range n {
		names = append(names, "x-"+strings.Repeat("a", i+1))
	}
	return strings.Join(names, ", ")
}

// TestRequestedFields: as many as the limit, in several lines, with repetitions
// and empty elements.
func TestRequestedFields(t *testing.T) {
	s := mustNew(t, plainName())
	host := firstHost(s)
	for asked, want := range map[string]string{
		"": "", " , ,": "", "X-A": "x-a", "x-a,X-A ,\tx-b": "x-a, x-b", many(maxRequestedFields): many(maxRequestedFields),
		"!#$%&'*+-.^_`|~09azAZ": "!#$%&'*+-.^_`|~09azaz",
	} {
		_, answer := admit(s, asPreflight(host, "/", "https://"+host, "Access-Control-Request-Headers", asked))
		if answer == nil || answer.Code != 204 || answer.Header().Get("Access-Control-Allow-Headers") != want {
			t.Errorf("%q: %+v", asked, answer)
		}
		if _, there := answer.Header()["Access-Control-Allow-Headers"]; there != (want != "") {
			t.Errorf("%q: an empty list: %v", asked, answer.Header())
		}
	}
	_, answer := admit(s, asPreflight(host, "/", "https://"+host, "Access-Control-Request-Headers", "x-a", "Access-Control-Request-Headers", "x-b"))
	if answer == nil || answer.Header().Get("Access-Control-Allow-Headers") != "x-a, x-b" {
		t.Errorf("two lines: %+v", answer)
	}
}

// TestTokens puts every byte first, in the middle and last in a token (RFC 9110
// section 5.6.2).
func TestTokens(t *testing.T) {
	for c := range 256 {
		text := string([]byte{byte(c)})
		want := strings.Contains("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", text)
		for _, token := range []string{text, text + "a", "a" + text + "b", "b" + text} {
			if got := field.IsToken(token); got != want {
				t.Errorf("%q: %v", token, got)
			}
		}
	}
	if field.IsToken("") {
		t.Error("nothing is a token")
	}
}

// TestTheOriginIsSentAsBrowsersCompareIt: whatever spelling was accepted.
func TestTheOriginIsSentAsBrowsersCompareIt(t *testing.T) {
	s := mustNew(t, withPassword())
	_, answer := admit(s, asPreflight(single, "/", "HTTPS://"+strings.ToUpper(single)+".:443"))
	if answer == nil || answer.Header().Get("Access-Control-Allow-Origin") != "https://"+single {
		t.Errorf("%+v", answer)
	}
}

// TestPreflightsForTheProject: with the key, on a public path and without a gate,
// the project answers like any other request.
func TestPreflightsForTheProject(t *testing.T) {
	opts := plainName()
	opts.Public = []string{"/hook"}
	gated := mustNew(t, opts)
	open := mustNew(t, oneHost())
	host := firstHost(gated)
	for name, test := range map[string]struct {
		s *Share
		r *http.Request
	}{
		"a public path":                {gated, asPreflight(host, "/hook/x", "https://"+host)},
		"a public path, another site":  {gated, asPreflight(host, "/hook", "https://evil.example")},
		"without a gate":               {open, asPreflight(single, "/", "https://"+single)},
		"without a gate, another site": {open, asPreflight(single, "/", "https://evil.example")},
		"with the cookie":              {gated, asPreflight(host, "/", "https://"+host, "Cookie", key(t, gated))},
		"with the key":                 {gated, asPreflight(host, "/", "https://"+host, "Authorization", "Bearer "+secret)},
	} {
		if in, answer := admit(test.s, test.r); in == nil {
			t.Errorf("%s: %+v", name, answer)
		}
	}
	// The gate answers near misses of a public path.
	for _, target := range []string{"/hooks", "/hook%2f..%2fadmin", "/hook/../a", "/?/hook", "*"} {
		if got := status(gated, asPreflight(host, target, "https://"+host)); got != 204 {
			t.Errorf("%s: %d", target, got)
		}
	}
	// A wrong password in a preflight is counted, and reveals nothing.
	password := mustNew(t, withPassword())
	if got := status(password, asPreflight(single, "/", "https://"+single, "Authorization", "Bearer wrong")); got != 204 {
		t.Errorf("with a wrong password: %d", got)
	}
}

// TestPreflightsOfWhatIsNotThere: they are answered like any other request for it.
func TestPreflightsOfWhatIsNotThere(t *testing.T) {
	opts := plainName()
	opts.Paths = []string{"/app"}
	s := mustNew(t, opts)
	host := firstHost(s)
	for target, want := range map[string]int{"/": 404, "/app": 204, "/app/.env": 404, StatePath: 404} {
		if got := status(s, asPreflight(host, target, "https://"+host)); got != want {
			t.Errorf("%s: %d, want %d", target, got, want)
		}
	}
}
