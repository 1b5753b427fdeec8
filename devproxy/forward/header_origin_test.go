package forward

import (
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/devproxy/devproxy/devproxy/plan"
)

// TestOrigins: the scheme and the origin that an upstream gets agree, and foreign
// origins stay as the browser sent them.
func TestOrigins(t *testing.T) {
	here := &plan.Member{Scheme: plan.SchemeHTTP, Network: "tcp", Addrs: []string{"127.0.0.1:3000", "[::1]:3000"}}
	named := &plan.Member{Scheme: plan.SchemeHTTP, Network: "tcp", Addrs: []string{"127.0.0.1:3000"}, Authority: "other.test"}
	socket := &plan.Member{Scheme: plan.SchemeHTTP, Network: "unix", Addrs: []string{"/run/app.sock"}}
	vm := &plan.Member{Scheme: plan.SchemeHTTP, Network: "tcp", Addrs: []string{"vm:8000"}, Authority: "vm:8000"}
	staging := &plan.Member{Scheme: plan.SchemeHTTPS, Network: "tcp", Addrs: []string{"staging.example.com:443"}, Authority: "staging.example.com"}
	lan := &plan.Member{Scheme: plan.SchemeH2C, Network: "tcp", Addrs: []string{"192.168.1.7:50051"}, Authority: "192.168.1.7:50051"}
	type told struct{ origin, referer string }
	for _, test := range []struct {
		name         string
		scheme, host string // of the request
		http         bool
		member       *plan.Member
		page         told // as the browser says it
		want         told // empty for the same
	}{
		{"the default", "https", "shop.localhost:8443", false, here, told{"https://shop.localhost:8443", "https://shop.localhost:8443/a?b#c"}, told{}},
		{"plain HTTP", "https", "shop.localhost:8443", true, here, told{"https://shop.localhost:8443", "https://shop.localhost:8443/a?b=https://shop.localhost:8443/#c"},
			told{"http://shop.localhost:8443", "http://shop.localhost:8443/a?b=https://shop.localhost:8443/#c"}},
		{"on port 443", "https", "shop.localhost", true, here, told{"https://shop.localhost", "https://shop.localhost"}, told{"http://shop.localhost", "http://shop.localhost"}},
		{"443 said by Host alone", "https", "shop.localhost:443", true, here, told{"https://shop.localhost", "https://shop.localhost/"}, told{"http://shop.localhost:443", "http://shop.localhost:443/"}},
		{"in capitals", "https", "Shop.localhost:8443", true, here, told{"HTTPS://SHOP.LOCALHOST:8443", "https://shop.localhost:8443?a"}, told{"http://Shop.localhost:8443", "http://Shop.localhost:8443?a"}},
		{"over a unix socket", "https", "shop.localhost", true, socket, told{"https://shop.localhost", "https://shop.localhost/a"}, told{"http://shop.localhost", "http://shop.localhost/a"}},
		{"IPv6", "https", "[::1]:8443", true, here, told{"https://[::1]:8443", "https://[::1]:8443/a"}, told{"http://[::1]:8443", "http://[::1]:8443/a"}},
		{"with another Host", "https", "shop.localhost", true, named, told{"https://shop.localhost", "https://shop.localhost/a"}, told{"http://shop.localhost", "http://shop.localhost/a"}},
		{"with another Host, the default", "https", "shop.localhost", false, named, told{"https://shop.localhost", "https://shop.localhost/a"}, told{}},
		{"served over plain HTTP", "http", "shop.localhost:8080", true, here, told{"http://shop.localhost:8080", "http://shop.localhost:8080/a"}, told{}},
		{"no origin", "https", "shop.localhost", true, here, told{}, told{}},
		{"null", "https", "shop.localhost", true, here, told{"null", "about:blank"}, told{}},
		{"another port", "https", "shop.localhost:8443", true, here, told{"https://shop.localhost", "https://shop.localhost/"}, told{}},
		{"another host", "https", "shop.localhost", true, here, told{"https://admin.shop.localhost", "https://admin.shop.localhost/a"}, told{}},
		{"a host below", "https", "shop.localhost", true, here, told{"https://shop.localhost.evil.example", "https://shop.localhost.evil.example/"}, told{}},
		{"a host as userinfo", "https", "shop.localhost", true, here, told{"https://shop.localhost@evil.example", "https://shop.localhost@evil.example/"}, told{}},
		{"a host with userinfo", "https", "shop.localhost", true, here, told{"https://me@shop.localhost", "https://me:pw@shop.localhost/"}, told{}},
		{"a host after a backslash", "https", "shop.localhost", true, here, told{`https://evil.example\@shop.localhost`, `https://evil.example\@shop.localhost/`}, told{}},
		{"another scheme", "https", "shop.localhost", true, here, told{"http://shop.localhost", "ftp://shop.localhost/"}, told{}},
		{"no origin, but more", "https", "shop.localhost", true, here, told{"https://shop.localhost/", "//shop.localhost/"}, told{}},

		{"elsewhere", "https", "shop.localhost:8443", false, staging, told{"https://shop.localhost:8443", "https://shop.localhost:8443/a?b"}, told{"https://staging.example.com", "https://staging.example.com/a?b"}},
		{"elsewhere, without TLS", "https", "shop.localhost", false, vm, told{"https://shop.localhost", "https://shop.localhost/a"}, told{"http://vm:8000", "http://vm:8000/a"}},
		{"elsewhere, h2c", "https", "shop.localhost", false, lan, told{"https://shop.localhost", "https://shop.localhost/a"}, told{"http://192.168.1.7:50051", "http://192.168.1.7:50051/a"}},
		{"elsewhere, plain HTTP", "https", "shop.localhost", true, staging, told{"https://shop.localhost", "https://shop.localhost/a"}, told{"http://staging.example.com", "http://staging.example.com/a"}},
		{"elsewhere, a foreign page", "https", "shop.localhost", false, staging, told{"https://evil.example", "https://evil.example/"}, told{}},
		{"elsewhere, null", "https", "shop.localhost", false, staging, told{"null", ""}, told{}},
	} {
		t.Run(test.name, func(t *testing.T) {
			in := request()
			in.Host = test.host
			in.Header = http.Header{}
			for name, value := range map[string]string{"Origin": test.page.origin, "Referer": test.page.referer} {
				if value != "" {
					in.Header.Set(name, value)
				}
			}
			for _, more := range []string{"Hx-Current-Url", "Destination", "Turbolinks-Referrer"} {
				if test.page.referer != "" {
					in.Header.Set(more, test.page.referer)
				}
			}
			header, _ := RequestHeader(in, Exchange{Match: plan.Match{Route: &plan.Route{ForwardedHTTP: test.http}}, Scheme: test.scheme}, test.member)
			want := test.want
			if want == (told{}) {
				want = test.page
			}
			if got := (told{header.Get("Origin"), header.Get("Referer")}); got != want {
				t.Errorf("got %+v, want %+v", got, want)
			}
			for _, more := range []string{"Hx-Current-Url", "Destination", "Turbolinks-Referrer"} {
				if got := header.Get(more); got != want.referer {
					t.Errorf("%s is %q, want %q", more, got, want.referer)
				}
			}
		})
	}
	in := request("Origin", "https://shop.localhost:8443", "Origin", "https://shop.localhost:8443")
	x := Exchange{Match: plan.Match{Route: &plan.Route{ForwardedHTTP: true}}, Scheme: "https"}
	if got, _ := RequestHeader(in, x, here); got["Origin"][0] != "https://shop.localhost:8443" {
		t.Errorf("two origins became %q", got["Origin"])
	}
	x.Match.Route.RequestHeaders = []plan.Header{{Name: "Origin", Value: "https://set.example"}, {Name: "X-Forwarded-Proto", Value: "https"}}
	if got, _ := RequestHeader(request("Origin", "https://shop.localhost:8443"), x, here); got.Get("Origin") != "https://set.example" || got.Get("X-Forwarded-Proto") != "https" {
		t.Errorf("the Proxyfile does not have the last word: %v", got)
	}
}

// TestForwardedHTTP: every field that has a scheme in it says http.
func TestForwardedHTTP(t *testing.T) {
	for host, want := range map[string]http.Header{
		"shop.localhost:8443": {"X-Forwarded-Port": {"8443"}, "X-Forwarded-Host": {"shop.localhost:8443"}, "Forwarded": {`for=127.0.0.1;host="shop.localhost:8443";proto=http`}},
		"shop.localhost":      {"X-Forwarded-Port": {"80"}, "X-Forwarded-Host": {"shop.localhost"}, "Forwarded": {`for=127.0.0.1;host=shop.localhost;proto=http`}},
	} {
		want["X-Forwarded-For"], want["X-Forwarded-Proto"] = []string{"127.0.0.1"}, []string{"http"}
		in := request()
		in.Host = host
		got, sent := RequestHeader(in, Exchange{Match: plan.Match{Route: &plan.Route{ForwardedHTTP: true}}, Scheme: "https"}, &plan.Member{})
		if diff := cmp.Diff(want, got); diff != "" || sent != host {
			t.Errorf("%s: Host %s\n%s", host, sent, diff)
		}
	}
}
