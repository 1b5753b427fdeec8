package plan

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/devproxy/devproxy/hcl"
	"github.com/google/go-cmp/cmp"
)

func duration(d time.Duration) *time.Duration { return &d }

// TestInherit: a route takes missing attributes from its service, then from its
// host; its own attributes win.
func TestInherit(t *testing.T) {
	value, other, yes, no := "host", "route", true, false
	service := &hcl.Service{Name: "api", Hold: duration(2 * time.Second), TLSSkipVerify: &no, ForwardedProto: hcl.ForwardedHTTP}
	served := func() *hcl.Upstream { u := to(2); u.Service = service; return u }
	host := hostOf("shop.localhost", to(1),
		&hcl.Route{Path: "/bare"},
		&hcl.Route{Path: "/own", Settings: hcl.Settings{
			Files:           &hcl.Files{Dir: "/shop/dist", Text: "dist", SPA: true},
			RequestHeaders:  map[string]*string{"X-A": &other, "X-B": nil},
			ResponseHeaders: map[string]*string{"X-New": &other},
			Hold:            duration(0), Timeout: duration(time.Second),
		}},
		&hcl.Route{Path: "/service", Settings: hcl.Settings{Upstream: served()}},
		&hcl.Route{Path: "/both", Settings: hcl.Settings{Upstream: served(), Hold: duration(3 * time.Second), ForwardedProto: hcl.ForwardedHTTPS}, StripPrefix: true},
	)
	host.Hold, host.Timeout, host.TLSSkipVerify = duration(5*time.Second), duration(time.Minute), &yes
	host.RequestHeaders = map[string]*string{"X-A": &value, "X-B": &value, "X-C": nil}

	const want = `host shop.localhost
  route /service
    upstream http tcp 127.0.0.1:2,[::1]:2
    request_headers X-A: host, X-B: host, -X-C
    forwarded_proto http
    timeout 1m0s
    hold 2s
  route /bare
    upstream http tcp 127.0.0.1:1,[::1]:1
    request_headers X-A: host, X-B: host, -X-C
    timeout 1m0s
    hold 5s
  route /both
    upstream http tcp 127.0.0.1:2,[::1]:2
    strip_prefix true
    request_headers X-A: host, X-B: host, -X-C
    timeout 1m0s
    hold 3s
  route /own
    files dist spa
    request_headers X-A: route, -X-B, -X-C
    response_headers X-New: route
    timeout 1s
    hold 0s
  route /
    upstream http tcp 127.0.0.1:1,[::1]:1
    request_headers X-A: host, X-B: host, -X-C
    timeout 1m0s
    hold 5s
`
	if diff := cmp.Diff(want, build(t, host).String()); diff != "" {
		t.Error(diff)
	}
}

// TestServiceBeforeHost: a service's attributes take precedence over its
// host's.
func TestServiceBeforeHost(t *testing.T) {
	yes, no := true, false
	up := members(hcl.Member{Scheme: "https", Host: "example.com", Port: 443})
	up.Service = &hcl.Service{Timeout: duration(time.Second), Hold: duration(2 * time.Second), TLSSkipVerify: &yes}
	host := hostOf("a.localhost", up, &hcl.Route{Path: "/own", Settings: hcl.Settings{TLSSkipVerify: &no}})
	host.Timeout, host.Hold, host.TLSSkipVerify = duration(time.Minute), duration(time.Minute), &no
	const want = `host a.localhost
  route /own
    upstream https tcp example.com:443 host=example.com tls=example.com
    timeout 1s
    hold 2s
  route /
    upstream https tcp example.com:443 host=example.com tls=example.com unverified
    timeout 1s
    hold 2s
`
	if diff := cmp.Diff(want, build(t, host).String()); diff != "" {
		t.Error(diff)
	}
}

func TestDefaults(t *testing.T) {
	r := build(t, hostOf("a.localhost", to(1))).Hosts()[0].Routes[0]
	if r.Hold != DefaultHold || r.Timeout != 0 {
		t.Errorf("hold %s, timeout %s; want %s and none", r.Hold, r.Timeout, DefaultHold)
	}
}

