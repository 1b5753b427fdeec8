package share

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/devproxy/devproxy/tunnel/field"
)

func TestInwardFields(t *testing.T) {
	all := shares(t)
	for _, test := range []struct{ share, name, in, want string }{
		{"one", "Origin", "https://" + single, "https://shop.localhost:8443"},
		{"one", "Origin", "https://" + single + ":8443", "https://" + single + ":8443"},
		{"one", "Origin", "http://" + single, "http://" + single},
		{"one", "Origin", "https://" + single + "/", "https://" + single + "/"},
		{"one", "Origin", "https://shop-zzzzzzzzzzzzzzzz.t.example.com", "https://shop-zzzzzzzzzzzzzzzz.t.example.com"},
		{"one", "Origin", "null", "null"},
		{"zone", "Origin", "https://" + admin, "https://admin.shop.localhost:8443"},
		{"zone", "Origin", "https://acme" + tenants, "https://acme.tenant.shop.localhost:8443"},
		{"zone", "Origin", "https://" + zone, "https://" + zone},
		{"named", "Origin", "https://admin.shop.t.example.com:8444", "https://admin.shop.localhost:8443"},
		{"named", "Origin", "https://admin.shop.t.example.com", "https://admin.shop.t.example.com"},
		{"one", "Referer", "https://" + single + "/a?b=%2f#c", "https://shop.localhost:8443/a?b=%2f#c"},
		{"one", "Referer", "https://" + single + ".evil.example/a", "https://" + single + ".evil.example/a"},
		{"one", "Referer", "https://idp.example/?to=https://" + single, "https://idp.example/?to=https://" + single},
		{"one", "X-Forwarded-For", "1.2.3.4", ""},
		{"one", "X-Forwarded-Proto", "http", ""},
		{"one", "X_Forwarded_Host", "evil.example", ""},
		{"one", "Forwarded", "for=1.2.3.4", ""},
		{"one", "X-Real-Ip", "1.2.3.4", ""},
		{"one", "X-Original-Url", "/.env", ""},
		{"one", "X-Rewrite-Url", "/.env", ""},
		{"one", "Cf-Connecting-Ip", "1.2.3.4", ""},
		{"one", "Authorization", "Bearer token", "Bearer token"},
		{"one", "Authorization", "Bearer ", "Bearer "},
		{"one", "Authorization", "Bearer", "Bearer"},
		{"one", "Cookie", "a=1; b=2", "a=1; b=2"},
		{"one", "Cookie", "a=1; __Host-devproxy=x; b=2;c=__Host-devproxy=y", "a=1; b=2;c=__Host-devproxy=y"},
		{"one", "Cookie", "__Secure-devproxy=x", ""},
		{"one", "X-Devproxy", "x", "x"},
	} {
		s := all[test.share]
		r := ask("GET", firstHost(s), "/", test.name, test.in)
		if test.share == "named" {
			r.Header.Add("Authorization", "Bearer "+secret)
		}
		in, answer := admit(s, r)
		if answer != nil {
			t.Errorf("%s, %s: %s: %d", test.share, test.name, test.in, answer.Code)
			continue
		}
		if got := strings.Join(in.Header.Values(test.name), "|"); got != test.want {
			t.Errorf("%s, %s: %s became %q, not %q", test.share, test.name, test.in, got, test.want)
		}
		if got := r.Header.Get(test.name); got != test.in {
			t.Errorf("the visitor's request was changed: %s is %q", test.name, got)
		}
		if test.share == "named" && in.Header.Get("Authorization") != "" {
			t.Errorf("the secret reaches the project: %q", in.Header["Authorization"])
		}
	}
}

