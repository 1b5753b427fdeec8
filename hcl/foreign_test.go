package hcl

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// foreignFixtures returns the files of other tools in testdata, by name.
func foreignFixtures(t *testing.T) map[string]string {
	t.Helper()
	files, err := filepath.Glob("../testdata/proxyfile/foreign/*.in")
	if err != nil || len(files) == 0 {
		t.Fatal("no fixtures", err)
	}
	texts := map[string]string{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		texts[strings.TrimSuffix(filepath.Base(file), ".in")] = string(text)
	}
	return texts
}

// decodeForeign is decodeText for a folder without other files.
func decodeForeign(text string) (*File, Diagnostics) {
	file := &File{Path: "/shop/Proxyfile", Dir: "/shop", Sources: Sources{"Proxyfile": []byte(text)}}
	diags := decode(file, []source{{"Proxyfile", []byte(text)}}, environment{
		getenv: testEnv,
		folder: func(string) (bool, bool) { return false, false },
	})
	return file, diags
}

// TestForeign checks that a file of another tool gets one diagnostic, which names
// the format and shows a Proxyfile or the command that writes one.
func TestForeign(t *testing.T) {
	for name, text := range foreignFixtures(t) {
		t.Run(name, func(t *testing.T) {
			file, diags := decodeForeign(text)
			if len(diags) != 1 || !strings.HasSuffix(diags[0].Summary, "not a Proxyfile") {
				t.Errorf("%q", summaries(diags))
			}
			checkRanges(t, file, diags)
			got := rendered(t, diags, file.Sources)
			golden := "../testdata/proxyfile/foreign/" + name + ".golden"
			if updating() {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("-want +got (-update rewrites):\n%s", diff)
			}
			checkAdvice(t, diags[0].Detail)
		})
	}
}

var shownBlock = regexp.MustCompile(`(?s)(?:write|begin with)(?:, [^\n]*)?:? *\n?(host "[^"]*" \{.*\})`)

// checkAdvice fails unless detail shows a valid, formatted Proxyfile, or a command.
func checkAdvice(t *testing.T, detail string) {
	t.Helper()
	m := shownBlock.FindStringSubmatch(detail)
	if m == nil {
		if !strings.Contains(detail, "devproxy init") && !strings.Contains(detail, "raw file") {
			t.Errorf("detail %q has neither a Proxyfile nor a command", detail)
		}
		return
	}
	if _, diags := decodeText(m[1]+"\n", ""); len(diags) > 0 {
		t.Errorf("%s\n%q", m[1], summaries(diags))
	}
	if formatted, _ := Format([]byte(m[1]+"\n"), "Proxyfile"); string(formatted) != m[1]+"\n" {
		t.Errorf("not formatted:\n%s", m[1])
	}
}

// TestForeignForms checks that the same files are recognized with a byte order
// mark, other line ends, blank lines or other indentation.
func TestForeignForms(t *testing.T) {
	forms := map[string]func(string) string{
		"byte order mark": func(s string) string { return "\uFEFF" + s },
		"CRLF":            func(s string) string { return strings.ReplaceAll(s, "\n", "\r\n") },
		"no last line":    func(s string) string { return strings.TrimRight(s, "\n") },
		"blank lines":     func(s string) string { return "\n\n" + s + "\n\n" },
		"no indentation":  func(s string) string { return regexp.MustCompile(`(?m)^[\t ]+`).ReplaceAllString(s, "") },
		"tabs":            func(s string) string { return strings.ReplaceAll(s, "  ", "\t") },
	}
	for name, text := range foreignFixtures(t) {
		for form, change := range forms {
			if form == "blank lines" && name == "script" || (form == "no indentation" || form == "tabs") && (name == "compose" || name == "haproxy" || name == "slim" || name == "makefile" || name == "kubernetes" || name == "python" || strings.HasPrefix(name, "yaml") || name == "caddyfile_global" || strings.HasPrefix(name, "traefik")) {
				continue // this makes it another text
			}
			file, diags := decodeForeign(change(text))
			if len(diags) != 1 || !strings.HasSuffix(diags[0].Summary, "not a Proxyfile") {
				t.Errorf("%s, %s: %q", name, form, summaries(diags))
				continue
			}
			checkRanges(t, file, diags)
			checkAdvice(t, diags[0].Detail)
		}
	}
}

