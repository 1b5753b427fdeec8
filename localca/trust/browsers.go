package trust

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// readsSystem is the detail of a result for a browser without its own store.
const readsSystem = "it reads the system store here"

// chromiumDatabases are the databases of Chromium, which reads only
// ~/.pki/nssdb if that folder exists, otherwise $XDG_DATA_HOME/pki/nssdb (since
// version 146). A root is therefore added to each that exists. The first folder
// is never made, since that would hide the second from Chromium. If it exists
// and is empty, the database is made there, since Chromium uses it.
func chromiumDatabases(m Machine) databases {
	if m.OS == "darwin" || m.OS == "windows" {
		return databases{elsewhere: readsSystem}
	}
	data := m.Getenv("XDG_DATA_HOME")
	if !filepath.IsAbs(data) {
		data = filepath.Join(m.Home, ".local", "share")
	}
	legacy := filepath.Join(m.Home, ".pki", "nssdb")
	modern := filepath.Join(data, "pki", "nssdb")
	dbs := databases{}
	for _, dir := range append([]string{legacy, modern}, packagedChromium(m)...) {
		if hasDatabase(dir) && !slices.Contains(dbs.existing, dir) {
			dbs.existing = append(dbs.existing, dir)
		}
	}
	switch {
	case exists(legacy) && !hasDatabase(legacy):
		dbs.create = legacy
	case !exists(legacy) && !hasDatabase(modern):
		dbs.create = modern
	}
	return dbs
}

// packagedChromium are the databases inside snap's and flatpak's homes. A browser makes
// missing ones when it first starts.
func packagedChromium(m Machine) []string {
	snap := filepath.Join(m.Home, "snap", "chromium", "current")
	dirs := []string{
		filepath.Join(snap, ".pki", "nssdb"),
		filepath.Join(snap, ".local", "share", "pki", "nssdb"),
	}
	for _, app := range []string{"org.chromium.Chromium", "com.google.Chrome"} {
		flatpak := filepath.Join(m.Home, ".var", "app", app)
		dirs = append(dirs, filepath.Join(flatpak, ".pki", "nssdb"), filepath.Join(flatpak, "data", "pki", "nssdb"))
	}
	return dirs
}

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
