package share

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"
	"unicode"
)

func TestHidden(t *testing.T) {
	s := mustNew(t, oneHost())
	for target, want := range map[string]bool{
		"/":                                  false,
		"/index.html":                        false,
		"/.gitignore":                        true,
		"/.github/x":                         true,
		"/env":                               false,
		"/a.env":                             true,
		"/git":                               false,
		"/environment":                       false,
		"/100%25":                            false,
		"/%E0%A4%A":                          false,
		"/?x=/.env":                          false,
		"/" + strings.Repeat("%3", 50) + "2": false, // "/2", in the end
		"/a?.git":                            false,
		"/.well-known/acme-challenge/x":      false,
		"/@vite/client":                      false,
		"/node_modules/.vite/deps/vue.js?v":  false,
		"/.env":                              true,
		"/.env?raw":                          true,
		"/.env.local":                        true,
		"/a/b/.env.production/c":             true,
		"/.env~":                             true, // an editor's copy
		"/.envrc":                            true,
		"/.git":                              true,
		"/.git/":                             true,
		"/.git/config":                       true,
		"/a/.git/HEAD":                       true,
		"/__open-in-editor":                  true,
		"/__open-in-editor?file=x":           true,
		"/base/__Open-In-Editor/":            true,
		"/%5f_open-in-editor":                true,
		"/.well-known/devproxy/":             true,
		"/.well-known/devproxy":              true,
		"/.well-known/devproxy/status":       true,
		"/.well-known//devproxy/state":       true,
		"/.Well-Known/%64evproxy/state":      true,
		"/x/devproxy/state":                  false,
		"/.well-known/x/devproxy":            false,
		"/.well-known/devproxyx":             false,
		"/.well-known":                       false,

		// Served below one folder, or in part, and nowhere else.
		"/.cache/x":              true,
		"/x/.store/y":            true,
		"/.prisma/client":        true,
		"/.temp/x":               true,
		"/x/.cache/.vite-y":      true,
		"/.vite-storybook/x":     true,
		"/.netlify/state.json":   true,
		"/.netlify":              true,
		"/x/.netlify/functionsx": true,
		"/.auth/users":           true,
		"/.redwood/x":            true,
		"/.expo/x":               true,

		// Characters that some program reads as the end of a name, or as a separator.
		"/a;.env":             true,
		"/a:.env":             true,
		"/a%3f.env":           true,
		"/a%23.env":           true,
		"/a%00.env":           true,
		"/a%0a.env":           true,
		"/a;x=1;.env":         true,
		"/.env;a":             true,
		"/id_rsa:a":           true,
		"/a;/.;/x":            false,
		"/a,.git":             false,
		"/./%252e%252e/x":     true,
		"/.;x":                false,
		"/.well-known;x=1/y":  false,
		"/.well-known/x;y=.z": false,
		"/a;b:c%3fd":          false,
		"/a;x.env.d:y":        false,

		"/@fs/home/me/shop/src/a.js":          false,
		"/@fs/home/me/shop":                   false,
		"//@fs//home/me/shop/src/a%20b.js?t":  false,
		"/@fs/home/me/shop/.env":              true,
		"/@fs/home/me/shop/sub/.git/config":   true,
		"/@fs/home/me/shopping/a.js":          true,
		"/@fs/home/me/SHOP/a.js":              true,
		"/@fs/home/me":                        true,
		"/@fs/":                               true,
		"/@fs":                                true,
		"/@fs/etc/passwd":                     true,
		"/@fs//etc/passwd?raw":                true,
		"/@FS/etc/passwd":                     true,
		"/%40fs/etc/passwd":                   true,
		"/base/@fs/etc/passwd":                true,
		"/%EF%BC%A0fs/etc/passwd":             true, // a wide @
		"/@f%EF%BD%93/etc/passwd":             true,
		"/%EF%BC%A0fs/home/me/shop/a.js":      false,
		"/%EF%BC%A0id//etc/passwd":            true,
		"/@fs/home/me/shop/../../../etc/x":    true,
		"/@fs/home/me/shop/%2e%2e/x":          true,
		"/@fs/home/me/shop#/../../../../etc":  true,
		"/@fs/home/me/shop%00/x":              true,
		`/@fs\etc\passwd`:                     true,
		"/@fs/C:/Users/me/x":                  true,
		"/@fs/home/me/shop/@fs/etc/passwd":    true,
		"/@id/react":                          false,
		"/@id/__x00__virtual:x":               false,
		"/@id/node_modules/x/y.js":            false,
		"/@id//home/me/shop/a.js":             false,
		"/@id/__x00__/home/me/shop/a.js?c":    false,
		"/@id//etc/passwd":                    true,
		"/@id/%2fetc/passwd":                  true,
		"/@id/__x00__/etc/passwd":             true,
		"/@id/file:///etc/passwd":             true,
		"/@id/C:/x":                           true,
		`/@id\/etc/passwd`:                    true,
		`/@id/\etc\passwd`:                    true,
		`\@id\%5cetc/passwd`:                  true,
		"/@id/../../etc/passwd":               true,
		"/@ID//etc/passwd":                    true,
		"/@id/react/@id//etc/passwd":          true,
		"/@id//home/me/shop/.env":             true,
		"/@id/@fs/etc/passwd":                 true,
		"/@id/__x00__/home/me/shop/../../../": true,
	} {
		if got := s.HiddenTarget(target); got != want {
			t.Errorf("%s: hidden %v, want %v", target, got, want)
		}
	}
	for target, want := range map[string]bool{"/@fs/home/me/shop/a.js": true, "/.env": true, "/a.js": false} {
		if got := hidden(target); got != want {
			t.Errorf("without a project, %s: hidden %v, want %v", target, got, want)
		}
	}
}

