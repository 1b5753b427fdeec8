package share

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// shares are the three kinds of names.
func shares(t testing.TB) map[string]*Share {
	return map[string]*Share{"one": mustNew(t, oneHost()), "zone": mustNew(t, several()), "named": mustNew(t, plainName())}
}

// outward returns a field of a response from the share's first host, made public.
func outward(s *Share, name string, values ...string) []string {
	h := http.Header{name: slices.Clone(values)}
	s.Outward(h, http.StatusOK, visitorOf(firstHost(s)), nil)
	once := slices.Clone(h[name])
	s.Outward(h, http.StatusOK, visitorOf(firstHost(s)), nil)
	if !slices.Equal(once, h[name]) {
		return append(h[name], "and once more it is different")
	}
	return once
}

func TestOutwardFields(t *testing.T) {
	all := shares(t)
	opts := oneHost()
	opts.Hosts[0].Aliases = []string{"shop.localhost:80"}
	all["plain"] = mustNew(t, opts)
	longest, _, _ := strings.Cut(tenants, ".") // with it a label has the maximal length
	longest = strings.Repeat("a", maxLabel-len(longest))
	for _, test := range []struct{ share, name, in, want string }{
		{"one", "Location", "https://shop.localhost:8443/a?b=//c#d", "https://" + single + "/a?b=//c#d"},
		{"one", "Location", "http://shop.localhost:8080/a", "https://" + single + "/a"},
		{"one", "Location", "https://WWW.Shop.localhost.:8443", "https://" + single},
		{"one", "Location", "HTTPS://shop.localhost:8443?x", "HTTPS://" + single + "?x"},
		{"one", "Location", "//shop.localhost:8443/a", "//" + single + "/a"},
		{"one", "Location", "https://me:pw@shop.localhost:8443/a", "https://me:pw@" + single + "/a"},
		{"one", "Location", `https://shop.localhost:8443\a`, `https://` + single + `\a`},
		{"one", "Location", "/a", "/a"},
		{"one", "Location", "", ""},
		{"one", "Location", "a//shop.localhost:8443/", "a//shop.localhost:8443/"},
		{"one", "Location", "https://shop.localhost/a", "https://shop.localhost/a"},
		{"one", "Location", "https://shop.localhost:84430/a", "https://shop.localhost:84430/a"},
		{"one", "Location", "https://shop.localhost:8443@evil.example/a", "https://shop.localhost:8443@evil.example/a"},
		{"one", "Location", "https://xshop.localhost:8443/a", "https://xshop.localhost:8443/a"},
		{"one", "Location", "https://shop.localhost.evil.example:8443/a", "https://shop.localhost.evil.example:8443/a"},
		{"one", "Location", "ftp://shop.localhost:8443/a", "ftp://shop.localhost:8443/a"},
		{"one", "Location", "https://idp.example/?back=https%3A%2F%2Fshop.localhost%3A8443", "https://idp.example/?back=https%3A%2F%2F" + single},
		{"one", "Location", "https://shop-zzzzzzzzzzzzzzzz.t.example.com/", "https://shop-zzzzzzzzzzzzzzzz.t.example.com/"},
		{"zone", "Location", "https://admin.shop.localhost:8443/", "https://" + admin + "/"},
		{"zone", "Location", "https://acme.tenant.shop.localhost:8443/", "https://acme" + tenants + "/"},
		{"zone", "Location", "https://mail.shop.localhost:8443/", "https://mail.shop.localhost:8443/"},
		{"zone", "Location", "https://acme.tenant.shop.localhost:8444/", "https://acme.tenant.shop.localhost:8444/"},
		{"zone", "Location", "https://" + longest + ".tenant.shop.localhost:8443/", "https://" + longest + tenants + "/"},
		{"zone", "Location", "https://a" + longest + ".tenant.shop.localhost:8443/", "https://a" + longest + ".tenant.shop.localhost:8443/"},
		{"one", "Location", "https://@shop.localhost:8443/a", "https://@" + single + "/a"},
		{"one", "Location", "https:///shop.localhost:8443/a", "https:///shop.localhost:8443/a"},
		{"one", "Location", "https://shop.localhost:8443", "https://" + single},
		{"plain", "Location", "http://shop.localhost/a", "https://" + single + "/a"},
		{"plain", "Location", "https://shop.localhost/a", "https://shop.localhost/a"},
		{"plain", "Location", "//shop.localhost/a", "//shop.localhost/a"},
		{"plain", "Content-Security-Policy", "connect-src ws://shop.localhost WS://shop.localhost:80 wss://shop.localhost", "connect-src wss://" + single + " wss://" + single + " wss://shop.localhost"},
		{"named", "Location", "https://admin.shop.localhost:8443/", "https://admin.shop.t.example.com:8444/"},

		{"one", "Refresh", "5; url=https://shop.localhost:8443/a", "5; url=https://" + single + "/a"},
		{"one", "Refresh", `5;URL = "https://shop.localhost:8443/a" x`, `5;URL = "https://` + single + `/a" x`},
		{"one", "Refresh", `0,'https://shop.localhost:8443/a`, `0,'https://` + single + `/a`},
		{"one", "Refresh", "0; https://shop.localhost:8443/a", "0; https://" + single + "/a"},
		{"one", "Refresh", `5; url="https://shop.localhost:8443" x`, `5; url="https://` + single + `" x`},
		{"one", "Refresh", `5; url='https://shop.localhost:8443' x`, `5; url='https://` + single + `' x`},
		{"one", "Refresh", "5 url=https://shop.localhost:8443/a", "5 url=https://" + single + "/a"},
		{"one", "Refresh", " 0.5,\turl\t= https://shop.localhost:8443/a", " 0.5,\turl\t= https://" + single + "/a"},
		{"one", "Refresh", "5; uri=https://shop.localhost:8443/a", "5; uri=https://shop.localhost:8443/a"},
		{"one", "Refresh", "5; url https://shop.localhost:8443/a", "5; url https://shop.localhost:8443/a"},
		{"one", "Refresh", "5; url=\xff\xfe", "5; url=\xff\xfe"},
		{"one", "Refresh", "", ""},
		{"one", "Refresh", "5; url=", "5; url="},
		{"one", "Refresh", "5; url=''", "5; url=''"},
		{"one", "Refresh", "5", "5"},
		{"one", "Refresh", "5;", "5;"},
		{"one", "Refresh", "5; url", "5; url"},
		{"one", "Refresh", "5; url='", "5; url='"},

		{"one", "Link", "<https://shop.localhost:8443/a>; rel=preload, </b>; rel=next, <//shop.localhost:8443/c>; rel=x",
			"<https://" + single + "/a>; rel=preload, </b>; rel=next, <//" + single + "/c>; rel=x"},
		{"one", "Link", `</a>; title="<https://shop.localhost:8443/>"; anchor="https://shop.localhost:8443/b"`,
			`</a>; title="<https://shop.localhost:8443/>"; anchor="https://` + single + `/b"`},
		{"one", "Link", `</a>; ANCHOR = "https://shop.localhost:8443/b"`, `</a>; ANCHOR = "https://` + single + `/b"`},
		{"one", "Link", `</a>; anchor "https://shop.localhost:8443/b"`, `</a>; anchor "https://shop.localhost:8443/b"`},
		{"one", "Link", "</a>; x=\xff\xfe\xfd; referrerpolicy=unsafe-url", "</a>; x=\xff\xfe\xfd; x-referrer-policy=unsafe-url"},
		{"one", "Link", `</a>; title="https://shop.localhost:8443/"`, `</a>; title="https://shop.localhost:8443/"`},
		{"one", "Link", `<https://shop.localhost:8443/a`, `<https://` + single + `/a`},
		{"one", "Link", `</a>; title="x`, `</a>; title="x`},

		{"one", "Access-Control-Allow-Origin", "https://shop.localhost:8443", "https://" + single},
		{"one", "Access-Control-Allow-Origin", "*", "*"},
		{"one", "Access-Control-Allow-Origin", "null", "null"},
		{"one", "Access-Control-Allow-Origin", "https://other.example", "https://other.example"},
		{"zone", "Access-Control-Allow-Origin", "https://admin.shop.localhost:8443", "https://" + admin},

		{"zone", "Content-Security-Policy", "default-src 'self' https://admin.shop.localhost:8443/x wss://shop.localhost:8443; img-src data: https: shop.localhost:8443,frame-src mail.shop.localhost:8443",
			"default-src 'self' https://" + admin + "/x wss://" + shop + "; img-src data: https: " + shop + ",frame-src mail.shop.localhost:8443"},
		{"zone", "Content-Security-Policy-Report-Only", "connect-src ws://shop.localhost:8080; report-uri //shop.localhost:8443/r /r",
			"connect-src wss://" + shop + "; report-uri //" + shop + "/r /r"},
		{"zone", "Content-Security-Policy", "img-src https://*.shop.localhost:8443 *.shop.localhost:* admin.shop.localhost:* *.localhost:8443 *.shop.localhost * localhost:*",
			"img-src https://*." + zone + " *." + zone + ":* " + admin + ":* *.localhost:8443 *.shop.localhost * localhost:*"},
		{"named", "Content-Security-Policy", "img-src https://*.shop.localhost:8443 *.tenant.shop.localhost:8443",
			"img-src https://*.shop.t.example.com:8444 *.tenant.shop.t.example.com:8444"},
		{"one", "Content-Security-Policy", "img-src *.shop.localhost:8443", "img-src *.shop.localhost:8443"},
		{"one", "Content-Security-Policy", "script-src 'sha256-//shop.localhost' ws://shop.localhost:*", "script-src 'sha256-//shop.localhost' wss://" + single + ":*"},

		{"one", "Strict-Transport-Security", "max-age=1; includeSubDomains", "max-age=1; includeSubDomains"},
		{"one", "X-Robots-Tag", "all", "all"},
		{"named", "Referrer-Policy", "origin", "origin"},
		{"one", "Link", "<https://x.example/>; referrerpolicy=a; REFERRERPOLICY=b; referrerreferrerpolicypolicy=c", "<https://x.example/>; x-referrer-policy=a; x-REFERRER-POLICY=b; referrerx-referrer-policypolicy=c"},
		{"named", "Link", "<https://x.example/>; referrerpolicy=unsafe-url", "<https://x.example/>; referrerpolicy=unsafe-url"},
		{"one", "Link", `<https://x.example/referrerpolicy=a>; title="referrerpolicy=b"; referrerPolicy=unsafe-url, </>; referrerpolicy = "origin"; x=1`,
			`<https://x.example/referrerpolicy=a>; title="referrerpolicy=b"; x-referrer-Policy=unsafe-url, </>; x-referrer-policy = "origin"; x=1`},
		{"one", "X-Whatever", "https://shop.localhost:8443/", "https://shop.localhost:8443/"},
	} {
		if got := outward(all[test.share], test.name, test.in); !slices.Equal(got, []string{test.want}) {
			t.Errorf("%s, %s: %s\n became %q\n not    %q", test.share, test.name, test.in, got, test.want)
		}
	}
}

