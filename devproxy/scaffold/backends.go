package scaffold

import (
	"path"
	"regexp"
	"slices"
	"strings"
)

// backendReader reads the files of frameworks in languages other than JavaScript.
type backendReader struct{ *discovery }

// read adds the servers that the files of frameworks imply, and adds what those
// files say to the servers that command lines start.
func (d backendReader) read() {
	for _, list := range families {
		d.readFamily(list)
	}
}

// isDjango reports whether Django serves folder, or one in it.
func (d backendReader) isDjango(folder string) bool {
	return d.kind(folder, "django") != nil || slices.ContainsFunc(d.named("manage.py"), func(file string) bool {
		return folder == "." || strings.HasPrefix(file, folder+"/")
	})
}

func (d backendReader) readDjango(c *candidate) {
	c.plainHTTP = d.djangoOrigin(c.folder)
	for _, other := range d.of(c.folder) { // daphne or uvicorn serve the same app
		if language(other.kind) == "python" {
			other.plainHTTP = c.plainHTTP
		}
	}
}

var pythonPort = regexp.MustCompile(`(?s)(?:\.run|run_app|run_simple|serve|launch|\.listen|run)\([^)]{0,400}?\bport\s*=\s*(?:int\(\s*)?(?:os\.(?:environ\.get|getenv)\(\s*["']\w+["']\s*,\s*["']?(\d+)|(\d+))|\.listen\(\s*(\d+)|(?m:^PORT\s*=\s*(?:int\(\s*)?(?:os\.(?:environ\.get|getenv)\(\s*["']\w+["']\s*,\s*["']?)?(\d+))`)

// readPython reads the port of a call in the main file of a server:
// app.run(port=5001), uvicorn.run("main:app", port=8080).
func (d backendReader) readPython(c *candidate) {
	if c.kind == "streamlit" {
		return
	}
	port, file, line := d.firstNumber(c.folder, pythonMains, pythonPort)
	c.set(port, sample, file, line)
	if port, file, line := d.environmentPort(c.folder, "PORT"); port != 0 && c.evidence == sample && d.contains(c.file, `"PORT"`, `'PORT'`) {
		c.replace(port, sample, file, line)
	}
	if c.kind == "flask" {
		d.setEnvironmentPort(c, "FLASK_RUN_PORT")
	}
}

// isJekyll reports whether Jekyll serves a folder that could also have Rails.
func (d backendReader) isJekyll(folder string) bool {
	return d.kind(folder, "jekyll") != nil && d.in(folder, "config/application.rb", "bin/rails", "config.ru", "config/routes.rb") == ""
}

// isNotJekyll reports whether the configuration in a folder is that of another
// tool.
func (d backendReader) isNotJekyll(folder string) bool {
	jekyll := d.contains(d.in(folder, "_config.yml", "_config.yaml"), "jekyll", "theme:", "plugins:")
	return !jekyll && d.in(folder, "Gemfile") == "" || d.in(folder, "scaffolds") != "" || d.packages[folder].has("hexo")
}

var pumaPort = regexp.MustCompile(`(?m)^\s*port\s*\(?\s*(?:ENV\.fetch\(?\s*["']PORT["']\s*(?:,\s*["']?(\d+)|\)?\s*\{\s*["']?(\d+))|ENV\[["']PORT["']\]\s*\|\|\s*["']?(\d+)|(\d+))`)

// readPuma reads the port of Rails, unless that is the default.
func (d backendReader) readPuma(c *candidate) {
	file := path.Join(c.folder, "config/puma.rb")
	if port, line := d.number(file, pumaPort); c.kind == "rails" && port != c.port {
		c.set(port, stated, file, line)
	}
}

// readComposer adds the servers that the scripts of a composer.json start.
func (d backendReader) readComposer() {
	for _, file := range d.named("composer.json") {
		folder := path.Dir(file)
		if config, _ := d.json(file); len(d.of(folder)) == 0 || d.backendIn(folder) != "" {
			d.readScripts(javascriptPackage{folder: folder, file: file, scripts: d.scriptsOf(folder, config.At("scripts"))})
		}
	}
}

var laravelURL = regexp.MustCompile(`(?m)^APP_URL=["']?https?://(?:localhost|127\.0\.0\.1):(\d+)`)

// readLaravel reads the port of Laravel, unless that is the default.
func (d backendReader) readLaravel(c *candidate) {
	if c.kind != "laravel" {
		return
	}
	d.setEnvironmentPort(c, "SERVER_PORT")
	file := d.in(c.folder, ".env", ".env.example")
	if port, line := d.number(file, laravelURL); port != 8000 {
		c.set(port, sample, file, line)
	}
}

// readPHPSites adds the sites in PHP that no framework serves.
func (d backendReader) readPHPSites() {
	pages := []string{"craft", "wp-config.php", "public/index.php", "web/index.php", "index.php"}
	for _, file := range d.named("composer.json") {
		folder := path.Dir(file)
		config, _ := d.json(file)
		_, wordpress := config.Field("require", "roots/wordpress")
		if (wordpress || d.in(folder, pages...) != "") && d.kind(folder, "php", "laravel", "symfony", "wordpress", "codeigniter", "cakephp") == nil {
			d.add(&candidate{folder: folder, kind: "php", role: app, file: file})
		}
	}
	if page := d.in(".", "index.php", "public/index.php"); page != "" && len(d.of(".")) == 0 {
		d.add(&candidate{kind: "php", role: app, file: page})
	}
}

