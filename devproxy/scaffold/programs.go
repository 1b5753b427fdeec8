package scaffold

import (
	"cmp"
	"iter"
	"path"
	"regexp"
	"slices"
	"strings"
)

// program describes a server by the words that start it.
type program struct {
	kind string // as people call it; empty is its name
	// names are those of the program, separated by "|".
	names string
	// subs are the first arguments that start a server, separated by "|"; empty
	// accepts any. An empty one among several means no word that looks like another
	// command.
	subs  string
	needs string // arguments of which one is required, separated by "|"
	port  int    // the default; 0 for the project's own program
	role  role
	// flags take a port or an address, in addition to the usual ones.
	flags string
	// bare is true if an argument without a flag is a port or an address.
	bare bool
	// env are the variables that set the port. file is true if the program reads
	// them from environment files too.
	env  string
	file bool
}

// programs are tried in this order.
var programs = []program{
	// JavaScript: frameworks and bundlers.
	{names: "next", subs: "dev|", port: 3000, role: app, env: "PORT"},
	{kind: "nuxt", names: "nuxt|nuxi", subs: "dev|", port: 3000, role: app, env: "NUXT_PORT|PORT", file: true},
	{names: "astro", subs: "dev|start", port: 4321, role: app},
	{names: "react-router|qwik", subs: "dev", port: 5173, role: app},
	{names: "remix", subs: "vite:dev", port: 5173, role: app},
	{names: "remix", subs: "dev", port: 3000, role: app, env: "PORT", file: true},
	{kind: "angular", names: "ng|ngc-serve", subs: "serve|s|dev|start", port: 4200, role: app},
	{kind: "create-react-app", names: "react-scripts|craco|react-app-rewired|rescripts|razzle", subs: "start", port: 3000, role: app, env: "PORT", file: true},
	{kind: "vue-cli", names: "vue-cli-service", subs: "serve|serve:dev|", port: 8080, role: app, env: "PORT", file: true},
	{names: "gatsby", subs: "develop|dev", port: 8000, role: app, env: "PORT"},
	{names: "docusaurus", subs: "start", port: 3000, role: docs, env: "PORT"},
	{names: "vitepress", subs: "dev|", port: 5173, role: docs},
	{kind: "vuepress", names: "vuepress|vuepress-vite|vuepress-webpack", subs: "dev", port: 8080, role: docs},
	{names: "rspress", subs: "dev|", port: 3000, role: docs},
	{names: "slidev", subs: "|dev", port: 3030, role: docs},
	{kind: "storybook", names: "storybook|sb", subs: "dev", port: 6006, role: tool},
	{kind: "storybook", names: "start-storybook", subs: "|", port: 6006, role: tool},
	{names: "ladle", subs: "serve|dev", port: 61000, role: tool},
	{names: "histoire", subs: "dev", port: 6006, role: tool},
	{names: "rsbuild", subs: "dev|", port: 3000, role: app},
	{names: "modern", subs: "dev", port: 8080, role: app},
	{names: "rspack", subs: "serve|dev|s", port: 8080, role: app},
	{kind: "webpack", names: "webpack|webpack-cli", subs: "serve|server|s", port: 8080, role: app},
	{kind: "webpack", names: "webpack-dev-server", subs: "|", port: 8080, role: app},
	{kind: "umi", names: "umi|max", subs: "dev|start", port: 8000, role: app, env: "PORT", file: true},
	{names: "dumi", subs: "dev|start", port: 8000, role: docs, env: "PORT", file: true},
	{names: "ember", subs: "serve|s|server", port: 4200, role: app, env: "PORT"},
	{names: "wrangler", subs: "pages dev", port: 8788, role: app},
	{names: "wrangler", subs: "dev", port: 8787, role: api},
	{names: "vinxi", subs: "dev", port: 3000, role: app, env: "PORT"},
	{names: "solid-start|waku", subs: "dev", port: 3000, role: app},
	{names: "expo", subs: "start", port: 8081, role: app},
	{names: "nx", subs: "serve|run|dev|start", port: 4200, role: app},
	{names: "parcel", subs: "serve|", port: 1234, role: app, env: "PORT"},
	{names: "farm", subs: "start|dev|", port: 9000, role: app},
	{kind: "redwood", names: "rw|redwood", subs: "dev", port: 8910, role: app},
	{names: "blitz", subs: "dev|start", port: 3000, role: app},
	{names: "meteor", subs: "run|", port: 3000, role: app, env: "PORT"},
	{names: "quasar", subs: "dev", port: 9000, role: app},
	{names: "ionic", subs: "serve|s", port: 8100, role: app},
	{kind: "netlify", names: "netlify|ntl", subs: "dev", port: 8888, role: app},
	{kind: "vercel", names: "vercel|vc", subs: "dev", port: 3000, role: app, flags: "-l|--listen"},
	{kind: "eleventy", names: "eleventy|@11ty/eleventy", needs: "--serve", port: 8080, role: app},
	{names: "hexo", subs: "server|s", port: 4000, role: app},
	{names: "gridsome", subs: "develop", port: 8080, role: app, env: "PORT"},
	{names: "stencil", subs: "build", needs: "--serve", port: 3333, role: app},
	{names: "preact", subs: "watch", port: 8080, role: app, env: "PORT"},
	{names: "elm-land", subs: "server", port: 1234, role: app},
	{names: "elm-live", port: 8000, role: app},
	{kind: "web-dev-server", names: "web-dev-server|wds", port: 8000, role: app},
	{names: "browser-sync", subs: "start", port: 3000, role: app},
	{names: "live-server|http-server", port: 8080, role: app, env: "PORT"},
	{names: "serve", port: 3000, role: app, flags: "-l|--listen", env: "PORT"},
	{names: "json-server", port: 3000, role: api, env: "PORT"},
	{names: "partykit", subs: "dev", port: 1999, role: api},
	{kind: "vite", names: "vite|vite-plus|rolldown-vite|vp", subs: "dev|serve|", port: 5173, role: app},

	// JavaScript: servers.
	{names: "strapi", subs: "develop|dev", port: 1337, role: app, env: "PORT", file: true},
	{names: "medusa", subs: "develop|dev", port: 9000, role: app, env: "PORT", file: true},
	{names: "directus", subs: "start", port: 8055, role: app, env: "PORT", file: true},
	{names: "keystone", subs: "dev|", port: 3000, role: app, env: "PORT", file: true},
	{names: "sanity", subs: "dev|start", port: 3333, role: app},
	{kind: "adonis", names: "ace|ace.js", subs: "serve", port: 3333, role: app, env: "PORT", file: true},
	{names: "nest", subs: "start", port: 3000, role: api, env: "PORT", file: true},
	{kind: "nitro", names: "nitro|nitropack", subs: "dev", port: 3000, role: api, env: "PORT", file: true},
	{names: "fastify", subs: "start", port: 3000, role: api, env: "PORT|FASTIFY_PORT", file: true},
	{names: "sails", subs: "lift", port: 1337, role: app, env: "PORT"},
	{kind: "serverless", names: "serverless|sls", subs: "offline", port: 3000, role: api, flags: "--httpPort"},
	{names: "encore", subs: "run", port: 4000, role: api},
	{names: "supabase", subs: "functions", port: 54321, role: api},
	{kind: "node", names: "node|nodejs|tsx|ts-node|ts-node-dev|tsnd|nodemon|bun|deno|babel-node|esno|jiti|swc-node|vite-node", role: api, env: "PORT|APP_PORT|SERVER_PORT|HTTP_PORT", file: true},

	// Python.
	{kind: "django", names: "manage.py|django-admin", subs: "runserver|runserver_plus|runserver_uvicorn|runsslserver", port: 8000, role: app, bare: true},
	{names: "flask", subs: "run", port: 5000, role: app, env: "FLASK_RUN_PORT", file: true},
	{names: "quart", subs: "run", port: 5000, role: app},
	{names: "fastapi", subs: "dev|run", port: 8000, role: api},
	{names: "uvicorn", port: 8000, role: api, env: "UVICORN_PORT"},
	{names: "hypercorn|gunicorn|daphne|sanic", port: 8000, role: api},
	{names: "granian", port: 8000, role: api, env: "GRANIAN_PORT"},
	{kind: "waitress", names: "waitress-serve", port: 8080, role: api},
	{names: "litestar", subs: "run", port: 8000, role: api},
	{kind: "pyramid", names: "pserve", port: 6543, role: app},
	{names: "reflex", subs: "run", port: 3000, role: app, flags: "--frontend-port"},
	{names: "streamlit", subs: "run", port: 8501, role: app, flags: "--server.port", env: "STREAMLIT_SERVER_PORT"},
	{names: "chainlit", subs: "run", port: 8000, role: app},
	{kind: "jupyter", names: "jupyter|jupyter-lab|jupyter-notebook", subs: "lab|notebook|", port: 8888, role: tool},
	{names: "marimo", subs: "edit|run", port: 2718, role: app},
	{names: "panel", subs: "serve", port: 5006, role: app},
	{names: "mkdocs|zensical", subs: "serve", port: 8000, role: docs, flags: "-a|--dev-addr"},
	{kind: "sphinx", names: "sphinx-autobuild", port: 8000, role: docs},
	{names: "pelican", needs: "--listen|-l", port: 8000, role: app},
	{kind: "python", names: "http.server|SimpleHTTPServer", port: 8000, role: app, bare: true},
	{kind: "python", names: "python|python3|py", role: api, env: "PORT", file: true},

	// Ruby.
	{names: "rails", subs: "server|s", port: 3000, role: app, env: "PORT"},
	{names: "jekyll", subs: "serve|s|server", port: 4000, role: app, flags: "-P"},
	{names: "bridgetown", subs: "start|serve|s", port: 4000, role: app, env: "BRIDGETOWN_PORT"},
	{names: "middleman", subs: "server|", port: 4567, role: app},
	{names: "hanami", subs: "server|dev", port: 2300, role: app, env: "HANAMI_PORT", file: true},
	{names: "puma", port: 9292, role: app, env: "PORT"},
	{kind: "rack", names: "rackup|shotgun|rerun", port: 9292, role: app},
	{names: "falcon", subs: "serve", port: 9292, role: app},

	// PHP.
	{kind: "laravel", names: "artisan", subs: "serve", port: 8000, role: app, env: "SERVER_PORT", file: true},
	{kind: "laravel", names: "artisan", subs: "octane:start|octane:frankenphp", port: 8000, role: app},
	{names: "symfony", subs: "serve|server:start|local:server:start", port: 8000, role: app},
	{kind: "codeigniter", names: "spark", subs: "serve", port: 8080, role: app},
	{kind: "cakephp", names: "cake|cake.php", subs: "server", port: 8765, role: app},
	{kind: "wordpress", names: "wp-env", subs: "start", port: 8888, role: app, env: "WP_ENV_PORT"},
	{kind: "wordpress", names: "wp", subs: "server", port: 8080, role: app},
	{names: "php", needs: "-S", role: app, flags: "-S"},

	// Others.
	{kind: "phoenix", names: "mix", subs: "phx.server|phoenix.server", port: 4000, role: app, env: "PORT"},
	{kind: "phoenix", names: "iex", needs: "phx.server", port: 4000, role: app, env: "PORT"},
	{names: "hugo", subs: "server|serve", port: 1313, role: app},
	{names: "zola", subs: "serve", port: 1111, role: app},
	{names: "trunk", subs: "serve", port: 8080, role: app, env: "TRUNK_SERVE_PORT"},
	{kind: "dioxus", names: "dx", subs: "serve", port: 8080, role: app},
	{kind: "leptos", names: "cargo-leptos", subs: "watch|serve", port: 3000, role: app},
	{names: "shopify", subs: "theme dev", port: 9292, role: app},
	{names: "quarkus", subs: "dev", port: 8080, role: api},
	{kind: "spring", names: "mvn|mvnw|gradle|gradlew", subs: "spring-boot:run|bootRun|:bootRun", port: 8080, role: api, flags: "--server.port|-Dserver.port"},
	{kind: "quarkus", names: "mvn|mvnw|gradle|gradlew", subs: "quarkus:dev|quarkusDev", port: 8080, role: api, flags: "-Dquarkus.http.port"},
	{names: "dotnet", subs: "run|watch|watch run", role: api, flags: "--urls"},
	{names: "go", subs: "run", role: api, env: "PORT", file: true},
	{kind: "go", names: "air|gow|reflex|CompileDaemon|fresh|wgo|modd", role: api, env: "PORT", file: true},
	{kind: "rust", names: "cargo", subs: "run|watch|shuttle run|shuttle", role: api, env: "PORT|ROCKET_PORT", file: true},
	{names: "caddy", subs: "file-server", port: 80, role: app},
}