// Without a host below the project's domain, a source for those below it has no public
// name.
func TestOutwardPolicyWithoutHostsBelow(t *testing.T) {
	opts := several()
	opts.Hosts = []Host{opts.Hosts[0], {Local: "mail.localhost:8443", Public: "mail--" + shop}}
	const policy = "img-src *.shop.localhost:8443"
	if got := outward(mustNew(t, opts), "Content-Security-Policy", policy); got[0] != policy {
		t.Errorf("%q", got)
	}
	if got := outward(mustNew(t, oneLabel()), "Content-Security-Policy", "img-src https://*.shop.localhost:8443/i; connect-src wss://*.shop.localhost:*"); got[0] != "img-src https://"+labelled("admin")+"/i; connect-src wss://"+labelled("admin")+":*" {
		t.Errorf("one label each: %q", got)
	}
	opts = oneHost() // a host below, and no zone
	opts.Hosts = []Host{{Local: "*.tenant.shop.localhost:8443", Public: "*--" + single}}
	if got := outward(mustNew(t, opts), "Content-Security-Policy", policy); got[0] != policy {
		t.Errorf("without a zone: %q", got)
	}
}

func TestOutwardCookies(t *testing.T) {
	all := shares(t)
	named := mustNew(t, oneNamed())
	all["alone"] = named
	all["chosen"] = mustNew(t, chosenNames())
	all["label"] = mustNew(t, oneLabel())
	for _, test := range []struct{ share, in, want string }{
		{"one", "a=b; Path=/; Domain=.shop.localhost; HttpOnly", "a=b; Path=/; HttpOnly"},
		{"one", "a=b", "a=b"},
		{"one", "a=b; Domain=", "a=b"},
		{"one", "a=b;domain=Shop.Localhost;Secure", "a=b;Secure"},
		{"one", "a=b; Domain=localhost", ""},
		{"one", "a=b; Domain=.", "a=b"},
		{"one", "a=b; Domain=t.example.com", ""},
		{"one", "a=b; Domain=" + single, "a=b"},
		{"one", "a=b; Domain=evil.example", ""},
		{"one", "a=b; Domain=shop.localhost; Domain=t.example.com", ""},
		{"one", "a=b; Domain=t.example.com; Domain=shop.localhost", "a=b"},
		{"alone", "a=b; Domain=.shop.localhost", "a=b"},
		{"chosen", "a=b; Domain=.shop.localhost", "a=b"},
		{"label", "a=b; Domain=.shop.localhost", "a=b"},
		{"label", "a=b; Domain=" + single, "a=b"},
		{"label", "a=b; Domain=t.example.com", ""},
		{"label", "domain=b; Path=/", "domain=b; Path=/"},
		{"chosen", "a=b; Domain=tunnel.example", ""},
		{"chosen", "a=b; Domain=admin.shop.localhost", ""}, // not the responder's
		{"zone", "a=b; Path=/; Domain=.shop.localhost; HttpOnly", "a=b; Path=/; HttpOnly; Domain=" + zone},
		{"zone", "a=b; Domain=admin.shop.localhost", ""}, // not the responder's
		{"zone", "a=b; Domain=" + zone, "a=b; Domain=" + zone},
		{"zone", "a=b; Domain=t.example.com", ""},
		{"zone", "a=b; Domain=com", ""},
		{"zone", "a=b; Domain=localhost", ""},
		{"zone", `a="x; Domain=shop.localhost"`, ""}, // quotes have no meaning here
		{"named", "a=b; Domain=shop.localhost", "a=b; Domain=shop.t.example.com"},
		{"named", "a=b; Domain=t.example.com", ""},
		{"one", "__Host-devproxy=1.x; Path=/; Secure", ""},
		{"one", " __host-DevProxy =; Max-Age=0", ""},
		{"zone", "__Secure-devproxy=x; Domain=shop.localhost", ""},
		{"one", "__Host-devproxy-device=x.9999999999.x", ""},
		{"one", "x__Host-devproxy=1", "x__Host-devproxy=1"},
	} {
		want := []string{test.want}
		if test.want == "" {
			want = nil
		}
		if got := outward(all[test.share], "Set-Cookie", test.in); !slices.Equal(got, want) {
			t.Errorf("%s: %s\n became %q\n not    %q", test.share, test.in, got, want)
		}
	}
	h := http.Header{"Set-Cookie": {"a=b; Domain=com"}}
	all["one"].Outward(h, http.StatusOK, visitorOf(single), nil)
	if lines, there := h["Set-Cookie"]; there {
		t.Errorf("of no cookie %q is left", lines)
	}
}

