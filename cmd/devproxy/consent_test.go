package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/clipperhouse/displaywidth"

	"github.com/devproxy/devproxy/devproxy"
	"github.com/devproxy/devproxy/devproxy/consent"
	"github.com/devproxy/devproxy/devproxy/credentials"
	"github.com/devproxy/devproxy/devproxy/plan"
	"github.com/devproxy/devproxy/hcl"
)

// reaching is a plan whose routes reach these machines.
func reaching(t *testing.T, hosts ...string) *plan.Plan {
	t.Helper()
	file := hcl.ForPort(3000, "shop.localhost")
	for i, host := range hosts {
		file.Hosts[0].Routes = append(file.Hosts[0].Routes, &hcl.Route{
			Path: fmt.Sprintf("/%d", i),
			Settings: hcl.Settings{Upstream: &hcl.Upstream{
				Members: []hcl.Member{{Scheme: hcl.SchemeHTTPS, Host: host, Port: 443, Text: host,
					Range: hcl.Range{File: "Proxyfile", Start: hcl.Pos{Line: i + 1}}}},
			}},
		})
	}
	p, diags := plan.Build(file, plan.Env{})
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	return p
}

// newConsent is an `up` with its own store, and its output. in is the user's
// input.
func newConsent(t *testing.T, in string, opts upOptions) (*upConsent, *bytes.Buffer) {
	t.Helper()
	home := t.TempDir()
	var printed bytes.Buffer
	s := &streams{In: strings.NewReader(in), Out: &printed, Err: &printed}
	if in != "" {
		s.InTTY, s.OutTTY = true, true
	}
	return &upConsent{
		consents: &consents{project: consent.Project{Root: "/p", Key: "/p"}, store: consent.NewStore(home, ""), logins: credentials.Store{Home: home, Getenv: os.Getenv}},
		ctx:      t.Context(), streams: s, opts: opts,
	}, &printed
}

// withheld counts the routes that are not served.
func withheld(p *plan.Plan) (n int) {
	for _, r := range p.Hosts()[0].Routes {
		if _, is := r.Answer.(*plan.Withheld); is {
			n++
		}
	}
	return n
}

// TestMayShareByRequest: the relay of the command line is that of the requests
// that name it. A later one that names none goes through the Proxyfile's, which
// needs consent.
func TestMayShareByRequest(t *testing.T) {
	file := hcl.ForPort(3000, "shop.localhost")
	file.Share = &hcl.Share{Relays: []hcl.Name{{Value: "t.example.com"}}}
	p, diags := plan.Build(file, plan.Env{})
	if diags.HasErrors() || len(p.Effects()) != 1 {
		t.Fatal(diags, p.Effects())
	}
	c, _ := newConsent(t, "", upOptions{share: true, shareFlags: shareFlags{relay: "mine.example"}})
	if got, err := c.decide(p); err != nil || got != p {
		t.Errorf("it is not served: %v", err)
	}
	if err := c.mayShare(p, "mine.example"); err != nil {
		t.Errorf("through the relay that is named: %v", err)
	}
	if err := c.mayShare(p, ""); err == nil {
		t.Error("a request without a relay goes through the Proxyfile's, unasked")
	}
	c.opts.relay = ""
	if _, err := c.decide(p); err == nil {
		t.Error("without the flag it is served, unasked")
	}
	if err := c.store.Allow(c.project, p.Effects()); err != nil {
		t.Fatal(err)
	}
	if err := c.mayShare(p, ""); err != nil {
		t.Errorf("with consent: %v", err)
	}
}

