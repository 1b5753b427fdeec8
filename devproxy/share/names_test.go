package share

import (
	"math/rand"
	"net/http"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"testing/quick"
)

func TestNames(t *testing.T) {
	notShared := several()
	notShared.Hosts = []Host{
		{Local: "*.shop.localhost:8443", Public: "*--" + shop},
		{Local: "shop.localhost:8443", Public: shop, Aliases: []string{"www.shop.localhost:8443"}},
	}
	notShared.NotShared = []string{"Mail.shop.localhost."}
	nested := several()
	nested.Hosts = append(nested.Hosts,
		Host{Local: "a.b.tenant.shop.localhost:8443", Public: "a--b" + tenants},
		Host{Local: "*.c.tenant.shop.localhost:8443", Public: "*--c" + tenants})

	firstLabel := strings.IndexByte(tenants, '.')
	for name, test := range map[string]struct {
		opts   Options
		public string
		want   string // local; empty for unknown
	}{
		"one":                        {oneHost(), single, "shop.localhost:8443"},
		"one, another port":          {oneHost(), single + ":8443", ""},
		"one, dot and case":          {oneHost(), strings.ToUpper(single) + ".:443", "shop.localhost:8443"},
		"another share's":            {oneHost(), "shop-zzzzzzzzzzzzzzzz.t.example.com", ""},
		"below one":                  {oneHost(), "x." + single, ""},
		"the relay itself":           {oneHost(), "t.example.com", ""},
		"its local name":             {oneHost(), "shop.localhost:8443", ""},
		"the zone itself":            {several(), zone, ""},
		"admin":                      {several(), admin, "admin.shop.localhost:8443"},
		"a wildcard's":               {several(), "acme" + tenants, "acme.tenant.shop.localhost:8443"},
		"a wildcard's, another port": {several(), "acme" + tenants + ":8443", ""},
		"a wildcard's with --":       {several(), "a--b" + tenants, "a--b.tenant.shop.localhost:8443"},
		"a wildcard's with a star":   {several(), "*" + tenants, ""},
		"a wildcard's without":       {several(), tenants, ""},
		"two labels":                 {several(), "a.b" + tenants, ""},
		"a label that is none":       {several(), "a%00" + tenants, ""},
		"a long label":               {several(), strings.Repeat("a", 64) + tenants, ""},
		"the longest of them":        {several(), strings.Repeat("a", maxLabel-firstLabel) + tenants, strings.Repeat("a", maxLabel-firstLabel) + ".tenant.shop.localhost:8443"},
		"one that is longer":         {several(), strings.Repeat("a", maxLabel-firstLabel+1) + tenants, ""},
		"of a plain name":            {plainName(), "admin.shop.t.example.com:8444", "admin.shop.localhost:8443"},
		"its wildcard":               {plainName(), "acme.tenant.shop.t.example.com:8444", "acme.tenant.shop.localhost:8443"},
		"without its port":           {plainName(), "admin.shop.t.example.com", ""},
		"an exact host first":        {nested, "a--b" + tenants, "a.b.tenant.shop.localhost:8443"},
		"the narrower wildcard":      {nested, "x--c" + tenants, "x.c.tenant.shop.localhost:8443"},
		"below a wildcard":           {notShared, "any--" + shop, "any.shop.localhost:8443"},
		"a host that is not shared, by a wildcard": {notShared, "mail--" + shop, ""},
		"an alias, by a wildcard":                  {notShared, "www--" + shop, ""},
		"empty":                                    {oneHost(), "", ""},
		"one label":                                {oneLabel(), labelled("admin"), "admin.shop.localhost:8443"},
		"one label, a wildcard's":                  {oneLabel(), labelled("acme--tenant"), "acme.tenant.shop.localhost:8443"},
		"one label, an IDN of a wildcard":          {oneLabel(), labelled("xn--bcher-kva--tenant"), "xn--bcher-kva.tenant.shop.localhost:8443"},
		"one label, a wildcard's with nothing":     {oneLabel(), labelled("--tenant"), ""},
		"one label, a wildcard's overlap":          {oneLabel(), labelled("tenant"), ""},
		"one label, a wildcard's star":             {oneLabel(), labelled("*--tenant"), ""},
		"one label, two labels":                    {oneLabel(), labelled("a.b--tenant"), ""},
		"one label, the longest":                   {oneLabel(), labelled(strings.Repeat("a", maxLabel-21-10) + "--tenant"), strings.Repeat("a", maxLabel-21-10) + ".tenant.shop.localhost:8443"},
		"one label, one that is longer":            {oneLabel(), labelled(strings.Repeat("a", maxLabel-21-9) + "--tenant"), ""},
	} {
		s := mustNew(t, test.opts)
		public, _ := parseAuthority(test.public, httpsPort)
		local, ok := s.names.local(public)
		if got := local.String(); ok != (test.want != "") || ok && got != test.want {
			t.Errorf("%s: %s is %q (%v), want %q", name, test.public, got, ok, test.want)
		}
	}
}

