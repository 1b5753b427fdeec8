package share

import (
	"strings"
	"testing"
)

// TestHiddenCookies: cookies of Xdebug are dropped, and all others pass.
func TestHiddenCookies(t *testing.T) {
	opts := oneHost()
	hidden := mustNew(t, opts)
	opts.Show = []string{"?xdebug_session"}
	shown := mustNew(t, opts)
	const others = "session=XDEBUG_SESSION; debugbar=1; r=debug; xdebug=1; a.b=c"
	for cookie, open := range map[string]bool{
		"XDEBUG_SESSION=PHPSTORM": true, "xdebug.session=1": true, "XDEBUG%5FSESSION=1": true, "XDEBUG_SESSION": true,
		"XDEBUG_TRIGGER=1": false, "XDEBUG_PROFILE[x]=1": false, "XDEBUG_TRACE": false, "start_debug=1": false, disguised(20): false,
	} {
		for s, want := range map[*Share]string{hidden: others, shown: others} {
			if s == shown && open {
				want = cookie + "; " + others
			}
			in, _ := admit(s, ask("GET", single, "/", "Cookie", cookie+"; "+others))
			if got := in.Header.Get("Cookie"); got != want {
				t.Errorf("%s, shown %t: %q, want %q", cookie, s == shown, got, want)
			}
		}
	}
}

// TestHiddenInTheQuery: each way in which a query hides a path, and its negative.
func TestHiddenInTheQuery(t *testing.T) {
	s := mustNew(t, oneHost())
	for target, want := range map[string]bool{
		"/?__debugger__":                 true,
		"/?__debugger__=no":              true,
		"/?x=__debugger__":               false,
		"/?__debugger__x":                false,
		"/?x&__debugger__":               true,
		"/?x;__debugger__":               true,
		"/?x?__debugger__":               true,
		"/?x#__debugger__":               true,
		"/?x%23__debugger__":             true,
		"/?x,__debugger__":               false,
		"/?x/__debugger__":               false,
		"/x%3f__debugger__=yes":          true,
		"/x%3fa=b&c=d":                   false,
		"/x%3fa=b%26__debugger__=yes":    true,
		"/x?__debugger__[]=1":            true,
		"/x?__debugger__%00=1":           true,
		"/x?__debugger__%00x=1":          true,
		"/x?__debugger__%00[x]=1":        true,
		"/x?x%00__debugger__=1":          false,
		"/x?[__debugger__]=1":            false,
		"/x?XDEBUG.SESSION[]=1":          true,
		"/x?XDEBUG%20SESSION%00x=1":      true,
		"/x?XDEBUG.SESSION=1":            true,
		"/x?XDEBUG[SESSION=1":            true,
		"/x?XDEBUG+SESSION=1":            true,
		"/x?+xdebug%20session=1":         true,
		"/x?xdebugsession=1":             false,
		"/x?xdebug-session=1":            false,
		"/x?r=gii/model":                 true,
		"/x?r=%20gii":                    true,
		"/x?r=girl":                      false,
		"/x?" + disguised(20):            true,
		"/x?" + strings.Repeat("a&", 99): false,

		"/@fs/home/me/shop/?/../../../etc/passwd?import&raw": true,
		"/@fs/home/me/shop/?import&/../../../etc/passwd?raw": true,
		"/@fs/home/me/shop/?x=/../../../etc/passwd&raw":      true,
		"/@fs/home/me/shop/a.vue?vue&type=style&lang..css":   false,
		"/@fs/home/me/shop/?%2f%2e%2e%2f../etc/passwd":       true,
		"/@fs/home/me/shop/%3f/x&/..%5c..%5cetc/passwd":      true,
		"/src/x?/../../../etc/passwd?raw":                    true,
		"/?x&\\..\\..\\etc":                                  true,
		"/?/...":                                             true,
		"/?/.%E2%80%8B./x":                                   true,
		"/?/.%20./x":                                         true,
		"/?/./x":                                             false,
		"/?/blog/post..html":                                 false,
		"/viewer?../a.pdf":                                   false,
		"/viewer?file=/x/../../a.pdf":                        false,
		"/compare?a..b":                                      false,
		"/?debug=command&expression=1":                       true,
		"/?debug=true":                                       false,

		"/_image?href=/a.png":                  false,
		"/_image?href=/a.png&href=/.env":       true,
		"/_image?x=/.env":                      false,
		"/a?href=/.env":                        false,
		"/base/_image?href=.env":               true,
		"/_image?href=/a.png?x=/.env":          false,
		"/_image?href=/.env?x":                 true,
		"/_image?href=file:///x/.env":          true,
		"/_image?href=https://x.example/.env":  false,
		"/_image?href=//x.example/.env":        false,
		"/_image?href=/@fs/home/me/shop/a.png": false,
		"/_image?href=/@fs/home/me/a.png":      true,
		"/_image?href=%252F.env":               true,
		"/_image%3fhref=/.env":                 true,
		"/_image/x?href=/.env":                 true,
	} {
		if got := s.HiddenTarget(target); got != want {
			t.Errorf("%s: hidden %v, want %v", target, got, want)
		}
	}
}

// TestAProjectNamedLikeATool: the name of the project's folder neither hides its
// files, nor keeps a parameter that names a hidden file from being found.
func TestAProjectNamedLikeATool(t *testing.T) {
	opts := oneHost()
	opts.Root = "/home/me/rails/mailers"
	s := mustNew(t, opts)
	for target, want := range map[string]bool{
		"/@fs/home/me/rails/mailers/a.js":                   false,
		"/@fs/home/me/rails/mailers/_image?href=/a.png":     false,
		"/@fs/home/me/rails/mailers/_image?href=/.env":      true,
		"/@fs/home/me/rails/mailers/rails/mailers":          true,
		"/@fs/home/me/rails/mailers/rails/mailers/x?href=a": true,
	} {
		if got := s.HiddenTarget(target); got != want {
			t.Errorf("%s: hidden %v, want %v", target, got, want)
		}
	}
	opts.Root = "/home/me/@fs/shop"
	s = mustNew(t, opts)
	for target, want := range map[string]bool{"/@fs/home/me/@fs/shop/a.js": false, "/@fs/home/me/@fs/a.js": true, "/@fs/home/me/@fs/shop/@fs/shop/a.js": true} {
		if got := s.HiddenTarget(target); got != want {
			t.Errorf("%s: hidden %v, want %v", target, got, want)
		}
	}
}