// TestUpAsks: on a terminal it asks once, and anything but yes is no.
func TestUpAsks(t *testing.T) {
	for answer, want := range map[string]bool{"y\n": true, "YES\r\n": true, " yes \n": true, "n\n": false, "\n": false, "yess\n": false, "y": true, strings.Repeat("y", 200): false} {
		c, printed := newConsent(t, answer, upOptions{})
		p := reaching(t, "a.example", "b.example")
		got, err := c.decide(p)
		var refused *consentError
		if want && (err != nil || got != p) || !want && (!errors.As(err, &refused) || !refused.refused || len(refused.effects) != 2) {
			t.Errorf("%q: %v, %v", answer, got, err)
		}
		for _, line := range []string{effectsTitle, "  Proxyfile:1  upstream  https://a.example\n", "  Proxyfile:2  upstream  https://b.example\n", "[y/N] "} {
			if !strings.Contains(printed.String(), line) {
				t.Errorf("%q: it printed %q", answer, printed)
			}
		}
		if !want {
			continue
		}
		printed.Reset()
		if got, err := c.decide(p); err != nil || got != p || printed.Len() > 0 {
			t.Errorf("%q, again: %v, printed %q", answer, err, printed)
		}
	}
}

// TestUpDoesNotAsk: up does not ask if no one can answer, or if a flag has
// answered.
func TestUpDoesNotAsk(t *testing.T) {
	for name, tt := range map[string]struct {
		change   func(*upConsent)
		err      bool
		withheld int
	}{
		"no terminal":     {func(c *upConsent) { c.streams.InTTY = false }, true, 0},
		"nothing to see":  {func(c *upConsent) { c.streams.OutTTY = false }, true, 0},
		"json":            {func(c *upConsent) { c.opts.json = true }, true, 0},
		"--allow":         {func(c *upConsent) { c.opts.allow = true }, false, 0},
		"--allow as JSON": {func(c *upConsent) { c.opts.allow, c.opts.json = true, true }, false, 0},
		"--partial":       {func(c *upConsent) { c.opts.partial = true }, false, 1},
		"allowed already": {func(c *upConsent) { _ = c.store.Allow(c.project, reaching(t, "a.example").Effects()) }, false, 0},
		"another project's": {func(c *upConsent) {
			_ = c.store.Allow(consent.Project{Root: "/q", Key: "/q"}, reaching(t, "a.example").Effects())
			c.streams.InTTY = false
		}, true, 0},
	} {
		c, printed := newConsent(t, "y\n", upOptions{})
		tt.change(c)
		got, err := c.decide(reaching(t, "a.example"))
		if (err != nil) != tt.err || err == nil && withheld(got) != tt.withheld || printed.Len() > 0 {
			t.Errorf("%s: %v, %v, printed %q", name, got, err, printed)
		}
	}
	c, _ := newConsent(t, "y\n", upOptions{})
	c.streams.OutTTY, c.streams.ErrTTY = false, true // devproxy up >log
	if _, err := c.decide(reaching(t, "a.example")); err != nil {
		t.Error(err)
	}
}

// TestSavesNeedConsent: a later plan is refused without a question, and denied
// routes are no longer served.
func TestSavesNeedConsent(t *testing.T) {
	c, printed := newConsent(t, "y\ny\n", upOptions{})
	one := reaching(t, "a.example")
	serve := func(p *plan.Plan) (*plan.Plan, error) {
		got, err := c.decide(p)
		if err == nil {
			c.applied(devproxy.Save{Plan: got})
		}
		return got, err
	}
	if _, err := serve(one); err != nil {
		t.Fatal(err)
	}
	printed.Reset()
	two := reaching(t, "a.example", "b.example")
	var needed *consentError
	if _, err := serve(two); !errors.As(err, &needed) || len(needed.effects) != 1 || needed.refused || printed.Len() > 0 {
		t.Fatalf("%v, printed %q", err, printed)
	}
	c.applied(devproxy.Save{}) // it was rejected
	if err := c.store.Allow(c.project, needed.effects); err != nil {
		t.Fatal(err)
	}
	if got, err := serve(two); err != nil || got != two {
		t.Fatal(got, err)
	}
	if _, err := c.store.Deny(c.project, nil); err != nil {
		t.Fatal(err)
	}
	if got, err := serve(two); err != nil || withheld(got) != 2 {
		t.Fatalf("what was denied is served: %v", err)
	}
	if _, err := serve(two); !errors.As(err, &needed) {
		t.Errorf("the next save: %v", err)
	}

	// --allow covers the effects at the start.
	c, _ = newConsent(t, "", upOptions{allow: true})
	if _, err := serve(one); err != nil {
		t.Fatal(err)
	}
	if _, err := serve(two); !errors.As(err, &needed) || len(needed.effects) != 1 {
		t.Errorf("--allow: %v", err)
	}
	// --partial serves the rest of a save too.
	c, _ = newConsent(t, "", upOptions{partial: true})
	if _, err := serve(one); err != nil {
		t.Fatal(err)
	}
	if got, err := serve(two); err != nil || withheld(got) != 2 {
		t.Errorf("--partial: %v", err)
	}
}

