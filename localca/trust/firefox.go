package trust

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// firefoxRoots are the folders with a profiles.ini: the old place, the XDG one (since
// version 147), snap, flatpak and macOS.
func firefoxRoots(m Machine) []string {
	config := m.Getenv("XDG_CONFIG_HOME")
	if !filepath.IsAbs(config) {
		config = filepath.Join(m.Home, ".config")
	}
	flatpak := filepath.Join(m.Home, ".var", "app", "org.mozilla.firefox")
	return []string{
		filepath.Join(m.Home, ".mozilla", "firefox"),
		filepath.Join(config, "mozilla", "firefox"),
		filepath.Join(m.Home, "snap", "firefox", "common", ".mozilla", "firefox"),
		filepath.Join(m.Home, "snap", "firefox", "common", ".config", "mozilla", "firefox"),
		filepath.Join(flatpak, ".mozilla", "firefox"),
		filepath.Join(flatpak, "config", "mozilla", "firefox"),
		filepath.Join(m.Home, "Library", "Application Support", "Firefox"), // macOS: not tried there
	}
}

// firefoxDatabases are the profiles that every profiles.ini names and in which Firefox
// has made a database.
func firefoxDatabases(m Machine) databases {
	// Since version 120 Firefox uses the roots that were added to the system's store, and
	// NSS's tools are not built for Windows.
	if m.OS == "windows" {
		return databases{elsewhere: readsSystem}
	}
	dbs := databases{noun: "profile", after: "restart it once"}
	for _, root := range firefoxRoots(m) {
		for _, profile := range profilesOf(root) {
			if hasDatabase(profile) && !slices.Contains(dbs.existing, profile) {
				dbs.existing = append(dbs.existing, profile)
			}
		}
	}
	return dbs
}

// profilesOf reads the profile folders from profiles.ini: sections [ProfileN] with Path
// and IsRelative.
func profilesOf(root string) []string {
	text, err := os.ReadFile(filepath.Join(root, "profiles.ini"))
	if err != nil {
		return nil // no Firefox here
	}
	var profiles []string
	for section := range strings.SplitSeq("\n"+string(text), "\n[") {
		if !strings.HasPrefix(section, "Profile") {
			continue
		}
		path, relative := "", true
		for line := range strings.Lines(section) {
			switch key, value, _ := strings.Cut(strings.TrimSpace(line), "="); key {
			case "Path":
				path = value
			case "IsRelative":
				relative = value != "0"
			}
		}
		if path != "" && relative {
			path = filepath.Join(root, filepath.FromSlash(path))
		}
		if path != "" {
			profiles = append(profiles, path)
		}
	}
	return profiles
}
