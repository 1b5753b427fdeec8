package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
)

// program is how a person calls devproxy from here: by its name where the shell
// finds it, else by the path of this file.
var program = sync.OnceValue(func() string {
	const name = "devproxy"
	if _, err := exec.LookPath(name); err == nil {
		return name
	}
	path, err := os.Executable()
	if err != nil {
		return name
	}
	if dir, err := os.Getwd(); err == nil && filepath.Dir(dir) != dir {
		if relative, err := filepath.Rel(dir, path); err == nil && filepath.IsLocal(relative) {
			path = "." + string(filepath.Separator) + relative
			if strings.ContainsRune(relative, filepath.Separator) {
				path = relative
			}
		}
	}
	if strings.ContainsFunc(path, func(r rune) bool {
		return strings.ContainsRune(" \t'\"\\$`&|;<>()*?[]#~=%!", r) && r != filepath.Separator
	}) {
		path = quoteSh(path)
	}
	return path
})

// command is a devproxy command in a text that helps: the name with the verb that
// follows it.
var command = regexp.MustCompile(`\bdevproxy( (?:init|up|share|allow|deny|check|fmt|explain|hash-password|trust|untrust|env|status|down|relay|version|completion|--help)\b)`)

// typed is a text that helps with its commands as they can be typed here.
func typed(text string) string {
	if program() == "devproxy" {
		return text
	}
	return command.ReplaceAllStringFunc(text, func(found string) string { return program() + strings.TrimPrefix(found, "devproxy") })
}
