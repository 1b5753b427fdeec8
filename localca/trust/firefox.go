package trust

import (
	"bufio"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// firefoxRoots are the folders with a profiles.ini: the old place, the XDG one
// (since version 147), snap, flatpak and macOS.
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

// firefoxDatabases are the profiles that every profiles.ini names, as far as
// Firefox has made a database in them yet.
func firefoxDatabases(m Machine) databases {
	// Since version 120 Firefox takes over the roots that were added to the
	// system's store, and NSS's tools are not made for Windows.
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

// profilesOf reads the profile folders out of profiles.ini: sections [ProfileN]
// with Path and IsRelative.
func profilesOf(root string) []string {
	f, err := os.Open(filepath.Join(root, "profiles.ini"))
	if err != nil {
		return nil // no Firefox here
	}
	defer f.Close()
	var profiles []string
	path, relative, inProfile := "", true, false
	finish := func() {
		if inProfile && path != "" {
			if relative {
				path = filepath.Join(root, filepath.FromSlash(path))
			}
			profiles = append(profiles, path)
		}
		path, relative = "", true
	}
	lines := bufio.NewScanner(f) // what follows a line of 64 KiB is not read
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		if strings.HasPrefix(line, "[") {
			finish()
			inProfile = strings.HasPrefix(line, "[Profile")
			continue
		}
		key, value, _ := strings.Cut(line, "=")
		switch key {
		case "Path":
			path = value
		case "IsRelative":
			relative = value != "0"
		}
	}
	finish()
	return profiles
}
