package share

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/devproxy/devproxy/devproxy/access"
)

func TestLogin(t *testing.T) {
	s := mustNew(t, withPassword())
	_, answer := admit(s, sendPassword(single, "open sesame"))
	if answer == nil || answer.Code != 303 || answer.Header().Get("Location") != "https://"+single+"/cart?id=1" {
		t.Fatalf("%+v", answer)
	}
	in, refused := admit(s, browse(ask("GET", single, "/", "Cookie", key(t, s))))
	if refused != nil || len(in.Header["Cookie"]) > 0 {
		t.Errorf("with the cookie: %+v", refused)
	}
	if got := status(s, browse(ask("GET", single, loginPath, "Cookie", key(t, s)))); got != 303 {
		t.Errorf("the login of somebody who is in: %d", got)
	}
}

// TestWhatAsksForThePassword: a person gets a form that leads back to the page, a
// program a text that says how to send the password.
func TestWhatAsksForThePassword(t *testing.T) {
	s := mustNew(t, withPassword())
	for name, test := range map[string]struct {
		r    *http.Request
		want string
	}{
		"a page":                 {browse(ask("GET", single, "/a?b=c")), `name="to" value="/a?b=c"`},
		"a form that was sent":   {browse(ask("POST", single, "/a?b=c")), `name="to" value="/"`},
		"the page itself":        {browse(ask("GET", single, loginPath)), `name="to" value="/"`},
		"a program":              {ask("GET", single, "/a"), "send the password as: Authorization: Bearer PASSWORD\n"},
		"a program that sends":   {ask("POST", single, "/a"), "send the password as: Authorization: Bearer PASSWORD\n"},
		"a program on the login": {ask("GET", single, loginPath), "The person who sent you the link knows it.\n"},
	} {
		_, answer := admit(s, test.r)
		if answer == nil || answer.Code != 401 || !strings.Contains(answer.Body.String(), test.want) {
			t.Errorf("%s: %+v", name, answer)
		}
	}
	if _, answer := admit(s, browse(ask("HEAD", single, loginPath))); answer == nil || answer.Code != 401 {
		t.Errorf("HEAD: %+v", answer)
	}
	if _, answer := admit(s, ask("DELETE", single, loginPath)); answer == nil || answer.Code != 405 || answer.Header().Get("Allow") != "GET, HEAD, POST" {
		t.Errorf("another method: %+v", answer)
	}
}

func TestLoginRefuses(t *testing.T) {
	change := func(f func(*http.Request)) *http.Request {
		r := sendPassword(single, "open sesame")
		f(r)
		return r
	}
	withBody := func(body string) *http.Request {
		r := sendPassword(single, "")
		other := httptest.NewRequest("POST", loginPath, strings.NewReader(body))
		r.Body, r.ContentLength = other.Body, other.ContentLength
		return r
	}
	for name, test := range map[string]struct {
		r    *http.Request
		want int
	}{
		"a wrong password":       {sendPassword(single, "open"), 401},
		"an empty one":           {sendPassword(single, ""), 401},
		"no form":                {withBody("%%"), 400},
		"the longest form":       {withBody(fill("password=open+sesame&to=", maxForm)), 303},
		"a longer form":          {withBody(fill("password=open+sesame&to=", maxForm+1)), 400},
		"another site's form":    {change(func(r *http.Request) { r.Header.Set("Origin", "https://evil.example") }), 403},
		"a sandbox's form":       {change(func(r *http.Request) { r.Header.Set("Origin", "null") }), 403},
		"nobody's form":          {change(func(r *http.Request) { r.Header.Del("Origin") }), 403},
		"JSON":                   {change(func(r *http.Request) { r.Header.Set("Content-Type", "application/json") }), 401},
		"in the query":           {ask("POST", single, loginPath+"?password=open+sesame", "Origin", "https://"+single), 401},
		"another method":         {ask("PUT", single, loginPath), 405},
		"another spelling":       {ask("GET", single, "/.well-known/devproxy/log%69n"), 404},
		"a link's secret":        {browse(ask("GET", single, "/?devproxy="+secret)), 401},
		"a public name's bearer": {ask("GET", single, "/", "Authorization", "Bearer "+secret), 401},
		"the password as bearer": {ask("GET", single, "/", "Authorization", "Bearer open sesame"), 0},
	} {
		if got := status(s(t), test.r); got != test.want {
			t.Errorf("%s: %d, want %d", name, got, test.want)
		}
	}
}