// TestForeignOtherNames checks that the advice depends on the file's name and on
// the other files of the folder.
func TestForeignOtherNames(t *testing.T) {
	const caddy = "shop.localhost {\n\tphp_fastcgi 127.0.0.1:9000\n}\n"
	tests := []struct {
		name, text string
		caddyfile  bool // the folder also has a Caddyfile
		want       string
	}{
		{"Proxyfile", caddy, false, "rename it to Caddyfile and run devproxy init"},
		{"Proxyfile", caddy, true, "remove it and run devproxy init, which reads Caddyfile"},
		{"sub/Caddyfile", caddy, true, "run devproxy init, which reads such files"},
		{LocalName, caddy, true, `write host "shop.localhost" { upstream = 5173 }; 5173 is the port of your dev server`},
	}
	for _, tt := range tests {
		text, _ := newText(source{tt.name, []byte(tt.text)})
		d, found := foreign(text, newFolder("/shop", func(string) (bool, bool) { return tt.caddyfile, false }))
		if !found || d.Detail != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, d.Detail, tt.want)
		}
	}
}

// TestFormatForeign checks that Format reports files of other tools too, and leaves
// them unchanged.
func TestFormatForeign(t *testing.T) {
	for name, text := range foreignFixtures(t) {
		got, diags := Format([]byte(text), "Proxyfile")
		if name == "toml_flat" {
			continue // it has the form of a Proxyfile and is formatted as one
		}
		if len(diags) != 1 || !bytes.Equal(got, []byte(text)) {
			t.Errorf("%s: %q", name, summaries(diags))
		}
	}
}

// proxyfiles returns the Proxyfiles of testdata.
func proxyfiles(t *testing.T) map[string]string {
	t.Helper()
	texts := map[string]string{"the smallest": smallest}
	for _, pattern := range []string{"../testdata/proxyfile/*/*.hcl", "../testdata/proxyfile/valid/*/Proxyfile*", "../testdata/demo/Proxyfile*"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			texts[filepath.ToSlash(file)] = string(text)
		}
	}
	return texts
}

// isForeign reports whether text is recognized as a file of another tool.
func isForeign(text string) (string, bool) {
	prepared, _ := newText(source{"Proxyfile", []byte(text)})
	d, found := foreign(prepared, newFolder("/shop", nil))
	return d.Summary, found
}

// TestMistakesAreNotForeign checks that a Proxyfile is recognized as one if a line
// or a character is missing, added or wrong, and so is each of its blocks alone.
func TestMistakesAreNotForeign(t *testing.T) {
	check := func(file, change, text string) {
		if summary, found := isForeign(text); found {
			t.Errorf("%s, %s: %s\n%s", filepath.Base(file), change, summary, text)
		}
	}
	texts := proxyfiles(t)
	if len(texts) < 20 {
		t.Fatalf("only %d Proxyfiles", len(texts))
	}
	for file, text := range texts {
		for _, part := range append(parts(text), text) {
			check(file, "as it is", part)
			lines := strings.SplitAfter(part, "\n")
			for i := range lines {
				rest := strings.Join(lines[:i], "") + strings.Join(lines[i+1:], "")
				check(file, "a line less", rest)
			}
			if part == text && len(parts(text)) > 1 {
				continue // its parts are tried alone, which is harder
			}
			// Only some places of long parts.
			for i := 0; i < len(part); i += 1 + len(part)/400 {
				check(file, "a character less", part[:i]+part[i+1:])
				for _, c := range []string{"x", "{", "}", "[", "]", "\"", ":", ";", "=", " ", "\n", "#", "/", "<", "\x00"} {
					check(file, "a character changed to "+c, part[:i]+c+part[i+1:])
				}
				if i%5 == 0 {
					for _, c := range []string{":", ";", "\n", "{\n", "\n}\n", " = ", "- ", "\xff"} {
						check(file, "a character more: "+c, part[:i]+c+part[i:])
					}
				}
			}
		}
		if t.Failed() {
			return
		}
	}
}

