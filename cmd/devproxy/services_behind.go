package main

import (
	"maps"
	"slices"
	"strings"

	"github.com/devproxy/devproxy/devproxy/scaffold"
	"github.com/devproxy/devproxy/devproxy/service"
)

// putBehind adds what a known dev server needs behind devproxy to the arguments of a
// service and to its environment, and says so. domain is a name outside of localhost that
// it has to accept.
func (s *services) putBehind(spec *service.Spec, env map[string]string, domain string) {
	behind := scaffold.BehindProxy(spec.Dir, spec.Args, env, domain)
	var added []string
	for _, name := range slices.Sorted(maps.Keys(behind.Env)) {
		env[name] = behind.Env[name]
		added = append(added, name+"="+env[name])
	}
	spec.Args = behind.Args
	if len(behind.Added) > 0 {
		added = append(added, strings.Join(behind.Added, " "))
	}
	if text := wordList(added); text != s.added[spec.Name] {
		s.added[spec.Name] = text
		if text != "" {
			s.instance.say(spec.Name + " gets " + text + ", so that its pages and hot reload go through devproxy")
		}
	}
}

// wordList joins words as a sentence does: "a, b and c".
func wordList(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " and " + words[last]
}
