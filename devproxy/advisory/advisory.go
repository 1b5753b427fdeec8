// Package advisory finds dev servers whose versions have known vulnerabilities
// that a visitor of a share can use. A share hides them where it can; an update
// fixes them.
package advisory

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/mod/semver"
)

// hole is a published vulnerability of an npm package.
type hole struct {
	name string
	id   string // of the advisory
	what string // the possible attack, to follow "lets visitors"
	// fixed are the first versions without it, one for each release line,
	// ascending. A line is a major version, or a minor one where two fixes
	// share a major. Versions before since do not have the hole.
	since string
	fixed []string
}

// holes are the vulnerabilities, the most severe of a package first. Ranges are those
// of the advisories in the GitHub Advisory Database.
var holes = []hole{
	{"vite", "CVE-2026-39363", "read any file through its WebSocket", "6.0.0", []string{"6.4.2", "7.3.2", "8.0.5"}},
	{"vite", "CVE-2025-46565", "read files of the project that it denies", "0.0.0", []string{"4.5.14", "5.4.19", "6.1.6", "6.2.7", "6.3.4"}},
	{"vitest", "GHSA-9crc-q9x8-hgqq", "run code through its WebSocket", "0.0.125", []string{"1.6.1", "2.1.9", "3.0.5"}},
	{"next", "CVE-2025-66478", "run code", "15.0.0", []string{"15.0.5", "15.1.9", "15.2.6", "15.3.6", "15.4.8", "15.5.7", "16.0.7"}},
	{"next", "CVE-2025-29927", "skip its middleware", "11.1.4", []string{"12.3.5", "13.5.9", "14.2.25", "15.2.3"}},
	{"next", "GHSA-c4j6-fc7j-m34r", "reach other servers through WebSocket upgrades", "13.4.13", []string{"15.5.16", "16.2.5"}},
	{"storybook", "CVE-2026-27148", "rewrite source files through its WebSocket", "8.0.0", []string{"8.6.17", "9.1.19", "10.2.10"}},
	{"@nuxt/devtools", "CVE-2026-71319", "run code through its WebSocket", "0.0.0", []string{"3.3.1"}},
	{"webpack-dev-server", "CVE-2025-30360", "read source code through its WebSocket", "0.0.0", []string{"5.2.1"}},
}

// Finding is a package with a known hole.
type Finding struct {
	Package, Version string
	ID               string // of the advisory: "CVE-2026-39363"
	Fixed            string // the first version without the hole
	what             string
}

// String is a sentence for the terminal.
func (f Finding) String() string {
	return fmt.Sprintf("%s %s lets visitors %s (%s): update to %s or newer", f.Package, f.Version, f.what, f.ID, f.Fixed)
}

// maxFolders bounds how many folders of a project are searched.
const maxFolders = 200

// Folders returns the folders of a project where packages may be installed: root, the
// folders in it that have a node_modules, and those of more that are below it, where
// its servers run.
func Folders(root string, more ...string) []string {
	folders := []string{root}
	entries, _ := os.ReadDir(root) // a folder that cannot be read has none
	for _, entry := range entries[:min(len(entries), maxFolders)] {
		folder := filepath.Join(root, entry.Name())
		if _, err := os.Stat(filepath.Join(folder, "node_modules")); err == nil && entry.IsDir() {
			folders = append(folders, folder)
		}
	}
	for _, folder := range more {
		if folder != "" && inside(root, folder) && !slices.Contains(folders, folder) && len(folders) < maxFolders {
			folders = append(folders, folder)
		}
	}
	return folders
}

// Find searches the node_modules of each folder, and of the folders above it up to
// root, for packages with known holes. It returns at most one finding for each
// package and version. Files that cannot be read are skipped.
func Find(root string, folders ...string) []Finding {
	var found []Finding
	for i, h := range holes {
		if i > 0 && holes[i-1].name == h.name { // look goes through all holes of a package
			continue
		}
		var seen []string
		for _, folder := range folders {
			version := installed(root, folder, h.name)
			if version == "" || slices.Contains(seen, version) {
				continue
			}
			seen = append(seen, version)
			if f, ok := look(h.name, version); ok {
				found = append(found, f)
			}
		}
	}
	return found
}

// look returns the first hole that a version has.
func look(name, text string) (Finding, bool) {
	v, ok := parse(text)
	for _, h := range holes {
		if fix, has := h.in(v); ok && has && h.name == name {
			return Finding{Package: name, Version: text, ID: h.id, Fixed: fix, what: h.what}, true
		}
	}
	return Finding{}, false
}

// in reports whether v has the hole, and returns the version to update to.
func (h *hole) in(v version) (fix string, has bool) {
	if since, _ := parse(h.since); v.less(since) {
		return "", false
	}
	for i, text := range h.fixed {
		fixed, _ := parse(text)
		if !v.less(fixed) {
			continue
		}
		// Below a fix, v may still be fixed in the line before: 5.4.20 is below
		// 6.1.6 and above 5.4.19.
		before, _ := parse(h.fixed[max(i-1, 0)])
		if i > 0 && !v.less(before) && v.sameLine(before, fixed) {
			return "", false
		}
		return text, true
	}
	return "", false
}

// version is a semantic version (semver.org), as package semver writes it.
type version string

// maxVersion is the longest version that is read, in bytes.
const maxVersion = 64

// parse accepts only complete versions. A version is printed, and the author of the
// package chose it: a valid one has no control characters.
func parse(text string) (version, bool) {
	v := "v" + text
	core, _, _ := strings.Cut(semver.Canonical(v), "-")
	return version(v), len(text) <= maxVersion && semver.IsValid(v) && strings.HasPrefix(v, core)
}

func (v version) less(w version) bool { return semver.Compare(string(v), string(w)) < 0 }

// sameLine reports whether v belongs to the release line of fix, and not to that of
// the next fix: by the minor version where both have the same major.
func (v version) sameLine(fix, next version) bool {
	line := semver.Major
	if semver.Major(string(fix)) == semver.Major(string(next)) {
		line = semver.MajorMinor
	}
	return line(string(v)) == line(string(fix))
}

// maxManifest is the longest package.json that is read, in bytes.
const maxManifest = 1 << 20

// installed returns the version of a package that programs in folder would load; empty
// for none.
func installed(root, folder, name string) string {
	for {
		if v := manifestVersion(filepath.Join(folder, "node_modules", filepath.FromSlash(name), "package.json")); v != "" {
			return v
		}
		up := filepath.Dir(folder)
		if folder == root || up == folder || !inside(root, folder) {
			return ""
		}
		folder = up
	}
}

func inside(root, folder string) bool {
	rel, err := filepath.Rel(root, folder)
	return err == nil && filepath.IsLocal(rel)
}

func manifestVersion(file string) string {
	info, err := os.Stat(file)
	if err != nil || !info.Mode().IsRegular() { // reading a pipe could block
		return ""
	}
	f, err := os.Open(file)
	if err != nil {
		return ""
	}
	defer f.Close()
	var manifest struct {
		Version string `json:"version"`
	}
	err = json.NewDecoder(io.LimitReader(f, maxManifest)).Decode(&manifest)
	if _, ok := parse(manifest.Version); err != nil || !ok {
		return ""
	}
	return manifest.Version
}
