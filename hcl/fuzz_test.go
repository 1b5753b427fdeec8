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
	"unicode"
)

// decodeText is Load without files.
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

// FuzzLoad checks for any text that loading ends soon and without a panic, that all
// ranges are inside their files, that a file without errors can be served, and
// that the diagnostics are always the same and can be written.
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
			t.Errorf("decoding twice gives different diagnostics:\n%s\n%s", &first, &second)
		}
		if i := bytes.IndexFunc(first.Bytes(), func(r rune) bool { return r != '\n' && r != '\t' && unicode.IsControl(r) }); i >= 0 {
			t.Errorf("a control character was written: %q", &first)
		}
	})
}

// checkConcealed fails if a value of the environment is in a diagnostic, or in a
// setting without a flow. text is the whole source.
func checkConcealed(t *testing.T, file *File, diags Diagnostics, text string) {
	t.Helper()
	value := testEnv("SET")
	if strings.Contains(text, "environment") {
		return // the value itself may be in the text
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
	if len(file.Hosts) == 0 && (file.Discover == "" || file.Domain == "") {
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
			t.Errorf("host %q has no answer and no routes", h.Name.Value)
		}
		for _, r := range h.Routes {
			if len(r.Path) == 0 || r.Path[0] != '/' {
				t.Errorf("route %q", r.Path)
			}
			checkWholeAround(t, &r.Settings)
			if countAnswers(t, &r.Settings)+answers == 0 {
				t.Errorf("route %q has no answer", r.Path)
			}
		}
	}
}

