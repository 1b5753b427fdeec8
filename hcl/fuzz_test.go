package hcl

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// decodeText is Load without a disk.
func decodeText(proxyfile, local string) (*File, Diagnostics) {
	file := &File{Path: "/p/Proxyfile", Dir: "/p", Sources: Sources{"Proxyfile": []byte(proxyfile)}}
	sources := []source{{"Proxyfile", []byte(proxyfile)}}
	if local != "" {
		file.Sources[LocalName] = []byte(local)
		sources = append(sources, source{LocalName, []byte(local)})
	}
	diags := decode(file, sources, environment{
		getenv: testEnv,
		folder: func(string) (bool, bool) { return true, true },
	})
	return file, diags
}

// FuzzLoad: whatever the text, loading it ends, soon and without a panic;
// every place lies in its file; a file is either right, or an error says why
// it is not; what is said is the same each time and can be written.
func FuzzLoad(f *testing.F) {
	files, err := filepath.Glob("../testdata/proxyfile/*/*.hcl")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text), "")
		f.Add("host \"a.localhost\" { upstream = 1 }\n", string(text))
	}
	for _, seed := range []string{
		"host \"a.localhost\" {\n upstream = upper(env(\"SET\"ost \"a.))\n}\n", "host \"a.localhost\" {\n upstream = upper(\"SET\"ost \"a.)\n}\n",
		"", "\xff\xfeh", "\uFEFFhost \"a.localhost\" { upstream = 1 }", "\x00", "host \"a", "host \"a\" {", "a = <<EOT", "a = \"${", "}", "host \"a\"", "a {\n\"b\"", "{", "=", "host \"a\"\n{\n}",
		"locals { a = [for x in range(1000): [for y in range(1000): \"${x}${y}\"]] }", "a = \"%{ if", "host a.b {\n x: [1,\n 2\n", "<<<<<<< HEAD\n=======\n>>>>>>> b\n",
	} {
		f.Add(seed, "")
	}
	for _, expr := range []string{
		`env("SET")`, `upper(env("SET"))`, `"a ${env("SET")} ${{ f = "1" }[substr(env("SET"), 0, 1)]}"`, `[for c in split("", env("SET")) : c][0]`,
		`{ (env("SET")) = { a = env("SET") } }`, `service.s.url`, `env("SET") == "a" ? [env("SET")] : [1]`, `merge({ X = env("SET") }, { Y = 1 })`, `[{ a = env("SET") }][*].a`,
	} {
		for _, name := range append(settings(), "aliases", "share") {
			f.Add("host \"a.localhost\" {\n "+name+" = "+expr+"\n}\nservice \"s\" { upstream = 1 }\n", "")
		}
		f.Add("host \"a.localhost\" { upstream = 1 }\n", "share {\n name = "+expr+"\n}\nservice \"s\" {\n upstream = 1\n health = { path = "+expr+" }\n}\n")
	}
	f.Fuzz(func(t *testing.T, proxyfile, local string) {
		if len(proxyfile) > 1<<16 || len(local) > 1<<16 {
			return
		}
		began := time.Now()
		file, diags := decodeText(proxyfile, local)
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("took %s", took)
		}
		checkRanges(t, file, diags)
		if !diags.HasErrors() {
			checkWhole(t, file)
		}
		checkConcealed(t, file, diags, proxyfile+local)
		var first, second bytes.Buffer
		if err := diags.Write(&first, file.Sources, false); err != nil {
			t.Fatal(err)
		}
		again, diags := decodeText(proxyfile, local)
		if err := diags.Write(&second, again.Sources, false); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(first.Bytes(), second.Bytes()) {
			t.Errorf("not the same twice:\n%s\n%s", &first, &second)
		}
		if i := bytes.IndexFunc(first.Bytes(), func(r rune) bool { return r != '\n' && r != '\t' && isControl(r) }); i >= 0 {
			t.Errorf("a control character was written: %q", &first)
		}
	})
}