// The Domain depends on which host a cookie comes from.
func TestOutwardCookiesOfOtherHosts(t *testing.T) {
	nested := several()
	nested.Hosts = append(nested.Hosts, Host{Local: "api.admin.shop.localhost:8443", Public: "api--" + admin})
	below := oneHost() // its local name lies below the project's
	below.Hosts = []Host{{Local: "admin.shop.localhost:8443", Public: single}}
	belowNamed := oneNamed()
	belowNamed.Hosts = []Host{{Local: "admin.shop.localhost", Public: "shop.t.example.com"}}
	wildcard := oneHost() // without a zone
	wildcard.Hosts = []Host{{Local: "*.tenant.shop.localhost:8443", Public: "*--" + single}}
	outside := plainName()
	outside.Hosts = append(outside.Hosts, Host{Local: "api.other.localhost:8443", Public: "api.shop.t.example.com:8444"}, Host{Local: "x.other.localhost:8443", Public: "x.shop.t.example.com:8444"})
	nowhere := several()
	nowhere.LocalZone = ""
	for _, test := range []struct {
		opts         Options
		from, domain string
		want         string
	}{
		{below, single, "shop.localhost", "a=b"},
		{belowNamed, "shop.t.example.com", "shop.localhost", "a=b"},
		{below, single, "admin.shop.localhost", "a=b"},
		{below, single, "localhost", ""},
		{wildcard, "acme--" + single, "acme--" + single, "a=b"},
		{wildcard, "acme--" + single, "acme.tenant.shop.localhost", "a=b"},
		{wildcard, "acme--" + single, "tenant.shop.localhost", "a=b"},
		{wildcard, "acme--" + single, "shop.localhost", "a=b"},
		{wildcard, "acme--" + single, "localhost", ""},
		{wildcard, "acme--" + single, single, ""},
		{outside, "api.shop.t.example.com:8444", "api.other.localhost", "a=b"},
		{outside, "api.shop.t.example.com:8444", "other.localhost", "a=b; Domain=shop.t.example.com"},
		{outside, "api.shop.t.example.com:8444", "localhost", ""},
		{nowhere, admin, "shop.localhost", "a=b; Domain=" + zone},
		{nowhere, admin, "admin.shop.localhost", "a=b"},
		{nowhere, admin, "localhost", ""},
		{several(), "a%00" + tenants, "shop.localhost", ""},
		{several(), "", "shop.localhost", ""},
		{several(), admin, "admin.shop.localhost", "a=b"},
		{several(), admin, "shop.localhost", "a=b; Domain=" + zone},
		{several(), admin, admin, "a=b; Domain=" + admin},
		{several(), admin, shop, ""},
		{several(), "acme" + tenants, "tenant.shop.localhost", "a=b; Domain=" + zone},
		{nested, admin, "admin.shop.localhost", "a=b; Domain=" + zone},
		{nested, "api--" + admin, "admin.shop.localhost", "a=b; Domain=" + zone},
		{plainName(), "admin.shop.t.example.com:8444", "shop.localhost", "a=b; Domain=shop.t.example.com"},
		{plainName(), "acme.tenant.shop.t.example.com:8444", "tenant.shop.localhost", "a=b; Domain=tenant.shop.t.example.com"},
		{plainName(), "shop-zzzzzzzzzzzzzzzz.t.example.com", "shop.localhost", ""},
	} {
		s := mustNew(t, test.opts)
		h := http.Header{"Set-Cookie": {"a=b; Domain=" + test.domain}}
		s.Outward(h, http.StatusOK, visitorOf(test.from), nil)
		if got := h.Get("Set-Cookie"); got != test.want {
			t.Errorf("%s from %s: %q, want %q", test.domain, test.from, got, test.want)
		}
	}
}

