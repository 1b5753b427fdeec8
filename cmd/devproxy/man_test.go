package main

import (
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// manual writes the pages with the verb and returns them by name.
func manual(t *testing.T) (root *cobra.Command, pages map[string]string) {
	t.Helper()
	s := &streams{In: strings.NewReader(""), Out: io.Discard, Err: io.Discard}
	dir := filepath.Join(t.TempDir(), "man1")
	if code := run(s, []string{"man", dir}); code != exitOK {
		t.Fatalf("devproxy man: exit code %d", code)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	pages = map[string]string{}
	for _, entry := range entries {
		pages[entry.Name()] = readText(t, filepath.Join(dir, entry.Name()))
	}
	return newRootCmd(s), pages
}

// TestManHasEveryVerb wants a page for each verb that --help lists, with its
// flags and its examples, and devproxy(1) to name it.
func TestManHasEveryVerb(t *testing.T) {
	root, pages := manual(t)
	for _, cmd := range root.Commands() {
		if !cmd.IsAvailableCommand() {
			continue
		}
		page, found := pages["devproxy-"+cmd.Name()+".1"]
		if !found {
			t.Errorf("devproxy-%s(1) is missing; there are %q", cmd.Name(), slices.Sorted(maps.Keys(pages)))
			continue
		}
		if !strings.Contains(pages["devproxy.1"], `\fBdevproxy\-`+escape(cmd.Name())+`\fR(1)`) {
			t.Errorf("devproxy(1) does not name devproxy-%s(1)", cmd.Name())
		}
		cmd.LocalFlags().VisitAll(func(flag *pflag.Flag) {
			if !flag.Hidden && !strings.Contains(page, bold("--"+flag.Name)) {
				t.Errorf("devproxy-%s(1) does not have --%s", cmd.Name(), flag.Name)
			}
		})
		if first, _, _ := strings.Cut(cmd.Example, "\n"); !strings.Contains(page, roff(strings.TrimSpace(first))) {
			t.Errorf("devproxy-%s(1) does not have its example %q", cmd.Name(), first)
		}
	}
	for name := range pages {
		if name == "devproxy-man.1" || name == "devproxy-help.1" {
			t.Errorf("%s is a page about a hidden verb", name)
		}
	}
}

// TestManSections holds what a reader looks for in devproxy(1), and that the
// exit codes of the page are those of the program.
func TestManSections(t *testing.T) {
	_, pages := manual(t)
	at := -1
	for _, section := range []string{"NAME", "SYNOPSIS", "DESCRIPTION", "COMMANDS", "EXAMPLES", "FILES", "ENVIRONMENT", "EXIT STATUS", "SEE ALSO"} {
		next := strings.Index(pages["devproxy.1"], "\n.SH "+section+"\n")
		if next <= at {
			t.Errorf("section %s is missing or not in its place (man-pages(7))", section)
		}
		at = next
	}
	var codes []string
	for _, section := range manSections {
		if section.heading == "EXIT STATUS" {
			for _, item := range section.items {
				codes = append(codes, item[0])
			}
		}
	}
	readme := readText(t, "README.md")
	_, line, _ := strings.Cut(readme, "Exit codes: ")
	line, _, _ = strings.Cut(line, "\n")
	want := regexp.MustCompile(`\b\d\b`).FindAllString(line, -1)
	if !slices.Equal(codes, want) || len(codes) != exitPort+1 {
		t.Errorf("devproxy(1) has the exit codes %q, README %q", codes, want)
	}
}

// TestManRendersWithoutWarnings has groff read every page as man does.
func TestManRendersWithoutWarnings(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the options of man are those of man-db")
	}
	trustTool(t, "man")
	dir := t.TempDir()
	_, pages := manual(t)
	for _, name := range []string{"devproxy.1", "devproxy-up.1", "devproxy-env.1", "devproxy-trust.1"} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(pages[name]), 0o600); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command("man", "--warnings", "--local-file", path)
		cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8", "MANWIDTH=80", "MAN_KEEP_FORMATTING=", "PAGER=cat", "MANPAGER=cat")
		var warnings, text strings.Builder
		cmd.Stdout, cmd.Stderr = &text, &warnings
		if err := cmd.Run(); err != nil || warnings.Len() > 0 {
			t.Errorf("man %s: %v\n%s", name, err, warnings.String())
		}
		if name != "devproxy.1" {
			continue
		}
		for _, want := range []string{
			"       devproxy up 5173\n", // in EXAMPLES
			"         upstream = 5173\n\n             route \"/api\" { upstream = 3000 }\n           }\n",
			"%LocalAppData%\\devproxy\\",
			"~/.local/share/devproxy/root.pem\n",
		} {
			if !strings.Contains(text.String(), want) {
				t.Errorf("man devproxy does not show %q:\n%s", want, text.String())
			}
		}
	}
}

// TestRoff holds that what roff takes for its own is shown as it is.
func TestRoff(t *testing.T) {
	for in, want := range map[string]string{
		".env is hidden":         `\&.env is hidden`,
		"'quoted'":               `\(aqquoted\(aq`,
		`C:\new`:                 `C:\enew`,
		"--for 2h":               `\-\-for 2h`,
		`eval "$(devproxy env)"`: `eval \(dq$(devproxy env)\(dq`,
		"~/.local":               `\(ti/.local`,
		"…":                      `\[u2026]`,
	} {
		if got := roff(in); got != want {
			t.Errorf("roff(%q) = %q, want %q", in, got, want)
		}
	}
	if got, want := prose("see `devproxy up`, and `x"), `see \fBdevproxy up\fR, and \(gax`; got != want {
		t.Errorf("prose: %q, want %q", got, want)
	}
}