func (d backendReader) readElixir() {
	for _, folder := range d.folders("mix.exs") {
		file := path.Join(folder, "mix.exs")
		umbrella := d.contains(file, "apps_path:")
		inUmbrella := slices.ContainsFunc(parents(folder)[1:], func(dir string) bool { return d.contains(path.Join(dir, "mix.exs"), "apps_path:") })
		if umbrella && d.in(folder, "config/dev.exs") != "" || !umbrella && !inUmbrella && d.contains(file, ":phoenix,", ":phoenix ") {
			port, config, line := d.firstNumber(folder, []string{"config/dev.exs"}, elixirPort)
			d.server(folder, "phoenix", app, 4000, file).set(port, stated, config, line)
		}
	}
}

var elixirPort = regexp.MustCompile(`http:\s*\[[^\]]*?port:\s*(?:String\.to_integer\(\s*System\.(?:get_env|fetch_env!)\(\s*"\w+"(?:\s*,\s*"(\d+)")?\s*\)(?:\s*\|\|\s*"(\d+)")?|(\d+))`)

func (d backendReader) readGo() {
	for _, folder := range d.folders("go.mod") {
		if air := d.in(folder, ".air.toml"); air != "" {
			config := d.toml(air)
			c := d.server(folder, "go", api, 0, air)
			args := command{words: []string{"go"}}
			for _, arg := range config.At("build.args_bin").Items {
				args.words = append(args.words, arg.Text)
			}
			for _, cmd := range append(commands(config.At("build.full_bin").Text, noVariables), args) {
				c.set(program{}.portIn(cmd), stated, air, 0)
			}
			if config.At("proxy.enabled").Is(true) {
				c.state(config.At("proxy.proxy_port"), air)
			}
		}
		d.readGoSources(folder)
		if c := d.kind(folder, "go"); c != nil {
			d.setEnvironmentPort(c, portVariables...)
		}
	}
}

// readGoSources adds the server whose port is in the sources of a module.
func (d backendReader) readGoSources(folder string) {
	sources := slices.DeleteFunc(d.named("*.go"), func(file string) bool {
		dir := path.Dir(file)
		own := dir == folder || strings.HasPrefix(dir, path.Join(folder, "cmd")) || strings.HasPrefix(dir, path.Join(folder, "internal")) || folder == "." && strings.Count(dir, "/") <= 1
		return !own || strings.HasSuffix(file, "_test.go")
	})
	slices.SortStableFunc(sources, func(a, b string) int { return goRank(a) - goRank(b) })
	sources = sources[:min(len(sources), maxSources)]
	if !slices.ContainsFunc(sources, func(file string) bool { return d.contains(file, goServers...) }) {
		return
	}
	for _, file := range sources {
		if port, line := d.number(file, goPort); port != 0 && !nothingHTTP(port) && d.contains(file, goListens...) {
			d.server(folder, "go", api, 0, file).set(port, sample, file, line)
			return
		}
	}
	for _, file := range sources { // one that takes any port
		if path.Base(file) == "main.go" && d.contains(file, `"PORT"`) && d.contains(file, goListens[:5]...) {
			d.server(folder, "go", api, 0, file)
			return
		}
	}
}

// maxSources is how many files of a Go module are read.
const maxSources = 200

var (
	goServers = []string{"ListenAndServe", "http.Server{", "http.Serve(", "gin.New(", "gin.Default(", "echo.New(", "fiber.New(", "chi.NewRouter(", "connect.New", "httptransport"}
	goListens = []string{"ListenAndServe", "net.Listen(", "http.Server{", ".Listen(", ".Run(\":", ".Start(\":", "\"addr\"", "\"port\"", "\"PORT\"", "\"http\""}
	goPort    = regexp.MustCompile(`ListenAndServe(?:TLS)?\(\s*"[^"]*:(\d+)"|(?:Addr|Address):?\s*[:=]+\s*"[^"]*:(\d+)"|net\.Listen\(\s*"tcp",\s*"[^"]*:(\d+)"|\.(?:Run|Start|Listen)\(\s*"[^"]*:(\d+)"|flag\.(?:String|Int)(?:Var)?\([^)]*"[^"]*(?:addr|port|listen|http|bind)[^"]*",\s*"?[^",]*?:?(\d{2,5})"?|\b(?:[a-z]\w*(?:Port|Addr)|port|addr|PORT|ADDR)\s*:?=\s*":?(\d{4,5})"|\b(?:[a-z]\w*Port|port|PORT)\s*:?=\s*(\d{4,5})\b|(?i:getenv|envor|getenvdefault|env|lookup)\w*\("[A-Z_]*PORT",\s*"?:?(\d{2,5})`)
)

// goRank orders the files of a Go program: main first.
func goRank(file string) int {
	switch base := path.Base(file); {
	case base == "main.go":
		return 0
	case strings.Contains(base, "server"), strings.Contains(base, "config"):
		return 1
	}
	return 2
}

func (d backendReader) readDotnet() {
	for _, file := range d.named("launchSettings.json") {
		config, _ := d.json(file)
		for _, profile := range config.At("profiles").Fields {
			urls := profile.Value.At("applicationUrl")
			port, https := 0, false
			for url := range strings.SplitSeq(urls.Text, ";") {
				if p := addressPort(url); p != 0 && (port == 0 || strings.HasPrefix(url, "http:")) {
					port, https = p, strings.HasPrefix(url, "https:")
				}
			}
			if port == 0 || profile.Value.At("commandName").Text != "Project" {
				continue
			}
			c := d.server(path.Dir(path.Dir(file)), "dotnet", api, 0, file)
			if c.evidence < stated {
				c.https = https
			}
			c.set(port, stated, file, urls.Line)
			break
		}
	}
	for _, file := range d.named("*.csproj") {
		if folder := path.Dir(file); d.contains(file, "Microsoft.NET.Sdk.Web") && d.kind(folder, "dotnet") == nil {
			d.server(folder, "dotnet", api, 5000, file)
		}
	}
}
