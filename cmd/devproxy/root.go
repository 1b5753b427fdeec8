package main

import (
	"cmp"
	"os"
	"os/exec"

	"github.com/devproxy/devproxy/localca"
	"github.com/devproxy/devproxy/localca/trust"
)

// rootPrograms run a command as root, in the order of preference. su takes it as one
// text.
var rootPrograms = []string{"sudo", "doas", "run0", "su"}

// rootProgram returns the one that is installed; empty for none.
func rootProgram() string {
	for _, name := range rootPrograms {
		if _, err := exec.LookPath(name); err == nil {
			return name
		}
	}
	return ""
}

// rootCommand returns the command that runs a verb on a store as root: with this
// program, this user's CA and the variables of env, which sudo would drop. Without a
// program that becomes root, it is a command for a root shell.
func rootCommand(verb, store, domain string, env ...string) []string {
	if store, err := openStore(); err == nil { // else no CA exists
		env = append([]string{localca.HomeVariable + "=" + store.Home}, env...)
	}
	var argv []string
	if len(env) > 0 {
		argv = append([]string{"env"}, env...)
	}
	argv = append(argv, ownProgram(), verb, "--store", store)
	if domain != "" {
		argv = append(argv, "--domain", domain)
	}
	return asRoot(argv)
}

// ownProgram is the path of this program.
func ownProgram() string {
	program, err := os.Executable()
	if err != nil {
		return "devproxy"
	}
	return program
}

// asRoot returns the command that runs argv as root: argv itself if no program that
// becomes root is installed.
func asRoot(argv []string) []string {
	switch name := rootProgram(); name {
	case "":
		return argv
	case "su":
		return []string{name, "-c", trust.ShellLine(argv)}
	default:
		return append([]string{name}, argv...)
	}
}

// sudoUser returns the user that runs devproxy through sudo or doas; empty if none
// does.
func sudoUser() string {
	if user := cmp.Or(os.Getenv("SUDO_USER"), os.Getenv("DOAS_USER")); os.Geteuid() == 0 && user != "root" {
		return user
	}
	return ""
}

// refuseSudo returns an error if devproxy was started through sudo: root has other
// projects and another block.
func refuseSudo() error {
	if user := sudoUser(); user != "" {
		return failf("leave out sudo: devproxy shows the command that needs root", "sudo runs devproxy as root, and the projects are %s's", user)
	}
	return nil
}
