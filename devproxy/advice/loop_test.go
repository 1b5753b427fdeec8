package advice

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/devproxy/devproxy/devproxy/plan"
)

func TestLoop(t *testing.T) {
	upstream := &plan.Upstream{Members: []plan.Member{
		{Scheme: plan.SchemeHTTP, Addrs: []string{"127.0.0.1:5173"}},
		{Scheme: plan.SchemeHTTP, Addrs: []string{"staging.example.com:80"}, Authority: "staging.example.com"},
		{Scheme: plan.SchemeHTTPS, Addrs: []string{"secure.example.com:8443"}, Authority: "secure.example.com:8443"},
	}}
	const own = "https://shop.localhost:8443"
	for _, test := range []struct {
		name            string
		method          string
		target, told    string
		status          int
		location        string
		cookies, expect string // cookies of the request; "stop", "again" or "" for neither
		set             []string
		hint            string
	}{
		{name: "an upgrade", target: "/a?b", told: "http", status: 302, location: own + "/a?b", expect: "stop", hint: "remove `forwarded_proto"},
		{name: "an upgrade, permanent", target: "/", told: "http", status: 301, location: own, expect: "stop"},
		{name: "an upgrade of a form", method: "POST", target: "/a", told: "http", status: 307, location: own + "/a", expect: "stop"},
		{name: "an upgrade with a fragment", target: "/a", told: "http", status: 308, location: own + "/a#b", expect: "stop"},
		{name: "after a form", method: "POST", target: "/a", told: "http", status: 303, location: own + "/a"},
		{name: "after a form, 302", method: "POST", target: "/a", told: "http", status: 302, location: own + "/a"},
		{name: "elsewhere", target: "/a", told: "http", status: 302, location: own + "/b"},
		{name: "another query", target: "/a?lang=de", told: "http", status: 302, location: own + "/a"},
		{name: "a slash", target: "/a", told: "http", status: 301, location: own + "/a/"},
		{name: "another host", target: "/a", told: "http", status: 301, location: "https://www.shop.localhost:8443/a"},
		{name: "another port", target: "/a", told: "http", status: 301, location: "https://shop.localhost/a"},
		{name: "not a redirect", target: "/a", told: "http", status: 201, location: own + "/a"},
		{name: "304", target: "/a", told: "http", status: 304, location: own + "/a"},
		{name: "no location", target: "/a", told: "http", status: 302},
		{name: "a path", target: "/a", told: "http", status: 301, location: "/a"},
		{name: "with a new cookie", target: "/a", told: "http", status: 302, location: own + "/a", set: []string{"seen=1; Path=/"}},
		{name: "with another value", target: "/a", told: "http", status: 302, location: own + "/a", cookies: "a=1; seen=0", set: []string{"seen=1; Path=/"}},
		{name: "with the same cookie", target: "/a", told: "http", status: 302, location: own + "/a", cookies: "a=1; seen=1", set: []string{"seen=1; Path=/"}, expect: "stop"},
		{name: "a downgrade", target: "/a", told: "https", status: 302, location: "http://shop.localhost:8443/a", expect: "stop", hint: "write `forwarded_proto = \"http\"`"},
		{name: "an upgrade that X-Forwarded-Proto would spare", target: "/a", told: "https", status: 301, location: own + "/a", expect: "stop", hint: "X-Forwarded-Proto"},
		{name: "itself, for now", target: "/a", told: "https", status: 302, location: own + "/a", expect: "again"},
		{name: "itself, for now, in plain HTTP", target: "/a", told: "http", status: 307, location: "http://shop.localhost:8443/a", expect: "again"},
		{name: "the upstream's own address", target: "/a", told: "https", status: 302, location: "http://localhost:5173/a", expect: "stop", hint: "request_headers = { Host = \"localhost:5173\" }"},
		{name: "the upstream's own address, another path", target: "/a", told: "https", status: 302, location: "http://localhost:5173/b"},
		{name: "an upstream elsewhere, itself", target: "/a", told: "https", status: 302, location: "http://staging.example.com/a", expect: "again"},
		{name: "a secure upstream elsewhere, itself", target: "/a", told: "https", status: 302, location: "https://secure.example.com:8443/a", expect: "again"},
		{name: "an upstream elsewhere, itself for good", target: "/a", told: "https", status: 301, location: "http://staging.example.com/a", expect: "stop"},
		{name: "an upstream that wants HTTPS", target: "/a", told: "https", status: 301, location: "https://staging.example.com/a", expect: "stop", hint: "upstream = \"https://staging.example.com\""},
	} {
		t.Run(test.name, func(t *testing.T) {
			method := test.method
			if method == "" {
				method = http.MethodGet
			}
			r := httptest.NewRequest(method, test.target, nil)
			if test.cookies != "" {
				r.Header.Set("Cookie", test.cookies)
			}
			res := &http.Response{StatusCode: test.status, Header: http.Header{"Set-Cookie": test.set}}
			if test.location != "" {
				res.Header.Set("Location", test.location)
			}
			o := Outside{Route: &plan.Route{Path: "/"}, Upstream: upstream, Origin: own}
			loop, again := o.Loop(res, r, test.target, test.told)
			got := ""
			switch {
			case loop != nil && again:
				got = "again"
			case loop != nil:
				got = "stop"
			}
			if got != test.expect {
				t.Errorf("%q, want %q", got, test.expect)
			}
			if loop != nil && (!strings.Contains(loop.Error(), test.location) || !strings.Contains(loop.Hint(), test.hint)) {
				t.Errorf("%v; %s", loop, loop.Hint())
			}
		})
	}
}

// TestAgain: a redirect that may be intended is stopped when it loops.
func TestAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var a Again
		often := func(client any, url string) int {
			for n := 1; n <= 2*maxAgain; n++ {
				if a.TooOften(client, url) {
					return n
				}
			}
			return 0
		}
		if n := often(1, "/a"); n != maxAgain {
			t.Errorf("stopped at %d", n)
		}
		if n := often(2, "/a"); n != maxAgain {
			t.Errorf("another client's count too: %d", n)
		}
		if n := often(1, "/b"); n != maxAgain {
			t.Errorf("another URL's count too: %d", n)
		}
		time.Sleep(againTime + 1)
		if a.TooOften(1, "/a") {
			t.Error("counted for ever")
		}
		for n := range 3 * maxAgainURLs {
			a.TooOften(n, "/c")
		}
		if len(a.seen) > maxAgainURLs {
			t.Errorf("%d are remembered", len(a.seen))
		}
	})
}

func TestToldScheme(t *testing.T) {
	for _, test := range []struct {
		route *plan.Route
		want  string
	}{
		{&plan.Route{}, "https"},
		{&plan.Route{ForwardedHTTP: true}, "http"},
		{&plan.Route{RequestHeaders: []plan.Header{{Name: "X-Forwarded-Proto", Value: "HTTP"}}}, "http"},
		{&plan.Route{ForwardedHTTP: true, RequestHeaders: []plan.Header{{Name: "X-Forwarded-Proto", Value: "https"}}}, "https"},
		{&plan.Route{RequestHeaders: []plan.Header{{Name: "X-Forwarded-Proto", Remove: true}}}, "https"},
	} {
		if got := ToldScheme(test.route, "https"); got != test.want {
			t.Errorf("%+v: %q", test.route, got)
		}
	}
}