// Cookies keep their order, and the gate's own passes.
func TestOutwardKeepsCookies(t *testing.T) {
	s := mustNew(t, withPassword())
	own := key(t, s) + "; Path=/; Secure"
	_, value, _ := strings.Cut(own, "=")
	got := outward(s, "Set-Cookie", "a=1", own, "x=1; Domain=com", "b=2", "__Host-devproxy=0.forged", "__host-devproxy="+value, zoneCookie+"="+value, deviceCookie+"="+value)
	if want := []string{"a=1", own, "b=2"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestOutwardByStatus(t *testing.T) {
	s := mustNew(t, oneHost())
	for status, want := range map[int]string{100: "", 103: "", 101: "", 200: "noindex", 304: "noindex", 503: "noindex"} {
		h := http.Header{"Link": {"<https://shop.localhost:8443/>"}, "Set-Cookie": {"a=b; Domain=shop.localhost"}}
		s.Outward(h, status, visitorOf(single), nil)
		if got := h.Get("X-Robots-Tag"); got != want {
			t.Errorf("%d: %q, want %q", status, got, want)
		}
		if h.Get("Link") != "<https://"+single+"/>" {
			t.Errorf("%d: %q", status, h.Get("Link"))
		}
		if handled := h.Get("Set-Cookie") == "a=b"; handled != (status == 101 || status >= 200) {
			t.Errorf("%d: %q", status, h.Get("Set-Cookie"))
		}
		if want != "" && h.Get("Referrer-Policy") != "same-origin" {
			t.Errorf("%d: %q", status, h.Get("Referrer-Policy"))
		}
	}
}

// FuzzOutward looks for fields that make the rewriting fail, or that lose parts that it
// must not change.
func FuzzOutward(f *testing.F) {
	f.Add(`<https://shop.localhost:8443/>; anchor="x`, "a=b;Domain=x")
	f.Add("5;url='", " ;;=Domain")
	f.Add("img-src *.shop.localhost:*,", "Domain=;domain")
	s := mustNew(f, several())
	f.Fuzz(func(t *testing.T, value, cookie string) {
		for _, name := range []string{"Link", "Location", "Refresh", "Content-Security-Policy", "Access-Control-Allow-Origin"} {
			got := outward(s, name, value)
			if len(got) != 1 {
				t.Fatalf("%s: %q became %q", name, value, got)
			}
			if !strings.Contains(lower(value), "shop.localhost") && !strings.Contains(lower(value), "referrerpolicy") && got[0] != value {
				t.Fatalf("%s: %q became %q, with nothing of ours in it", name, value, got)
			}
		}
		for _, line := range outward(s, "Set-Cookie", cookie) {
			for part := range strings.SplitSeq(line, ";") {
				name, domain, _ := strings.Cut(part, "=")
				if strings.EqualFold(strings.TrimSpace(name), "domain") && part != line && !within(domain, zone) && !strings.HasPrefix(line, part) {
					t.Fatalf("%q became %q", cookie, line)
				}
			}
		}
	})
}

// TestKeptCookies: the terminal's message about cookies that are meant for
// other hosts of the project too.
func TestKeptCookies(t *testing.T) {
	const sid = `visitors get the cookie "sid" for shop.localhost alone, since the hosts of a share have no cookies in common`
	const fix = `; to share them: share { cookies = "shared" }`
	long := "n" + strings.Repeat("o", maxQuoted)
	for name, c := range map[string]struct {
		opts Options
		from string
		line string
		want string
	}{
		"several":                  {oneLabel(), single, "sid=1; Path=/; Domain=.Shop.localhost", sid + fix},
		"through a port mapping":   {oneLabel(), single + ":9443", "sid=1; Domain=shop.localhost", sid + fix},
		"from another host":        {oneLabel(), labelled("admin"), "sid=1; Domain=shop.localhost", strings.Replace(sid, "shop.localhost", "admin.shop.localhost", 1) + fix},
		"no hosts below":           {oneLabel(), labelled("admin"), "sid=1; Domain=admin.shop.localhost", ""},
		"no domain":                {oneLabel(), single, "sid=1; Path=/", ""},
		"a foreign domain":         {oneLabel(), single, "sid=1; Domain=example.com", ""},
		"too wide":                 {oneLabel(), single, "sid=1; Domain=localhost", ""},
		"one host":                 {oneHost(), single, "sid=1; Domain=shop.localhost", ""},
		"a zone":                   {several(), shop, "sid=1; Domain=shop.localhost", ""},
		"names that others choose": {chosenNames(), "four-words-of-chance.tunnel.example", "sid=1; Domain=shop.localhost", sid},
		"another share's":          {oneLabel(), "shop-zzzzzzzzzzzzzzzz.t.example.com", "sid=1; Domain=shop.localhost", ""},
		"a long name":              {oneLabel(), single, long + "=1; Domain=shop.localhost", strings.Replace(sid, "sid", long[:maxQuoted], 1) + fix},
	} {
		got := mustNew(t, c.opts).Advice(ask("GET", c.from, "/"), http.Header{"Set-Cookie": {c.line}}, http.StatusOK, visitorOf(c.from))
		if strings.Join(got, "|") != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// TestRefusedForms: the terminal's message when a project refuses "Origin:
// null".
func TestRefusedForms(t *testing.T) {
	form := func(fields ...string) *http.Request { return ask("POST", labelled("admin"), "/", fields...) }
	refused := []string{"Origin", "null", "Sec-Fetch-Site", "same-site"}
	for name, c := range map[string]struct {
		opts   Options
		r      *http.Request
		status int
		want   bool
	}{
		"refused":              {oneLabel(), form(refused...), 403, true},
		"refused by Rails":     {oneLabel(), form(refused...), 422, true},
		"taken":                {oneLabel(), form(refused...), 303, false},
		"with an origin":       {oneLabel(), form("Origin", "https://shop.localhost:8443", "Sec-Fetch-Site", "same-site"), 403, false},
		"from another site":    {oneLabel(), form("Origin", "null", "Sec-Fetch-Site", "cross-site"), 403, false},
		"of one host":          {oneHost(), form(refused...), 403, false},
		"of a share by a name": {together(), form(refused...), 403, false},
	} {
		got := mustNew(t, c.opts).Advice(c.r, http.Header{}, c.status, visitorOf(c.r.Host))
		if (len(got) == 1) != c.want || len(got) > 1 {
			t.Errorf("%s: %q", name, got)
		}
	}
}

// TestInformationalResponses carry Link, made public, and nothing else.
func TestInformationalResponses(t *testing.T) {
	for name, s := range shares(t) {
		for _, status := range []int{100, 102, 103, 199} {
			h := http.Header{
				"Link": {"<https://shop.localhost:8443/a>; rel=preload"}, "Set-Cookie": {"a=b; Domain=t.example.com"}, "Location": {"https://shop.localhost:8443/"},
				"Content-Security-Policy": {"default-src 'none'"}, "X-Own": {"1"}, "Referrer-Policy": {"unsafe-url"}, "Trailer": {"Set-Cookie"},
				"Access-Control-Allow-Origin": {"*"}, "Clear-Site-Data": {`"*"`},
			}
			s.Outward(h, status, visitorOf(firstHost(s)), nil)
			want := []string{"Link", "Referrer-Policy"}
			if name == "named" {
				want = want[:1]
			}
			if got := slices.Sorted(maps.Keys(h)); !slices.Equal(got, want) {
				t.Errorf("%s, %d: %v", name, status, h)
			}
			if got := h.Get("Link"); got != "<https://"+firstHost(s)+"/a>; rel=preload" {
				t.Errorf("%s, %d: %q", name, status, got)
			}
			if got := h.Get("Referrer-Policy"); name != "named" && got != "same-origin" {
				t.Errorf("%s, %d: %q", name, status, got)
			}
			bare := http.Header{"Set-Cookie": {"a=b"}}
			if s.Outward(bare, status, visitorOf(firstHost(s)), nil); len(bare) > 0 {
				t.Errorf("%s, %d, without a link: %v", name, status, bare)
			}
		}
	}
}

func TestTrailers(t *testing.T) {
	s := mustNew(t, oneHost())
	pass := []string{"Grpc-Status", "Grpc-Message", "Grpc-Status-Details-Bin", "X-Checksum", "Server-Timing", "Digest", "Repr-Digest", "Content-Digest", "Content-Md5", "Etag", "My-Meta-Bin"}
	stop := []string{
		"Set-Cookie", "set-cookie", "SET-COOKIE2", "Location", "Refresh", "Link", "Content-Security-Policy", "Content-Type", "Content-Length", "Content-Encoding",
		"Access-Control-Allow-Origin", "Referrer-Policy", "Clear-Site-Data", "Strict-Transport-Security", "Cache-Control", "Expires", "Vary",
		"Transfer-Encoding", "Connection", "Www-Authenticate", "Proxy-Authenticate", "Cross-Origin-Opener-Policy", "X-Accel-Redirect", "X-Robots-Tag", "Alt-Svc",
	}
	announced := http.Header{"Trailer": append([]string{"Grpc-Status, Set-Cookie ,, X-Checksum"}, slices.Concat(stop, pass)...)}
	s.Outward(announced, 200, visitorOf(single), nil)
	if got, want := announced["Trailer"], append([]string{"Grpc-Status", "X-Checksum"}, pass...); !slices.Equal(got, want) {
		t.Errorf("announced: %q\nwant %q", got, want)
	}
	none := http.Header{"Trailer": {"Set-Cookie"}}
	s.Outward(none, 200, visitorOf(single), nil)
	if _, there := none["Trailer"]; there {
		t.Errorf("announced: %q", none)
	}
	h := http.Header{"Set-Cookie": {"head=1"}}
	for _, name := range slices.Concat(stop, pass) {
		h[http.TrailerPrefix+name] = []string{"x"}
	}
	s.Trailers(h)
	if len(h) != len(pass)+1 || h.Get("Set-Cookie") != "head=1" {
		t.Errorf("%v", h)
	}
	for _, name := range pass {
		if h[http.TrailerPrefix+name] == nil {
			t.Errorf("%s is taken out", name)
		}
	}
}

// TestAnUnguessableNameStaysHere: the project may choose only policies that do not
// send the origin to other sites.
func TestAnUnguessableNameStaysHere(t *testing.T) {
	zoned := several()
	zoned.Password = "open sesame"
	for name, opts := range map[string]Options{"one host": oneHost(), "several": several(), "with a password": zoned} {
		s := mustNew(t, opts)
		for said, want := range map[string]string{
			"":                                "same-origin",
			"no-referrer":                     "no-referrer",
			"same-origin":                     "same-origin",
			"NO-REFERRER ":                    "no-referrer",
			"no-referrer-when-downgrade":      "same-origin",
			"origin":                          "same-origin",
			"strict-origin":                   "same-origin",
			"origin-when-cross-origin":        "same-origin",
			"strict-origin-when-cross-origin": "same-origin",
			"unsafe-url":                      "same-origin",
			"unknown":                         "same-origin",
			"no-referrer, unsafe-url":         "same-origin",
			"unsafe-url, no-referrer":         "no-referrer",
			"unsafe-url|no-referrer":          "no-referrer",
			"no-referrer|origin":              "same-origin",
			"no-referrer, unknown":            "no-referrer",
			"no-referrer, ,":                  "no-referrer",
			"no-referrer; x":                  "same-origin",
		} {
			for _, status := range []int{200, 302, 304, 404, 503} {
				h := http.Header{}
				if said != "" {
					h["Referrer-Policy"] = strings.Split(said, "|")
				}
				s.Outward(h, status, visitorOf(firstHost(s)), nil)
				if got := strings.Join(h["Referrer-Policy"], "|"); got != want {
					t.Errorf("%s, %d: %q became %q, want %q", name, status, said, got, want)
				}
			}
		}
	}
}

// TestEveryPolicy of the Referrer Policy (section 3) is known: the last one
// counts, and a share with a plain name leaves it unchanged.
func TestEveryPolicy(t *testing.T) {
	hidden, plain := mustNew(t, oneHost()), mustNew(t, plainName())
	for _, policy := range []string{
		"no-referrer", "no-referrer-when-downgrade", "same-origin", "origin", "strict-origin", "origin-when-cross-origin",
		"strict-origin-when-cross-origin", "unsafe-url",
	} {
		want := "same-origin"
		if policy == "no-referrer" {
			want = policy
		}
		if got := outward(hidden, "Referrer-Policy", "no-referrer, "+policy); !slices.Equal(got, []string{want}) {
			t.Errorf("%s: %q", policy, got)
		}
		if got := outward(plain, "Referrer-Policy", policy); !slices.Equal(got, []string{policy}) {
			t.Errorf("a plain name, %s: %q", policy, got)
		}
		if got := outward(hidden, "Referrer-Policy", "no-referrer, x"+policy+", "+policy+"x"); !slices.Equal(got, []string{"no-referrer"}) {
			t.Errorf("what is like %s: %q", policy, got)
		}
	}
}

// TestAPlainNameIsNoSecret: there the project's policy counts, and nothing is added.
func TestAPlainNameIsNoSecret(t *testing.T) {
	s := mustNew(t, plainName())
	for said, want := range map[string]string{
		"unsafe-url": "unsafe-url", "origin, strict-origin": "origin, strict-origin", "": "", "unknown": "unknown",
	} {
		h := http.Header{}
		if said != "" {
			h.Set("Referrer-Policy", said)
		}
		s.Outward(h, 200, visitorOf(firstHost(s)), nil)
		if got := h.Get("Referrer-Policy"); got != want {
			t.Errorf("%q became %q, want %q", said, got, want)
		}
	}
}

// TestThePagesOfTheGateTellNoName: pages of the gate do not reveal the name either.
func TestThePagesOfTheGateTellNoName(t *testing.T) {
	s := mustNew(t, withPassword())
	for name, r := range map[string]*http.Request{
		"the login": browse(ask("GET", single, "/")), "a text": ask("GET", single, "/"), "a redirect": sendPassword(single, "open sesame"),
		"hidden": ask("GET", single, "/.env"), "a preflight": asPreflight(single, "/", "https://"+single),
	} {
		if _, answer := admit(s, r); answer == nil || answer.Header().Get("Referrer-Policy") != "same-origin" {
			t.Errorf("%s: %+v", name, answer)
		}
	}
}

// TestLocations: every field that is a URL leads a visitor to the public host,
// and one that leads elsewhere stays unchanged.
func TestLocations(t *testing.T) {
	s := mustNew(t, several())
	for _, name := range []string{
		"Location", "Content-Location", "Access-Control-Allow-Origin", "HX-Location", "HX-Redirect", "HX-Push-Url", "HX-Replace-Url",
		"SourceMap", "X-SourceMap", "X-Inertia-Location", "Turbolinks-Location", "X-PJAX-URL",
	} {
		for value, want := range map[string]string{
			"https://shop.localhost:8443/a?b#c":            "https://" + shop + "/a?b#c",
			"http://shop.localhost:8080/a":                 "https://" + shop + "/a",
			"//admin.shop.localhost:8443/x":                "//" + admin + "/x",
			"/only/a/path":                                 "/only/a/path",
			"main.js.map":                                  "main.js.map",
			"https://example.com/?u=//mail.localhost:8443": "https://example.com/?u=//mail.localhost:8443",
			"data:application/json;base64,e30=":            "data:application/json;base64,e30=",
			"":                                             "",
		} {
			h := http.Header{}
			h.Set(name, value)
			for range 2 { // a second time changes nothing
				s.Outward(h, 200, visitorOf(shop), nil)
			}
			if got := h.Get(name); got != want {
				t.Errorf("%s: %q becomes %q, want %q", name, value, got, want)
			}
		}
	}
	for _, c := range []struct{ name, value, want string }{
		{"HX-Location", `{"path":"https://shop.localhost:8443/a&b","target":"#x"}`, `{"path":"https://` + shop + `/a\u0026b","target":"#x"}`},
		{"HX-Location", `{"path": "/a", "target":"#x"}`, `{"path": "/a", "target":"#x"}`},
		{"HX-Location", `{"path": 5}`, `{"path": 5}`},
		{"HX-Location", `{broken`, `{broken`},
		{"Timing-Allow-Origin", "https://shop.localhost:8443, https://example.com,https://admin.shop.localhost:8443", "https://" + shop + ", https://example.com,https://" + admin},
		{"Timing-Allow-Origin", "*", "*"},
	} {
		h := http.Header{}
		h.Set(c.name, c.value)
		s.Outward(h, 200, visitorOf(shop), nil)
		if got := h.Get(c.name); got != c.want {
			t.Errorf("%s: %q becomes %q, want %q", c.name, c.value, got, c.want)
		}
	}
}

// TestCurrentURL: htmx sends its page's URL, which the project compares with its own.
func TestCurrentURL(t *testing.T) {
	s := mustNew(t, several())
	for value, want := range map[string]string{
		"https://" + shop + "/cart?x": "https://shop.localhost:8443/cart?x",
		"https://example.com/cart":    "https://example.com/cart",
	} {
		in, _ := admit(s, ask("GET", shop, "/", "Hx-Current-Url", value))
		if got := in.Header.Get("HX-Current-URL"); got != want {
			t.Errorf("%q becomes %q, want %q", value, got, want)
		}
	}
}
