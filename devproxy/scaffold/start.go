package scaffold

import (
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/devproxy/devproxy/hcl"
)

// portWord is where the port of a service goes in its command.
const portWord = "{port}"

// start is how devproxy can start a server.
type start struct {
	words  []string
	folder string // where it runs
	env    map[string]string
	// moves is true if the server listens on the port that it is given, with portWord or
	// in PORT. Otherwise it listens where its own configuration says.
	moves bool
}

// text is the command as people type it.
func (s *start) text() string { return hcl.JoinCommand(s.words) }

// usable reports whether a Proxyfile can express the start exactly. Braces in words
// could be a placeholder, and HCL normalizes Unicode.
func (s *start) usable() bool {
	values := append(slices.Clone(s.words), s.folder)
	for name, value := range s.env {
		values = append(values, name, value)
	}
	for i, value := range values {
		if i < len(s.words) && strings.ContainsAny(strings.ReplaceAll(value, portWord, ""), "{}") {
			return false
		}
		if strings.ContainsFunc(value, unicode.IsControl) || !utf8.ValidString(value) || !norm.NFC.IsNormalString(value) {
			return false
		}
	}
	return len(s.words) > 0 && s.words[0] != "" && !strings.HasPrefix(s.words[0], "-") && !slices.Contains(s.words, "")
}

// startWith lets devproxy start c, unless another way is known.
func (c *candidate) startWith(s *start) {
	if s != nil && c.start == nil && s.usable() {
		c.start = s
	}
}

// portFlags are the options that set the port, by the kind of a program.
var portFlags = flagsByKind()

func flagsByKind() map[string]string {
	flags := map[string]string{
		"live-server": "--port=" + portWord, "serve": "-l " + portWord, "http-server": "-p " + portWord, "fastify": "-p " + portWord, "gridsome": "-p " + portWord,
		"vercel": "--listen " + portWord, "remix": "", "mkdocs": "-a 127.0.0.1:" + portWord, "zensical": "-a 127.0.0.1:" + portWord, "streamlit": "--server.port " + portWord,
	}
	const withPort = "next nuxt astro react-router qwik angular vue-cli gatsby docusaurus vitepress vuepress rspress slidev storybook ladle histoire rsbuild rspack webpack ember wrangler " +
		"vinxi solid-start waku expo parcel farm eleventy hexo sanity vite json-server nitro netlify quasar"
	for _, kind := range strings.Fields(withPort) {
		flags[kind] = "--port " + portWord
	}
	return flags
}

// flagFor returns the words by which a program gets its port; nil if that is unknown.
func (p program) flagFor(c command) []string {
	if p.kind == "remix" && slices.Contains(c.words, "vite:dev") {
		return []string{"--port", portWord}
	}
	return strings.Fields(portFlags[p.kind])
}

// readsPort reports whether a program listens on the port in PORT, if its command sets
// none.
func (d *discovery) readsPort(c *candidate) bool {
	if !oneOf(c.program.env, "PORT") || c.program.portIn(c.from) != 0 {
		return false
	}
	if !slices.Contains([]string{"node", "nest", "go", "python", "rust"}, c.program.kind) {
		return true
	}
	files := slices.Concat(c.from.words, entryFiles, settingsFiles, pythonMains, []string{"main.go", "src/main.rs"})
	for _, word := range c.from.words {
		files = append(files, "src/"+sourceOf(word))
	}
	return slices.ContainsFunc(files, func(name string) bool {
		file := path.Join(c.folder, name)
		return !strings.HasPrefix(file, "..") && !path.IsAbs(name) && portRead.Match(d.text(d.deep(file)))
	})
}

// portRead matches code that reads PORT: process.env.PORT, os.Getenv("PORT").
var portRead = regexp.MustCompile(`\benv(?:ironment)?\.PORT\b|["']PORT["']|\bPORT\b[^\n]{0,40}(?:process|Bun|import\.meta)\.env`)

// manager is the package manager of a folder.
func (d *discovery) manager(p javascriptPackage) string {
	if name := d.lockedManager(p); name != "" {
		return name
	}
	return "npm"
}