func TestHiddenOnWindows(t *testing.T) {
	opts := oneHost()
	opts.Root = `C:\Users\me\.environments\shop`
	s := mustNew(t, opts)
	for target, want := range map[string]bool{
		"/@fs/C:/Users/me/.environments/shop/a.js":      false,
		"/@fs/c:/users/me/.environments/shop/a.js":      false,
		"/@fs/C:/Users/me/.environments/shop/.env":      true,
		"/@fs/C:/Users/me/a.js":                         true,
		"/@id/C:/Users/me/.environments/shop/b.js":      false,
		"/.environments/a.js":                           true,
		`/@fs/C:\Windows\win.ini`:                       true,
		"/@fs/D:/Users/me/.environments/shop/a.js":      true,
		"/@fs/C:/Users/me/.environments/shop/../../../": true,
	} {
		if got := s.HiddenTarget(target); got != want {
			t.Errorf("%s: hidden %v, want %v", target, got, want)
		}
	}
}

// TestEveryCharacterInAName puts every byte into, before and after a hidden name:
// invisible characters are ignored, and separators and ends of names reveal it.
func TestEveryCharacterInAName(t *testing.T) {
	for c := range 256 {
		unseen, ends := c < ' ' || c >= 0x7f, strings.IndexByte("/\\;:?#", byte(c)) >= 0
		escape := fmt.Sprintf("%%%02x", c)
		for path, want := range map[string]bool{
			"/wal" + escape + "let.dat": unseen,
			"/" + escape + "wallet.dat": unseen || ends || c == ' ' || c == '.',
			"/wallet.dat" + escape:      unseen || ends || c == ' ' || c == '.' || c == '~', // "*~" is a backup
		} {
			if got := hidden(path); got != want {
				t.Errorf("%s: hidden %v, want %v", path, got, want)
			}
		}
	}
	for r, want := range map[rune]bool{
		'\u00ad': true, '\u034f': true, '\u061c': true, '\u115f': true, '\u180e': true, '\u200b': true, '\u200d': true, '\u202e': true, '\u2060': true,
		'\u3164': true, '\ufe0f': true, '\ufeff': true, '\ufffd': true, '\U000e0041': true, '\U000e0100': true, '\u0301': true,
		'\u00b7': false, 'ж': false, '日': false, '\U0001f600': false,
	} {
		if got := hidden("/wal" + url.PathEscape(string(r)) + "let.dat"); got != want {
			t.Errorf("%U in a name: hidden %v, want %v", r, got, want)
		}
	}
}

// TestDrives: a module id that begins like a drive of Windows is a place on the
// disk, and no other character is the name of a drive.
func TestDrives(t *testing.T) {
	s := mustNew(t, oneHost())
	for c := range 128 {
		drive := 'a' <= c|0x20 && c|0x20 <= 'z'
		if strings.IndexByte("/\\%?#;:.\x00", byte(c)) >= 0 || c <= ' ' || c == 0x7f {
			continue // what ends or hides a name has its own rows
		}
		target := "/@id/" + string(rune(c)) + ":x"
		if got := s.HiddenTarget(target); got != drive {
			t.Errorf("%q: hidden %v, want %v", target, got, drive)
		}
	}
	for id, want := range map[string]bool{"a": false, ":": false, "": false, "ab:x": false, "a:": true, "node:fs": false, "\x00C:/x": true, "__x00__C:/x": true, "\x00virtual:x": false} {
		if got, absolute := absoluteID(id); absolute != want {
			t.Errorf("%q: %q, %v", id, got, absolute)
		}
	}
}

