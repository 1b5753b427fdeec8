package main

import (
	"fmt"
	"os"
	"slices"

	"github.com/devproxy/devproxy/localca/trust"
)

// sudoUser is who runs us through sudo or doas; empty without.
func sudoUser() string {
	if user := firstOf(os.Getenv("SUDO_USER"), os.Getenv("DOAS_USER")); os.Geteuid() == 0 && user != "root" {
		return user
	}
	return ""
}

// noteSudo says whose browsers are meant when sudo runs us, and has those of a
// user left alone: files of root's in the user's home would lock the browser out.
func (t *trustRun) noteSudo(stores []trust.Store) {
	user := sudoUser()
	if user == "" || !slices.ContainsFunc(stores, isBrowser) {
		return
	}
	if home, err := os.UserHomeDir(); err == nil && belongsToOther(home) {
		t.alone = user
		return
	}
	fmt.Fprintf(t.streams.Err, "sudo: these are root's browsers; for those of %s run it without sudo\n", user)
}

// isBrowser reports whether a store is below a user's home.
func isBrowser(store trust.Store) bool {
	return store.Name() == "chromium" || store.Name() == "firefox"
}
