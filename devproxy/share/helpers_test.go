package share

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
)

const (
	single  = "shop-k3v9x2m7qpr4t8wz.t.example.com"
	zone    = "k7f3w2qd.t.example.com"
	shop    = "shop-k3v9x2m7qpr4t8wz." + zone
	admin   = "admin--" + shop
	tenants = "--tenant--" + shop
	secret  = "0123456789abcdef"
)

// oneHost is a project with a single, unguessable name.
func oneHost() Options {
	return Options{
		Hosts:     []Host{{Local: "shop.localhost:8443", Public: single, Aliases: []string{"shop.localhost:8080", "www.shop.localhost:8443"}}},
		LocalZone: "shop.localhost", Root: "/home/me/shop", CookieKey: []byte(strings.Repeat("k", 32)),
	}
}

// several is a project with several hosts, below its key's zone.
func several() Options {
	opts := oneHost()
	opts.Zone = zone
	opts.Hosts = []Host{
		{Local: "shop.localhost:8443", Public: shop, Aliases: []string{"shop.localhost:8080"}},
		{Local: "admin.shop.localhost:8443", Public: admin},
		{Local: "*.tenant.shop.localhost:8443", Public: "*" + tenants},
	}
	return opts
}

// oneLabel is a project with several hosts, each in one label.
func oneLabel() Options {
	opts := oneHost()
	opts.Together = true
	opts.Hosts = []Host{
		{Local: "shop.localhost:8443", Public: single, Aliases: []string{"shop.localhost:8080"}},
		{Local: "admin.shop.localhost:8443", Public: labelled("admin")},
		{Local: "*.tenant.shop.localhost:8443", Public: labelled("*--tenant")},
	}
	return opts
}

// labelled is a host of oneLabel.
func labelled(host string) string { return strings.Replace(single, ".", "--"+host+".", 1) }

// plainName is the same with a plain name, on a relay that is not on port 443.
func plainName() Options {
	opts := oneHost()
	opts.Zone, opts.Named, opts.Secret = "shop.t.example.com", true, []byte(secret)
	opts.Hosts = []Host{
		{Local: "shop.localhost:8443", Public: "shop.t.example.com:8444"},
		{Local: "admin.shop.localhost:8443", Public: "admin.shop.t.example.com:8444"},
		{Local: "*.tenant.shop.localhost:8443", Public: "*.tenant.shop.t.example.com:8444"},
	}
	return opts
}

func oneNamed() Options {
	opts := plainName()
	opts.Hosts = []Host{{Local: "shop.localhost", Public: "shop.t.example.com"}}
	return opts
}

// chosenNames is a project whose names someone else chose: they have no parent of
// their own.
func chosenNames() Options {
	opts := oneHost()
	opts.Named, opts.Secret = true, []byte(secret)
	opts.Hosts = []Host{
		{Local: "shop.localhost:8443", Public: "four-words-of-chance.tunnel.example"},
		{Local: "admin.shop.localhost:8443", Public: "three-other-words.tunnel.example"},
	}
	return opts
}

func withPassword() Options {
	opts := oneHost()
	opts.Password = "open sesame"
	return opts
}

func mustNew(t testing.TB, opts Options) *Share {
	t.Helper()
	s, err := New(opts)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func visitorOf(host string) Visitor {
	return Visitor{Addr: netip.MustParseAddrPort("203.0.113.7:4711"), Scheme: "https", Host: host}
}

// ask makes a visitor's request; fields are names and values in turn.
func ask(method, host, target string, fields ...string) *http.Request {
	r := httptest.NewRequest(method, target, nil)
	r.Host, r.RequestURI = host, target
	for i := 0; i < len(fields); i += 2 {
		r.Header.Add(fields[i], fields[i+1])
	}
	return r
}

// browse are the fields that a browser adds to a request that opens a page.
func browse(r *http.Request) *http.Request {
	r.Header.Set("Accept", "text/html,application/xhtml+xml,*/*;q=0.8")
	r.Header.Set("Sec-Fetch-Mode", "navigate")
	r.Header.Set("Sec-Fetch-Dest", "document")
	return r
}

// admit sends a request as an ordinary visitor.
func admit(s *Share, r *http.Request) (in *http.Request, answer *httptest.ResponseRecorder) {
	return admitFrom(s, r, visitorOf(r.Host))
}

func admitFrom(s *Share, r *http.Request, v Visitor) (*http.Request, *httptest.ResponseRecorder) {
	w := httptest.NewRecorder()
	in, handled := s.Admit(w, r, v)
	if handled {
		return nil, w
	}
	return in, nil
}

// status returns the status of the answer, 0 for a request that gets in.
func status(s *Share, r *http.Request) int {
	_, answer := admit(s, r)
	if answer == nil {
		return 0
	}
	return answer.Code
}

// firstHost is the public authority of the first host.
func firstHost(s *Share) string { return s.names.hosts[0].public.String() }

// key is a valid gate cookie of s, as browsers send it.
func key(t testing.TB, s *Share) string {
	t.Helper()
	r := browse(ask("GET", firstHost(s), "/?devproxy="+string(s.secret.value)))
	if s.gate.password {
		r = sendPassword(firstHost(s), s.opts.Password)
	}
	_, answer := admit(s, r)
	if answer == nil || answer.Code != http.StatusSeeOther {
		t.Fatalf("no cookie for the key: %+v", answer)
	}
	cookie := answer.Result().Cookies()[0]
	return cookie.Name + "=" + cookie.Value
}

// sendPassword returns the request of the login form.
func sendPassword(host, password string) *http.Request {
	form := "password=" + strings.ReplaceAll(password, " ", "+") + "&to=%2Fcart%3Fid%3D1"
	r := browse(httptest.NewRequest("POST", loginPath, strings.NewReader(form)))
	r.Host = host
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Origin", "https://"+host)
	return r
}