// checkWholeShare fails unless the share block is valid: an invalid relay, name or
// range could give access to too much or too little.
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
		t.Error("a share has a password and an unset variable for it")
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
		t.Error("a host or route has two answers")
	}
	if s.Upstream != nil {
		if len(s.Upstream.Members) == 0 && (s.Upstream.Service == nil || s.Upstream.Service.Container == nil) {
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

// checkRanges fails unless every range of file and diags is inside its file, and
// its lines, columns and bytes agree.
func checkRanges(t *testing.T, file *File, diags Diagnostics) {
	t.Helper()
	for _, d := range diags {
		if d.Summary == "" {
			t.Errorf("a diagnostic has no summary: %+v", d)
		}
		checkRange(t, file.Sources, d.Range, d.Summary)
	}
	checkRange(t, file.Sources, file.Listen.Range, "listen")
	if file.Share != nil {
		checkRange(t, file.Sources, file.Share.Range, "share")
		for _, host := range file.Share.Hosts {
			checkRange(t, file.Sources, host.Range, "shared host")
		}
	}
	for _, s := range file.Services {
		checkRange(t, file.Sources, s.Range, "service")
		checkUpstream(t, file.Sources, s.Upstream)
	}
	for _, h := range file.Hosts {
		checkRange(t, file.Sources, h.Range, "host")
		checkRange(t, file.Sources, h.Name.Range, "host name")
		for _, alias := range h.Aliases {
			checkRange(t, file.Sources, alias.Range, "alias")
		}
		checkSettings(t, file.Sources, &h.Settings)
		for _, r := range h.Routes {
			checkRange(t, file.Sources, r.Range, "route")
			checkRange(t, file.Sources, r.PathRange, "path")
			checkSettings(t, file.Sources, &r.Settings)
		}
	}
}

func checkSettings(t *testing.T, sources Sources, s *Settings) {
	t.Helper()
	checkUpstream(t, sources, s.Upstream)
	if s.Files != nil {
		checkRange(t, sources, s.Files.Range, "files")
	}
	if s.Redirect != nil {
		checkRange(t, sources, s.Redirect.Range, "redirect")
	}
	if s.Respond != nil {
		checkRange(t, sources, s.Respond.Range, "respond")
	}
}

func checkUpstream(t *testing.T, sources Sources, u *Upstream) {
	t.Helper()
	if u == nil {
		return
	}
	checkRange(t, sources, u.Range, "upstream")
	for _, m := range u.Members {
		checkRange(t, sources, m.Range, "member")
	}
}

func checkRange(t *testing.T, sources Sources, r Range, what string) {
	t.Helper()
	if r.Start.Line == 0 {
		if r.Start != (Pos{}) || r.End != (Pos{}) {
			t.Errorf("%s: a range without a line: %+v", what, r)
		}
		return
	}
	text, known := sources[r.File]
	if !known {
		t.Errorf("%s: a range in an unknown file: %+v", what, r)
		return
	}
	if r.Start.Byte < 0 || r.End.Byte < r.Start.Byte || len(text) < r.End.Byte {
		t.Errorf("%s: a range beyond its file of %d bytes: %+v", what, len(text), r)
		return
	}
	for _, p := range []Pos{r.Start, r.End} {
		before := text[:p.Byte]
		if line := bytes.Count(before, []byte("\n")) + 1; line != p.Line {
			t.Errorf("%s: byte %d is on line %d, not %d: %+v", what, p.Byte, line, p.Line, r)
		}
		if column := p.Byte - bytes.LastIndexByte(before, '\n'); p.Column < 1 || p.Column > column {
			t.Errorf("%s: byte %d cannot be in column %d: %+v", what, p.Byte, p.Column, r)
		}
	}
}

// checkWholeAround fails unless the settings around an answer are valid: an invalid
// limit or range could give access to too much or too little.
func checkWholeAround(t *testing.T, s *Settings) {
	t.Helper()
	for _, r := range []*Ranges{s.Allow, s.Deny} {
		if r == nil {
			continue
		}
		for _, prefix := range r.Prefixes {
			if !prefix.IsValid() || prefix.Masked() != prefix || prefix.Addr().Is4In6() {
				t.Errorf("range %q", prefix)
			}
		}
	}
	if l := s.RateLimit; l != nil && !l.Off && (l.Count < 1 || l.Burst < 1 || l.Per <= 0 || l.By == "") {
		t.Errorf("rate_limit %+v", l)
	}
	if c := s.CORS; c != nil && !c.Off && (c.Own && (c.Any || c.Origins != nil) || c.Any && c.Origins != nil || !c.Own && !c.Any && c.Origins == nil) {
		t.Errorf("cors %+v", c)
	}
	if a := s.BasicAuth; a != nil && a.Off == (len(a.Users) > 0) {
		t.Errorf("basic_auth %+v", a)
	} else if a != nil {
		for name, hash := range a.Users {
			if name == "" || strings.Contains(name, ":") || !bcryptHash.MatchString(hash) {
				t.Errorf("user %q with %q", name, hash)
			}
		}
	}
	if c := s.Cache; c != nil && !c.Off && (c.Size < minCacheSize || c.Size > maxCacheSize) {
		t.Errorf("cache %+v", c)
	}
	if s.MaxBody != nil && (*s.MaxBody < 0 || *s.MaxBody > maxSize) {
		t.Errorf("max_body %d", *s.MaxBody)
	}
	if m := s.Simulate; m != nil && (m.Delay < 0 || m.Delay > maxDelay || !(m.Errors >= 0 && m.Errors <= 1) || m.Bandwidth < 0) {
		t.Errorf("simulate %+v", m)
	}
}

// checkWholeService fails unless the settings of s are valid.
func checkWholeService(t *testing.T, s *Service) {
	t.Helper()
	if s.Balance != BalanceRoundRobin && s.Balance != BalanceLeastConn && s.Balance != BalanceCookie {
		t.Errorf("balance %q", s.Balance)
	}
	if s.Fallback != nil && len(s.Fallback.Members) == 0 && (s.Fallback.Service == nil || s.Fallback.Service.Container == nil) {
		t.Error("a fallback has no member")
	}
	h := s.Health
	if h == nil {
		return
	}
	if !strings.HasPrefix(h.Path, "/") || h.Interval < minInterval || h.Timeout <= 0 || h.Timeout > h.Interval || h.Rise < 1 || h.Fall < 1 {
		t.Errorf("health %+v", h)
	}
}