func TestInwardRequest(t *testing.T) {
	s := mustNew(t, oneHost())
	r := ask("GET", strings.ToUpper(single)+":443", "/a%2fb//c?x=1&y=%20")
	in, _ := admitFrom(s, r, visitorOf(single))
	if in == nil || in.Host != "shop.localhost:8443" || in.RemoteAddr != "203.0.113.7:4711" || in.RequestURI != "/a%2fb//c?x=1&y=%20" {
		t.Errorf("%+v", in)
	}
	r = ask("GET", single, "https://"+single+"/a?x=1")
	in, _ = admitFrom(s, r, Visitor{Scheme: "https", Host: single})
	if in == nil || in.RequestURI != "/a?x=1" || in.URL.String() != "/a?x=1" || in.RemoteAddr != "192.0.2.1:0" {
		t.Errorf("%+v", in)
	}
	for target, want := range map[string]string{"https://" + single: "/", "https://" + single + "?": "/?", "https://" + single + "?x": "/?x", "/?": "/?"} {
		if in, _ := admit(s, ask("GET", single, target)); in == nil || in.RequestURI != want {
			t.Errorf("%s: %+v", target, in)
		}
	}
	r = ask("OPTIONS", single, "*")
	if in, _ = admit(s, r); in == nil || in.RequestURI != "*" {
		t.Errorf("%+v", in)
	}
}

// A body passes unchanged: signatures of webhooks stay valid.
func TestInwardLeavesTheBody(t *testing.T) {
	s := mustNew(t, withPassword())
	body := http.NoBody
	r := ask("POST", single, "/hook", "Authorization", "Bearer "+s.opts.Password)
	r.Body, r.ContentLength = body, 7
	in, _ := admit(s, r)
	if in == nil || in.Body != body || in.ContentLength != 7 {
		t.Errorf("%+v", in)
	}
}

func TestWhoDoesNotGetIn(t *testing.T) {
	opts := oneHost()
	opts.Paths = []string{"/app", "/api/v1"}
	s := mustNew(t, opts)
	for name, test := range map[string]struct {
		r    *http.Request
		v    Visitor
		want int
	}{
		"in":                       {ask("GET", single, "/app/x"), visitorOf(single), 0},
		"another share's host":     {ask("GET", "shop-zzzzzzzzzzzzzzzz.t.example.com", "/app"), visitorOf("shop-zzzzzzzzzzzzzzzz.t.example.com"), 421},
		"the local name":           {ask("GET", "shop.localhost:8443", "/app"), visitorOf("shop.localhost:8443"), 421},
		"two hosts":                {ask("GET", "shop.localhost:8443", "/app"), visitorOf(single), 421},
		"two hosts, the other way": {ask("GET", single, "/app"), visitorOf("x.t.example.com"), 421},
		"no facts":                 {ask("GET", single, "/app"), Visitor{}, 421},
		"no host":                  {ask("GET", "", "/app"), visitorOf(single), 421},
		"plain http":               {ask("POST", single, "/app?x"), Visitor{Scheme: "http", Host: single}, 307},
		"outside of paths":         {ask("GET", single, "/"), visitorOf(single), 404},
		"paths by the segment":     {ask("GET", single, "/apps"), visitorOf(single), 404},
		"a second path":            {ask("GET", single, "/api/v1?x"), visitorOf(single), 0},
		"two readings":             {ask("GET", single, "/app%2f..%2fx"), visitorOf(single), 404},
		"dots":                     {ask("GET", single, "/app/../x"), visitorOf(single), 404},
		"hidden":                   {ask("GET", single, "/app/.env"), visitorOf(single), 404},
		"hidden, encoded":          {ask("GET", single, "/app/%252eenv?raw"), visitorOf(single), 404},
		"the state of a page":      {ask("GET", single, StatePath+"?path=%2F"), visitorOf(single), 0},
		"the state, HEAD":          {ask("HEAD", single, StatePath+"?path=%2F"), visitorOf(single), 0},
		"the state, spelt":         {ask("GET", single, "/.well-known/devproxy/st%61te?path=%2F"), visitorOf(single), 404},
		"the state, below":         {ask("GET", single, StatePath+"/x"), visitorOf(single), 404},
		"the state, posted":        {ask("POST", single, StatePath), visitorOf(single), 404},
		"no login":                 {ask("GET", single, loginPath), visitorOf(single), 404},
	} {
		in, answer := admitFrom(s, test.r, test.v)
		got := 0
		if answer != nil {
			got = answer.Code
		}
		if got != test.want || (in == nil) == (got == 0) {
			t.Errorf("%s: %d, want %d", name, got, test.want)
		}
		if got == 307 && answer.Header().Get("Location") != "https://"+single+"/app?x" {
			t.Errorf("%s: to %q", name, answer.Header().Get("Location"))
		}
	}
}

