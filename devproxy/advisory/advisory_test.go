package advisory

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestVersionsWithHoles(t *testing.T) {
	for _, test := range []struct{ name, version, id, fixed string }{
		{"vite", "6.0.0", "CVE-2026-39363", "6.4.2"},
		{"vite", "6.4.1", "CVE-2026-39363", "6.4.2"},
		{"vite", "6.4.2", "", ""},
		{"vite", "6.4.2-beta.1", "CVE-2026-39363", "6.4.2"},
		{"vite", "7.0.0", "CVE-2026-39363", "7.3.2"},
		{"vite", "7.3.1", "CVE-2026-39363", "7.3.2"},
		{"vite", "7.3.2", "", ""},
		{"vite", "8.0.0", "CVE-2026-39363", "8.0.5"},
		{"vite", "8.0.4", "CVE-2026-39363", "8.0.5"},
		{"vite", "8.0.5", "", ""},
		{"vite", "9.0.0", "", ""},
		{"vite", "5.4.18", "CVE-2025-46565", "5.4.19"},
		{"vite", "5.4.19", "", ""},
		{"vite", "5.5.0", "", ""},
		{"vite", "4.5.13", "CVE-2025-46565", "4.5.14"},
		{"vite", "4.5.14", "", ""},
		{"vite", "2.9.18", "CVE-2025-46565", "4.5.14"},
		{"vitest", "0.0.124", "", ""},
		{"vitest", "0.0.125", "GHSA-9crc-q9x8-hgqq", "1.6.1"},
		{"vitest", "2.1.8", "GHSA-9crc-q9x8-hgqq", "2.1.9"},
		{"vitest", "3.0.5", "", ""},
		{"next", "15.0.4", "CVE-2025-66478", "15.0.5"},
		{"next", "15.0.5", "CVE-2025-29927", "15.2.3"},
		{"next", "15.1.0", "CVE-2025-66478", "15.1.9"},
		{"next", "15.5.6", "CVE-2025-66478", "15.5.7"},
		{"next", "15.5.15", "GHSA-c4j6-fc7j-m34r", "15.5.16"},
		{"next", "15.5.16", "", ""},
		{"next", "16.0.6", "CVE-2025-66478", "16.0.7"},
		{"next", "16.2.4", "GHSA-c4j6-fc7j-m34r", "16.2.5"},
		{"next", "16.2.5", "", ""},
		{"next", "14.2.24", "CVE-2025-29927", "14.2.25"},
		{"next", "11.1.3", "", ""},
		{"storybook", "7.6.0", "", ""},
		{"storybook", "8.6.16", "CVE-2026-27148", "8.6.17"},
		{"storybook", "10.2.10", "", ""},
		{"@nuxt/devtools", "3.3.0", "CVE-2026-71319", "3.3.1"},
		{"@nuxt/devtools", "3.3.1", "", ""},
		{"webpack-dev-server", "5.2.0", "CVE-2025-30360", "5.2.1"},
		{"webpack-dev-server", "5.2.1", "", ""},
		{"unknown", "1.0.0", "", ""},
		{"vite", "7.3", "", ""},
		{"vite", "7.3.x", "", ""},
		{"vite", "7.3.1\n", "", ""},
		{"vite", "-7.3.1", "", ""},
		{"vite", "7.3.1-\x1b[2J", "", ""},
		{"vite", "7.3.1-beta.Z9+build.1", "CVE-2026-39363", "7.3.2"},
		{"vite", "7.3.1-" + strings.Repeat("x", 58), "CVE-2026-39363", "7.3.2"},
		{"vite", "7.3.1-" + strings.Repeat("x", 59), "", ""},
	} {
		got, ok := look(test.name, test.version)
		if ok != (test.id != "") || got.ID != test.id || got.Fixed != test.fixed {
			t.Errorf("%s %s: %+v, want %s, fixed in %q", test.name, test.version, got, test.id, test.fixed)
		}
	}
}

// The table is read as it is meant: every version in it parses, ascending.
func TestTheTable(t *testing.T) {
	for _, h := range holes {
		before, ok := parse(h.since)
		if !ok {
			t.Errorf("%s %s: since %q", h.name, h.id, h.since)
		}
		for _, text := range h.fixed {
			fixed, ok := parse(text)
			if !ok || !before.less(fixed) {
				t.Errorf("%s %s: fixed in %q", h.name, h.id, text)
			}
			before = fixed
		}
	}
}

func TestFind(t *testing.T) {
	root := t.TempDir()
	write := func(text string, path ...string) {
		file := filepath.Join(append([]string{root}, path...)...)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	web, admin, docs := filepath.Join(root, "web"), filepath.Join(root, "admin"), filepath.Join(root, "docs", "site")
	write(`{"name":"vite","version":"7.3.1"}`, "node_modules", "vite", "package.json")
	write(`{"version":"3.3.0"}`, "node_modules", "@nuxt", "devtools", "package.json")
	write(`{"version":"8.4.0"}`, "web", "node_modules", "vite", "package.json")
	write(`{"version":"6.0.0"}`, "admin", "node_modules", "vite", "package.json")
	write(`{"version":"`+strings.Repeat("x", maxManifest)+`"}`, "docs", "site", "node_modules", "vite", "package.json")
	outside := filepath.Join(root, "node_modules", "vite")
	for _, test := range []struct {
		root    string
		folders []string
		want    string
	}{
		{root, []string{root}, "vite 7.3.1, @nuxt/devtools 3.3.0"},
		{root, []string{root, root}, "vite 7.3.1, @nuxt/devtools 3.3.0"},
		{root, []string{web}, "@nuxt/devtools 3.3.0"},
		{root, []string{web, admin, docs}, "vite 6.0.0, vite 7.3.1, @nuxt/devtools 3.3.0"},
		{web, []string{web}, ""},
		{admin, []string{web}, ""},       // outside of the root, nothing above is looked at
		{outside, []string{outside}, ""}, // nor is it from here
		{root, nil, ""},
	} {
		var got []string
		for _, f := range Find(test.root, test.folders...) {
			got = append(got, f.Package+" "+f.Version)
		}
		if strings.Join(got, ", ") != test.want {
			t.Errorf("%v in %s: %q, want %q", test.folders, test.root, got, test.want)
		}
	}
	found := Find(root, root)
	if got, want := found[0].String(), "vite 7.3.1 lets visitors read any file through its WebSocket (CVE-2026-39363): update to 7.3.2 or newer"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestFolders(t *testing.T) {
	root := t.TempDir()
	for _, folder := range []string{"web/node_modules", "api", "packages/site/node_modules", "node_modules/vite"} {
		if err := os.MkdirAll(filepath.Join(root, filepath.FromSlash(folder)), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	site, web := filepath.Join(root, "packages", "site"), filepath.Join(root, "web")
	got := Folders(root, site, web, "", filepath.Dir(root), t.TempDir())
	if want := []string{root, web, site}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if got := Folders(filepath.Join(root, "gone")); len(got) != 1 {
		t.Errorf("%q", got)
	}
	for i := range maxFolders + 10 {
		if err := os.MkdirAll(filepath.Join(root, "many", fmt.Sprint(i), "node_modules"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if got := Folders(filepath.Join(root, "many")); len(got) != maxFolders+1 {
		t.Errorf("%d folders, want %d and the root", len(got), maxFolders)
	}
}
