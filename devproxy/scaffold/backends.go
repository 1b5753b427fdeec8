package scaffold

import (
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/devproxy/devproxy/devproxy/scaffold/javascript"
)

// framework is a server that the files of a project imply.
type framework struct {
	kind  string
	role  role
	port  int
	needs []string // one of them is a dependency, or a file
	calls []string // one of them is in a file that starts a server; nil accepts any
	// config matches the port in a configuration.
	config *regexp.Regexp
}

// firstUsed returns the first framework that a project uses.
func firstUsed(list []framework, uses func(framework) bool) (f framework, found bool) {
	i := slices.IndexFunc(list, uses)
	if i < 0 {
		return framework{}, false
	}
	return list[i], true
}

// backendReader reads the files of frameworks of other languages than JavaScript.
type backendReader struct{ *discovery }

// read adds the servers that the files of frameworks imply, and adds what
// those files say to the servers that command lines start.
func (d backendReader) read() {
	d.readPython()
	d.readRuby()
	d.readPHP()
	d.readElixir()
	d.readGo()
	d.readRust()
	d.readJVM()
	d.readDotnet()
	d.readSites()
}

// setNumber sets the port that pattern matches in file.
func (d backendReader) setNumber(c *candidate, e evidence, file string, pattern *regexp.Regexp) {
	port, line := d.number(d.deep(file), pattern)
	c.set(port, e, file, line)
}

var rubyFrameworks = []framework{
	{kind: "jekyll", port: 4000, needs: []string{"jekyll", "github-pages"}},
	{kind: "bridgetown", port: 4000, needs: []string{"bridgetown"}},
	{kind: "middleman", port: 4567, needs: []string{"middleman"}},
	{kind: "hanami", port: 2300, needs: []string{"hanami"}},
	{kind: "sinatra", port: 4567, needs: []string{"sinatra"}},
}

func (d backendReader) readRuby() {
	for _, folder := range d.folders("Gemfile") {
		file := path.Join(folder, "Gemfile")
		gem := func(names ...string) bool {
			return regexp.MustCompile(`(?m)^\s*gem\s+["'](` + strings.Join(names, "|") + `)["']`).Match(d.text(file))
		}
		if d.in(folder, "config/application.rb", "bin/rails") != "" || gem("rails") {
			if d.in(folder, "config/application.rb", "bin/rails", "config.ru", "config/routes.rb") == "" && d.kind(folder, "jekyll") != nil {
				continue
			}
			c := d.server(folder, "rails", app, 3000, file)
			puma := path.Join(folder, "config/puma.rb")
			if port, line := d.number(puma, pumaPort); port != c.port {
				c.set(port, stated, puma, line)
			}
			continue
		}
		if f, found := firstUsed(rubyFrameworks, func(f framework) bool { return gem(f.needs...) }); found {
			if f.kind == "sinatra" && d.in(folder, "config.ru") != "" {
				f.port = 9292
			}
			d.server(folder, f.kind, app, f.port, file)
		}
	}
	for _, folder := range d.folders("_config.yml", "_config.yaml") {
		file := d.in(folder, "_config.yml", "_config.yaml")
		if d.in(folder, "Gemfile") == "" && !d.contains(file, "jekyll", "theme:", "plugins:") || d.in(folder, "scaffolds") != "" || d.packages[folder].has("hexo") {
			continue
		}
		d.setNumber(d.server(folder, "jekyll", app, 4000, file), stated, file, jekyllPort)
	}
}

var (
	pumaPort   = regexp.MustCompile(`(?m)^\s*port\s*\(?\s*(?:ENV\.fetch\(?\s*["']PORT["']\s*(?:,\s*["']?(\d+)|\)?\s*\{\s*["']?(\d+))|ENV\[["']PORT["']\]\s*\|\|\s*["']?(\d+)|(\d+))`)
	jekyllPort = regexp.MustCompile(`(?m)^port:\s*["']?(\d+)`)
)

