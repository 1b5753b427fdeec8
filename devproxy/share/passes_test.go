package share

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// together is a project with several hosts and a plain name, each host in one
// label: they have no parent of their own.
func together() Options {
	opts := oneHost()
	opts.Named, opts.Secret, opts.Together = true, []byte(secret), true
	opts.Hosts = []Host{
		{Local: "*.tenant.shop.localhost:8443", Public: "shop--*--tenant.t.example.com"},
		{Local: "shop.localhost:8443", Public: "shop.t.example.com"},
		{Local: "admin.shop.localhost:8443", Public: "shop--admin.t.example.com"},
		{Local: "api.shop.localhost:8443", Public: "shop--api.t.example.com"},
	}
	return opts
}

// person is a browser: it follows redirects and keeps cookies by host.
type person struct {
	t     *testing.T
	share *Share
	jar   map[string]string
	seen  []string // the hosts of its requests
}

// open opens a URL and returns where that ends, and how; 0 lets in.
func (p *person) open(address string) (end string, status int) {
	p.t.Helper()
	for range 20 {
		u, err := url.Parse(address)
		if err != nil {
			p.t.Fatal(err)
		}
		p.seen = append(p.seen, u.Host)
		r := browse(ask("GET", u.Host, u.RequestURI()))
		if cookie := p.jar[u.Host]; cookie != "" {
			r.Header.Set("Cookie", cookie)
		}
		_, answer := admit(p.share, r)
		if answer == nil {
			return address, 0
		}
		p.keep(u.Host, answer)
		if answer.Code != http.StatusSeeOther {
			return address, answer.Code
		}
		address = answer.Header().Get("Location")
	}
	p.t.Fatalf("more redirects than browsers follow, at last to %s", address)
	return "", 0
}

func (p *person) keep(host string, answer *httptest.ResponseRecorder) {
	for _, c := range answer.Result().Cookies() {
		if c.Domain != "" || !strings.HasPrefix(c.Name, "__Host-") {
			p.t.Errorf("the cookie %s is for more than its host", c)
		}
		p.jar[host] = c.Name + "=" + c.Value
	}
}

func newPerson(t *testing.T, opts Options) *person {
	return &person{t: t, share: mustNew(t, opts), jar: map[string]string{}}
}

// TestTheLinkOpensAllHosts: redirects lead through all of them, and back.
func TestTheLinkOpensAllHosts(t *testing.T) {
	for _, port := range []string{"", ":9443"} { // through a port mapping too
		for _, first := range []string{"shop", "shop--admin", "shop--api"} {
			p := newPerson(t, together())
			link := "https://" + first + ".t.example.com" + port + "//a%2f?x=1&to=y"
			end, status := p.open(link + "&devproxy=" + secret)
			if end != link || status != 0 {
				t.Errorf("the link leads to %s, %d; want %s", end, status, link)
			}
			if len(p.seen) != 4 {
				t.Errorf("from %s it leads through %q, want each host once, and back", first, p.seen)
			}
			p.seen = nil
			for _, host := range []string{"shop", "shop--admin", "shop--api"} {
				if end, status := p.open("https://" + host + ".t.example.com" + port + "/p?q"); status != 0 || !strings.HasSuffix(end, "/p?q") {
					t.Errorf("then %s: %s, %d", host, end, status)
				}
			}
			if len(p.seen) != 3 {
				t.Errorf("the hosts are asked as %q, want each once", p.seen)
			}
		}
	}
}

// TestAHostOfAWildcardAsksTheFirst: a visitor without a cookie is sent to the first host.
func TestAHostOfAWildcardAsksTheFirst(t *testing.T) {
	const tenant = "https://shop--acme--tenant.t.example.com/p?q=%20"
	p := newPerson(t, together())
	if end, status := p.open(tenant); status != http.StatusUnauthorized || !strings.HasPrefix(end, "https://shop.t.example.com/") {
		t.Errorf("without the link: %s, %d", end, status)
	}
	p.open("https://shop.t.example.com/?devproxy=" + secret)
	if end, status := p.open(tenant); status != 0 || end != tenant {
		t.Errorf("with the link: %s, %d", end, status)
	}
	p.seen = nil
	if _, status := p.open(tenant); status != 0 || len(p.seen) != 1 {
		t.Errorf("once more: %d, by %q", status, p.seen)
	}
	for name, r := range map[string]*http.Request{
		"a program": ask("GET", "shop--acme--tenant.t.example.com", "/"),
		"a form":    browse(ask("POST", "shop--acme--tenant.t.example.com", "/")),
		"a script":  ask("GET", "shop--acme--tenant.t.example.com", "/", "Sec-Fetch-Mode", "cors", "Accept", "text/html"),
	} {
		if got := status(p.share, r); got != http.StatusUnauthorized {
			t.Errorf("%s: %d, want 401", name, got)
		}
	}
}

