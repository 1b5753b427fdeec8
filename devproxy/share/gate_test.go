package share

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// aloneInItsZone is one host, which others may join.
func aloneInItsZone() Options {
	opts := plainName()
	opts.Hosts = opts.Hosts[1:2]
	return opts
}

func TestTheLinkIsExchangedForACookie(t *testing.T) {
	for name, test := range map[string]struct {
		opts   Options
		cookie string // without its value
	}{
		"zone":               {plainName(), "__Secure-devproxy=; Path=/; Domain=shop.t.example.com; Max-Age=604800; HttpOnly; Secure; SameSite=Lax"},
		"one host of a zone": {aloneInItsZone(), "__Secure-devproxy=; Path=/; Domain=shop.t.example.com; Max-Age=604800; HttpOnly; Secure; SameSite=Lax"},
		"chosen names":       {chosenNames(), "__Host-devproxy=; Path=/; Max-Age=604800; HttpOnly; Secure; SameSite=Lax"},
		"host":               {oneNamed(), "__Host-devproxy=; Path=/; Max-Age=604800; HttpOnly; Secure; SameSite=Lax"},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := mustNew(t, test.opts)
			host := firstHost(s)
			_, answer := admit(s, browse(ask("GET", host, "//a%2f?x=1&devproxy="+secret+"&y=%20")))
			if answer == nil || answer.Code != 303 || answer.Header().Get("Location") != "https://"+host+"//a%2f?x=1&y=%20" {
				t.Fatalf("%s: %+v", name, answer)
			}
			cookie := answer.Result().Cookies()[0]
			pair := cookie.Name + "=" + cookie.Value
			if got := strings.Replace(answer.Header().Get("Set-Cookie"), cookie.Value, "", 1); got != test.cookie {
				t.Errorf("%s: %s\nwant %s", name, got, test.cookie)
			}
			in, refused := admit(s, browse(ask("GET", host, "/", "Cookie", "a=b; "+pair)))
			if refused != nil || in.Header.Get("Cookie") != "a=b" {
				t.Errorf("%s: with the cookie: %+v", name, refused)
			}
			time.Sleep(cookieLife)
			if got := status(s, browse(ask("GET", host, "/", "Cookie", pair))); got != 401 {
				t.Errorf("%s: a week later: %d", name, got)
			}
		})
	}
}

func TestWhoHasNoSecret(t *testing.T) {
	opts := plainName()
	opts.Public = []string{"/hook"}
	s := mustNew(t, opts)
	host := firstHost(s)
	image := func(r *http.Request) *http.Request {
		r.Header.Set("Sec-Fetch-Mode", "no-cors")
		return r
	}
	preflight := func(origin string) *http.Request {
		return ask("OPTIONS", host, "/", "Origin", origin, "Access-Control-Request-Method", "PUT")
	}
	withBody := preflight("https://" + host)
	withBody.ContentLength = 1
	for name, test := range map[string]struct {
		r    *http.Request
		want int
	}{
		"nothing":                      {ask("GET", host, "/"), 401},
		"a page":                       {browse(ask("GET", host, "/")), 401},
		"a wrong secret":               {browse(ask("GET", host, "/?devproxy="+secret[1:])), 401},
		"an empty secret":              {browse(ask("GET", host, "/?devproxy=")), 401},
		"another parameter":            {browse(ask("GET", host, "/?xdevproxy="+secret)), 401},
		"the secret by curl":           {ask("GET", host, "/?devproxy="+secret), 303},
		"the secret, encoded":          {ask("HEAD", host, "/?devproxy=%30"+secret[1:]), 303},
		"the secret on a public path":  {ask("GET", host, "/hook?devproxy="+secret), 303},
		"the secret of an image":       {image(ask("GET", host, "/?devproxy="+secret)), 401},
		"the secret of a form":         {browse(ask("POST", host, "/?devproxy="+secret)), 401},
		"the secret as bearer":         {ask("PUT", host, "/", "Authorization", "bearer  "+secret), 0},
		"a wrong bearer":               {ask("PUT", host, "/", "Authorization", "Bearer x"), 401},
		"an empty bearer":              {ask("PUT", host, "/", "Authorization", "Bearer "), 401},
		"basic":                        {ask("PUT", host, "/", "Authorization", "Basic "+secret), 401},
		"a public path":                {ask("POST", host, "/hook/x"), 0},
		"almost a public path":         {ask("POST", host, "/hook%2f..%2fadmin"), 401},
		"its state":                    {ask("GET", host, StatePath+"?path=%2Fhook"), 0},
		"another path's state":         {ask("GET", host, StatePath+"?path=%2F"), 401},
		"our own preflight":            {preflight("https://admin.shop.t.example.com:8444"), 204},
		"a preflight that is none":     {ask("OPTIONS", host, "/", "Origin", "https://"+host), 401},
		"a preflight with a body":      {withBody, 401},
		"another's preflight":          {preflight("https://other.t.example.com:8444"), 401},
		"nobody's preflight":           {preflight("null"), 401},
		"a hidden file, with the link": {browse(ask("GET", host, "/.env?devproxy="+secret)), 404},
	} {
		if got := status(s, test.r); got != test.want {
			t.Errorf("%s: %d, want %d", name, got, test.want)
		}
	}
}