func TestCollisionsTeach(t *testing.T) {
	for want, change := range map[string]func(*Options){
		"no host to share": func(o *Options) { o.Hosts = nil },
		"both shop.localhost:8443 and admin.shop.localhost:8443 have the name admin.shop.localhost:8443": func(o *Options) { o.Hosts[0].Aliases = []string{"admin.shop.localhost:8443"} },
		"both admin.shop.localhost:8443 and x.shop.localhost have the name " + admin:                     func(o *Options) { o.Hosts[2] = Host{Local: "x.shop.localhost", Public: admin} },
		"has the name shop.localhost:8443 twice":                                                         func(o *Options) { o.Hosts[1] = o.Hosts[0] },
		"not below its zone":                                                                             func(o *Options) { o.Hosts[0].Public = single },
		"cannot share the host \"sh op\": not a valid host name":                                         func(o *Options) { o.Hosts[0].Local = "sh op" },
		"\"\", which is not a valid host name":                                                           func(o *Options) { o.Hosts[0].Public = "" },
		"first label of the local":                                                                       func(o *Options) { o.Hosts[2].Public = "tenant." + zone },
		"part of the first label of the public one":                                                      func(o *Options) { o.Hosts[2].Local = "a.*.shop.localhost" },
		"a.*.shop.localhost and a-" + single:                                                             func(o *Options) { o.Zone, o.Hosts[2] = "", Host{Local: "a.*.shop.localhost", Public: "a-" + single} },
		"*.*.shop.localhost and *--x":                                                                    func(o *Options) { o.Zone, o.Hosts[2] = "", Host{Local: "*.*.shop.localhost", Public: "*--x." + zone} },
		"*.x.shop.localhost and *a*":                                                                     func(o *Options) { o.Zone, o.Hosts[2] = "", Host{Local: "*.x.shop.localhost", Public: "*a*." + zone} },
		"fewer than 16 can be guessed":                                                                   func(o *Options) { o.Named, o.Secret = true, []byte("short") },
		"must be encoded in a URL":                                                                       func(o *Options) { o.Named, o.Secret = true, []byte("0123456789abcde&") },
		"has 0 bytes, not 32":                                                                            func(o *Options) { o.Password, o.CookieKey = "x", nil },
		"in `share { public }` matches nothing":                                                          func(o *Options) { o.Public = []string{"hook"} },
		"in `share { paths }` matches nothing":                                                           func(o *Options) { o.Paths = []string{"hook"} },
	} {
		opts := several()
		change(&opts)
		if _, err := New(opts); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// TestAliases: an alias leads to its host's public name; one that is listed
// twice, or is the host's own name, is not a collision; those of a wildcard
// host stay unchanged.
func TestAliases(t *testing.T) {
	opts := several()
	opts.Hosts[0].Aliases = []string{"shop.localhost:8443", "www.shop.localhost:8443", "WWW.shop.localhost.:8443"}
	opts.Hosts[2].Aliases = []string{"tenants.shop.localhost:8443"}
	s := mustNew(t, opts)
	for local, want := range map[string]string{"www.shop.localhost:8443": shop, "shop.localhost:8443": shop, "tenants.shop.localhost:8443": "tenants.shop.localhost:8443"} {
		if got := s.names.publicReference("https://" + local + "/"); got != "https://"+want+"/" {
			t.Errorf("%s became %s", local, got)
		}
	}
	opts.Hosts[1].Aliases = []string{"www.shop.localhost:8443"}
	if _, err := New(opts); err == nil {
		t.Error("two hosts have one alias")
	}
	opts.Hosts[1].Aliases = []string{"www shop"}
	if _, err := New(opts); err == nil || !strings.Contains(err.Error(), `the alias "www shop" of admin.shop.localhost:8443 is not a valid host name`) {
		t.Errorf("an alias that is not a host name: %v", err)
	}
}

// TestWhatAGateNeeds: a secret with enough characters that need no encoding in a URL,
// and a key of exactly the right size; neither if everything is public or without a
// gate.
func TestWhatAGateNeeds(t *testing.T) {
	key := func(n int) []byte { return []byte(strings.Repeat("k", n)) }
	for name, test := range map[string]struct {
		change func(*Options)
		ok     bool
	}{
		"the shortest secret":            {func(o *Options) { o.Secret = []byte(secret[:minSecret]) }, true},
		"a shorter secret":               {func(o *Options) { o.Secret = []byte(secret[:minSecret-1]) }, false},
		"none":                           {func(o *Options) { o.Secret = nil }, false},
		"none, with a password":          {func(o *Options) { o.Secret, o.Password = nil, "x" }, true},
		"odd, with a password":           {func(o *Options) { o.Secret, o.Password = []byte("&"), "x" }, true},
		"none, where all is public":      {func(o *Options) { o.Secret, o.Public, o.CookieKey = nil, []string{"/"}, nil }, true},
		"none, where a path is public":   {func(o *Options) { o.Secret, o.Public = nil, []string{"/hook"} }, false},
		"none, without a gate":           {func(o *Options) { o.Secret, o.Named, o.CookieKey = nil, false, nil }, true},
		"a short key":                    {func(o *Options) { o.CookieKey = key(cookieKeySize - 1) }, false},
		"a key":                          {func(o *Options) { o.CookieKey = key(cookieKeySize) }, true},
		"a long key":                     {func(o *Options) { o.CookieKey = key(cookieKeySize + 1) }, false},
		"a short key, with a password":   {func(o *Options) { o.Password, o.CookieKey = "x", key(cookieKeySize-1) }, false},
		"a path that is none, in a gate": {func(o *Options) { o.Public = []string{"/", "hook"} }, false},
	} {
		opts := plainName()
		test.change(&opts)
		if _, err := New(opts); (err == nil) != test.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
	for c := range 256 {
		opts := plainName()
		opts.Secret = append([]byte(secret), byte(c))
		want := strings.IndexByte("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-._~", byte(c)) >= 0
		if _, err := New(opts); (err == nil) != want {
			t.Errorf("%q in a secret: %v", byte(c), err)
		}
	}
}

func TestURLs(t *testing.T) {
	starFirst := plainName()
	starFirst.Hosts[0], starFirst.Hosts[2] = starFirst.Hosts[2], starFirst.Hosts[0]
	open := oneNamed()
	open.Public = []string{"/"}
	locked := oneNamed()
	locked.Password = "x"
	for name, test := range map[string]struct {
		opts Options
		want []string
	}{
		"one":        {oneHost(), []string{"https://" + single}},
		"several":    {several(), []string{"https://" + shop, "https://" + admin, "https://*" + tenants}},
		"a name":     {oneNamed(), []string{"https://shop.t.example.com/?devproxy=" + secret}},
		"all public": {open, []string{"https://shop.t.example.com"}},
		"a password": {locked, []string{"https://shop.t.example.com"}},
		"chosen names": {chosenNames(), []string{"https://four-words-of-chance.tunnel.example/?devproxy=" + secret,
			"https://three-other-words.tunnel.example/?devproxy=" + secret}},
		"a star first": {starFirst, []string{"https://*.tenant.shop.t.example.com:8444",
			"https://admin.shop.t.example.com:8444/?devproxy=" + secret, "https://shop.t.example.com:8444"}},
	} {
		var got []string
		for _, u := range mustNew(t, test.opts).URLs() {
			got = append(got, u.URL)
		}
		if !reflect.DeepEqual(got, test.want) {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}

// name is a random authority: often one of the shares', often nearly.
type name string

func (name) Generate(r *rand.Rand, _ int) reflect.Value {
	labels := []string{"a", "b", "a--b", "shop", "admin", "tenant", "-", "--", "xn--p1ai", strings.Repeat("l", 60)}
	parents := []string{"", "shop.localhost:8443", "tenant.shop.localhost:8443", "b.tenant.shop.localhost:8443", shop, admin, tenants,
		"--b" + tenants, single, labelled("admin"), labelled("tenant"), labelled("a--tenant"), labelled("a--b--tenant"), labelled("xn--p1ai"), "tenant.shop.t.example.com:8444", "localhost:8443", zone, "shop.localhost:8080"}
	text := parents[r.Intn(len(parents))]
	for range r.Intn(3) {
		joint := []string{".", "--", ""}[r.Intn(3)]
		text = labels[r.Intn(len(labels))] + joint + text
	}
	return reflect.ValueOf(name(text))
}

// Each name of a share leads back to itself, from either side, and any other
// name stays unchanged.
func TestNamesLeadBack(t *testing.T) {
	tricky := several()
	tricky.Hosts = append(tricky.Hosts,
		Host{Local: "*.b.tenant.shop.localhost:8443", Public: "*--b" + tenants},
		Host{Local: "a.a.tenant.shop.localhost:8443", Public: "a--a" + tenants},
		Host{Local: "*.shop.localhost:8443", Public: "*--" + shop})
	trickier := oneLabel()
	trickier.Hosts = append(trickier.Hosts,
		Host{Local: "*.b.tenant.shop.localhost:8443", Public: labelled("*--b--tenant")},
		Host{Local: "a.a.tenant.shop.localhost:8443", Public: labelled("a--a--tenant")},
		Host{Local: "*.shop.localhost:8443", Public: labelled("*")})
	for _, opts := range []Options{oneHost(), tricky, plainName(), trickier} {
		s := mustNew(t, opts)
		alias := map[authority]bool{}
		for local, public := range s.names.toPublic {
			alias[local] = s.names.toLocal[public] != local
		}
		found := 0
		err := quick.Check(func(n name) bool {
			a, ok := parseAuthority(string(n), httpsPort)
			if !ok {
				return true
			}
			if local, ok := s.names.local(a); ok {
				found++
				if back, ok := s.names.public(local); !ok || back != a {
					t.Errorf("%s -> %s -> %s", a, local, back)
					return false
				}
			}
			if public, ok := s.names.public(a); ok && !alias[a] {
				found++
				if back, ok := s.names.local(public); !ok || back != a {
					t.Errorf("%s -> %s -> %s", a, public, back)
					return false
				}
				url := s.names.publicReference("https://" + a.String() + "/x")
				again, ok := s.names.localReference(url)
				return ok && again == "https://"+a.String()+"/x"
			}
			return true
		}, &quick.Config{MaxCount: 20000, Rand: rand.New(rand.NewSource(1))})
		if err != nil {
			t.Error(err)
		}
		if found < 50 {
			t.Errorf("only %d of the names were names of the share", found)
		}
	}
}

func TestAllow(t *testing.T) {
	opts := oneHost()
	opts.Allow = []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24"), netip.MustParsePrefix("2001:db8::/32"), netip.MustParsePrefix("::ffff:198.51.100.0/120")}
	s := mustNew(t, opts)
	for addr, want := range map[string]int{
		"203.0.113.7:1": 0, "[::ffff:203.0.113.7]:1": 0, "203.0.114.7:1": 403, "[2001:db8::1]:1": 0,
		"[2001:db9::1]:1": 403, "198.51.100.1:1": 0, "[2001:db8::1%eth0]:1": 0, "": 403,
	} {
		v := Visitor{Scheme: "https", Host: single}
		if addr != "" {
			v.Addr = netip.MustParseAddrPort(addr)
		}
		_, answer := admitFrom(s, ask("GET", single, "/"), v)
		if got := 0; answer != nil {
			got = answer.Code
			if got != want {
				t.Errorf("%s: %d, want %d", addr, got, want)
			}
		} else if want != 0 {
			t.Errorf("%s: let in, want %d", addr, want)
		}
	}
	if code := status(mustNew(t, oneHost()), ask("GET", single, "/")); code != 0 {
		t.Errorf("without allow: %d", code)
	}
}

// TestOtherPort: behind a port mapping, visitors use another port than the one in links.
// Names count, whatever the port, and a visitor gets URLs with the port that it used.
func TestOtherPort(t *testing.T) {
	s := mustNew(t, several())
	const came = ":9443"
	for host, local := range map[string]string{
		shop: "shop.localhost:8443", admin: "admin.shop.localhost:8443", "acme" + tenants: "acme.tenant.shop.localhost:8443",
	} {
		in, refused := admit(s, ask("GET", host+came, "/", "Origin", "https://"+admin+came, "Referer", "https://"+shop+came+"/x"))
		if in == nil {
			t.Errorf("%s: status %d", host+came, refused.Code)
			continue
		}
		if in.Host != local || in.Header.Get("Origin") != "https://admin.shop.localhost:8443" || in.Header.Get("Referer") != "https://shop.localhost:8443/x" {
			t.Errorf("%s becomes %s with %v", host+came, in.Host, in.Header)
		}
	}
	h := http.Header{
		"Location":                    {"https://admin.shop.localhost:8443/y"},
		"Access-Control-Allow-Origin": {"https://shop.localhost:8443"},
		"Content-Security-Policy":     {"img-src https://admin.shop.localhost:8443"},
	}
	s.Outward(h, 302, visitorOf(shop+came), nil)
	if got, want := h.Get("Location"), "https://"+admin+came+"/y"; got != want {
		t.Errorf("Location is %s, want %s", got, want)
	}
	if got, want := h.Get("Access-Control-Allow-Origin"), "https://"+shop+came; got != want {
		t.Errorf("Access-Control-Allow-Origin is %s, want %s", got, want)
	}
	if got, want := h.Get("Content-Security-Policy"), "img-src https://"+admin+came; got != want {
		t.Errorf("Content-Security-Policy is %s, want %s", got, want)
	}
	// An origin with a port that is neither the link's nor the visitor's does not
	// belong to the share: something else listens there.
	in, _ := admit(s, ask("GET", shop+came, "/", "Origin", "https://"+shop+":9444"))
	if got := in.Header.Get("Origin"); got != "https://"+shop+":9444" {
		t.Errorf("another port's Origin becomes %s", got)
	}
	for _, host := range []string{"shop-zzzzzzzzzzzzzzzz.t.example.com" + came, "t.example.com" + came} {
		if in, _ := admit(s, ask("GET", host, "/")); in != nil {
			t.Errorf("%s gets in", host)
		}
	}
}