// parts returns the top-level blocks of a Proxyfile that are valid Proxyfiles: those
// with a host, or a setting for Proxyfile.local.
func parts(text string) []string {
	var all []string
	for _, c := range chunks([]byte(text)) {
		part := text[c.start:c.end]
		if strings.HasPrefix(part, "domain") || strings.HasPrefix(part, "locals") || !topLevel.MatchString(part) {
			continue
		}
		all = append(all, part)
	}
	return all
}

// TestNewcomersAreNotForeign checks texts of people who know the words of the
// language but not its syntax. The parser has better messages for them.
func TestNewcomersAreNotForeign(t *testing.T) {
	for _, text := range []string{
		"host shop.localhost {\n  reverse_proxy localhost:3000\n}\n",
		"host 'shop.localhost' { upstream = 3000 }\n",
		"host “shop.localhost” {\n  upstream: 3000\n}\n",
		"host \"shop.localhost\"\n{\n  upstream: 3000\n}\n",
		"host \"shop.localhost\" {\n  proxy_pass http://localhost:3000;\n}\n",
		"host \"shop.localhost\": {\n  upstream: 3000\n}\n",
		"host: \"shop.localhost\" { upstream = 3000 }\n",
		"shop.localhost {\n  upstream = 3000\n}\n",
		"\"shop.localhost\" {\n  upstream = 3000\n}\n",
		"server \"shop.localhost\" {\n  upstream = 3000\n}\n",
		"hosts \"shop.localhost\" {\n  upstream = 3000\n}\n",
		"upstream = 3000\n",
		"upstream: 3000 # of vite\nhost \"a.localhost\" {}\n",
		"domain = \"shop.localhost\"\n",
		"listen {\n  https = 8443\n}\n",
		"listen { https = 8443 }\n",
		"share {\n  expires = \"2h\"\n}\n",
		"locals {\n  PORT = 3000\n}\n",
		"service web {\n  upstream = 3000\n}\n",
		"# only a comment\n",
		"<<<<<<< HEAD\nhost \"a.localhost\" { upstream = 1 }\n=======\nhost \"a.localhost\" { upstream = 2 }\n>>>>>>> b\n",
		"# caf\xe9\xe9\xe9\nhost \"a.localhost\" { upstream = 1 }\n",
		"/* shop */ host \"a.localhost\" { upstream = 1 }\n",
		"/*\nserver {\n  listen 80;\n  proxy_pass http://a;\n}\n*/\nhost \"a.localhost\" { upstream = 1 }\n",
		"host \"a.localhost\" {\n  respond = { body = <<EOT\n<html>\nserver {\n listen 80;\n}\nEOT\n}\n}\n",
	} {
		if summary, found := isForeign(text); found {
			t.Errorf("%s\n%s", summary, text)
		}
	}
}

// FuzzForeign checks that the Proxyfile in the advice is valid for any text.
func FuzzForeign(f *testing.F) {
	files, err := filepath.Glob("../testdata/proxyfile/foreign/*.in")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text))
	}
	for _, tt := range foreignCases() {
		f.Add(tt.text)
	}
	for _, seed := range []string{
		"a.b {\n reverse_proxy /${x}/* localhost:1\n}\n", "location /\"x { proxy_pass http://a.b:1; }", "\"/${x}\" = 3\n", "{\"/%{x}\": 1, \"port\": 3}",
		"[x.y]\nport = \"http://a.b/\x1b[m\"\n", "host a.b, c.d\u202e {\n x\n}\n", "a = ${X:-\"}\n", "server_name ${x};\nlisten 1;",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 1<<16 {
			return
		}
		file, diags := decodeForeign(text)
		checkRanges(t, file, diags)
		if len(diags) == 1 && strings.HasSuffix(diags[0].Summary, "not a Proxyfile") {
			checkAdvice(t, diags[0].Detail)
		}
	})
}

// TestForeignPlace checks that the first line that is not a comment is underlined,
// even if a comment has the same text.
func TestForeignPlace(t *testing.T) {
	_, diags := decodeForeign("\uFEFF\n# server {\n  server {\n  listen 80;\n  proxy_pass http://localhost:1;\n}\n")
	if len(diags) != 1 || diags[0].Range.Start.Line != 3 || diags[0].Range.Start.Column != 3 || diags[0].Range.End.Column != 11 {
		t.Errorf("%+v", diags)
	}
}