func TestTheSecretStaysOutside(t *testing.T) {
	s := mustNew(t, plainName())
	host := firstHost(s)
	in, _ := admit(s, ask("POST", host, "/a?devproxy="+secret+"&devproxy=mine&b", "Authorization", "Bearer "+secret, "Cookie", key(t, s)))
	if in == nil || in.URL.RawQuery != "devproxy=mine&b" || in.RequestURI != "/a?devproxy=mine&b" ||
		len(in.Header["Authorization"]) > 0 || len(in.Header["Cookie"]) > 0 {
		t.Errorf("%+v", in)
	}
	opts := plainName()
	opts.Public = []string{"/hook"}
	if in, _ := admit(mustNew(t, opts), ask("POST", host, "/hook", "Authorization", "Bearer "+secret)); in == nil || in.Header["Authorization"] != nil {
		t.Errorf("on a public path: %+v", in)
	}
	password := mustNew(t, withPassword())
	if in, _ := admit(password, ask("GET", single, "/", "Cookie", key(t, password), "Authorization", "Bearer open sesame")); in == nil || in.Header["Authorization"] != nil {
		t.Errorf("a password, with a cookie: %+v", in)
	}
	in, _ = admit(s, ask("POST", host, "/a", "Authorization", "Bearer app", "Cookie", key(t, s)))
	if in == nil || in.Header.Get("Authorization") != "Bearer app" {
		t.Errorf("the project's own token: %+v", in)
	}
}

func TestUpgradesOfOtherSites(t *testing.T) {
	open, gated := mustNew(t, oneHost()), mustNew(t, plainName())
	upgrade := func(s *Share, origin ...string) *http.Request {
		r := ask("GET", firstHost(s), "/ws", "Connection", "keep-alive, Upgrade", "Upgrade", "websocket")
		r.Header["Origin"] = origin
		if s == gated {
			r.Header.Set("Cookie", key(t, s))
		}
		return r
	}
	for name, test := range map[string]struct {
		r    *http.Request
		s    *Share
		want int
	}{
		"ours":                 {upgrade(gated, "https://admin.shop.t.example.com:8444"), gated, 0},
		"a program's":          {upgrade(gated), gated, 0},
		"another site's":       {upgrade(gated, "https://evil.example"), gated, 403},
		"another share's":      {upgrade(gated, "https://other.t.example.com:8444"), gated, 403},
		"a sandbox's":          {upgrade(gated, "null"), gated, 403},
		"two origins":          {upgrade(gated, "https://shop.t.example.com:8444", "https://evil.example"), gated, 403},
		"without a gate":       {upgrade(open, "https://evil.example"), open, 0},
		"no upgrade at all":    {ask("GET", firstHost(gated), "/", "Origin", "https://evil.example", "Cookie", key(t, gated)), gated, 0},
		"without a connection": {ask("GET", firstHost(gated), "/", "Upgrade", "h2c", "Origin", "https://evil.example", "Cookie", key(t, gated)), gated, 0},
	} {
		if got := status(test.s, test.r); got != test.want {
			t.Errorf("%s: %d, want %d", name, got, test.want)
		}
	}
}