// spellings returns other spellings of a path that some server reads as path.
func spellings(p string) []string {
	name := strings.TrimPrefix(p, "/")
	encode := func(s string, level int) string {
		var b strings.Builder
		for i := range len(s) {
			fmt.Fprintf(&b, "%%%s%02x", strings.Repeat("25", level), s[i])
		}
		return b.String()
	}
	var names []string
	for _, n := range []string{name, strings.ToUpper(name), strings.ToUpper(name[:2]) + name[2:]} {
		names = append(names, n, encode(n, 0), encode(n, 1), encode(n, 5), encode(n[:1], 0)+n[1:],
			encode(n[:1], 0)+encode(n[1:], 2), n[:2]+encode(n[2:3], 0)+n[3:], strings.ToUpper(encode(n[:1], 1))+n[1:],
			n[:1]+"%u00"+fmt.Sprintf("%02x", n[1])+n[2:])
	}
	names = append(names,
		// Overlong, wide and invisible.
		"%c0%ae"+name[1:], "%e0%80%ae"+name[1:], "%f0%80%80%ae"+name[1:], "%25c0%25ae"+name[1:], "%c0%a52e"+name[1:],
		"\uff0e"+name[1:], "%ef%bc%8e"+name[1:], "%e2%80%a4"+name[1:],
		"%e2%80%8c"+name, name[:2]+"%e2%80%8d"+name[2:], name[:3]+"%ef%bb%bf"+name[3:], name[:2]+"%ad"+name[2:], "%20"+name,
	)
	var result []string
	for _, n := range names {
		for _, before := range []string{"/", "//", "/a/", "/./", "/a/../", "/%2e/", "/a%2f", "/a%252f", "/a\\", "/a%5c", "/%2f", "/a;x=1/", "/..;/"} {
			for _, after := range []string{"", "/", "//", "/.", "/x/..", ".", "%2e", "%20", "...", "%20.", "::$DATA", ":x", ";", ";a=b", "%3bx", "%00", "%00.png", "%0a", "?", "?raw", "?import&raw", "%3fraw", "#", "#/../a", "%23x", "\\", "%5c", "%2f", "%252f"} {
				result = append(result, before+n+after)
			}
		}
	}
	return result
}

func TestEverySpellingIsHidden(t *testing.T) {
	tried := 0
	for _, p := range []string{"/.env", "/.git", "/.env.local", "/.git/config", "/.env.production.local"} {
		for _, spelling := range spellings(p) {
			tried++
			if !mustHide(spelling) {
				t.Errorf("%s is %s and not hidden", spelling, p)
			}
		}
	}
	for _, p := range []string{"/GIT~1/config", "/env~1", "/ENV~2.LOC", "/gi3f2a~1/config", "/EN0A1B~12"} {
		tried++
		if !mustHide(p) {
			t.Errorf("%s is not hidden, which on Windows may be .git or .env", p)
		}
	}
	t.Logf("%d spellings", tried)
}

func mustHide(target string) bool {
	p, _, _ := strings.Cut(target, "?")
	return hidden(p)
}

// Deep encoding does not make the guard slower.
func TestDeepEncodingIsCheap(t *testing.T) {
	if deep := "/%" + strings.Repeat("25", 300_000) + "2eenv"; !hidden(deep) {
		t.Error("an escape 300000 deep is not hidden")
	}
	if !hidden("/" + disguised(20) + "x") {
		t.Error("whatever needs twenty rounds is let through")
	}
}

// TestLongPathsAreCheap: a target eight times as long costs about as much as eight
// of the short ones, whatever is repeated in it. If each part were read to the end
// of the target, it would cost eight times as much. The fastest of several tries
// counts; both take about as long, so that a busy machine slows down both.
func TestLongPathsAreCheap(t *testing.T) {
	const longer = 8
	s := mustNew(t, oneHost())
	cost := func(target string, times int) time.Duration {
		begun := time.Now()
		for range times {
			s.HiddenTarget(target)
		}
		return time.Since(begun)
	}
	for _, unit := range []string{"/a", "/@fs/home/me/shop", "/@id//home/me/shop", "/@id/a", "/home/me/shop", "/a;b", "%2540", "%c3%a9", "&href=/a"} {
		begin := "" // a path, or the parameters of one
		if unit[0] == '&' {
			begin = "/_image?"
		}
		short, long := begin+strings.Repeat(unit, 4<<10/len(unit)), begin+strings.Repeat(unit, longer*4<<10/len(unit))
		costShort, costLong := time.Hour, time.Hour
		for tries := 1; ; tries++ {
			costShort, costLong = min(costShort, cost(short, longer)), min(costLong, cost(long, 1))
			if tries >= 3 && costLong < longer/2*costShort {
				break
			}
			if tries == 30 {
				t.Errorf("%q: %d times 4 KiB cost %v, 32 KiB %v", unit, longer, costShort, costLong)
				break
			}
		}
	}
}

const loot = "SECRET=1"