// TestALongAddress: a long URL is not carried through the other hosts.
func TestALongAddress(t *testing.T) {
	p := newPerson(t, together())
	link := "https://shop.t.example.com/?x=" + strings.Repeat("y", maxTarget)
	if end, status := p.open(link + "&devproxy=" + secret); end != link || status != 0 || len(p.seen) != 2 {
		t.Errorf("the link leads to %.60s, %d, through %q", end, status, p.seen)
	}
	if _, status := p.open("https://shop--admin.t.example.com/"); status != 0 {
		t.Errorf("then another host: %d", status)
	}
}

// TestMoreHostsThanRedirects: the redirects lead through a limited number of hosts;
// the others send visitors to the first, like those of a wildcard.
func TestMoreHostsThanRedirects(t *testing.T) {
	opts := together()
	for i := range 40 {
		opts.Hosts = append(opts.Hosts, Host{Local: fmt.Sprintf("h%d.shop.localhost:8443", i), Public: fmt.Sprintf("shop--h%d.t.example.com", i)})
	}
	for _, first := range []string{"shop", "shop--h2", "shop--h39"} {
		p := newPerson(t, opts)
		link := "https://" + first + ".t.example.com/"
		if end, status := p.open(link + "?devproxy=" + secret); end != link || status != 0 {
			t.Fatalf("%s leads to %s, %d", link, end, status)
		}
		for i := range 40 {
			if _, status := p.open(fmt.Sprintf("https://shop--h%d.t.example.com/", i)); status != 0 {
				t.Errorf("from %s, host %d: %d", first, i, status)
			}
		}
	}
}

// TestThePasswordOpensAllHosts: whichever host has the form.
func TestThePasswordOpensAllHosts(t *testing.T) {
	opts := together()
	opts.Password = "open sesame"
	for _, asked := range []string{"https://shop.t.example.com/cart?id=1", "https://shop--api.t.example.com/cart?id=1", "https://shop--acme--tenant.t.example.com/cart?id=1"} {
		p := newPerson(t, opts)
		end, status := p.open(asked)
		if status != http.StatusUnauthorized {
			t.Fatalf("%s: %s, %d", asked, end, status)
		}
		u, _ := url.Parse(end)
		login := browse(ask("POST", u.Host, loginPath, "Origin", "https://"+u.Host, "Content-Type", "application/x-www-form-urlencoded"))
		form := url.Values{"password": {"open sesame"}, "to": {u.RequestURI()}}
		login = withForm(login, form)
		_, answer := admit(p.share, login)
		if answer == nil || answer.Code != http.StatusSeeOther {
			t.Fatalf("the password at %s: %+v", u.Host, answer)
		}
		for _, c := range answer.Result().Cookies() {
			if c.Name == hostCookie {
				p.jar[u.Host] = c.Name + "=" + c.Value
			}
		}
		if end, status := p.open(answer.Header().Get("Location")); status != 0 || end != asked {
			t.Errorf("%s: the password leads to %s, %d", asked, end, status)
		}
		for _, host := range []string{"shop", "shop--admin", "shop--api", "shop--b--tenant"} {
			if _, status := p.open("https://" + host + ".t.example.com/"); status != 0 {
				t.Errorf("%s, then %s: %d", asked, host, status)
			}
		}
	}
}

func withForm(r *http.Request, form url.Values) *http.Request {
	next := httptest.NewRequest(r.Method, r.RequestURI, strings.NewReader(form.Encode()))
	next.Host, next.Header = r.Host, r.Header
	return next
}

