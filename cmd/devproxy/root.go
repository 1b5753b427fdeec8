package main

import (
	"cmp"
	"os"
	"path/filepath"
	"sync"

	"github.com/devproxy/devproxy/devproxy/programs"
	"github.com/devproxy/devproxy/devproxy/worktree"
	"github.com/devproxy/devproxy/hcl"
	"github.com/devproxy/devproxy/localca"
)

// programPath is where the programs that devproxy runs by their names are found: nothing
// of the projects that the working directory and folders are in. Project folders that
// contain the user's home directory are the user's own.
func programPath(folders ...string) programs.Path {
	userHome, _ := os.UserHomeDir() // empty if it is not known
	home := realPath(userHome)
	if dir, err := os.Getwd(); err == nil {
		folders = append(folders, dir)
	}
	var projects []string
	for _, folder := range folders {
		if folder == "" {
			continue
		}
		root, found, err := worktree.Root(folder, userHome)
		if err == nil && !found {
			var file string
			if file, err = hcl.Find(root); err == nil {
				root = realPath(filepath.Dir(file))
			}
		}
		if err == nil && (userHome == "" || !worktree.Contains(root, home)) {
			projects = append(projects, root)
		}
	}
	return programs.Here(projects...)
}

// programEnv is [os.Getenv] for what runs programs by their names.
func programEnv(folders ...string) func(string) string {
	path := sync.OnceValue(func() string { return programPath(folders...).String() })
	return func(name string) string {
		if name == "PATH" {
			return path()
		}
		return os.Getenv(name)
	}
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
	return programPath().AsRoot(argv...)
}

// ownProgram is the path of this program.
func ownProgram() string {
	program, err := os.Executable()
	if err != nil {
		return "devproxy"
	}
	return program
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
