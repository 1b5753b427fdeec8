package scaffold

import (
	"cmp"
	"path"
	"regexp"
	"slices"
	"strings"
)

// wrappers start the program that follows them. The flags of each that take a
// value are listed; other flags are stepped over.
var wrappers = map[string]string{
	"npx": "-p --package -c", "bunx": "", "pnpx": "", "exec": "", "nice": "-n", "time": "", "sudo": "-u", "nohup": "", "stdbuf": "", "chronic": "", "unbuffer": "", "command": "",
	"cross-env": "", "cross-env-shell": "", "env": "-u", "dotenv": "-e -v -c -p -f", "dotenvx": "-f --env-file", "env-cmd": "-f --file -e -r", "varlock": "",
	"doppler": "-p -c --project --config", "infisical": "--env --path --projectId", "op": "--env-file", "chamber": "", "aws-vault": "", "direnv": "", "mise": "", "with-env": "",
	"poetry": "", "pipenv": "", "pdm": "", "uv": "--with --group --extra --env-file -p --python --directory", "uvx": "--with --from", "rye": "", "hatch": "-e", "conda": "-n", "pixi": "",
	"bundle": "", "spring": "", "rbenv": "", "asdf": "", "nvm": "", "volta": "", "fnm": "",
	"portless": "--app-port --name", "localias": "", "slim": "", "sst": "", "nodemon": "-w --watch -e --ext -i --ignore -d --delay --signal -C",
	"wait-on": "", "start-server-and-test": "", "newrelic-admin": "", "ddtrace-run": "", "opentelemetry-instrument": "", "debugpy": "--listen", "coverage": "",
	"watchexec": "-w --watch -e --exts -i --ignore -f --filter", "entr": "", "reflex": "-r -R -g -G", "watchmedo": "", "hivemind": "", "rdbg": "-n -O --port --host -c", "node-dev": "",
	"dart": "", "flock": "",
}

// wrapped is what may follow a wrapper before the program: "run", "exec" and
// their like.
var wrapped = []string{"run", "exec", "dlx", "x", "--", "auto-restart", "run-program", "x-exec", "dev"}