// TestPassesOfNobody: a pass is valid for one host of one share, and for a short time.
func TestPassesOfNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := mustNew(t, together())
		_, answer := admit(s, browse(ask("GET", "shop.t.example.com", "/?devproxy="+secret)))
		pass, err := url.Parse(answer.Header().Get("Location"))
		if err != nil || pass.Host != "shop--admin.t.example.com" || pass.Path != enterPath {
			t.Fatalf("the first pass is %s, %v", pass, err)
		}
		if got := answer.Header().Get("Referrer-Policy"); got != "same-origin" {
			t.Errorf("its Referrer-Policy is %q", got)
		}
		enter := func(s *Share, host string, change func(url.Values)) *httptest.ResponseRecorder {
			values := pass.Query()
			change(values)
			_, answer := admit(s, browse(ask("GET", host, enterPath+"?"+values.Encode())))
			return answer
		}
		refused := func(name string, answer *httptest.ResponseRecorder, want int) {
			if answer == nil || answer.Code != want || len(answer.Result().Cookies()) > 0 || answer.Header().Get("Location") != "" {
				t.Errorf("%s: %+v, want %d and no cookie", name, answer, want)
			}
		}
		for _, name := range []string{passTo, passLeft, passEnd, passSign} {
			refused("another "+name, enter(s, pass.Host, func(v url.Values) { v.Set(name, v.Get(name)+"0") }), 403)
			refused("no "+name, enter(s, pass.Host, func(v url.Values) { v.Del(name) }), 403)
		}
		same := func(url.Values) {}
		refused("at another host", enter(s, "shop--api.t.example.com", same), 403)
		other := together()
		other.CookieKey = []byte(strings.Repeat("x", 32))
		refused("of another key", enter(mustNew(t, other), pass.Host, same), 403)
		other = together()
		other.Password = "open sesame"
		refused("of another gate", enter(mustNew(t, other), pass.Host, same), 403)
		time.Sleep(passLife + time.Second)
		refused("too late", enter(s, pass.Host, same), 403)

		p := newPerson(t, together())
		p.open("https://shop.t.example.com/?devproxy=" + secret)
		for host, page := range map[string]string{"evil.example": "/", "shop.t.example.com.evil.example": "/", "": "/"} {
			r := browse(ask("GET", "shop.t.example.com", enterPath+"?host="+host+"&page="+page, "Cookie", p.jar["shop.t.example.com"]))
			_, answer := admit(p.share, r)
			refused("a pass for "+host, answer, 404)
		}
		r := browse(ask("GET", "shop.t.example.com", enterPath+"?host=shop--admin.t.example.com&page=//evil.example", "Cookie", p.jar["shop.t.example.com"]))
		if _, answer := admit(p.share, r); answer == nil || !strings.HasPrefix(answer.Header().Get("Location"), "https://shop--admin.t.example.com"+enterPath) {
			t.Errorf("a page that looks like another host: %+v", answer)
		}
		if end, status := p.open("https://shop.t.example.com" + enterPath + "?host=shop--admin.t.example.com&page=//evil.example"); status != 0 || end != "https://shop--admin.t.example.com//evil.example" {
			t.Errorf("it leads to %s, %d", end, status)
		}
		image := ask("GET", "shop.t.example.com", enterPath+"?host=shop--admin.t.example.com", "Cookie", p.jar["shop.t.example.com"], "Sec-Fetch-Mode", "no-cors")
		_, answer = admit(p.share, image)
		refused("an image", answer, 404)
	})
}

// TestHostsApart: where a provider carries each host separately, each is opened
// separately. A zone has one cookie for all, and a single host needs no redirects.
func TestHostsApart(t *testing.T) {
	apart := chosenNames()
	alone := oneNamed()
	alone.Zone, alone.Together = "", true
	zoned := plainName()
	zoned.Together = true
	public := together()
	public.Public = []string{"/"}
	for name, opts := range map[string]Options{"a provider": apart, "one host": alone, "a zone": zoned, "no gate": oneLabel(), "all public": public} {
		s := mustNew(t, opts)
		for _, host := range s.names.hosts { // an attacker without the key signs without one
			values := url.Values{passTo: {"https://evil.example/"}, passLeft: {"1"}, passEnd: {"99999999999"}}
			values.Set(passSign, s.gate.signPass(host.public, values))
			_, answer := admit(s, browse(ask("GET", host.public.String(), enterPath+"?"+values.Encode())))
			if answer != nil && (answer.Header().Get("Location") != "" || len(answer.Result().Cookies()) > 0) {
				t.Errorf("%s: a pass leads to %s", name, answer.Header().Get("Location"))
			}
		}
		if s.gate.open() {
			continue
		}
		host := firstHost(s)
		_, answer := admit(s, browse(ask("GET", host, "/?devproxy="+secret)))
		if answer == nil || answer.Header().Get("Location") != "https://"+host+"/" {
			t.Errorf("%s: the link leads to %+v", name, answer)
		}
		if got := status(s, browse(ask("GET", host, enterPath+"?host="+host))); got != 404 {
			t.Errorf("%s: %s is answered with %d, want 404", name, enterPath, got)
		}
		if slices.ContainsFunc(strings.Split(pagePolicyOf(s), "; "), func(d string) bool { return d == "form-action https:" }) {
			t.Errorf("%s: the login leads elsewhere", name)
		}
	}
}

func pagePolicyOf(s *Share) string {
	w := httptest.NewRecorder()
	s.gate.loginPage("/").write(w, browse(ask("GET", firstHost(s), "/")))
	return w.Header().Get("Content-Security-Policy")
}