// TestConsentStoreBroken: nothing is served when the consents cannot be read.
func TestConsentStoreBroken(t *testing.T) {
	c, _ := newConsent(t, "y\n", upOptions{partial: true})
	c.store = consent.NewStore("/p/state", "")
	c.project.Root = "/p"
	_, err := c.decide(reaching(t, "a.example"))
	if _, fix := devproxy.Explain(err); err == nil || fix == "" {
		t.Errorf("%v", err)
	}
	c.opts.allow = true
	if _, err := c.decide(reaching(t, "a.example")); err != nil {
		t.Errorf("--allow: %v", err)
	}
	c.opts.allow = false
	if _, err := c.decide(reaching(t)); err != nil {
		t.Errorf("what needs no consent: %v", err)
	}
}

// TestAskingEnds: Ctrl-C at the question means no.
func TestAskingEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	never, person := io.Pipe()
	defer person.Close()
	answered := make(chan bool, 1)
	var printed bytes.Buffer
	go func() {
		answered <- askConsent(ctx, &streams{In: never, Err: &printed}, reaching(t, "a.example").Effects())
	}()
	cancel()
	select {
	case yes := <-answered:
		if yes {
			t.Error("it is yes")
		}
	case <-time.After(scriptPatience):
		t.Fatal("it still asks")
	}
}

// TestLongListsAreAnnounced: a command that fills the screen does not hide what it runs.
func TestLongListsAreAnnounced(t *testing.T) {
	command := func(text string) []*plan.Effect {
		return []*plan.Effect{{Kind: plan.KindCommand, Target: text, Sources: []plan.Source{{File: "Proxyfile", Line: 3}}}}
	}
	for _, c := range []struct {
		text          string
		columns, rows int
		long          bool
	}{
		{"pnpm dev", 80, 24, false},
		{"sh -c 'evil" + strings.Repeat(" ", 24*80) + "# pnpm dev'", 80, 24, true},
		{"sh -c 'evil" + strings.Repeat(" ", 24*80) + "# pnpm dev'", 0, 0, true},
		{"sh -c 'evil" + strings.Repeat(" ", 24*80) + "# pnpm dev'", 200, 50, false},
		{"pnpm dev", 80, 2, true},
	} {
		var printed bytes.Buffer
		s := &streams{In: strings.NewReader("n\n"), Err: &printed, Size: func() (int, int) { return c.columns, c.rows }}
		askConsent(t.Context(), s, command(c.text))
		if got := strings.Contains(strings.ReplaceAll(printed.String(), "\n", " "), longList); got != c.long {
			t.Errorf("%d bytes on %d columns and %d rows: announced %v", len(c.text), c.columns, c.rows, got)
		}
	}
}