var assignment = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*=`)

// runners start several command lines, given as arguments.
var runners = []string{"concurrently", "conc", "npm-run-all", "npm-run-all2", "run-p", "run-s", "mprocs", "stmux", "multiview", "parallel-run"}

// maxUnwrap is how many wrappers around a program are taken off.
const maxUnwrap = 12

// scripts are named command lines of a folder: those of package.json, of
// composer.json, of deno.json.
type scripts struct {
	lines map[string]scriptLine
	env   func(string) (string, bool)
}

type scriptLine struct {
	text string
	line int
}

// expand returns the programs that a command line starts, through wrappers and
// other scripts.
func (s *scripts) expand(line string) []command {
	return s.each(commands(line, s.env), 0)
}

func (s *scripts) each(list []command, depth int) []command {
	var out []command
	for _, c := range list {
		out = append(out, s.unwrap(c, depth)...)
	}
	return out
}

// unwrap takes wrappers off c, as long as there are any.
func (s *scripts) unwrap(c command, depth int) []command {
	for range maxUnwrap {
		if len(c.words) == 0 || depth > maxUnwrap {
			return nil
		}
		if len(c.words) == 1 && strings.Contains(c.words[0], " ") && depth < maxUnwrap { // a command line in quotes
			return s.inner(c, []string{"-c", c.words[0]}, depth, "-c")
		}
		if assignment.MatchString(c.words[0]) {
			name, value, _ := strings.Cut(c.words[0], "=")
			c.env[name], c.words = value, c.words[1:]
			continue
		}
		name := programName(c.words[0])
		switch {
		case slices.Contains(runners, name):
			return s.parallel(c, depth)
		case slices.Contains([]string{"npm", "yarn", "pnpm", "bun", "node", "deno", "composer", "yarnpkg", "ni", "nr"}, name):
			if more, done := s.packageManager(name, &c, depth); done {
				return more
			}
			if name == "npm" || name == "composer" {
				return nil
			}
			if programName(c.words[0]) == name {
				return []command{s.interpreter(c)}
			}
		case name == "sh" || name == "bash" || name == "cmd" || name == "zsh" || name == "dash":
			return s.inner(c, c.words[1:], depth, "-c", "-lc", "/c", "-ec")
		case name == "nodemon" || name == "watchexec" || name == "onchange" || name == "chokidar" || name == "tsc-watch" || name == "entr":
			if i := slices.IndexFunc(c.words, func(w string) bool {
				return slices.Contains([]string{"--exec", "-x", "--onSuccess", "-c", "--command"}, w)
			}); i >= 0 && i+1 < len(c.words) {
				list := commands(c.words[i+1], s.env)
				for j := range list {
					list[j] = list[j].below(c)
				}
				return s.each(appendArguments(list, c.words[i+2:]), depth+1)
			}
			if name == "nodemon" {
				return []command{c}
			}
			if c = skipWrapper(c, wrappers[name]); len(c.words) == 0 {
				return nil
			}
		case name == "CompileDaemon" || name == "python" || name == "python3" || name == "ruby" || name == "php" || name == "py":
			return []command{s.interpreter(c)}
		case name == "docker" || name == "docker-compose" || name == "podman" || name == "kubectl" || name == "ssh" || name == "turbo" || name == "lerna" || name == "make" || name == "just" || name == "task" || name == "overmind" || name == "foreman":
			return nil // what it starts is read from its own file
		default:
			if values, known := wrappers[name]; known {
				if name == "sst" && len(c.words) > 2 && c.words[1] == "dev" {
					c.words = c.words[2:]
					continue
				}
				if name == "portless" && len(c.words) > 2 && c.words[1] != "run" && !strings.HasPrefix(c.words[1], "-") {
					c.words = append(c.words[:1:1], c.words[2:]...) // its first argument is a name
				}
				c = skipWrapper(c, values)
				continue
			}
			return []command{c}
		}
	}
	return []command{c}
}

// inner expands the command line that follows one of flags.
func (s *scripts) inner(c command, words []string, depth int, flags ...string) []command {
	for i, w := range words {
		if slices.Contains(flags, w) && i+1 < len(words) {
			list := commands(words[i+1], s.env)
			for j := range list {
				list[j] = list[j].below(c)
			}
			return s.each(list, depth+1)
		}
	}
	return nil
}

// below is c started by outer, with its variables and in its folder.
func (c command) below(outer command) command {
	env := map[string]string{}
	for _, from := range []map[string]string{outer.env, c.env} {
		for k, v := range from {
			env[k] = v
		}
	}
	return command{c.words, env, path.Join(outer.dir, c.dir), cmp.Or(c.script, outer.script)}
}

// skipWrapper takes the first word off, with its flags, and with words such as
// "run" after it.
func skipWrapper(c command, values string) command {
	c.words = c.words[1:]
	for len(c.words) > 0 {
		w := c.words[0]
		switch {
		case slices.Contains(strings.Fields(values), w) && len(c.words) > 1:
			c.words = c.words[2:]
		case strings.HasPrefix(w, "-") || slices.Contains(wrapped, w) && len(c.words) > 1:
			c.words = c.words[1:]
		default:
			return c
		}
	}
	return c
}

// interpreter takes an interpreter off where what it runs is a program that is
// known: "python -m uvicorn …", "php artisan serve", "node ace serve".
func (s *scripts) interpreter(c command) command {
	for i := 1; i < len(c.words); i++ {
		w := c.words[i]
		if w == "-S" { // php -S localhost:8000
			return c
		}
		if w == "-m" {
			continue
		}
		if strings.HasPrefix(w, "-") {
			continue
		}
		inner := command{c.words[i:], c.env, c.dir, c.script}
		if p, ok := recognize(inner.words); ok && p.kind != "node" && p.kind != "serve" {
			return inner
		}
		return c
	}
	return c
}

// parallel expands the arguments of concurrently and its like.
func (s *scripts) parallel(c command, depth int) []command {
	var out []command
	values := strings.Fields("-n --names -c --prefix-colors -p --prefix -k -s --success -m --max-processes --restart-tries -l --max-parallel")
	for i := 1; i < len(c.words); i++ {
		w := c.words[i]
		if strings.HasPrefix(w, "-") {
			if slices.Contains(values, w) && w != "-k" && (w != "-p" || programName(c.words[0]) == "concurrently") && w != "-s" && w != "-l" {
				i++
			}
			continue
		}
		name := programName(c.words[0])
		if strings.HasPrefix(w, "npm:") || strings.HasPrefix(w, "pnpm:") || strings.HasPrefix(w, "yarn:") || strings.HasPrefix(w, "bun:") {
			_, w, _ = strings.Cut(w, ":")
		} else if name == "concurrently" || name == "conc" || name == "mprocs" || name == "stmux" {
			out = append(out, s.inner(c, []string{"-c", w}, depth, "-c")...)
			continue
		}
		script, extra, _ := strings.Cut(w, " ")
		for _, key := range s.like(script) {
			out = append(out, s.script(c, key, strings.Fields(strings.TrimPrefix(extra, "-- ")), depth)...)
		}
	}
	return out
}

// like are the scripts that a name with "*" means, in order.
func (s *scripts) like(name string) []string {
	if !strings.Contains(name, "*") {
		return []string{name}
	}
	pattern, err := regexp.Compile("^" + strings.ReplaceAll(regexp.QuoteMeta(name), `\*`, `.*`) + "$")
	if err != nil {
		return nil
	}
	var out []string
	for _, key := range sortedKeys(s.lines) {
		if pattern.MatchString(key) {
			out = append(out, key)
		}
	}
	return out
}

// script expands a script by its name, with arguments appended to it.
func (s *scripts) script(c command, name string, args []string, depth int) []command {
	line, found := s.lines[name]
	if !found || depth > maxUnwrap {
		return nil
	}
	list := commands(line.text, s.env)
	c.script = name
	for i := range list {
		list[i] = list[i].below(c)
	}
	return s.each(appendArguments(list, args), depth+1)
}

// appendArguments appends what follows "npm run dev --" to the last command.
func appendArguments(list []command, args []string) []command {
	if len(list) > 0 && len(args) > 0 {
		last := &list[len(list)-1]
		last.words = append(slices.Clone(last.words), args...)
	}
	return list
}

// packageManager reads npm run, yarn, pnpm exec and their like. done is false
// where c has become the program to look at.
func (s *scripts) packageManager(name string, c *command, depth int) (list []command, done bool) {
	words := c.words[1:]
	for len(words) > 0 {
		switch w := words[0]; {
		case name == "node" && w == "--run" && len(words) > 1:
			return s.script(*c, words[1], words[2:], depth), true
		case slices.Contains([]string{"--prefix", "--cwd", "-C", "--dir", "-w", "--workspace", "--filter", "-F", "-d", "--working-dir"}, w) && name != "node":
			return nil, true // of another folder, whose own file is read
		case strings.HasPrefix(w, "--prefix=") || strings.HasPrefix(w, "--workspace=") || strings.HasPrefix(w, "--filter=") || strings.HasPrefix(w, "--cwd="):
			return nil, true
		case name != "node" && (w == "workspace" || w == "workspaces" || w == "-r" || w == "--recursive" || w == "foreach"):
			return nil, true
		case strings.HasPrefix(w, "-") && name != "node":
			words = words[1:]
			continue
		}
		break
	}
	if len(words) == 0 {
		if name == "yarn" {
			return nil, true
		}
		return nil, false
	}
	first := words[0]
	switch {
	case name == "node":
		return nil, false
	case (first == "run" || first == "run-script" || first == "task") && len(words) > 1:
		rest := words[1:]
		for len(rest) > 1 && strings.HasPrefix(rest[0], "-") {
			if rest[0] == "--watch" || rest[0] == "--hot" || name == "deno" {
				if name == "bun" && len(rest) > 1 {
					rest = rest[1:]
					continue
				}
				if name == "deno" && first == "run" {
					return nil, false
				}
			}
			if rest[0] == "-w" || rest[0] == "--workspace" || rest[0] == "--prefix" || rest[0] == "--filter" || strings.HasPrefix(rest[0], "--workspace=") {
				return nil, true
			}
			rest = rest[1:]
		}
		if _, found := s.lines[rest[0]]; !found {
			if name == "npm" || name == "composer" {
				return nil, true
			}
			c.words = rest // yarn run vite, bun run server.ts
			if isSource(rest[0]) {
				c.words = append([]string{name}, rest...)
				return nil, false
			}
			return s.unwrap(*c, depth+1), true
		}
		args := rest[1:]
		if slices.Contains(args, "-w") || slices.ContainsFunc(args, func(a string) bool { return strings.HasPrefix(a, "--workspace") || strings.HasPrefix(a, "--prefix") }) {
			return nil, true
		}
		return s.script(*c, rest[0], slices.DeleteFunc(slices.Clone(args), func(a string) bool { return a == "--" || a == "--silent" || a == "-s" }), depth), true
	case first == "exec" || first == "dlx" || first == "x":
		c.words = append([]string{"npx"}, words[1:]...)
		return s.unwrap(*c, depth+1), true
	case first == "start" || first == "test" || name == "yarn" || name == "pnpm" || name == "composer" || name == "nr":
		if _, found := s.lines[first]; found {
			return s.script(*c, first, slices.DeleteFunc(slices.Clone(words[1:]), func(a string) bool { return a == "--" }), depth), true
		}
		if name == "yarn" || name == "pnpm" {
			c.words = words
			return s.unwrap(*c, depth+1), true
		}
		return nil, true
	case name == "bun":
		if _, found := s.lines[first]; found && !isSource(first) {
			return s.script(*c, first, words[1:], depth), true
		}
		return nil, false
	case name == "deno":
		return nil, false
	}
	return nil, true
}