// A cookie is valid only where, for what and until when it was made.
func TestCookiesCannotBeForged(t *testing.T) {
	now := time.Now()
	end := strconv.FormatInt(now.Add(time.Hour).Unix(), 10)
	s := mustNew(t, plainName())
	good := s.gate.cookie.make(now).Value
	_, signature, _ := strings.Cut(good, ".")
	altered := func(change func(*Options)) string {
		opts := plainName()
		change(&opts)
		other := mustNew(t, opts)
		return other.gate.cookie.make(now).Value
	}
	for name, value := range map[string]string{
		"empty": "", "no signature": end, "an empty signature": end + ".",
		"another end": end + "." + signature, "no end": "." + signature, "cut": good[:len(good)-1], "longer": good + "A",
		"another key":    altered(func(o *Options) { o.CookieKey = []byte(strings.Repeat("x", 32)) }),
		"another secret": altered(func(o *Options) { o.Secret = []byte("fedcba9876543210") }),
		"a password":     altered(func(o *Options) { o.Password = secret + "x" }),
		"another zone":   altered(func(o *Options) { o.Zone = "t.example.com" }),
		"a host's, not ours": altered(func(o *Options) {
			o.Hosts = o.Hosts[:1]
			o.Zone = ""
		}),
		"expired": s.gate.cookie.make(now.Add(-cookieLife - time.Second)).Value,
	} {
		if s.gate.cookie.valid(value, now) {
			t.Errorf("%s: %q is valid", name, value)
		}
	}
	if !s.gate.cookie.valid(good, now) || mustNew(t, plainName()).gate.cookie.in(http.Header{"Cookie": {"x=y", "__Secure-devproxy=bad; __Secure-devproxy=" + good}}, now) == false {
		t.Error("the good one is not valid, or not after a restart")
	}
}

// TestDecoysHideNoCookie: pages on neighbouring hosts can set cookies of the
// gate's name for a wider domain. None of them keeps a visitor out.
func TestDecoysHideNoCookie(t *testing.T) {
	now := time.Now()
	s := mustNew(t, plainName())
	name, good := s.gate.cookie.name, s.gate.cookie.make(now).Value
	end, _, _ := strings.Cut(good, ".")
	plausible := name + "=" + end + "." + strings.Repeat("A", 43)
	var many []string
	for range 800 {
		many = append(many, plausible)
	}
	for _, test := range []struct {
		lines []string
		want  bool
	}{
		{[]string{name + "=" + good}, true},
		{[]string{strings.Repeat(name+"=bad; ", 16) + name + "=" + good}, true},
		{[]string{strings.Repeat(name+"=; ", 3000) + name + "=" + good}, true},
		{[]string{strings.Join(many, "; ") + "; " + name + "=" + good}, true},
		{append(slices.Clone(many), name+"="+good), true}, // as HTTP/2 may split them
		{[]string{name + "=" + good, strings.Join(many, "; ")}, true},
		{[]string{`x="; ` + name + "=" + good + `; y="`}, true}, // quotes have no meaning to browsers
		{[]string{"$Version=1; " + name + "=" + good + "; $Path=/"}, true},
		{[]string{"\t" + name + "=" + good + " "}, true},
		{[]string{strings.Join(many, "; ")}, false},
		{[]string{"x=" + name + "=" + good}, false},
		{[]string{"$" + name + "=" + good}, false},
		{[]string{lower(name) + "=" + good}, false},
		{[]string{strings.ToUpper(name) + "=" + good}, false},
		{[]string{hostCookie + "=" + good}, false},
		{[]string{name + `="` + good + `"`}, false}, // the gate sets no quotes
		{[]string{name + "=" + good + "," + name + "=bad"}, false},
		{[]string{name, "=" + good}, false},
		{nil, false},
	} {
		if got := s.gate.cookie.in(http.Header{"Cookie": test.lines}, now); got != test.want {
			t.Errorf("%.200q: %v", test.lines, got)
		}
	}
}