// TestEffectsStayInTheirColumn: the text of an effect cannot look like another line, nor
// like a question, and no part of it is left out.
func TestEffectsStayInTheirColumn(t *testing.T) {
	for _, text := range []string{
		"sh -c 'evil" + strings.Repeat(" ", 47) + "'\n  Proxyfile:9  command  pnpm dev\nAllow this from now on? [y/N] ",
		"sh -c 'evil\rpnpm dev\x1b[2K'",
		strings.Repeat("x", 500),
		"/" + strings.Repeat("字", 200),
		"https://a.example\u202eelpmaxe.b//:sptth",
	} {
		for _, columns := range []int{0, 30, 60, 80, 200} {
			var printed bytes.Buffer
			s := &streams{Err: &printed, Size: func() (int, int) { return columns, 24 }}
			s.listEffects(s.Err, []*plan.Effect{{Kind: plan.KindUpstream, Target: text, Sources: []plan.Source{{File: "Proxyfile", Line: 3}}}}, nil)
			lines := strings.Split(strings.TrimSuffix(printed.String(), "\n"), "\n")
			first, lines := "  Proxyfile:3  upstream  ", lines[1:]
			indent := strings.Repeat(" ", len(first))
			if columns == 30 { // the text begins on the next line
				if lines[0] != strings.TrimRight(first, " ") {
					t.Errorf("the first line is %q", lines[0])
				}
				first, indent, lines = "      ", "      ", lines[1:]
			}
			joined := ""
			for i, line := range lines {
				rest, ok := strings.CutPrefix(line, first)
				if i > 0 {
					rest, ok = strings.CutPrefix(line, indent)
				}
				if !ok || columns > 0 && displaywidth.String(line) > columns {
					t.Errorf("%d columns: %q", columns, line)
				}
				joined += rest
			}
			if spaceless := func(text string) string { return strings.ReplaceAll(text, " ", "") }; spaceless(joined) != spaceless(hcl.Legible(text)) {
				t.Errorf("%d columns: %q is shown as %q", columns, text, joined)
			}
		}
	}
}

// TestAskingAtTheEndOfInput: Ctrl-D means no, and further output begins on a
// new line.
func TestAskingAtTheEndOfInput(t *testing.T) {
	var printed bytes.Buffer
	if askConsent(t.Context(), &streams{In: strings.NewReader(""), Err: &printed}, reaching(t, "a.example").Effects()) {
		t.Error("it is yes")
	}
	if !strings.HasSuffix(printed.String(), "[y/N] \n") {
		t.Errorf("printed %q", printed.String())
	}
	printed.Reset()
	askConsent(t.Context(), &streams{In: strings.NewReader("y\n"), Err: &printed}, reaching(t, "a.example").Effects())
	if !strings.HasSuffix(printed.String(), "[y/N] ") {
		t.Errorf("printed %q after an answer", printed.String())
	}
}

// TestReadLine: the input after the line can still be read.
func TestReadLine(t *testing.T) {
	in := strings.NewReader("yes\nq")
	if line := readLine(in); line != "yes\n" {
		t.Errorf("read %q", line)
	}
	if rest, _ := io.ReadAll(in); string(rest) != "q" {
		t.Errorf("left %q", rest)
	}
}

// TestMaskedStreams: output contains no value of the environment.
func TestMaskedStreams(t *testing.T) {
	var out, errs bytes.Buffer
	var mask atomic.Pointer[hcl.Mask]
	s := (&streams{Out: &out, Err: &errs, OutTTY: true}).masked(&mask)
	fmt.Fprint(s.Out, "before it is known")
	dir := t.TempDir()
	saveTestFile(t, filepath.Join(dir, "Proxyfile"), `host "shop.localhost" { redirect = "/x?k=${env("KEY")}" }`)
	file, _, err := hcl.Load(filepath.Join(dir, "Proxyfile"), hcl.Options{Getenv: func(string) string { return "the-value" }})
	if err != nil {
		t.Fatal(err)
	}
	mask.Store(file.Mask)
	n, err := fmt.Fprint(s.Err, "GET /x?k=the-value 200")
	if n != len("GET /x?k=the-value 200") || err != nil || errs.String() != "GET ${KEY} 200" && errs.String() != "GET /x?k=${KEY} 200" || !s.OutTTY {
		t.Errorf("%d, %v, %q", n, err, errs.String())
	}
}

func saveTestFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
