package trust

import (
	"path/filepath"
	"slices"
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