func TestUpstreamIsResolved(t *testing.T) {
	member := func(scheme hcl.Scheme, host string, port uint16) hcl.Member {
		return hcl.Member{Scheme: scheme, Host: host, Port: port}
	}
	tests := []struct {
		name   string
		member hcl.Member
		skip   bool
		host   string // request_headers = { Host = … }
		want   string
	}{
		{"port", member("http", "", 5173), false, "", "http tcp 127.0.0.1:5173,[::1]:5173"},
		{"localhost", member("http", "localhost", 80), false, "", "http tcp 127.0.0.1:80,[::1]:80"},
		{"below localhost", member("http", "API.localhost.", 80), false, "", "http tcp 127.0.0.1:80,[::1]:80"},
		{"not localhost", member("http", "notlocalhost", 80), false, "", "http tcp notlocalhost:80 host=notlocalhost"},
		{"any address", member("http", "0.0.0.0", 3000), false, "", "http tcp 127.0.0.1:3000,[::1]:3000"},
		{"loopback", member("http", "127.0.0.9", 80), false, "", "http tcp 127.0.0.9:80"},
		{"loopback 6", member("http", "::1", 80), false, "", "http tcp [::1]:80"},
		{"mapped", member("http", "::ffff:127.0.0.1", 80), false, "", "http tcp 127.0.0.1:80"},
		{"h2c", member("h2c", "127.0.0.1", 50051), false, "", "h2c tcp 127.0.0.1:50051"},
		{"unix", hcl.Member{Scheme: "http", Socket: "/shop/app.sock"}, false, "", "http unix /shop/app.sock within=/shop"},
		{"name", member("http", "staging.example.com", 8080), false, "", "http tcp staging.example.com:8080 host=staging.example.com:8080"},
		{"usual port", member("http", "example.com", 80), false, "", "http tcp example.com:80 host=example.com"},
		{"address 6", member("http", "2001:db8::1", 80), false, "", "http tcp [2001:db8::1]:80 host=[2001:db8::1]"},
		{"tls", member("https", "example.com", 443), false, "", "https tcp example.com:443 host=example.com tls=example.com"},
		{"tls port", member("https", "example.com", 8443), false, "", "https tcp example.com:8443 host=example.com:8443 tls=example.com"},
		{"tls unverified", member("https", "example.com", 443), true, "", "https tcp example.com:443 host=example.com tls=example.com unverified"},
		{"tls loopback", member("https", "", 8443), false, "", "https tcp 127.0.0.1:8443,[::1]:8443 tls=localhost unverified"},
		{"tls below localhost", member("https", "api.localhost", 443), false, "", "https tcp 127.0.0.1:443,[::1]:443 tls=api.localhost unverified"},
		{"nothing to verify", member("http", "example.com", 80), true, "", "http tcp example.com:80 host=example.com"},
		{"host", member("https", "203.0.113.9", 443), false, "app.example.com:99", "https tcp 203.0.113.9:443 host=app.example.com:99 tls=app.example.com"},
		{"host loopback", member("http", "", 80), false, "app.example.com", "http tcp 127.0.0.1:80,[::1]:80 host=app.example.com"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			host := hostOf("a.localhost", members(tt.member))
			host.TLSSkipVerify = &tt.skip
			if tt.host != "" {
				host.RequestHeaders = map[string]*string{"Host": &tt.host}
			}
			r := build(t, host).Hosts()[0].Routes[0]
			if got := r.Answer.(*Upstream).Key; got != tt.want {
				t.Errorf("key\n%s, want\n%s", got, tt.want)
			}
			if len(r.RequestHeaders) != 0 {
				t.Errorf("Host is left among the request headers: %v", r.RequestHeaders)
			}
		})
	}
}

// TestKeyOfAList: the order of a list does not make another upstream, and how
// a member is written does not either.
func TestKeyOfAList(t *testing.T) {
	a := hcl.Member{Scheme: "http", Port: 3000, Text: ":3000"}
	b := hcl.Member{Scheme: "http", Host: "localhost", Port: 3001, Text: "localhost:3001"}
	p := build(t, hostOf("a.localhost", members(a, b)), hostOf("b.localhost", members(b, a)))
	first, second := p.Hosts()[0].Routes[0].Answer.(*Upstream), p.Hosts()[1].Routes[0].Answer.(*Upstream)
	if first.Key != second.Key {
		t.Errorf("keys differ: %q, %q", first.Key, second.Key)
	}
	if first.Text != ":3000, localhost:3001" {
		t.Errorf("Text = %q", first.Text)
	}
}

func TestSourceQuotesTheAnswer(t *testing.T) {
	const text = "host \"shop.localhost\" {\n  upstream = 5173 # vite\r\n\n  route \"/api\" {}\n}"
	at := func(line int, part string) hcl.Range {
		return hcl.Range{File: "Proxyfile", Start: hcl.Pos{Line: line, Column: 3, Byte: strings.Index(text, part)}}
	}
	host := hostOf("shop.localhost", to(5173), &hcl.Route{Path: "/api", Range: at(4, "route")})
	host.Upstream.Range, host.Range = at(2, "upstream"), at(1, "host")
	file := fileOf(host)
	file.Sources = hcl.Sources{"Proxyfile": []byte(text)}
	p, diags := Build(file, Env{})
	if len(diags) > 0 {
		t.Fatal(diags)
	}
	want := Source{File: "Proxyfile", Line: 2, Text: "upstream = 5173 # vite"}
	for _, r := range p.Hosts()[0].Routes {
		if r.Source != want {
			t.Errorf("route %s: source %+v; want the host's answer, %+v", r.Path, r.Source, want)
		}
	}
	if got := p.Hosts()[0].Source.String(); got != "Proxyfile:1" {
		t.Errorf("source of the host = %s", got)
	}
}