// checkConcealed fails when a value of the environment is in a diagnostic, or in
// a setting that does not say so. text is all of the source.
func checkConcealed(t *testing.T, file *File, diags Diagnostics, text string) {
	t.Helper()
	value := testEnv("SET")
	if strings.Contains(text, "environment") {
		return // it may be written there
	}
	for _, d := range diags {
		if strings.Contains(d.Summary+d.Detail, value) {
			t.Errorf("a diagnostic quotes the environment: %+v", d)
		}
	}
	carries := func(text string, flow Flow) {
		if strings.Contains(text, value) && (flow.Empty() || strings.Contains(flow.Shown, value)) {
			t.Errorf("%q comes from %+v", text, flow)
		}
	}
	check := func(s *Settings) {
		for name, field := range s.RequestHeaders {
			if field != nil {
				carries(name+*field, s.RequestFlows[name])
			}
		}
		for name, field := range s.ResponseHeaders {
			if field != nil {
				carries(name+*field, s.ResponseFlows[name])
			}
		}
		if s.Respond != nil {
			carries(s.Respond.Body+fmt.Sprint(s.Respond.Headers), s.Respond.Flow)
		}
		if s.Redirect != nil {
			carries(s.Redirect.Target, s.Redirect.Flow)
		}
		if s.Files != nil {
			carries(s.Files.Dir, s.Files.Flow)
		}
		if s.Upstream != nil {
			for _, m := range s.Upstream.Members {
				carries(m.Host+m.Socket, m.Flow)
			}
		}
	}
	for _, h := range file.Hosts {
		check(&h.Settings)
		for _, r := range h.Routes {
			check(&r.Settings)
			carries(r.Rewrite, r.RewriteFlow)
		}
	}
}

// checkWhole fails unless file can be served.
func checkWhole(t *testing.T, file *File) {
	t.Helper()
	if len(file.Hosts) == 0 {
		t.Error("a file without errors has no host")
	}
	checkWholeShare(t, file)
	for _, s := range file.Services {
		checkWholeService(t, s)
	}
	for _, h := range file.Hosts {
		if h.Name.Value == "" {
			t.Error("a host without errors has no name")
		}
		checkWholeAround(t, &h.Settings)
		answers := countAnswers(t, &h.Settings)
		if answers == 0 && len(h.Routes) == 0 {
			t.Errorf("host %q answers with nothing", h.Name.Value)
		}
		for _, r := range h.Routes {
			if len(r.Path) == 0 || r.Path[0] != '/' {
				t.Errorf("route %q", r.Path)
			}
			checkWholeAround(t, &r.Settings)
			if countAnswers(t, &r.Settings)+answers == 0 {
				t.Errorf("route %q answers with nothing", r.Path)
			}
		}
	}
}

// checkWholeShare fails unless what the share block says can be done: a relay,
// a name or a range that is none would open or close what it should not.
func checkWholeShare(t *testing.T, file *File) {
	t.Helper()
	s := file.Share
	if s == nil {
		return
	}
	for _, shared := range s.Hosts {
		if !slices.ContainsFunc(file.Hosts, func(h *Host) bool { return h.Name.Value == shared.Value && (h.Share == nil || *h.Share) }) {
			t.Errorf("host %q cannot be shared", shared.Value)
		}
	}
	for _, path := range slices.Concat(s.Paths, s.Public) {
		if !strings.HasPrefix(path, "/") || strings.ContainsAny(path, "%\\?#") {
			t.Errorf("path %q", path)
		}
	}
	for _, prefix := range s.Allow {
		if !prefix.IsValid() || prefix.Masked() != prefix || prefix.Addr().Is4In6() {
			t.Errorf("range %q", prefix)
		}
	}
	for _, relay := range s.Relays {
		if strings.ContainsAny(relay.Value, "/ _") && !strings.HasPrefix(strings.ToLower(relay.Value), "ssh://") || relay.Value == "" {
			t.Errorf("relay %q", relay.Value)
		}
	}
	if strings.ContainsAny(s.Name, "./ _") || len(s.Name) > maxLabel || s.Expires < 0 {
		t.Errorf("share %+v", s)
	}
	if s.Password != "" && s.Unset != "" {
		t.Error("a password that is set and is not")
	}
}

func countAnswers(t *testing.T, s *Settings) int {
	t.Helper()
	n := 0
	for _, is := range []bool{s.Upstream != nil, s.Files != nil, s.Redirect != nil, s.Respond != nil} {
		if is {
			n++
		}
	}
	if n > 1 {
		t.Error("two answers")
	}
	if s.Upstream != nil {
		if len(s.Upstream.Members) == 0 {
			t.Error("an upstream has no member")
		}
		for _, m := range s.Upstream.Members {
			if (m.Port == 0) == (m.Socket == "") {
				t.Errorf("member %+v", m)
			}
		}
	}
	return n
}