func (d backendReader) readPHP() {
	for _, folder := range d.folders("composer.json") {
		file := path.Join(folder, "composer.json")
		config, _ := d.json(file)
		if len(d.of(folder)) == 0 || d.backendIn(folder) != "" {
			d.readComposerScripts(folder, file, config)
		}
		_, wordpress := config.Field("require", "roots/wordpress")
		switch {
		case d.in(folder, "artisan") != "":
			c := d.server(folder, "laravel", app, 8000, file)
			if port, file, line := d.environmentPort(folder, "SERVER_PORT"); port != 0 {
				c.set(port, stated, file, line)
			} else if file := d.in(folder, ".env", ".env.example"); file != "" {
				if port, line := d.number(file, laravelURL); port != 8000 {
					c.set(port, sample, file, line)
				}
			}
		case d.in(folder, "bin/console") != "" && d.in(folder, "symfony.lock", "config/bundles.php", "src/Kernel.php") != "":
			d.server(folder, "symfony", app, 8000, file)
		case d.in(folder, "spark") != "":
			d.server(folder, "codeigniter", app, 8080, file)
		case d.in(folder, "bin/cake") != "":
			d.server(folder, "cakephp", app, 8765, file)
		case wordpress || d.in(folder, "craft", "wp-config.php", "public/index.php", "web/index.php", "index.php") != "":
			if d.kind(folder, "php", "laravel", "symfony", "wordpress") == nil {
				d.add(&candidate{folder: folder, kind: "php", role: app, file: file})
			}
		}
	}
	for _, folder := range d.folders("artisan") {
		d.server(folder, "laravel", app, 8000, path.Join(folder, "artisan"))
	}
	if page := d.in(".", "index.php", "public/index.php"); page != "" && len(d.of(".")) == 0 {
		d.add(&candidate{kind: "php", role: app, file: page})
	}
	for _, file := range d.named(".wp-env.json") {
		config, _ := d.json(file)
		d.server(path.Dir(file), "wordpress", app, 8888, file).state(config.At("port"), file)
	}
}

var laravelURL = regexp.MustCompile(`(?m)^APP_URL=["']?https?://(?:localhost|127\.0\.0\.1):(\d+)`)

// readComposerScripts adds the servers of the first script that starts one.
func (d backendReader) readComposerScripts(folder, file string, config javascript.Value) {
	s := d.scriptsOf(folder, config.At("scripts"))
	for _, name := range devScripts {
		line := s.lines[name]
		list := d.started(folder, file, line.line, s.expand(line.text))
		for _, c := range list {
			if c.kind != "vite" {
				d.addStarted(c)
			}
		}
		if len(list) > 0 {
			return
		}
	}
}

func (d backendReader) readElixir() {
	for _, folder := range d.folders("mix.exs") {
		file := path.Join(folder, "mix.exs")
		umbrella := d.contains(file, "apps_path:")
		inUmbrella := slices.ContainsFunc(parents(folder)[1:], func(dir string) bool { return d.contains(path.Join(dir, "mix.exs"), "apps_path:") })
		if umbrella && d.in(folder, "config/dev.exs") != "" || !umbrella && !inUmbrella && d.contains(file, ":phoenix,", ":phoenix ") {
			d.setNumber(d.server(folder, "phoenix", app, 4000, file), stated, path.Join(folder, "config/dev.exs"), elixirPort)
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
			port, file, line := d.environmentPort(folder, portVariables...)
			c.set(port, stated, file, line)
		}
	}
}

