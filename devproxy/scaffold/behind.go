package scaffold

import (
	"os"
	"path"
	"slices"
	"strings"
)

// Behind says how to start a dev server behind devproxy.
type Behind struct {
	// Args are the program and its arguments. Added are those at the end that were not in
	// the command.
	Args, Added []string
	// Env are further variables.
	Env map[string]string
}

// BehindProxy returns how to start the command args in the folder dir, which is absolute:
// with what a known dev server needs so that its hot reload goes through devproxy, and so
// that it opens no page at its own port. env is its environment. domain is a name outside of
// localhost that it has to accept with all names below it; empty for none. What a person has
// set stays as it is.
func BehindProxy(dir string, args []string, env map[string]string, domain string) Behind {
	made := Behind{Args: args, Env: map[string]string{}}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return made
	}
	defer root.Close()
	r := &repository{root: root, has: map[string]bool{}, texts: map[string][]byte{}, env: map[string]map[string]string{}, notes: &notes{}}
	r.list(".")
	p := javascriptPackage{folder: ".", scripts: scripts{lines: map[string]scriptLine{}, env: noVariables}}
	if config, ok := r.json("package.json"); ok {
		p.scripts = r.scriptsOf(".", config.At("scripts"))
	}
	found, c, ok := p.server(args)
	if !ok {
		return made
	}
	switch found.kind {
	case "create-react-app":
		made.Env["BROWSER"] = "none"
		isSet := func(name string) bool {
			_, inFile := r.variable(".", name)
			return inFile || c.env[name] != "" || env[name] != ""
		}
		if !isSet("WDS_SOCKET_HOST") && !isSet("WDS_SOCKET_PORT") {
			// Its client takes them from the page then. It would connect to HOST otherwise.
			made.Env["WDS_SOCKET_HOST"], made.Env["WDS_SOCKET_PORT"] = "0.0.0.0", "0"
		}
	case "storybook":
		made.Env["BROWSER"] = "none"
	case "webpack":
		if c.option("--client-web-socket-url", "--client-web-socket-url-port") == "" && !r.webpackSets("webSocketURL") {
			made.Added = append(made.Added, "--client-web-socket-url", "auto://0.0.0.0:0/ws")
		}
		if domain != "" && c.option("--allowed-hosts") == "" && !r.webpackSets("allowedHosts") {
			made.Added = append(made.Added, "--allowed-hosts", "."+domain)
		}
	}
	if _, set := env["BROWSER"]; set {
		delete(made.Env, "BROWSER")
	}
	if !p.appends(args) {
		made.Added = nil
	}
	if len(made.Added) > 0 {
		made.Args = slices.Concat(args, between(args), made.Added)
	}
	return made
}

// server returns the only server that a command starts, and its own command.
func (p javascriptPackage) server(args []string) (found program, c command, ok bool) {
	for _, one := range p.unwrap(command{words: args, env: map[string]string{}, dir: "."}, 0) {
		if program, is := recognize(one.words); is {
			if ok {
				return program, one, false
			}
			found, c, ok = program, one, true
		}
	}
	return found, c, ok
}

// scriptOf is the script that a package manager is told to run; empty for anything else.
func scriptOf(args []string) string {
	i := slices.IndexFunc(args, func(word string) bool { return strings.HasPrefix(word, "-") })
	if i < 0 {
		i = len(args)
	}
	first := append([]string{programName(args[0])}, args[min(1, i):i]...)
	return submatch(scriptCall, strings.Join(first, " "))
}

// appends reports whether arguments at the end of a command reach the server.
func (p javascriptPackage) appends(args []string) bool {
	if script := scriptOf(args); script != "" && p.lines[script].text != "" {
		return p.shape(script).takes
	}
	_, direct := recognize(args)
	return direct || slices.Contains([]string{"npx", "bunx", "pnpx", "pnpm", "yarn", "bun"}, programName(args[0]))
}

// between is what has to be between a command and more arguments: npm passes on what
// follows "--" only.
func between(args []string) []string {
	if programName(args[0]) == "npm" && !slices.Contains(args, "--") {
		return []string{"--"}
	}
	return nil
}

// webpackSets reports whether a configuration of webpack has an option. One that is built
// from other files may have it there.
func (r *repository) webpackSets(option string) bool {
	return slices.ContainsFunc(webpackConfig.files, func(name string) bool {
		file := r.script(".", name)
		return file != "" && r.contains(path.Clean(file), option)
	})
}
