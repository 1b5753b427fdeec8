package scaffold

import (
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"
)

// readBackends takes the servers that the files of a framework tell of, where no
// command line names them, or adds what those files say to the ones that are
// known.
func (d *discovery) readBackends() {
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

// number is the first group of a pattern in file, as a port, and its line.
func (d *discovery) number(file string, pattern *regexp.Regexp) (port, line int) {
	text := string(d.text(file))
	for _, m := range pattern.FindAllStringSubmatchIndex(text, 20) {
		for g := 2; g+1 < len(m); g += 2 {
			if m[g] < 0 {
				continue
			}
			if port = portOf(text[m[g]:m[g+1]]); port != 0 {
				return port, 1 + strings.Count(text[:m[0]], "\n")
			}
		}
	}
	return 0, 0
}

func (d *discovery) readRuby() {
	for _, folder := range d.folders("Gemfile") {
		file := path.Join(folder, "Gemfile")
		switch {
		case d.in(folder, "config/application.rb", "bin/rails") != "" || d.gem(file, "rails"):
			if d.in(folder, "config/application.rb", "bin/rails", "config.ru", "config/routes.rb") == "" && d.kind(folder, "jekyll") != nil {
				continue
			}
			c := d.server(folder, "rails", app, 3000, file)
			puma := path.Join(folder, "config/puma.rb")
			port, line := d.number(puma, pumaPort)
			if c.evidence < stated && port != 0 && port != c.port {
				c.set(port, stated, puma, line)
			}
		case d.gem(file, "jekyll", "github-pages"):
			d.server(folder, "jekyll", app, 4000, file)
		case d.gem(file, "bridgetown"):
			d.server(folder, "bridgetown", app, 4000, file)
		case d.gem(file, "middleman"):
			d.server(folder, "middleman", app, 4567, file)
		case d.gem(file, "hanami"):
			d.server(folder, "hanami", app, 2300, file)
		case d.gem(file, "sinatra"):
			port := 4567
			if d.in(folder, "config.ru") != "" {
				port = 9292
			}
			d.server(folder, "sinatra", app, port, file)
		}
	}
	for _, folder := range d.folders("_config.yml", "_config.yaml") {
		file := d.in(folder, "_config.yml", "_config.yaml")
		if d.in(folder, "Gemfile") == "" && !d.contains(file, "jekyll", "theme:", "plugins:") || d.in(folder, "scaffolds") != "" || d.usesJS[folder].has("hexo") {
			continue
		}
		c := d.server(folder, "jekyll", app, 4000, file)
		if port, line := d.number(file, yamlPort); c.evidence < stated {
			c.set(port, stated, file, line)
		}
	}
}

func (d *discovery) gem(file string, names ...string) bool {
	return slices.ContainsFunc(names, func(name string) bool {
		return regexp.MustCompile(`(?m)^\s*gem\s+["']` + regexp.QuoteMeta(name) + `["']`).Match(d.text(file))
	})
}

var (
	pumaPort = regexp.MustCompile(`(?m)^\s*port\s*\(?\s*(?:ENV\.fetch\(?\s*["']PORT["']\s*(?:,\s*["']?(\d+)|\)?\s*\{\s*["']?(\d+))|ENV\[["']PORT["']\]\s*\|\|\s*["']?(\d+)|(\d+))`)
	yamlPort = regexp.MustCompile(`(?m)^port:\s*["']?(\d+)`)
)

func (d *discovery) readPHP() {
	for _, folder := range d.folders("composer.json") {
		file := path.Join(folder, "composer.json")
		config, _ := d.json(file)
		lines, _ := config.Field("scripts")
		s := d.scriptsOf(folder, lines)
		if len(d.of(folder)) == 0 || d.backendIn(folder) != "" {
			for _, name := range append([]string{"dev"}, devScripts...) {
				if line, ok := s.lines[name]; ok {
					list := d.started(folder, file, line.line, s.expand(line.text))
					for _, c := range list {
						if c.kind != "vite" {
							d.addStarted(c)
						}
					}
					if len(list) > 0 {
						break
					}
				}
			}
		}
		needs, _ := config.Field("require")
		_, wordpress := needs.Field("roots/wordpress")
		switch {
		case d.in(folder, "artisan") != "":
			c := d.server(folder, "laravel", app, 8000, file)
			if port, file, line := d.environmentPort(folder, "SERVER_PORT"); port != 0 {
				c.set(port, stated, file, line)
			} else {
				port, line := d.number(d.in(folder, ".env", ".env.example"), laravelURL)
				if port != 8000 {
					c.set(port, sample, d.in(folder, ".env", ".env.example"), line)
				}
			}
		case d.in(folder, "bin/console") != "" && d.in(folder, "symfony.lock", "config/bundles.php", "src/Kernel.php") != "":
			d.server(folder, "symfony", app, 8000, file)
		case d.in(folder, "spark") != "":
			d.server(folder, "codeigniter", app, 8080, file)
		case d.in(folder, "bin/cake") != "":
			d.server(folder, "cakephp", app, 8765, file)
		case d.in(folder, "craft", "wp-config.php", "public/index.php", "web/index.php", "index.php") != "" || wordpress:
			if d.kind(folder, "php", "laravel", "symfony", "wordpress") == nil {
				d.add(&candidate{folder: folder, kind: "php", role: app, file: file})
			}
		}
	}
	for _, folder := range d.folders("artisan") {
		d.server(folder, "laravel", app, 8000, path.Join(folder, "artisan"))
	}
	if d.in(".", "index.php", "public/index.php") != "" && len(d.of(".")) == 0 {
		d.add(&candidate{folder: ".", kind: "php", role: app, file: d.in(".", "index.php", "public/index.php")})
	}
	for _, file := range d.matching(func(base string) bool { return base == ".wp-env.json" }) {
		config, _ := d.json(file)
		port, _ := config.Field("port")
		c := d.server(path.Dir(file), "wordpress", app, 8888, file)
		c.set(port.Port(), stated, file, port.Line)
	}
}

var laravelURL = regexp.MustCompile(`(?m)^APP_URL=["']?https?://(?:localhost|127\.0\.0\.1):(\d+)`)

func (d *discovery) readElixir() {
	for _, folder := range d.folders("mix.exs") {
		file := path.Join(folder, "mix.exs")
		umbrella := d.contains(file, "apps_path:")
		if !umbrella && !d.contains(file, ":phoenix,", ":phoenix ") {
			continue
		}
		if umbrella && d.in(folder, "config/dev.exs") == "" || !umbrella && slices.ContainsFunc(parents(folder)[1:], func(dir string) bool { return d.contains(path.Join(dir, "mix.exs"), "apps_path:") }) {
			continue
		}
		c := d.server(folder, "phoenix", app, 4000, file)
		for _, config := range []string{"config/dev.exs", "config/runtime.exs", "config/config.exs"} {
			at := path.Join(folder, config)
			if port, line := d.number(at, elixirPort); port != 0 && c.evidence < stated && config == "config/dev.exs" {
				c.set(port, stated, at, line)
			}
		}
	}
}

var elixirPort = regexp.MustCompile(`http:\s*\[[^\]]*?port:\s*(?:String\.to_integer\(\s*System\.(?:get_env|fetch_env!)\(\s*"\w+"(?:\s*,\s*"(\d+)")?\s*\)(?:\s*\|\|\s*"(\d+)")?|(\d+))`)

func (d *discovery) readGo() {
	for _, folder := range d.folders("go.mod") {
		if air := d.in(folder, ".air.toml"); air != "" {
			var config struct {
				Build struct {
					FullBin string   `toml:"full_bin"`
					Args    []string `toml:"args_bin"`
				}
				Proxy struct {
					Enabled   bool
					ProxyPort int `toml:"proxy_port"`
				}
			}
			_ = toml.Unmarshal(d.text(air), &config)
			c := d.server(folder, "go", api, 0, air)
			for _, cmd := range append(commands(config.Build.FullBin, func(string) (string, bool) { return "", false }), command{words: append([]string{"go"}, config.Build.Args...)}) {
				c.set(programs[len(programs)-1].portIn(cmd), stated, air, 0)
			}
			if config.Proxy.Enabled {
				c.set(config.Proxy.ProxyPort, stated, air, 0)
			}
		}
		var sources []string
		for _, file := range d.matching(func(base string) bool { return strings.HasSuffix(base, ".go") && !strings.HasSuffix(base, "_test.go") }) {
			dir := path.Dir(file)
			if dir == folder || strings.HasPrefix(dir, path.Join(folder, "cmd")) || strings.HasPrefix(dir, path.Join(folder, "internal")) || folder == "." && strings.Count(dir, "/") <= 1 {
				sources = append(sources, file)
			}
		}
		slices.SortStableFunc(sources, func(a, b string) int { return goRank(a) - goRank(b) })
		for _, file := range sources[:min(len(sources), 200)] {
			if !d.contains(file, "ListenAndServe", "net.Listen(", "http.Server{", ".Listen(", ".Run(\":", ".Start(\":", "\"addr\"", "\"port\"", "\"PORT\"", "\"http\"") {
				continue
			}
			port, line := d.number(file, goPort)
			if port == 0 || nothingHTTP(port) {
				continue
			}
			c := d.server(folder, "go", api, 0, file)
			c.set(port, sample, file, line)
			break
		}
		if c := d.kind(folder, "go"); c != nil {
			if port, file, line := d.environmentPort(folder, "PORT", "HTTP_PORT", "APP_PORT", "SERVER_PORT"); port != 0 {
				c.set(port, stated, file, line)
			}
		}
	}
}

// goRank orders the files of a Go program: main first.
func goRank(file string) int {
	switch {
	case path.Base(file) == "main.go":
		return 0
	case strings.Contains(path.Base(file), "server"), strings.Contains(path.Base(file), "config"):
		return 1
	}
	return 2
}

var goPort = regexp.MustCompile(`ListenAndServe(?:TLS)?\(\s*"[^"]*:(\d+)"|(?:Addr|Address):?\s*[:=]+\s*"[^"]*:(\d+)"|net\.Listen\(\s*"tcp",\s*"[^"]*:(\d+)"|\.(?:Run|Start|Listen)\(\s*"[^"]*:(\d+)"|flag\.(?:String|Int)(?:Var)?\([^)]*"[^"]*(?:addr|port|listen|http|bind)[^"]*",\s*"?[^",]*?:?(\d{2,5})"?|(?i:port|addr)\w*\s*:?=\s*"?:?(\d{4,5})"?|(?i:getenv|envor|getenvdefault|env|lookup)\w*\("[A-Z_]*PORT",\s*"?:?(\d{2,5})`)

func (d *discovery) readRust() {
	for _, folder := range d.folders("Trunk.toml") {
		var config struct{ Serve struct{ Port int } }
		file := path.Join(folder, "Trunk.toml")
		_ = toml.Unmarshal(d.text(file), &config)
		c := d.server(folder, "trunk", app, 0, file)
		c.set(config.Serve.Port, stated, file, 0)
		c.set(8080, standard, file, 0)
	}
	for _, folder := range d.folders("Cargo.toml") {
		file := path.Join(folder, "Cargo.toml")
		kind, port := "", 0
		switch {
		case d.contains(file, "\nleptos"):
			kind, port = "leptos", 3000
		case d.contains(file, "\ndioxus"):
			kind, port = "dioxus", 8080
		case d.contains(file, "\nrocket"):
			kind, port = "rocket", 8000
		case d.contains(file, "\naxum", "\nactix-web", "\nwarp", "\nhyper", "\npoem", "\nsalvo", "\nloco-rs"):
			kind = "rust"
		default:
			continue
		}
		c := d.server(folder, kind, api, 0, file)
		if at, line := d.number(path.Join(folder, "Rocket.toml"), regexp.MustCompile(`(?m)^\s*port\s*=\s*(\d+)`)); at != 0 {
			c.set(at, stated, path.Join(folder, "Rocket.toml"), line)
		}
		if at, line := d.number(file, regexp.MustCompile(`(?m)^\s*site-addr\s*=\s*"[^"]*:(\d+)"`)); at != 0 {
			c.set(at, stated, file, line)
		}
		if at, line := d.number(path.Join(folder, "config/development.yaml"), regexp.MustCompile(`(?m)^\s+port:\s*(\d+)`)); at != 0 && d.contains(file, "loco-rs") {
			c.set(at, stated, path.Join(folder, "config/development.yaml"), line)
		}
		for _, source := range []string{"src/main.rs", "src/server.rs", "src/bin/server.rs"} {
			at, line := d.number(path.Join(folder, source), rustPort)
			c.set(at, sample, path.Join(folder, source), line)
		}
		c.set(port, standard, file, 0)
	}
}

var rustPort = regexp.MustCompile(`bind\(\s*&?"[^"]*:(\d+)"|bind\(\(\s*"[^"]*",\s*(\d+)\)|SocketAddr::from\(\(\s*\[[\d, ]*\],\s*(\d+)|\.run\(\(\s*\[[\d, ]*\],\s*(\d+)|"(?:0\.0\.0\.0|127\.0\.0\.1|localhost|\[::\]):(\d+)"|unwrap_or(?:_else)?\((?:\|_\|\s*)?"?(\d{4,5})`)

func (d *discovery) readJVM() {
	for _, folder := range d.folders("pom.xml", "build.gradle", "build.gradle.kts") {
		file := d.in(folder, "pom.xml", "build.gradle", "build.gradle.kts")
		kind, pattern := "", springPort
		switch {
		case d.contains(file, "spring-boot"):
			kind = "spring"
		case d.contains(file, "io.quarkus"):
			kind, pattern = "quarkus", quarkusPort
		case d.contains(file, "micronaut"):
			kind, pattern = "micronaut", springPort
		case d.contains(file, "io.ktor"):
			kind, pattern = "ktor", ktorPort
		default:
			continue
		}
		var port, line int
		at := ""
		for _, name := range []string{"application-dev", "application-local", "application", "bootstrap"} {
			for _, ext := range []string{".properties", ".yml", ".yaml", ".conf"} {
				at = path.Join(folder, "src/main/resources", name+ext)
				if port, line = d.number(d.deep(at), pattern); port != 0 {
					break
				}
			}
			if port != 0 {
				break
			}
		}
		if port == 0 && kind == "spring" && !d.contains(file, "spring-boot-starter-web", "spring-boot-starter-webflux", "spring-boot-starter-graphql", "spring-boot-starter-thymeleaf", "spring-cloud-starter-gateway") {
			continue
		}
		c := d.server(folder, kind, api, 0, file)
		c.set(port, stated, at, line)
		c.set(8080, standard, file, 0)
	}
}

var (
	springPort  = regexp.MustCompile(`(?m)^\s*server\.port\s*[=:]\s*(?:\$\{[^:}]*:)?(\d+)|^(?:server|micronaut):\s*(?:\n[ \t]+[^\n]*)*?\n[ \t]+port:\s*(?:\$\{[^:}]*:)?(\d+)`)
	quarkusPort = regexp.MustCompile(`(?m)^\s*(?:%dev\.)?quarkus\.http\.port\s*=\s*(\d+)|^\s+port:\s*(\d+)`)
	ktorPort    = regexp.MustCompile(`(?m)^\s*port\s*[=:]\s*"?\$?\{?[^\d\n]*(\d+)`)
)

func (d *discovery) readDotnet() {
	for _, file := range d.named("launchSettings.json") {
		folder := path.Dir(path.Dir(file))
		config, _ := d.json(file)
		profiles, _ := config.Field("profiles")
		for _, profile := range profiles.Fields {
			command, _ := profile.Value.Field("commandName")
			urls, _ := profile.Value.Field("applicationUrl")
			port, https := 0, false
			for _, url := range strings.Split(urls.Text, ";") {
				if p := addressPort(url); p != 0 && (port == 0 || strings.HasPrefix(url, "http:")) {
					port, https = p, strings.HasPrefix(url, "https:")
				}
			}
			if command.Text != "Project" || port == 0 {
				continue
			}
			c := d.server(folder, "dotnet", api, 0, file)
			if c.evidence < stated {
				c.https = https
			}
			c.set(port, stated, file, urls.Line)
			break
		}
	}
	for _, file := range d.matching(func(base string) bool { return strings.HasSuffix(base, ".csproj") }) {
		if d.contains(file, "Microsoft.NET.Sdk.Web") && d.kind(path.Dir(file), "dotnet") == nil {
			d.server(path.Dir(file), "dotnet", api, 5000, file)
		}
	}
}

// readSites takes generators of static sites, and other tools that are known by
// a file of theirs.
func (d *discovery) readSites() {
	for _, file := range d.named("hugo.toml", "hugo.yaml", "hugo.yml", "hugo.json", "config.toml", "config.yaml", "config.yml") {
		folder := path.Dir(file)
		hugo := strings.HasPrefix(path.Base(file), "hugo.")
		if !hugo && (!d.contains(file, "baseURL", "baseurl", "languageCode") || !d.has[path.Join(folder, "content")] && !d.has[path.Join(folder, "layouts")] && !d.has[path.Join(folder, "themes")]) {
			if path.Base(file) == "config.toml" && d.contains(file, "base_url") && d.has[path.Join(folder, "content")] {
				d.server(folder, "zola", app, 1111, file)
			}
			continue
		}
		d.server(folder, "hugo", app, 1313, file)
	}
	for _, file := range d.named("mkdocs.yml", "mkdocs.yaml") {
		c := d.server(path.Dir(file), "mkdocs", docs, 0, file)
		port, line := d.number(file, regexp.MustCompile(`(?m)^dev_addr:\s*["']?[^\s"']*?:(\d+)`))
		c.set(port, stated, file, line)
		c.set(8000, standard, file, 0)
	}
	for _, file := range d.named("wrangler.toml", "wrangler.json", "wrangler.jsonc") {
		folder := path.Dir(file)
		if len(d.of(folder)) > 0 || len(d.usesJS[folder].lines) > 0 {
			continue
		}
		c := d.add(&candidate{folder: folder, kind: "wrangler", role: api, file: file})
		d.configureTOML(c)
		c.set(8787, standard, file, 0)
	}
}

// configureTOML reads the configurations of wrangler, netlify and Redwood.
func (d *discovery) configureTOML(c *candidate) {
	switch c.kind {
	case "wrangler":
		if file := d.in(c.folder, "wrangler.json", "wrangler.jsonc"); file != "" {
			config, _ := d.json(file)
			port, _ := config.Field("dev", "port")
			c.set(port.Port(), stated, file, port.Line)
			return
		}
		var config struct {
			Dev struct {
				Port     int
				Protocol string `toml:"local_protocol"`
			}
		}
		file := d.in(c.folder, "wrangler.toml")
		_ = toml.Unmarshal(d.text(file), &config)
		c.set(config.Dev.Port, stated, file, 0)
		c.https = c.https || config.Dev.Protocol == "https"
	case "netlify":
		var config struct{ Dev struct{ Port int } }
		file := d.in(c.folder, "netlify.toml")
		_ = toml.Unmarshal(d.text(file), &config)
		c.set(config.Dev.Port, stated, file, 0)
	case "redwood":
		var config struct{ Web struct{ Port int } }
		file := d.in(c.folder, "redwood.toml")
		_ = toml.Unmarshal(d.text(file), &config)
		c.set(config.Web.Port, stated, file, 0)
	}
}