// lenient answers like servers that are lenient with paths: it sends what any reading
// of the path finds.
func lenient(target string) bool {
	files := fstest.MapFS{
		".env": {Data: []byte(loot)}, ".git/config": {Data: []byte(loot)}, "a/.env.local": {Data: []byte(loot)},
		"index.html": {Data: []byte("hello")}, "a/b.js": {Data: []byte("hello")},
	}
	if u, err := url.ParseRequestURI(target); err == nil {
		w := httptest.NewRecorder()
		http.FileServerFS(files).ServeHTTP(w, &http.Request{Method: "GET", URL: u})
		if strings.Contains(w.Body.String(), loot) {
			return true
		}
	}
	p, _, _ := strings.Cut(target, "?")
	for range 6 {
		for _, reading := range []string{p, strings.ReplaceAll(p, `\`, "/"), strings.ToLower(p), trimEnds(p)} {
			if file := files[strings.TrimPrefix(path.Clean("/"+reading), "/")]; file != nil && string(file.Data) == loot {
				return true
			}
		}
		p = decodeOnce(p)
	}
	return false
}

// decodeOnce decodes each escape of p once, and leaves the rest.
func decodeOnce(p string) string {
	var b strings.Builder
	for i := 0; i < len(p); i++ {
		if i+2 < len(p) && p[i] == '%' {
			if text, err := url.PathUnescape(p[i : i+3]); err == nil {
				b.WriteString(text)
				i += 2
				continue
			}
		}
		b.WriteByte(p[i])
	}
	return b.String()
}

// trimEnds returns what Windows opens for p.
func trimEnds(p string) string {
	segments := strings.Split(strings.ReplaceAll(strings.ToLower(p), `\`, "/"), "/")
	for i, segment := range segments {
		if segment != "." && segment != ".." {
			segment, _, _ = strings.Cut(segment, ":")
			segments[i] = strings.TrimRight(segment, ". ")
		}
	}
	return strings.Join(segments, "/")
}

// FuzzHidden looks for the files as servers do, and fails if the guard lets one through.
// The guard must not hide a path without a hidden name either.
func FuzzHidden(f *testing.F) {
	for i, spelling := range spellings("/.env") {
		if i%50 == 0 {
			f.Add(spelling)
		}
	}
	for _, p := range []string{"/", "/.git/config", "/a/.env.local", "/A/%2E%65nv.LOCAL", "/%69d_rs%2561", "/a;x/_Profiler%3f", "/\uff49d_rsa", "/x%00/Server.PEM. ", "/a/b.js", "/%2f%2egit%5cconfig", "/a/..%252f.env"} {
		f.Add(p)
	}
	f.Fuzz(func(t *testing.T, target string) {
		p, _, _ := strings.Cut(target, "?")
		hidden := hidden(p)
		if !hidden && lenient(target) {
			t.Fatalf("%q is served and not hidden", target)
		}
		if !hidden && oracle(p) != "" {
			t.Fatalf("%q is %q to a lenient program, and not hidden", target, oracle(p))
		}
		hit, _ := (&guard{}).look(p, "")
		if hidden && isHarmless(p) && !strings.Contains(strings.ToLower(p), strings.Trim(hit.Show, "*")) {
			t.Fatalf("%q is hidden and holds no hidden name", target)
		}
	})
}

// oracle returns a hidden name that is a piece of p, fully decoded and folded, or "". It
// shares no code with the guard.
func oracle(p string) string {
	for {
		next := decodeOnce(p)
		if next == p {
			break
		}
		p = next
	}
	p = strings.Map(func(r rune) rune {
		if r >= 0xff01 && r <= 0xff5e {
			return r - 0xff01 + '!'
		}
		return unicode.ToLower(r)
	}, p)
	for _, piece := range strings.FieldsFunc(p, func(r rune) bool { return strings.ContainsRune("/\\;:?#\x00\n", r) }) {
		piece = strings.TrimRight(piece, ". ")
		if slices.Contains([]string{".env", ".git", "id_rsa", "server.pem", "proxyfile", "_profiler", "__open-in-editor", "__nextjs_launch-editor", "db.sqlite3"}, piece) {
			return piece
		}
	}
	return ""
}

// isHarmless reports whether p cannot contain a hidden name in any reading.
func isHarmless(p string) bool {
	return strings.Trim(p, "/abcdefghijklmnopqrstuvwxyz0123456789-") == ""
}

func BenchmarkHidden(b *testing.B) {
	s := mustNew(b, oneHost())
	for range b.N {
		s.HiddenTarget("/src/components/very/ordinary/Component.vue?t=1732879999")
	}
}

// hidden reports whether every share without `show` hides path, whatever the project is.
func hidden(path string) bool {
	_, hidden := (&guard{}).look(path, "")
	return hidden
}

// HiddenTarget is Hides without the reason.
func (s *Share) HiddenTarget(target string) bool {
	_, hidden := s.Hides(target)
	return hidden
}
