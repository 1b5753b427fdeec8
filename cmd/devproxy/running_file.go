package main

import (
	"context"
	"path/filepath"
	"slices"

	"github.com/devproxy/devproxy/devproxy/control"
)

// checkSameFile refuses the Proxyfile name if the devproxy that runs in its folder serves
// another one: a folder has one instance. An older version does not say what it serves.
func checkSameFile(ctx context.Context, client *control.Client, name string) error {
	if name == "" {
		return nil // a port
	}
	ctx, cancel := context.WithTimeout(ctx, statusTimeout)
	defer cancel()
	status, err := client.Status(ctx)
	if err != nil {
		return err
	}
	const fix = "devproxy down stops it, devproxy logs -f shows its output"
	switch {
	case status.Proxyfile == name || isDefault(status.Proxyfile) && isDefault(name): // it may have been renamed
		return nil
	case status.Proxyfile != "":
		return failf(fix, "devproxy already serves %s in this folder (pid %d), and not %s", status.Proxyfile, status.PID, name)
	case len(status.Hosts) > 0 && status.Hosts[0].File == "":
		return failf(fix, "devproxy already runs in this folder without a Proxyfile (pid %d), for %s", status.PID, status.Hosts[0].URL)
	}
	return nil
}

// isDefault reports whether a Proxyfile is found without -f.
func isDefault(name string) bool { return slices.Contains(proxyfileNames, name) }

// given returns the name of the Proxyfile of -f; empty without it.
func (f fileFlags) given() string {
	if f.File == "" {
		return ""
	}
	return filepath.Base(f.File)
}
