package main

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func readText(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// readmeLines limits README.md, which is for a reader who decides and starts.
const readmeLines = 170

// TestReadme checks README.md against the repository: its Proxyfiles, and those
// of hcl/README.md, are valid and formatted, its make targets exist.
func TestReadme(t *testing.T) {
	readme := readText(t, "../../README.md")
	if lines := strings.Count(readme, "\n"); lines > readmeLines {
		t.Errorf("README.md has %d lines, and at most %d are read: move the rest to a document next to the code", lines, readmeLines)
	}
	blocks := regexp.MustCompile("(?s)```hcl\n(.*?)```").FindAllStringSubmatch(readme, -1)
	if len(blocks) < 2 {
		t.Fatalf("%d Proxyfiles in README", len(blocks))
	}
	blocks = append(blocks, regexp.MustCompile("(?ms)^```hcl\n(.*?)^```$").FindAllStringSubmatch(readText(t, "../../hcl/README.md"), -1)...)
	if len(blocks) < 15 {
		t.Errorf("%d Proxyfiles in README and hcl/README.md", len(blocks))
	}
	for _, block := range blocks {
		checkReadmeFile(t, block[1])
	}

	makefile := readText(t, "../../Makefile")
	targets := regexp.MustCompile(`(?m)^make (\S+)`).FindAllStringSubmatch(readme, -1)
	if len(targets) < 2 {
		t.Errorf("README has %d make commands", len(targets))
	}
	for _, target := range targets {
		if !strings.Contains(makefile, "\n"+target[1]+":") {
			t.Errorf("README says make %s, Makefile has no such target", target[1])
		}
	}
}

// TestReadmeVerbs compares the verbs of this folder's README with the program's:
// each is described, and each that is described exists.
func TestReadmeVerbs(t *testing.T) {
	root := newRootCmd(&streams{In: strings.NewReader(""), Out: io.Discard, Err: io.Discard})
	root.InitDefaultCompletionCmd()
	verbs := readmeVerbs(t, readText(t, "README.md"))
	for _, verb := range verbs {
		if cmd, _, err := root.Find([]string{verb}); err != nil || cmd == root {
			t.Errorf("README.md describes devproxy %s, which is not a verb", verb)
		}
	}
	for _, cmd := range root.Commands() {
		if cmd.IsAvailableCommand() && !slices.Contains(verbs, cmd.Name()) {
			t.Errorf("README.md does not describe devproxy %s", cmd.Name())
		}
	}
}

// checkReadmeFile runs check and fmt --check on a Proxyfile.
func checkReadmeFile(t *testing.T, text string) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "Proxyfile"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"check", "-C", dir}, {"fmt", "--check", filepath.Join(dir, "Proxyfile")}} {
		var out bytes.Buffer
		if code := run(&streams{In: strings.NewReader(""), Out: &out, Err: &out}, args); code != exitOK {
			t.Errorf("devproxy %s: exit code %d\n%s\nof\n%s", args[0], code, out.String(), text)
		}
	}
}

// readmeVerbs are the verbs of the first column of README's table.
func readmeVerbs(t *testing.T, readme string) []string {
	t.Helper()
	_, table, found := strings.Cut(readme, "\n## The verbs\n")
	if !found {
		t.Fatal("README has no table of verbs")
	}
	table, _, _ = strings.Cut(table, "\n## ")
	var verbs []string
	for _, row := range regexp.MustCompile("(?m)^\\| (`.*?`) \\|").FindAllStringSubmatch(table, -1) {
		for _, name := range regexp.MustCompile("`(?:devproxy )?([a-z]+(?:-[a-z]+)*)").FindAllStringSubmatch(row[1], -1) {
			verbs = append(verbs, name[1])
		}
	}
	if !slices.Contains(verbs, "up") || len(verbs) < 8 {
		t.Errorf("README's verbs are %q", verbs)
	}
	return verbs
}