// TestMeant: Meant returns the local host of a request, or nothing.
func TestMeant(t *testing.T) {
	for name, test := range map[string]struct {
		opts        Options
		said, asked string
		want        string
	}{
		"a host":            {oneHost(), single, single, "shop.localhost:8443"},
		"of 443":            {oneNamed(), "shop.t.example.com", "shop.t.example.com:443", "shop.localhost"},
		"a wildcard's":      {several(), "acme" + tenants, "acme" + tenants, "acme.tenant.shop.localhost:8443"},
		"an unknown one":    {oneHost(), "x.example", "x.example", ""},
		"two":               {several(), shop, admin, ""},
		"none":              {oneHost(), "", "", ""},
		"one that is not":   {oneHost(), "a b", "a b", ""},
		"one with userinfo": {oneHost(), "u@" + single, "u@" + single, ""},
	} {
		if got := mustNew(t, test.opts).Meant(ask("GET", test.said, "/"), visitorOf(test.asked)); got != test.want {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}

func TestPathPrefixes(t *testing.T) {
	p := newPrefixes([]string{"/hook", "/a b/c"})
	for path, want := range map[string]bool{
		"/hook": true, "/hook/": true, "/hook/x/y": true, "/hooks": false, "/": false, "/x/hook": false, "*": false, "": false,
		"/%68ook": true, "/a%20b/c": true, "/a%20b": false, "/hook/100%25": true,
		"/hook%2fx": false, "//hook": false, "/hook//x": true, "/x%2f..%2fhook": false, "/Hook": false,
		"/hook/..": false, "/hook/../admin": false, "/hook/%2e%2e/admin": false, "/hook/%252e%252e/admin": false,
		"/hook%2f..%2fadmin": false, "/hook/..%2fadmin": false, `/hook\..\admin`: false, "/hook/%5c..": false, "/hook/..;/admin": false,
		"/hook/.": false, "/hook/%00": false, "/hook/%": false, "/hook%252fx": false,
	} {
		if got := p.match(path); got != want {
			t.Errorf("%s: %v, want %v", path, got, want)
		}
	}
	if all := newPrefixes([]string{"/x", "/"}); !all.match("/../%") || !all.match("*") || newPrefixes(nil).match("/") {
		t.Error("/ is not all, or nothing is something")
	}
}

// TestAllowedAddresses: an empty list allows no one, and an unknown address is on no
// list.
func TestAllowedAddresses(t *testing.T) {
	prefixes := func(texts ...string) []netip.Prefix {
		list := []netip.Prefix{}
		for _, text := range texts {
			list = append(list, netip.MustParsePrefix(text))
		}
		return list
	}
	for name, test := range map[string]struct {
		allow []netip.Prefix
		addr  string
		want  int
	}{
		"no list":                   {nil, "203.0.113.7", 0},
		"no list, not told":         {nil, "", 0},
		"an empty list":             {prefixes(), "203.0.113.7", 403},
		"an empty list, not told":   {prefixes(), "", 403},
		"on the list":               {prefixes("203.0.113.0/24"), "203.0.113.7", 0},
		"on the list, mapped":       {prefixes("203.0.113.0/24"), "::ffff:203.0.113.7", 0},
		"on a mapped list":          {prefixes("::ffff:203.0.113.0/120"), "203.0.113.7", 0},
		"next to a mapped list":     {prefixes("::ffff:203.0.113.0/120"), "203.0.114.7", 403},
		"on a mapped list of all":   {prefixes("::ffff:0:0/96"), "203.0.113.7", 0},
		"next to a list of v6":      {prefixes("2001:db8:1::/112"), "2001:db8:2::1", 403},
		"on a wide mapped list, v6": {prefixes("::ffff:0:0/95"), "::fffe:1:1", 0},
		"second on the list":        {prefixes("192.0.2.1/32", "2001:db8::/32"), "2001:db8::1", 0},
		"not on the list":           {prefixes("203.0.113.0/24"), "203.0.114.7", 403},
		"not told":                  {prefixes("0.0.0.0/0", "::/0"), "", 403},
		"a wide mapped list, v6":    {prefixes("::ffff:0:0/95"), "203.0.113.7", 403},
		"everybody of the old kind": {prefixes("0.0.0.0/0"), "203.0.113.7", 0},
	} {
		opts := oneHost()
		opts.Allow = test.allow
		v := visitorOf(single)
		addr, _ := netip.ParseAddr(test.addr)
		v.Addr = netip.AddrPortFrom(addr, 1)
		in, answer := admitFrom(mustNew(t, opts), ask("GET", single, "/"), v)
		if test.want == 0 && in == nil || test.want != 0 && (answer == nil || answer.Code != test.want) {
			t.Errorf("%s: %+v", name, answer)
		}
	}
}

// A project gets the visitor's own data, and no one else's.
func TestVisitorsCannotSpeakForOthers(t *testing.T) {
	s := mustNew(t, oneHost())
	r := ask("GET", single, "/")
	for _, name := range []string{"Forwarded", "X-Forwarded-For", "x-forwarded-host", "X-Forwarded-Port", "X-FORWARDED-SERVER", "x_real_ip", "True-Client-IP"} {
		r.Header[name] = []string{"1.2.3.4"} // as it came, canonical or not
	}
	v := visitorOf(single)
	v.Addr = netip.MustParseAddrPort("[2001:db8::1]:1")
	in, _ := admitFrom(s, r, v)
	if in == nil || len(in.Header) != 0 || in.RemoteAddr != "[2001:db8::1]:1" {
		t.Errorf("%+v", in)
	}
	if !slices.Equal(r.Header["Forwarded"], []string{"1.2.3.4"}) {
		t.Error("the visitor's request was changed")
	}
}

// TestVisitorsFollowTheFieldPolicy sends every controlled field, in its own
// spelling and in one that CGI reads as the same.
func TestVisitorsFollowTheFieldPolicy(t *testing.T) {
	s := mustNew(t, oneHost())
	for _, kind := range []field.Kind{field.Address, field.Target, field.Environment, field.Own, field.Edge, field.Internal, field.Identity} {
		for _, name := range field.Names(kind) {
			name = strings.Replace(name, "*", "anything", 1)
			r := ask("GET", single, "/", name, "forged")
			r.Header[strings.ReplaceAll(http.CanonicalHeaderKey(name), "-", "_")] = []string{"forged"}
			if in, _ := admit(s, r); in == nil || len(in.Header) != 0 {
				t.Errorf("%s: %+v", name, in)
			}
		}
	}
	for _, name := range []string{"Transfer_encoding", "Content_length", "Sec_fetch_site", "Keep_alive"} {
		r := ask("GET", single, "/")
		r.Header[name] = []string{"forged"}
		if in, _ := admit(s, r); in == nil || len(in.Header) != 0 {
			t.Errorf("%s: %+v", name, in)
		}
	}
	for _, name := range []string{"Rsc", "Next-Action", "X-Nextjs-Data", "X-Middleware-Prefetch", "X-Http-Method-Override", "My_header", "Content-Type", "Upgrade", "Connection"} {
		if in, _ := admit(s, ask("GET", single, "/", name, "own")); in == nil || in.Header.Get(name) != "own" && in.Header[name] == nil {
			t.Errorf("%s does not pass: %+v", name, in)
		}
	}
}

// TestTheProjectNeverSeesALocalVisitor: dev servers open consoles for local clients.
func TestTheProjectNeverSeesALocalVisitor(t *testing.T) {
	s := mustNew(t, oneHost())
	for addr, want := range map[string]string{
		"127.0.0.1:4711": "192.0.2.1:4711", "[::1]:4711": "192.0.2.1:4711", "[::ffff:127.0.0.9]:1": "192.0.2.1:1", "[fe80::1%eth0]:1": "192.0.2.1:1", "169.254.1.1:1": "192.0.2.1:1",
		"[::ffff:203.0.113.7]:1": "203.0.113.7:1", "10.255.255.254:1": "10.255.255.254:1",
	} {
		v := visitorOf(single)
		v.Addr = netip.MustParseAddrPort(addr)
		if in, _ := admitFrom(s, ask("GET", single, "/"), v); in == nil || in.RemoteAddr != want {
			t.Errorf("%s: %+v, want %s", addr, in, want)
		}
	}
}