func TestDiagnostics(t *testing.T) {
	bound := Env{Bound: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:8443"), netip.MustParseAddrPort("[::1]:8443"), netip.MustParseAddrPort("0.0.0.0:80")}}
	looped := members(hcl.Member{Scheme: "http", Port: 8443, Text: ":8443"})
	tests := []struct {
		name string
		host *hcl.Host
		want string
	}{
		{"loop", hostOf("a.localhost", to(8443)), "error: upstream :8443 is devproxy itself"},
		{"loop once", hostOf("a.localhost", looped, &hcl.Route{Path: "/a", Settings: hcl.Settings{Upstream: looped}}), "error: upstream :8443 is devproxy itself"},
		{"loop to any address", hostOf("a.localhost", to(80)), "error: upstream :80 is devproxy itself"},
		{"another loopback address", hostOf("a.localhost", members(hcl.Member{Scheme: "http", Host: "127.0.0.2", Port: 8443})), ""},
		{"elsewhere", hostOf("a.localhost", members(hcl.Member{Scheme: "http", Host: "192.0.2.1", Port: 8443})), ""},
		{"duplicate of the host's own", hostOf("a.localhost", to(1), routeOf("/", 2)), `error: duplicate route "/" in host "a.localhost"`},
		{"exact next to the host's own", hostOf("a.localhost", to(1), exactly("/", 2)), ""},
		{"match next to the host's own", hostOf("a.localhost", to(1), when("/", 2, matchOf("GET", "", ""))), ""},
		{"duplicate", hostOf("a.localhost", nil, when("/a", 1, matchOf("", "1", "")), when("/a", 2, matchOf("", "1", ""))), `error: duplicate route "/a (X-Debug: 1)" in host "a.localhost"`},
		{"no duplicate, though it reads like one", hostOf("a.localhost", nil,
			when("/a", 1, hcl.Match{Headers: map[string]string{"X": "1; Y: 2"}}),
			when("/a", 2, hcl.Match{Headers: map[string]string{"X": "1", "Y": "2"}})), ""},
		{"no answer", hostOf("a.localhost", nil, &hcl.Route{Path: "/a"}), `error: route "/a" has no upstream, files, redirect or respond`},
		{"own path", hostOf("a.localhost", nil, routeOf("/.well-known/devproxy/x", 1)), `warning: route "/.well-known/devproxy/x" can never match`},
		{"next to the own paths", hostOf("a.localhost", nil, routeOf("/.well-known/devproxy", 1), routeOf("/.well-known", 2)), ""},
		{"shadowed methods", hostOf("a.localhost", nil,
			when("/a", 1, hcl.Match{Methods: []string{"GET", "POST"}}), when("/a", 2, hcl.Match{Methods: []string{"POST"}}),
		), `warning: route "/a (POST)" can never match`},
		{"shadowed header", hostOf("a.localhost", nil,
			when("/a", 1, matchOf("", "*", "")), when("/a", 2, matchOf("", "1*", "")),
		), `warning: route "/a (X-Debug: 1*)" can never match`},
		{"wider later", hostOf("a.localhost", nil, when("/a", 1, matchOf("", "1", "")), when("/a", 2, matchOf("", "*", ""))), ""},
		{"other exactness", hostOf("a.localhost", nil, exactly("/a", 1), routeOf("/a", 2)), ""},
		{"more conditions", hostOf("a.localhost", nil, when("/a", 1, matchOf("GET", "", "")), when("/a", 2, matchOf("GET", "1", ""))), ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, diags := Build(fileOf(tt.host), bound)
			var got []string
			for _, d := range diags {
				got = append(got, string(d.Severity)+": "+d.Summary)
			}
			if strings.Join(got, "\n") != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// TestBuildIsDeterministic: maps in the file leave no trace in the plan.
func TestBuildIsDeterministic(t *testing.T) {
	values := map[string]string{}
	pointers := map[string]*string{}
	for _, name := range strings.Fields("A B C D E F G H I J") {
		values[name], pointers[name] = name, &name
	}
	host := hostOf("a.localhost", to(1),
		when("/a", 2, hcl.Match{Methods: []string{"B", "A"}, Headers: values, Query: values}),
		&hcl.Route{Path: "/b", Settings: hcl.Settings{Respond: &hcl.Respond{Status: 200, Headers: values}}})
	host.RequestHeaders, host.ResponseHeaders = pointers, pointers
	first := build(t, host)
	for range 100 {
		next := build(t, host)
		if diff := cmp.Diff(first.String(), next.String()); diff != "" {
			t.Fatal(diff)
		}
		if changes := Diff(first, next); !changes.Empty() {
			t.Fatalf("two plans of one file differ: %s", changes)
		}
	}
}