// lockedManager is the package manager that the files of a package name; empty if they name
// none.
func (d *discovery) lockedManager(p javascriptPackage) string {
	if strings.HasPrefix(path.Base(p.file), "deno.") {
		return "deno"
	}
	for _, folder := range parents(p.folder) {
		name, _, _ := strings.Cut(d.packages[folder].config.At("packageManager").Text, "@")
		if slices.Contains([]string{"npm", "pnpm", "yarn", "bun"}, name) {
			return name
		}
		for _, lock := range [][2]string{{"pnpm-lock.yaml", "pnpm"}, {"pnpm-workspace.yaml", "pnpm"}, {"yarn.lock", "yarn"}, {"bun.lock", "bun"}, {"bun.lockb", "bun"}, {"package-lock.json", "npm"}} {
			if d.in(folder, lock[0]) != "" {
				return lock[1]
			}
		}
	}
	for _, line := range p.lines {
		if first, _, _ := strings.Cut(line.text, " "); first == "bun" {
			return first
		}
	}
	return ""
}

// install returns the command that installs the packages of the services that package
// managers start; empty if they are there.
func (d *discovery) install(services []*startedService) string {
	for _, s := range services {
		if s.start == nil || len(s.start.words) < 2 || !slices.Contains([]string{"npm", "pnpm", "yarn", "bun"}, s.start.words[0]) {
			continue
		}
		p := d.packages[s.start.folder]
		if len(p.depends) > 0 && !slices.ContainsFunc(parents(p.folder), func(dir string) bool {
			return d.isFolder(path.Join(dir, "node_modules")) || d.in(dir, ".pnp.cjs") != ""
		}) {
			return s.start.words[0] + " install"
		}
	}
	return ""
}

// runScript returns the command that runs a script of a package with more arguments; nil
// for a name that a package manager would take for something else.
func (d *discovery) runScript(p javascriptPackage, script string, arguments ...string) []string {
	if !scriptName.MatchString(script) || strings.Contains(script, portWord) {
		return nil
	}
	manager := d.manager(p)
	words := []string{manager, "run", script}
	switch {
	case path.Base(p.file) == "composer.json":
		return nil
	case manager == "deno":
		words[1] = "task"
	case manager == "npm" && script == "start":
		words = []string{manager, script}
	case manager == "npm" && len(arguments) > 0:
	case slices.Contains([]string{"pnpm", "yarn"}, manager) && slices.Contains([]string{"dev", "start"}, script):
		words = []string{manager, script}
	}
	if manager == "npm" && len(arguments) > 0 {
		words = append(words, "--")
	}
	return append(words, arguments...)
}

var scriptName = regexp.MustCompile(`^[^-/\s][^\s]*( [^\s]+)*$`)

// passing are the wrappers that give the arguments after them to their program.
var passing = strings.Fields("cross-env env npx bunx pnpx dotenv dotenvx env-cmd nice")

// scriptShape is what a script of package.json does, as far as starting it matters.
type scriptShape struct {
	// runs is the other script that it is nothing but a call of; empty if none.
	runs string
	// takes is true if arguments after the script reach its last program.
	takes bool
	// sequence is true if it starts one program after another.
	sequence bool
}

// shape reads a script.
func (p javascriptPackage) shape(name string) scriptShape {
	line := p.lines[name].text
	list := commands(line, p.env)
	if len(list) == 0 || parallel.MatchString(quotedText.ReplaceAllString(line, "''")) {
		return scriptShape{}
	}
	last := list[len(list)-1]
	words := last.words
	for len(words) > 0 && (slices.Contains(passing, programName(words[0])) || assignment.MatchString(words[0]) || words[0] == "--") {
		words = words[1:]
		for len(words) > 0 && strings.HasPrefix(words[0], "-") && words[0] != "--" && !strings.Contains(words[0], " ") {
			words = words[1:]
		}
	}
	if len(words) == 0 {
		return scriptShape{}
	}
	first := programName(words[0])
	_, wraps := wrappers[first]
	calls := slices.Contains(packageManagers, first) && first != "node" && first != "bun" && first != "deno" || slices.Contains(runners, first) || slices.Contains(fromFiles, first) || slices.Contains(shells, first)
	s := scriptShape{sequence: !slices.Contains(runners, first)}
	s.takes = s.sequence && !calls && !wraps && !slices.Contains(watchers, first) && !slices.Contains(words, "--")
	if len(list) == 1 && len(last.env) == 0 && last.dir == "." {
		if m := scriptCall.FindStringSubmatch(strings.Join(words, " ")); m != nil {
			s.runs = m[1]
		}
	}
	return s
}

var (
	// parallel matches what starts programs next to each other.
	parallel   = regexp.MustCompile(`[^&]&(?:[^&]|$)|\|`)
	quotedText = regexp.MustCompile(`'[^']*'|"(?:\\.|[^"\\])*"`)
	// scriptCall matches a command that runs another script of the same package.
	scriptCall = regexp.MustCompile(`^(?:npm run|pnpm run|yarn run|bun run|pnpm|yarn|npm) ([\w:.-]+)$`)
)