// fill pads text to n bytes.
func fill(text string, n int) string { return text + strings.Repeat("x", n-len(text)) }

// s returns a share with a password and no attempts yet.
func s(t *testing.T) *Share { return mustNew(t, withPassword()) }

// With a plain name and a password, the link alone opens nothing, and its secret is
// still removed from the address.
func TestPasswordOfANamedShare(t *testing.T) {
	opts := oneNamed()
	opts.Password = "open sesame"
	s := mustNew(t, opts)
	host := firstHost(s)
	_, answer := admit(s, browse(ask("GET", host, "/a?devproxy="+secret)))
	if answer == nil || answer.Code != 303 || answer.Header().Get("Location") != "https://"+host+"/a" || answer.Header().Get("Set-Cookie") != "" {
		t.Errorf("%+v", answer)
	}
	if got := status(s, ask("GET", host, "/", "Authorization", "Bearer "+secret)); got != 401 {
		t.Errorf("the secret instead of the password: %d", got)
	}
}

func TestWhereALoginLeads(t *testing.T) {
	for to, want := range map[string]string{
		"/a?b=c&d#e": "/a?b=c&d#e", "//evil.example/": "//evil.example/", // on our host, since it is appended to that
		"https://evil.example": "/", "": "/", "a": "/", `\\evil.example`: "/", "/a\r\nX: y": "/", "/a b": "/", "/\x7f": "/",
		"/" + strings.Repeat("a", maxTarget-1): "/" + strings.Repeat("a", maxTarget-1), "/" + strings.Repeat("a", maxTarget): "/",
	} {
		if got := localTarget(to); got != want {
			t.Errorf("%q: %q, want %q", to, got, want)
		}
	}
	for c := range 256 { // no byte that ends a field, or that URLs do not have
		to := "/a" + string([]byte{byte(c)}) + "b"
		if got := localTarget(to); (got == to) != (c > ' ' && c != 0x7f) {
			t.Errorf("%q: %q", to, got)
		}
	}
}

func TestGuessesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := mustNew(t, withPassword())
		v := visitorOf(single)
		try := func(password string, v Visitor) (int, string) {
			_, answer := admitFrom(s, sendPassword(single, password), v)
			return answer.Code, answer.Header().Get("Retry-After")
		}
		for i := range access.AddressAttempts {
			if code, _ := try("wrong", v); code != 401 {
				t.Fatalf("guess %d: %d", i, code)
			}
		}
		if code, after := try("open sesame", v); code != 429 || after != "15" {
			t.Errorf("after %d guesses the right one: %d, Retry-After %q", access.AddressAttempts, code, after)
		}
		_, answer := admitFrom(s, ask("GET", single, "/", "Authorization", "Bearer open sesame"), v)
		if answer == nil || answer.Code != 429 {
			t.Errorf("the same as bearer: %+v", answer)
		}
		neighbour := v
		neighbour.Addr = netip.MustParseAddrPort("203.0.113.8:1")
		if code, _ := try("open sesame", neighbour); code != 303 {
			t.Errorf("a neighbour: %d", code)
		}
		time.Sleep(access.AddressPause)
		for range 100 { // a right one does not count
			if code, _ := try("open sesame", v); code != 303 {
				t.Fatalf("after a pause: %d", code)
			}
		}
		time.Sleep(time.Hour)
		guesses := 0
		for i := range 10_000 {
			if code, _ := try("wrong", far(i)); code == 401 {
				guesses++
			}
		}
		if guesses != access.FirstAttempts+access.GlobalAttempts {
			t.Errorf("ten thousand addresses guess %d times", guesses)
		}
	})
}

// far is a visitor from the i-th of many networks.
func far(i int) Visitor {
	v := visitorOf(single)
	v.Addr = netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), 1)
	return v
}