// TestACookieIsOfItsHost: two shares of one host each, with the same key and password, do
// not accept each other's cookies.
func TestACookieIsOfItsHost(t *testing.T) {
	now := time.Now()
	here, there := oneNamed(), oneNamed()
	here.Zone, there.Zone = "", ""
	there.Hosts = []Host{{Local: "shop.localhost", Public: "other.t.example.com"}}
	good := mustNew(t, here).gate.cookie.make(now).Value
	if !mustNew(t, here).gate.cookie.valid(good, now) {
		t.Error("the cookie is not valid on its own host")
	}
	if mustNew(t, there).gate.cookie.valid(good, now) {
		t.Error("the cookie is valid on another host")
	}
}

// TestTheProjectGetsNoGateCookie in any spelling.
func TestTheProjectGetsNoGateCookie(t *testing.T) {
	s := mustNew(t, withPassword())
	good := key(t, s)
	for line, want := range map[string]string{
		"a=1; __Host-devproxy-device=x.y.z; b=2": "a=1; b=2",
		"a=1; __HOST-DEVPROXY=x":                 "a=1",
		"a=1; __Secure-devproxy = x;b=2":         "a=1;b=2",
		"__host-devproxy-device":                 "",
		"a=1; xdevproxy=2; __Host-devproxyx=3":   "a=1; xdevproxy=2; __Host-devproxyx=3",
		`a="x; b=2"`:                             `a="x; b=2"`,
	} {
		in, _ := admit(s, ask("GET", single, "/", "Cookie", good, "Cookie", line))
		if in == nil || strings.Join(in.Header["Cookie"], "|") != want {
			t.Errorf("%q: %+v, want %q", line, in, want)
		}
	}
}

func TestTheShareEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		opts := plainName()
		opts.Until = time.Now().Add(time.Hour)
		s := mustNew(t, opts)
		host, cookie := firstHost(s), key(t, s)
		r := browse(ask("GET", host, "/", "Cookie", cookie))
		_, answer := admit(s, browse(ask("GET", host, "/?devproxy="+secret)))
		if c := answer.Result().Cookies()[0]; c.MaxAge != 3600 {
			t.Errorf("the cookie lives %d s", c.MaxAge)
		}
		late := opts
		late.Until = time.Now().Add(2 * cookieLife)
		if c := mustNew(t, late).gate.cookie.make(time.Now()); c.MaxAge != int(cookieLife/time.Second) {
			t.Errorf("in a share that ends late the cookie lives %d s", c.MaxAge)
		}
		time.Sleep(time.Hour - time.Nanosecond)
		if got := status(s, r); got != 0 {
			t.Errorf("just before: %d", got)
		}
		time.Sleep(time.Nanosecond)
		for name, r := range map[string]*http.Request{"a key": r, "none": ask("GET", host, "/"), "an unknown host": ask("GET", "x.example", "/")} {
			if got := status(s, r); got != http.StatusGone {
				t.Errorf("%s, after its end: %d", name, got)
			}
		}
		// One hour more, before that: the cookie is as it was.
		opts.Until = opts.Until.Add(time.Hour)
		if got := status(mustNew(t, opts), r); got != 401 {
			t.Errorf("an old cookie in a share that continues: %d", got)
		}
	})
}

func FuzzCookie(f *testing.F) {
	s := mustNew(f, plainName())
	good := s.gate.cookie.make(time.Now()).Value
	f.Add(good)
	f.Add("1.x")
	f.Add(good + ".")
	f.Fuzz(func(t *testing.T, value string) {
		if s.gate.cookie.valid(value, time.Now()) && value != good {
			t.Fatalf("%q is valid", value)
		}
	})
}
