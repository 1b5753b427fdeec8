package scaffold

import (
	"cmp"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
)

// wrappers start the program that follows them, each with its flags that take a
// value.
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

var (
	// wrapped are words that may come between a wrapper and the program.
	wrapped = strings.Fields("run exec dlx x -- auto-restart run-program x-exec dev")
	// runners start several command lines, which are their arguments.
	runners         = strings.Fields("concurrently conc npm-run-all npm-run-all2 run-p run-s mprocs stmux multiview parallel-run")
	packageManagers = strings.Fields("npm yarn pnpm bun node deno composer yarnpkg ni nr")
	shells          = strings.Fields("sh bash cmd zsh dash")
	watchers        = strings.Fields("nodemon watchexec onchange chokidar tsc-watch entr")
	interpreters    = strings.Fields("CompileDaemon python python3 ruby php py")
	// fromFiles start servers that their own files describe.
	fromFiles = strings.Fields("docker docker-compose podman kubectl ssh turbo lerna make just task overmind foreman")
)

var assignment = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*=`)

// maxUnwrap is how many wrappers around a program are removed.
const maxUnwrap = 12

// scripts are the named command lines of a folder: those of package.json,
// composer.json or deno.json.
type scripts struct {
	lines map[string]scriptLine
	env   environment
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

// unwrap removes the wrappers of c.
func (s *scripts) unwrap(c command, depth int) []command {
	for range maxUnwrap {
		if len(c.words) == 0 || depth > maxUnwrap {
			return nil
		}
		if len(c.words) == 1 && strings.Contains(c.words[0], " ") && depth < maxUnwrap { // a command line in quotes
			return s.line(c, c.words[0], nil, depth)
		}
		if assignment.MatchString(c.words[0]) {
			name, value, _ := strings.Cut(c.words[0], "=")
			c.env[name], c.words = value, c.words[1:]
			continue
		}
		name := programName(c.words[0])
		values, isWrapper := wrappers[name]
		switch {
		case slices.Contains(runners, name):
			return s.parallel(c, depth)
		case slices.Contains(packageManagers, name):
			return s.packageManager(name, c, depth)
		case slices.Contains(interpreters, name):
			return []command{interpreted(c)}
		case slices.Contains(fromFiles, name):
			return nil
		case slices.Contains(shells, name):
			line, _ := following(c.words, "-c", "-lc", "/c", "-ec")
			return s.line(c, line, nil, depth)
		case slices.Contains(watchers, name):
			if line, args := following(c.words, "--exec", "-x", "--onSuccess", "-c", "--command"); line != "" {
				return s.line(c, line, args, depth)
			}
			if name == "nodemon" {
				return []command{c}
			}
		case !isWrapper:
			return []command{c}
		case name == "sst" && len(c.words) > 2 && c.words[1] == "dev":
			c.words = c.words[2:]
			continue
		case name == "portless" && len(c.words) > 2 && c.words[1] != "run" && !strings.HasPrefix(c.words[1], "-"):
			c.words = c.words[1:] // the first argument is the name of a host
		}
		c = skipWrapper(c, values)
	}
	return []command{c}
}

// following returns the word after the first of flags, and those after it.
func following(words []string, flags ...string) (word string, rest []string) {
	i := slices.IndexFunc(words, func(w string) bool { return slices.Contains(flags, w) })
	if i < 0 || i+1 >= len(words) {
		return "", nil
	}
	return words[i+1], words[i+2:]
}

// line expands a command line that c starts. args are appended to its last
// command.
func (s *scripts) line(c command, text string, args []string, depth int) []command {
	list := commands(text, s.env)
	for i, inner := range list {
		env := maps.Clone(c.env)
		maps.Copy(env, inner.env)
		if i == len(list)-1 {
			inner.words = slices.Concat(inner.words, args)
		}
		list[i] = command{inner.words, env, path.Join(c.dir, inner.dir), cmp.Or(inner.script, c.script)}
	}
	return s.each(list, depth+1)
}

// skipWrapper removes the first word with its flags, and words such as "run" after
// it.
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

// interpreted removes an interpreter in front of a known program: "python -m
// uvicorn …", "php artisan serve", "node ace serve".
func interpreted(c command) command {
	i := slices.IndexFunc(c.words[1:], func(w string) bool { return w == "-S" || !strings.HasPrefix(w, "-") })
	if i < 0 || c.words[i+1] == "-S" { // php -S localhost:8000
		return c
	}
	if p, ok := recognize(c.words[i+1:]); ok && p.kind != "node" && p.kind != "serve" {
		c.words = c.words[i+1:]
	}
	return c
}

// parallel expands the arguments of runners.
func (s *scripts) parallel(c command, depth int) []command {
	name := programName(c.words[0])
	values := strings.Fields("-n --names -c --prefix-colors --prefix --success -m --max-processes --restart-tries --max-parallel")
	if name == "concurrently" {
		values = append(values, "-p")
	}
	var out []command
	for i := 1; i < len(c.words); i++ {
		w := c.words[i]
		if strings.HasPrefix(w, "-") {
			if slices.Contains(values, w) {
				i++
			}
			continue
		}
		if before, after, found := strings.Cut(w, ":"); found && slices.Contains([]string{"npm", "pnpm", "yarn", "bun"}, before) {
			w = after
		} else if slices.Contains([]string{"concurrently", "conc", "mprocs", "stmux"}, name) {
			out = append(out, s.line(c, w, nil, depth)...)
			continue
		}
		pattern, extra, _ := strings.Cut(w, " ")
		for _, key := range slices.Sorted(maps.Keys(s.lines)) {
			if matches, _ := path.Match(pattern, key); matches {
				out = append(out, s.script(c, key, strings.Fields(extra), depth)...)
			}
		}
	}
	return out
}

// script expands a script with arguments.
func (s *scripts) script(c command, name string, args []string, depth int) []command {
	line, found := s.lines[name]
	if !found || depth > maxUnwrap {
		return nil
	}
	c.script = name
	return s.line(c, line.text, slices.DeleteFunc(slices.Clone(args), func(a string) bool { return a == "--" || a == "--silent" || a == "-s" }), depth)
}

// folderFlags make a package manager run a script of another folder, whose own file
// is read.
var folderFlags = strings.Fields("--prefix --cwd -C --dir -w --workspace --filter -F -d --working-dir workspace workspaces -r --recursive foreach")

// workspaceFlag matches those that npm also accepts after the script.
var workspaceFlag = regexp.MustCompile(`^(-w|--workspace.*|--prefix.*)$`)

// skipFlags skips the flags of a package manager in front of its arguments. ok is
// false if they name another folder.
func skipFlags(words []string) (rest []string, ok bool) {
	for ; len(words) > 0; words = words[1:] {
		flag, _, _ := strings.Cut(words[0], "=")
		if slices.Contains(folderFlags, flag) {
			return nil, false
		}
		if !strings.HasPrefix(flag, "-") {
			break
		}
	}
	return words, true
}

// packageManager expands npm run, yarn, pnpm exec and the like. node, bun and deno
// also run files.
func (s *scripts) packageManager(name string, c command, depth int) []command {
	if name == "node" {
		if len(c.words) > 2 && c.words[1] == "--run" {
			return s.script(c, c.words[2], c.words[3:], depth)
		}
		return []command{interpreted(c)}
	}
	words, own := skipFlags(c.words[1:])
	run := len(words) > 1 && oneOf("run|run-script|task", words[0])
	if run {
		if name == "deno" && words[0] == "run" && strings.HasPrefix(words[1], "-") {
			return []command{interpreted(c)}
		}
		words, own = skipFlags(words[1:])
	}
	if !own || len(words) == 0 && oneOf("npm|composer|yarn", name) {
		return nil
	}
	if len(words) == 0 {
		return []command{interpreted(c)}
	}
	first := words[0]
	_, isScript := s.lines[first]
	switch {
	case run && isScript && slices.ContainsFunc(words, workspaceFlag.MatchString):
		return nil
	case isScript && (run || oneOf("start|test", first) || oneOf("yarn|pnpm|composer|nr", name) || name == "bun" && !isSource(first)):
		return s.script(c, first, words[1:], depth)
	case !run && oneOf("exec|dlx|x", first):
		c.words = append([]string{"npx"}, words[1:]...)
		return s.unwrap(c, depth+1)
	case name == "npm" || name == "composer":
		return nil
	case run && isSource(first): // bun run server.ts
		c.words = append([]string{name}, words...)
		return []command{interpreted(c)}
	case run || name == "yarn" || name == "pnpm": // yarn run vite
		c.words = words
		return s.unwrap(c, depth+1)
	case oneOf("deno|bun", name) && !oneOf("start|test", first):
		return []command{interpreted(c)}
	}
	return nil
}