// cookieNamed is a cookie that an answer sets, as browsers send it.
func cookieNamed(answer *httptest.ResponseRecorder, name string) string {
	for _, cookie := range answer.Result().Cookies() {
		if cookie.Name == name {
			return name + "=" + cookie.Value
		}
	}
	return ""
}

// TestStrangersLockNobodyOut: while a few networks guess all the time, visitors that
// have signed in before get in, in a browser or with a script, and so does a visitor
// that comes for the first time.
func TestStrangersLockNobodyOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := mustNew(t, withPassword())
		login := func(v Visitor, fields ...string) (int, *httptest.ResponseRecorder) {
			r := sendPassword(single, "open sesame")
			for i := 0; i < len(fields); i += 2 {
				r.Header.Add(fields[i], fields[i+1])
			}
			_, answer := admitFrom(s, r, v)
			return answer.Code, answer
		}
		_, answer := login(far(1_000_000))
		device := cookieNamed(answer, deviceCookie)
		if device == "" {
			t.Fatalf("no device cookie: %v", answer.Header())
		}
		attack := func() (refused bool) {
			for i := range 35 {
				_, answer := admitFrom(s, sendPassword(single, "wrong"), far(i%7))
				refused = refused || answer.Code == 429
			}
			return refused
		}
		for !attack() {
			time.Sleep(access.GlobalPause)
		}
		time.Sleep(cookieLife)
		for !attack() {
			time.Sleep(access.GlobalPause)
		}
		if code, _ := login(far(3)); code != 429 {
			t.Fatalf("one of the attackers' networks: %d", code)
		}
		if code, _ := login(far(3), "Cookie", device); code != 303 {
			t.Errorf("a known browser in a network of the attackers': %d", code)
		}
		if code, _ := login(far(2_000_000)); code != 303 {
			t.Errorf("somebody who comes for the first time: %d", code)
		}
		bearer := ask("GET", single, "/", "Authorization", "Bearer open sesame")
		if _, answer := admitFrom(s, bearer, far(1_000_000)); answer != nil {
			t.Errorf("a script in a network that has logged in: %d", answer.Code)
		}
		for name, forged := range map[string]string{
			"no signature": cutAfter(device, "."), "another's": strings.Replace(device, "=", "=X", 1),
			"an empty name": deviceCookie + "=" + device[strings.Index(device, "."):], "none": "a=b",
		} {
			if code, _ := login(far(4), "Cookie", forged); code != 429 {
				t.Errorf("a device cookie with %s: %d", name, code)
			}
		}
		if code, _ := login(far(4), "Cookie", strings.Repeat(deviceCookie+"=x.9999999999."+strings.Repeat("A", 43)+"; ", 100)+device); code != 303 {
			t.Errorf("behind decoys: %d", code)
		}
	})
}

func cutAfter(text, separator string) string {
	return text[:strings.LastIndex(text, separator)+len(separator)]
}