// readGoSources adds the server whose port is in the sources of a module.
func (d backendReader) readGoSources(folder string) {
	sources := slices.DeleteFunc(d.withSuffix(".go"), func(file string) bool {
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

var rustFrameworks = []framework{
	{kind: "leptos", port: 3000, needs: []string{"\nleptos"}},
	{kind: "dioxus", port: 8080, needs: []string{"\ndioxus"}},
	{kind: "rocket", port: 8000, needs: []string{"\nrocket"}},
	{kind: "rust", needs: []string{"\naxum", "\nactix-web", "\nwarp", "\nhyper", "\npoem", "\nsalvo", "\nloco-rs"}},
}

func (d backendReader) readRust() {
	for _, file := range d.named("Trunk.toml") {
		c := d.server(path.Dir(file), "trunk", app, 0, file)
		c.state(d.toml(file).At("serve.port"), file)
		c.set(8080, standard, file, 0)
	}
	for _, file := range d.named("Cargo.toml") {
		folder := path.Dir(file)
		f, found := firstUsed(rustFrameworks, func(f framework) bool { return d.contains(file, f.needs...) })
		if !found {
			continue
		}
		c := d.server(folder, f.kind, api, 0, file)
		d.setNumber(c, stated, path.Join(folder, "Rocket.toml"), rocketPort)
		d.setNumber(c, stated, file, leptosPort)
		if d.contains(file, "loco-rs") {
			d.setNumber(c, stated, path.Join(folder, "config/development.yaml"), locoPort)
		}
		for _, source := range []string{"src/main.rs", "src/server.rs", "src/bin/server.rs"} {
			d.setNumber(c, sample, path.Join(folder, source), rustPort)
		}
		c.set(f.port, standard, file, 0)
	}
}

var (
	rocketPort = regexp.MustCompile(`(?m)^\s*port\s*=\s*(\d+)`)
	leptosPort = regexp.MustCompile(`(?m)^\s*site-addr\s*=\s*"[^"]*:(\d+)"`)
	locoPort   = regexp.MustCompile(`(?m)^\s+port:\s*(\d+)`)
	rustPort   = regexp.MustCompile(`bind\(\s*&?"[^"]*:(\d+)"|bind\(\(\s*"[^"]*",\s*(\d+)\)|SocketAddr::from\(\(\s*\[[\d, ]*\],\s*(\d+)|\.run\(\(\s*\[[\d, ]*\],\s*(\d+)|"(?:0\.0\.0\.0|127\.0\.0\.1|localhost|\[::\]):(\d+)"|unwrap_or(?:_else)?\((?:\|_\|\s*)?"?(\d{4,5})`)
)

var (
	springPort  = regexp.MustCompile(`(?m)^\s*server\.port\s*[=:]\s*(?:\$\{[^:}]*:)?(\d+)|^(?:server|micronaut):\s*(?:\n[ \t]+[^\n]*)*?\n[ \t]+port:\s*(?:\$\{[^:}]*:)?(\d+)`)
	quarkusPort = regexp.MustCompile(`(?m)^\s*(?:%dev\.)?quarkus\.http\.port\s*=\s*(\d+)|^\s+port:\s*(\d+)`)
	ktorPort    = regexp.MustCompile(`(?m)^\s*port\s*[=:]\s*"?\$?\{?[^\d\n]*(\d+)`)
)

var jvmFrameworks = []framework{
	{kind: "spring", needs: []string{"spring-boot"}, config: springPort},
	{kind: "quarkus", needs: []string{"io.quarkus"}, config: quarkusPort},
	{kind: "micronaut", needs: []string{"micronaut"}, config: springPort},
	{kind: "ktor", needs: []string{"io.ktor"}, config: ktorPort},
}

func (d backendReader) readJVM() {
	for _, folder := range d.folders("pom.xml", "build.gradle", "build.gradle.kts") {
		file := d.in(folder, "pom.xml", "build.gradle", "build.gradle.kts")
		f, found := firstUsed(jvmFrameworks, func(f framework) bool { return d.contains(file, f.needs...) })
		if !found {
			continue
		}
		stating := &candidate{}
		for _, name := range []string{"application-dev", "application-local", "application", "bootstrap"} {
			for _, ext := range []string{".properties", ".yml", ".yaml", ".conf"} {
				d.setNumber(stating, stated, path.Join(folder, "src/main/resources", name+ext), f.config)
			}
		}
		if stating.port == 0 && f.kind == "spring" && !d.contains(file, springServers...) {
			continue
		}
		c := d.server(folder, f.kind, api, 0, file)
		c.set(stating.port, stated, stating.file, stating.line)
		c.set(8080, standard, file, 0)
	}
}

var springServers = []string{"spring-boot-starter-web", "spring-boot-starter-webflux", "spring-boot-starter-graphql", "spring-boot-starter-thymeleaf", "spring-cloud-starter-gateway"}

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
	for _, file := range d.withSuffix(".csproj") {
		if folder := path.Dir(file); d.contains(file, "Microsoft.NET.Sdk.Web") && d.kind(folder, "dotnet") == nil {
			d.server(folder, "dotnet", api, 5000, file)
		}
	}
}

// readSites adds the generators of static sites that are known by their files.
func (d backendReader) readSites() {
	for _, file := range d.named("hugo.toml", "hugo.yaml", "hugo.yml", "hugo.json", "config.toml", "config.yaml", "config.yml") {
		folder := path.Dir(file)
		has := func(name string) bool { return d.has[path.Join(folder, name)] }
		switch {
		case strings.HasPrefix(path.Base(file), "hugo."), d.contains(file, "baseURL", "baseurl", "languageCode") && (has("content") || has("layouts") || has("themes")):
			d.server(folder, "hugo", app, 1313, file)
		case path.Base(file) == "config.toml" && d.contains(file, "base_url") && has("content"):
			d.server(folder, "zola", app, 1111, file)
		}
	}
	for _, file := range d.named("mkdocs.yml", "mkdocs.yaml") {
		c := d.server(path.Dir(file), "mkdocs", docs, 0, file)
		d.setNumber(c, stated, file, mkdocsPort)
		c.set(8000, standard, file, 0)
	}
}

var mkdocsPort = regexp.MustCompile(`(?m)^dev_addr:\s*["']?[^\s"']*?:(\d+)`)