// usualFlags take a port, or an address with one.
var usualFlags = strings.Fields("-p --port -port --http-port -http-port --http.port -http --http --addr -addr --address -address " +
	"--listen -listen --listen-addr -listen-addr -b --bind --bind-addr -bind -l --urls --server.port --web-port")

// recognize returns the program that words start. ok is false for anything that
// is not a server, such as a build.
func recognize(words []string) (p program, ok bool) {
	if len(words) == 0 {
		return program{}, false
	}
	name := programName(words[0])
	for _, p := range programs {
		if oneOf(p.names, name) && slices.ContainsFunc(strings.Split(p.subs, "|"), func(sub string) bool { return p.subs == "" || follows(words[1:], sub) }) {
			p.kind = cmp.Or(p.kind, name)
			return p, p.serves(words)
		}
	}
	return program{}, false
}

// oneOf reports whether one of words is in list, in which "|" separates them.
func oneOf(list string, words ...string) bool {
	return slices.ContainsFunc(strings.Split(list, "|"), func(one string) bool { return slices.Contains(words, one) })
}

var (
	version       = regexp.MustCompile(`(.)@[^/@]*$`)
	windowsSuffix = regexp.MustCompile(`\.(cmd|exe|bat)$`)
)

// programName returns the name of a program without its folder, its version and
// the suffixes of Windows.
func programName(word string) string {
	word = version.ReplaceAllString(word, "$1")
	if strings.HasPrefix(word, "@") {
		return word
	}
	name := windowsSuffix.ReplaceAllString(path.Base(strings.ReplaceAll(word, `\`, "/")), "")
	if strings.HasPrefix(name, "python3.") || strings.HasPrefix(name, "python2") {
		return "python"
	}
	return name
}

// follows reports whether arguments begin with the words of sub, without their
// flags. An empty sub means no word that looks like another command.
func follows(args []string, sub string) bool {
	var plain []string
	for i, arg := range args {
		before := args[max(i-1, 0)]
		value := i > 0 && strings.HasPrefix(before, "-") && !strings.Contains(before, "=") && (sub == "" || slices.Contains(valueFlags, before))
		if flag := strings.HasPrefix(arg, "-") && arg != "-"; !flag && !value {
			plain = append(plain, arg)
		}
	}
	want := strings.Fields(sub)
	switch {
	case sub == "":
		return len(plain) == 0 || !commandWord.MatchString(plain[0])
	case len(want) == 1 && strings.Contains(sub, ":"): // mvn clean spring-boot:run
		return slices.Contains(plain, sub)
	}
	return len(plain) >= len(want) && slices.Equal(plain[:len(want)], want)
}

// valueFlags take a value and are written before a command.
var valueFlags = strings.Fields("--app -A --cwd -C --dir --env-file --config -c --project --root -f -p")

// commandWord matches an argument that is a command of a program, and not a folder
// or a file that it serves.
var commandWord = regexp.MustCompile(`^(build|preview|optimize|lint|test|export|start|deploy|check|sync|add|info|telemetry|generate|prepare|typecheck|analyze|upgrade|create|init|new|watch|worker|publish|login|help|version|up|down|eject|inspect)(:.*)?$`)

// serves reports whether the arguments of the program start a server.
func (p program) serves(words []string) bool {
	args := words[1:]
	if p.needs != "" && !oneOf(p.needs, args...) {
		return false
	}
	switch p.kind {
	case "vite":
		return !oneOf("--version|--help", args...)
	case "node":
		return slices.ContainsFunc(args, isSource) || oneOf("run|serve|--watch", args...)
	case "python":
		return oneOf("http.server|SimpleHTTPServer", words...) || slices.ContainsFunc(args, func(w string) bool {
			return path.Ext(w) == ".py" && path.Base(w) != "manage.py" && path.Base(w) != "setup.py"
		})
	case "expo":
		return !oneOf("--android|--ios", args...) || slices.Contains(args, "--web")
	case "go":
		return len(args) < 2 || args[0] != "run" || !slices.ContainsFunc(args[1:], func(w string) bool {
			return strings.Contains(w, "generate") || strings.Contains(w, "migrat") || strings.Contains(w, "@")
		})
	}
	return true
}

// isSource reports whether an argument is a source file, or a folder with one.
func isSource(word string) bool {
	return sourceFile.MatchString(word) && !strings.HasPrefix(word, "-")
}

var sourceFile = regexp.MustCompile(`^\.$|/|\.([mc]?[jt]s|[jt]sx|coffee|html)$`)

// options yields each word with its value: the text after "=" in it, otherwise
// the next word.
func (c command) options() iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		for i, word := range c.words {
			flag, value, joined := strings.Cut(word, "=")
			if !joined && i+1 < len(c.words) {
				value = c.words[i+1]
			}
			if !yield(flag, value) {
				return
			}
		}
	}
}

// option returns the value of one of flags; empty if the command has none of them.
func (c command) option(flags ...string) string {
	for flag, value := range c.options() {
		if slices.Contains(flags, flag) {
			return value
		}
	}
	return ""
}

func (p program) portFlags() []string {
	return slices.Concat(strings.Fields(strings.ReplaceAll(p.flags, "|", " ")), usualFlags)
}

var (
	argumentFlags = regexp.MustCompile(`^(?:--args|-Dspring-boot\.run\.\w+|-Dargs)=.*port=(\d{2,5})`)
	shortPort     = regexp.MustCompile(`^-[pP]\d{2,5}$`)
	bareAddress   = regexp.MustCompile(`^((\[[0-9a-fA-F:]+\]|[\w.-]+)?:)?\d{2,5}$`)
)

// portIn returns the port that a command sets, in its words or its variables; 0
// if it sets none.
//
// The last flag wins, as in most programs: npm run dev -- --port 4000 appends one.
func (p program) portIn(c command) int {
	found, flags := 0, p.portFlags()
	for flag, value := range c.options() {
		switch argument := argumentFlags.FindStringSubmatch(flag + "=" + value); {
		case slices.Contains(flags, flag):
		case argument != nil: // --args='--server.port=8085'
			value = argument[1]
		case shortPort.MatchString(flag):
			value = flag[2:]
		case p.bare && bareAddress.MatchString(flag):
			value = flag
		default:
			continue
		}
		if port := addressPort(value); port != 0 {
			found = port
		}
	}
	for name := range strings.SplitSeq(p.env, "|") {
		found = cmp.Or(found, portOf(c.env[name]))
	}
	return found
}

// encrypted reports whether a command starts a server with HTTPS.
func (c command) encrypted() bool {
	for flag, value := range c.options() {
		if oneOf("--experimental-https|--ssl-keyfile|--ssl-certfile|--cert|--tls", flag) ||
			oneOf("--https|--ssl", flag) && value != "false" || oneOf("--server-type|--local-protocol|--server", flag) && value == "https" {
			return true
		}
	}
	return false
}

// undetermined reports whether a command sets the port to an unknown variable,
// such as --bind 0.0.0.0:$PORT.
func (p program) undetermined(c command) bool {
	flags := p.portFlags()
	for i, word := range c.words {
		flag, value, joined := strings.Cut(word, "=")
		if !joined {
			flag, value = c.words[max(i-1, 0)], word
		}
		if (slices.Contains(flags, flag) || p.bare && i > 1) && (value == "" || strings.HasSuffix(value, ":")) {
			return true
		}
	}
	return false
}
