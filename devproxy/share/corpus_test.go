package share

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// corpus returns the targets of testdata/FOLDER/*.txt by file: one for each line;
// lines that begin with "#" are comments.
func corpus(t testing.TB, folder string) map[string][]string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", folder, "*.txt"))
	if err != nil || len(files) == 0 {
		t.Fatal("no targets:", err)
	}
	targets := map[string][]string{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			if line = strings.TrimRight(line, "\r\n"); line != "" && line[0] != '#' {
				targets[file] = append(targets[file], line)
			}
		}
	}
	return targets
}

// TestOpen: requests that real tools and sites get reach them.
func TestOpen(t *testing.T) {
	s := mustNew(t, oneHost())
	for file, targets := range corpus(t, "open") {
		for _, target := range targets {
			if hit, hidden := s.Hides(target); hidden {
				t.Errorf("%s: %s is hidden: %s (%s)", file, target, hit.What, hit.Show)
			}
			if hit, hidden := s.HidesSent(target); hidden {
				t.Errorf("%s: %s is hidden when it is sent: %s", file, target, hit.What)
			}
		}
	}
}

// TestHiddenCorpus: each class is hidden in every spelling, and opened by the entry that
// the hit names.
func TestHiddenCorpus(t *testing.T) {
	s := mustNew(t, oneHost())
	for file, targets := range corpus(t, "hidden") {
		for _, target := range targets {
			hit, hidden := s.Hides(target)
			if !hidden {
				t.Errorf("%s: %s is not hidden", file, target)
				continue
			}
			if hit.What == "" || hit.Kind == "" {
				t.Errorf("%s: %+v says nothing", target, hit)
			}
			for _, spelling := range targetSpellings(target) {
				if !s.HiddenTarget(spelling) {
					t.Errorf("%s: %s is %s and not hidden", file, spelling, target)
				}
			}
		}
	}
}

// targetSpellings returns other spellings of a target, its path and its query, that some
// server reads as target.
func targetSpellings(target string) []string {
	path, query, asked := strings.Cut(target, "?")
	var all []string
	for _, p := range pathSpellings(path) {
		if asked {
			all = append(all, p+"?"+query)
		} else {
			all = append(all, p, p+"?raw", p+"?import&raw??")
		}
	}
	if asked {
		key, rest, _ := strings.Cut(query, "=")
		for _, q := range []string{
			percent(key, 0) + "=" + rest, percent(key, 1) + "=" + rest, strings.ToUpper(key) + "=" + rest,
			"x&" + query, "x;" + query, "a=b&" + query, query + "&" + query, "?" + query, "&" + query,
			"%20" + query, "+" + query, wide(key) + "=" + rest,
		} {
			all = append(all, path+"?"+q)
		}
	}
	return all
}

// pathSpellings changes the spelling of the segments of path, first or last.
func pathSpellings(path string) []string {
	segments := strings.Split(strings.TrimPrefix(path, "/"), "/")
	join := func(separator string) string { return "/" + strings.Join(segments, separator) }
	all := []string{
		join("/"), join("//"), join("/./"), join("%2f"), join("%252F"), join("%5c"), join(`\`), join("%c0%af"), join("%EF%BC%8F"), join("%E2%88%95"), join("%C2%A5"), join("%E2%82%A9"),
		join("/%2e/"), join("/%E2%80%8B/"), "/" + join("/"), "/%2f" + join("/"), "/%EF%BB%BF/" + join("/")[1:],
	}
	if path == "/" {
		return all
	}
	last := len(segments) - 1
	if segments[last] == "" {
		last--
	}
	for _, i := range []int{0, last} {
		plain := segments[i]
		for _, other := range []string{
			strings.ToUpper(plain), percent(plain, 0), percent(plain, 1), percent(plain, 4), percent(plain[:1], 0) + plain[1:], percent(plain[:1], 1) + plain[1:],
			wide(plain), overlong2(plain), "%u" + "00" + strings.TrimPrefix(percent(plain[:1], 0), "%") + plain[1:],
			plain + ";", plain + ";a=b", plain + "%3b", plain + "%00", plain + "%00.png", plain + "%0a", plain + "%3f", plain + "%3fx", plain + "%23", plain + "%23x",
			plain + "%20", plain + ".", plain + "%2e", plain + ".%20.", plain + "::$DATA", plain + ":x", "%20" + plain, plain[:1] + "%E2%80%8C" + plain[1:], plain[:1] + "%C2%AD" + plain[1:],
			plain + "%EF%BC%9B", plain + "%EF%BC%9F", plain[:1] + "%CC%81" + plain[1:],
		} {
			segments[i] = other
			all = append(all, join("/"))
		}
		segments[i] = plain
	}
	return all
}

const hexDigits = "0123456789abcdef"

// percent encodes every byte of text, level times more than once. Escapes stay.
func percent(text string, level int) string {
	var b strings.Builder
	for i := range len(text) {
		b.WriteString("%" + strings.Repeat("25", level) + string([]byte{hexDigits[text[i]>>4], hexDigits[text[i]&15]}))
	}
	return b.String()
}

// wide replaces characters of text with their wide forms.
func wide(text string) string {
	return strings.Map(func(r rune) rune {
		if '!' <= r && r <= '~' && r != '%' {
			return r - '!' + 0xff01
		}
		return r
	}, text)
}

// overlong2 encodes each character in two bytes instead of one.
func overlong2(text string) string {
	var b strings.Builder
	for i := range len(text) {
		if text[i] == '%' {
			return text // an escape has its own spellings
		}
		b.WriteString("%" + percent(string([]byte{0xc0 | text[i]>>6}), 0)[1:] + percent(string([]byte{0x80 | text[i]&0x3f}), 0))
	}
	return b.String()
}
