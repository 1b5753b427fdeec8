package share

import (
	"path"
	"strings"
	"testing"
)

// TestPrefixesInEveryReading: spellings that lead out of /hooks in some program, and
// ordinary paths below it.
func TestPrefixesInEveryReading(t *testing.T) {
	p := newPrefixes([]string{"/hooks", "/Preise/é"})
	for path, want := range map[string]bool{
		"/hooks":                          true,
		"/hooks/":                         true,
		"/hooks/stripe":                   true,
		"/hooks/a%20b":                    true,
		"/hooks/a%C3%A9":                  true,
		"/hooks/%E2%82%AC5":               true,
		"/hooks/%C2%A5100":                true, // a price in yen; no program leaves /hooks for it
		"/hooks/v1.2":                     true,
		"/hooks/a:b":                      true,
		"/hooks/a;v=1":                    true,
		"/hooks/main..feature":            true,
		"/Preise/%C3%A9/x":                true,
		"/Preise/e/x":                     false,
		"/preise/%C3%A9":                  false,
		"/Hooks":                          false,
		"/hook":                           false,
		"/hooksx":                         false,
		"/":                               false,
		"hooks":                           false,
		"/hooks/../admin":                 false,
		"/hooks/./admin":                  false,
		"/hooks/%2e%2e/admin":             false,
		"/hooks/%252e%252e/admin":         false,
		"/hooks/%c0%ae%c0%ae/admin":       false,
		"/hooks/%e0%80%ae%e0%80%ae/admin": false,
		"/hooks/%uff0e%uff0e/admin":       false,
		"/hooks/%u002e%u002e/admin":       false,
		"/hooks/%EF%BC%8E%EF%BC%8E/admin": false,
		"/hooks/%E2%80%A4%E2%80%A4/admin": false,
		"/hooks/%E2%80%A5/admin":          false, // a two dot leader
		"/hooks/%EF%B9%92%EF%B9%92/admin": false,
		"/hooks/..%C2%A5admin":            false,
		"/hooks/..%E2%82%A9admin":         false,
		"/hooks/..%E2%88%95admin":         false,
		"/hooks/..%E2%81%84admin":         false,
		"/hooks/..%EF%BC%8Fadmin":         false,
		"/hooks/..%EF%BC%BCadmin":         false,
		"/hooks/..%c0%afadmin":            false,
		"/hooks/..%c1%9cadmin":            false,
		"/hooks/..%5cadmin":               false,
		`/hooks/..\admin`:                 false,
		"/hooks/..;/admin":                false,
		"/hooks/..;x=1/admin":             false,
		"/hooks/..%3b/admin":              false,
		"/hooks/..%00/admin":              false,
		"/hooks/..%0a/admin":              false,
		"/hooks/..%23/admin":              false,
		"/hooks/..%3f/admin":              false,
		"/hooks/..%20/admin":              false,
		"/hooks/.%20./admin":              false,
		"/hooks/.%E2%80%8B./admin":        false,
		"/hooks/%ad../admin":              false,
		"/hooks/..::$DATA/admin":          false,
		"/hooks/a;/../admin":              false,
		"/hooks;x/admin":                  false,
		"/hooks%3bx/admin":                false,
		"/hooks%3fx":                      false,
		"/hooks%23/admin":                 false,
		"/hooks%2fadmin":                  false,
		"/hooks%252fadmin":                false,
		"//hooks":                         false,
		"/%68ooks/x":                      true,
		"/%EF%BD%88ooks/x":                false, // a wide h
		"/hooks/%":                        false,
	} {
		if got := p.match(path); got != want {
			t.Errorf("%s: %v, want %v", path, got, want)
		}
	}
	if p.match("/hooks/" + disguised(20)) {
		t.Error("what no one can read is below /hooks")
	}
	if !newPrefixes([]string{"/x", "/"}).match("/%c0%ae%c0%ae/admin") {
		t.Error(`"/" is all paths`)
	}
}

// TestPrefixesWithStars: a star stays within its segment in every reading.
func TestPrefixesWithStars(t *testing.T) {
	p := newPrefixes([]string{"/hooks/*/in", "/app_*"})
	for path, want := range map[string]bool{
		"/hooks/a/in":              true,
		"/hooks/a/in/x":            true,
		"/hooks/a%20b/in":          true,
		"/hooks/%2A/in":            true,
		"/hooks/*/in":              true,
		"/app_":                    true,
		"/app_1/x":                 true,
		"/APP_1":                   false,
		"/hooks/in":                false,
		"/hooks//in":               false,
		"/hooks/a/b/in":            false,
		"/hooks/a%2fb/in":          false,
		"/hooks/a%252fb/in":        false,
		`/hooks/a\b/in`:            false,
		"/hooks/../in":             false,
		"/hooks/%2e%2e/in":         false,
		"/hooks/%252e%252e/in":     false,
		"/hooks/..;/in":            false,
		"/hooks/;/in":              false,
		"/app_%2f..%2fadmin":       false,
		"/app_/../admin":           false,
		"/app_%c0%af..%c0%afadmin": false,
		"/app_..%5c..%5cadmin":     false,
	} {
		if got := p.match(path); got != want {
			t.Errorf("%s: %v, want %v", path, got, want)
		}
	}
}

// FuzzPrefixes: no program is led out of a public path, neither by decoding once or
// several times, nor by backslashes, parameters, or wide forms.
func FuzzPrefixes(f *testing.F) {
	for _, path := range []string{"/hooks/a", "/hooks/../a", "/hooks/%2e%2e/a", "/hooks/%c0%ae%c0%ae/a", "/hooks/..;/a", "/hooks/..%5ca", "/hooks/\uff0e\uff0e/a", "/hooks/a%2f..%252f..%2fb"} {
		f.Add(path)
	}
	p := newPrefixes([]string{"/hooks"})
	f.Fuzz(func(t *testing.T, target string) {
		if !p.match(target) {
			return
		}
		for reading := target; ; {
			for _, lenient := range []string{reading, strings.ReplaceAll(reading, `\`, "/"), narrowed(reading), withoutParameters(reading), withoutParameters(narrowed(reading))} {
				if clean := path.Clean(lenient); clean != "/hooks" && !strings.HasPrefix(clean, "/hooks/") {
					t.Fatalf("%q is %q to a lenient program", target, clean)
				}
			}
			next := decodeOnce(reading)
			if next == reading {
				return
			}
			reading = next
		}
	})
}

// narrowed replaces the wide forms of ASCII in text.
func narrowed(text string) string {
	return strings.Map(func(r rune) rune {
		if r >= 0xff01 && r <= 0xff5e {
			return r - 0xff01 + '!'
		}
		return r
	}, text)
}

// withoutParameters cuts each segment at its parameters.
func withoutParameters(text string) string {
	segments := strings.Split(text, "/")
	for i, segment := range segments {
		segments[i], _, _ = strings.Cut(segment, ";")
	}
	return strings.Join(segments, "/")
}