// addStarts lets devproxy start the servers that a script starts. A server that is started
// together with others is started by its own script.
func (d *discovery) addStarts(p javascriptPackage, name string, list []*candidate) {
	for _, c := range list {
		script := name
		shape := p.shape(script)
		for range maxUnwrap {
			inner, known := p.lines[shape.runs]
			if shape.runs == "" || !known || inner.text == "" {
				break
			}
			script = shape.runs
			shape = p.shape(script)
		}
		if !shape.sequence && c.from.script != "" && c.from.script != script {
			script = c.from.script
			shape = p.shape(script)
		}
		if !shape.sequence || throughProxy(p.lines[script].text) {
			c.why = "no command, since their script starts several programs or another tool; start these yourself"
			continue
		}
		made := &start{folder: p.folder}
		switch flag := c.program.flagFor(c.from); {
		case shape.takes && len(flag) > 0:
			made.words, made.moves = d.runScript(p, script, flag...), true
		case d.readsPort(c):
			made.words, made.moves = d.runScript(p, script), true
		default:
			made.words = d.runScript(p, script)
		}
		c.startWith(made)
	}
}

// throughProxy reports whether a script starts its server through a tool that gives hosts
// their names, as devproxy does.
func throughProxy(line string) bool {
	return slices.ContainsFunc(strings.Fields(line), func(word string) bool { return oneOf("portless|localias|slim|turbo|nx|lerna", programName(word)) })
}

// startOf returns how to start the one program of a command line in folder; nil for more
// than one program, and for what only a shell can do.
func (d *discovery) startOf(folder, line string) *start {
	env := d.lookup(folder).with(map[string]string{"PORT": portWord})
	if !oneProgram(line) || strings.Contains(line, portWord) {
		return nil
	}
	list := commands(line, env)
	if len(list) == 0 || len(list) > 1 {
		return nil
	}
	c := list[0]
	made := &start{words: slices.Clone(c.words), folder: path.Join(folder, c.dir), env: c.env}
	if strings.HasPrefix(made.folder, "..") || made.folder != "." && !d.has[made.folder] {
		return nil
	}
	for len(made.words) > 0 && (assignment.MatchString(made.words[0]) || made.words[0] == "exec" || made.words[0] == "env") {
		if name, value, is := strings.Cut(made.words[0], "="); is {
			made.env[name] = value
		}
		made.words = made.words[1:]
	}
	if _, has := made.env["PORT"]; has {
		made.moves = true
		delete(made.env, "PORT")
	}
	return made
}

// oneProgram reports whether a command line needs no shell, except for variables in front
// of it, $PORT and a change of the folder.
func oneProgram(line string) bool {
	plain := portVariable.ReplaceAllString(quotedText.ReplaceAllStringFunc(line, func(quote string) string {
		if strings.Contains(quote, "$") && quote[0] == '"' {
			return quote
		}
		return "''"
	}), "0")
	return !strings.ContainsAny(strings.ReplaceAll(plain, "&&", ""), "$`|&;<>(){}*?[~\\\n#!")
}

var portVariable = regexp.MustCompile(`\$(?:PORT\b|\{PORT(?::?-\d+)?\})`)

// dropStarts forgets how to start what runs now, which a second one could not do next to
// it, or everything.
func (d *discovery) dropStarts() {
	for _, c := range d.candidates {
		switch {
		case !d.commands:
			c.start = nil
		case c.running && c.start != nil:
			c.start, c.why = nil, "these run now, so their ports are written; for commands, stop them and run devproxy init again"
		}
	}
	if !d.commands {
		d.others = nil
	}
}

// giveProcess lets devproxy start the server c of a process. preferred is true for files
// that start everything.
func (d *discovery) giveProcess(c *candidate, folder, line string, preferred bool) {
	made := d.startOf(folder, line)
	if made == nil || preferred && !made.usable() {
		return
	}
	for i, word := range made.words {
		if port := strconv.Itoa(c.port); c.port != 0 && i > 0 && !strings.Contains(strings.Join(made.words, " "), portWord) && c.evidence == stated && addressPort(word) == c.port {
			made.words[i] = strings.TrimSuffix(word, port) + portWord
		}
	}
	switch {
	case strings.Contains(strings.Join(made.words, " "), portWord):
		made.moves = true
	case c.program.names != "" && d.readsPort(c):
		made.moves = true
	}
	if preferred {
		c.start = nil
	}
	c.startWith(made)
}
