package provider

import (
	"path/filepath"
	"strings"
)

// findProgram is the absolute path of a program on the PATH that getenv reads, or
// "". Relative entries of PATH are skipped: the folder that devproxy runs in
// belongs to a project, and a project does not choose the programs that run.
func findProgram(getenv func(string) string, name string) string {
	for _, folder := range filepath.SplitList(getenv("PATH")) {
		if !filepath.IsAbs(folder) {
			continue
		}
		if path := filepath.Join(folder, name+programSuffix); isProgram(path) {
			return path
		}
	}
	return ""
}

// childEnvironment is the environment of a program that is not the user's to
// configure: where things are on this machine, and the roots it trusts.
func childEnvironment(getenv func(string) string) []string {
	var env []string
	for name := range strings.FieldsSeq(environmentNames) {
		if value := getenv(name); value != "" {
			env = append(env, name+"="+value)
		}
	}
	return env
}