// TestDeviceCookie: it belongs to one host and one password, expires, keeps its
// name when it is renewed, and opens nothing.
func TestDeviceCookie(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := mustNew(t, withPassword())
		_, answer := admit(s, sendPassword(single, "open sesame"))
		cookie := cookieNamed(answer, deviceCookie)
		_, value, _ := strings.Cut(cookie, "=")
		var line string
		for _, set := range answer.Header()["Set-Cookie"] {
			if strings.HasPrefix(set, deviceCookie) {
				line = strings.Replace(set, value, "", 1)
			}
		}
		if want := "__Host-devproxy-device=; Path=/; Max-Age=7776000; HttpOnly; Secure; SameSite=Lax"; line != want {
			t.Errorf("%q\nwant %q", line, want)
		}
		sent := http.Header{"Cookie": {cookie}}
		id := s.gate.device(sent, single, time.Now())
		if id == "" || id != s.gate.device(sent, strings.ToUpper(single), time.Now()) {
			t.Errorf("its name is %q", id)
		}
		if got := status(s, browse(ask("GET", single, "/", "Cookie", cookie))); got != 401 {
			t.Errorf("with the device cookie alone: %d", got)
		}
		again := sendPassword(single, "open sesame")
		again.Header.Set("Cookie", cookie)
		_, answer = admit(s, again)
		renewed := http.Header{"Cookie": {cookieNamed(answer, deviceCookie)}}
		if got := s.gate.device(renewed, single, time.Now()); got != id {
			t.Errorf("renewed it is %q, not %q", got, id)
		}
		if got := s.gate.device(sent, "x."+single, time.Now()); got != "" {
			t.Errorf("on another host it is %q", got)
		}
		for name, change := range map[string]func(*Options){
			"another password": func(o *Options) { o.Password = "other" },
			"another key":      func(o *Options) { o.CookieKey = []byte(strings.Repeat("x", 32)) },
		} {
			opts := withPassword()
			change(&opts)
			if got := mustNew(t, opts).gate.device(sent, single, time.Now()); got != "" {
				t.Errorf("%s: %q", name, got)
			}
		}
		opts := withPassword()
		opts.Until = time.Now().Add(time.Hour)
		if c := mustNew(t, opts).gate.markDevice("", single, time.Now()); c.MaxAge != 3600 {
			t.Errorf("in a share that ends it lives %d s", c.MaxAge)
		}
		opts.Until = time.Now().Add(2 * deviceLife)
		if c := mustNew(t, opts).gate.markDevice("", single, time.Now()); c.MaxAge != int(deviceLife/time.Second) {
			t.Errorf("in a share that ends late it lives %d s", c.MaxAge)
		}
		time.Sleep(deviceLife - time.Second)
		if got := s.gate.device(sent, single, time.Now()); got != id {
			t.Errorf("just before it ends: %q", got)
		}
		time.Sleep(time.Second)
		if got := s.gate.device(sent, single, time.Now()); got != "" {
			t.Errorf("after its end: %q", got)
		}
	})
}

// A device's wrong passwords are counted separately from its network's.
func TestADeviceGuesses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := mustNew(t, withPassword())
		_, answer := admit(s, sendPassword(single, "open sesame"))
		device := cookieNamed(answer, deviceCookie)
		guess := func(password string, fields ...string) int {
			r := sendPassword(single, password)
			for i := 0; i < len(fields); i += 2 {
				r.Header.Add(fields[i], fields[i+1])
			}
			return status(s, r)
		}
		for i := range access.AddressAttempts {
			if got := guess("wrong", "Cookie", device); got != 401 {
				t.Errorf("guess %d: %d", i+1, got)
			}
		}
		if got := guess("open sesame", "Cookie", device); got != 429 {
			t.Errorf("one more: %d", got)
		}
		if got := guess("open sesame"); got != 303 {
			t.Errorf("another browser of its network: %d", got)
		}
		time.Sleep(access.AddressPause)
		if got := guess("open sesame", "Cookie", device); got != 303 {
			t.Errorf("after a pause: %d", got)
		}
	})
}

// A new share of the same link continues the count.
func TestGuessesOutliveTheShare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		opts := withPassword()
		opts.Attempts = NewAttempts()
		for range access.AddressAttempts {
			admit(mustNew(t, opts), sendPassword(single, "wrong"))
		}
		if got := status(mustNew(t, opts), sendPassword(single, "wrong")); got != 429 {
			t.Errorf("%d", got)
		}
	})
}

func TestGuessesAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := mustNew(t, withPassword())
		var (
			wait    sync.WaitGroup
			guessed atomic.Int32
		)
		for range 64 {
			wait.Go(func() {
				if status(s, sendPassword(single, "wrong")) == 401 {
					guessed.Add(1)
				}
			})
		}
		wait.Wait()
		if guessed.Load() != access.AddressAttempts {
			t.Errorf("%d guesses at once", guessed.Load())
		}
	})
}

// On a public path, which is open to everyone, the project's request must not reveal
// whether a password was right.
func TestPublicPathsAreNoOracle(t *testing.T) {
	opts := withPassword()
	opts.Public = []string{"/hook"}
	s := mustNew(t, opts)
	in, _ := admit(s, ask("POST", single, "/hook", "Authorization", "Bearer open sesame"))
	if in == nil || in.Header.Get("Authorization") == "" {
		t.Errorf("%+v", in)
	}
	in, _ = admit(s, ask("POST", single, "/", "Authorization", "Bearer open sesame"))
	if in == nil || in.Header.Get("Authorization") != "" {
		t.Errorf("%+v", in)
	}
}
