package scaffold

import (
	"path"
	"regexp"
	"slices"
	"strings"
)

// framework is a server that the files of a folder imply, even if no command line
// starts it.
type framework struct {
	kind string
	role role
	port int // the default; 0 if there is none
	// uses matches a text in a manifest. calls matches one in a file that starts a
	// server in Python. nil accepts any text.
	uses, calls *regexp.Regexp
	// with are files and folders, of which one in each string exists.
	with []string
	// ports are where the port is written.
	ports []portPattern
	// optional is true if only a port in ports makes the framework a server.
	optional bool
}

// portPattern matches the port in the first of files that has it. No files means
// the manifest.
type portPattern struct {
	files   []string
	pattern *regexp.Regexp
	evidence
}

// family is a list of frameworks with the same manifests. The first one that a
// folder uses counts.
type family struct {
	manifests []string // in order of preference
	// skip reports whether a folder has no such server.
	skip       func(d backendReader, folder string) bool
	frameworks []framework
	// more reads what else the folder says about a server of the family.
	more func(backendReader, *candidate)
	// read handles frameworks that do not fit into the list.
	read func(backendReader)
}

// readFamily adds the server of each folder that has a manifest.
func (d backendReader) readFamily(list family) {
	if list.read != nil {
		list.read(d)
	}
	for _, folder := range d.folders(list.manifests...) {
		i := slices.IndexFunc(list.frameworks, func(f framework) bool {
			lacks := func(files string) bool { return d.in(folder, strings.Fields(files)...) == "" }
			return d.matches(folder, f.uses, list.manifests) && d.matches(folder, f.calls, pythonMains) && !slices.ContainsFunc(f.with, lacks)
		})
		if i < 0 || list.skip != nil && list.skip(d, folder) {
			continue
		}
		c := d.addFramework(list.frameworks[i], folder, d.in(folder, list.manifests...))
		if c != nil && list.more != nil {
			list.more(d, c)
		}
	}
}

// matches reports whether pattern matches in one of names in folder.
func (d backendReader) matches(folder string, pattern *regexp.Regexp, names []string) bool {
	return pattern == nil || slices.ContainsFunc(names, func(name string) bool { return pattern.Match(d.text(path.Join(folder, name))) })
}

// addFramework adds the server of a folder; nil if it turns out to be none.
func (d backendReader) addFramework(f framework, folder, manifest string) *candidate {
	found := &candidate{}
	for _, p := range f.ports {
		files := p.files
		if files == nil {
			files = []string{path.Base(manifest)}
		}
		port, file, line := d.firstNumber(folder, files, p.pattern)
		found.set(port, p.evidence, file, line)
	}
	if f.optional && found.port == 0 {
		return nil
	}
	c := d.server(folder, f.kind, f.role, 0, manifest)
	c.set(found.port, found.evidence, found.file, found.line)
	c.set(f.port, standard, "", 0)
	return c
}

var (
	// dependencyFiles list the dependencies of a Python project.
	dependencyFiles = strings.Fields("requirements.txt requirements-dev.txt requirements.in pyproject.toml Pipfile setup.py setup.cfg environment.yml")
	// pythonMains are the files that start a server.
	pythonMains = strings.Fields("main.py app.py server.py run.py wsgi.py asgi.py api.py __main__.py app/main.py src/main.py src/app.py app/__init__.py app/__main__.py api/main.py backend/main.py")
)

// python matches the dependency on one of packages.
func python(packages string) *regexp.Regexp {
	return regexp.MustCompile(`(?i)(?:^|[\n \t"'\[,])(?:` + packages + `)(?:$|[\n \t\r"'\[=<>~!;,@:])`)
}

// gem matches the dependency on one of the gems.
func gem(names string) *regexp.Regexp {
	return regexp.MustCompile(`(?m)^\s*gem\s+["'](` + names + `)["']`)
}

// javaPort returns where Java frameworks have their port, which pattern matches.
func javaPort(pattern string) []portPattern {
	var files []string
	for _, name := range []string{"application-dev", "application-local", "application", "bootstrap"} {
		for _, ext := range []string{".properties", ".yml", ".yaml", ".conf"} {
			files = append(files, "src/main/resources/"+name+ext)
		}
	}
	return []portPattern{{files, regexp.MustCompile(pattern), stated}}
}

// rustPorts are where servers in Rust write their port.
var rustPorts = []portPattern{
	{[]string{"Rocket.toml"}, regexp.MustCompile(`(?m)^\s*port\s*=\s*(\d+)`), stated},
	{nil, regexp.MustCompile(`(?m)^\s*site-addr\s*=\s*"[^"]*:(\d+)"`), stated},
	{[]string{"src/main.rs", "src/server.rs", "src/bin/server.rs"}, regexp.MustCompile(`bind\(\s*&?"[^"]*:(\d+)"|bind\(\(\s*"[^"]*",\s*(\d+)\)|SocketAddr::from\(\(\s*\[[\d, ]*\],\s*(\d+)|\.run\(\(\s*\[[\d, ]*\],\s*(\d+)|"(?:0\.0\.0\.0|127\.0\.0\.1|localhost|\[::\]):(\d+)"|unwrap_or(?:_else)?\((?:\|_\|\s*)?"?(\d{4,5})`), sample},
}

const springPort = `(?m)^\s*server\.port\s*[=:]\s*(?:\$\{[^:}]*:)?(\d+)|^(?:server|micronaut):\s*(?:\n[ \t]+[^\n]*)*?\n[ \t]+port:\s*(?:\$\{[^:}]*:)?(\d+)`

// families are in the order in which they are read.
var families = []family{
	{manifests: []string{"manage.py"}, more: backendReader.readDjango, frameworks: []framework{
		{kind: "django", role: app, port: 8000, uses: regexp.MustCompile(`django|DJANGO_SETTINGS_MODULE`)},
	}},
	{manifests: dependencyFiles, skip: backendReader.isDjango, more: backendReader.readPython, frameworks: []framework{
		{kind: "fastapi", role: api, port: 8000, uses: python("fastapi")},
		{kind: "streamlit", role: app, port: 8501, uses: python("streamlit"), ports: []portPattern{{[]string{".streamlit/config.toml"}, regexp.MustCompile(`(?m)^port\s*=\s*(\d+)`), stated}}},
		{kind: "flask", role: app, port: 5000, uses: python("flask")},
		{kind: "litestar", role: api, port: 8000, uses: python("litestar")},
		{kind: "uvicorn", role: api, port: 8000, uses: python("starlette|uvicorn")},
		{kind: "sanic", role: api, port: 8000, uses: python("sanic")},
		{kind: "quart", role: app, port: 5000, uses: python("quart")},
		{kind: "dash", role: app, port: 8050, uses: python("dash")},
		{kind: "gradio", role: app, port: 7860, uses: python("gradio")},
		{kind: "nicegui", role: app, port: 8080, uses: python("nicegui")},
		{kind: "aiohttp", role: api, port: 8080, uses: python("aiohttp"), calls: regexp.MustCompile(`run_app\(`)},
		{kind: "python", role: api, uses: python("tornado|bottle|falcon|pyramid|cherrypy"), calls: regexp.MustCompile(`\.listen\(|run\(|serve\(`)},
	}},
	{manifests: []string{"Gemfile"}, skip: backendReader.isJekyll, more: backendReader.readPuma, frameworks: []framework{
		{kind: "rails", role: app, port: 3000, with: []string{"config/application.rb bin/rails"}},
		{kind: "rails", role: app, port: 3000, uses: gem("rails")},
		{kind: "jekyll", role: app, port: 4000, uses: gem("jekyll|github-pages")},
		{kind: "bridgetown", role: app, port: 4000, uses: gem("bridgetown")},
		{kind: "middleman", role: app, port: 4567, uses: gem("middleman")},
		{kind: "hanami", role: app, port: 2300, uses: gem("hanami")},
		{kind: "sinatra", role: app, port: 9292, uses: gem("sinatra"), with: []string{"config.ru"}},
		{kind: "sinatra", role: app, port: 4567, uses: gem("sinatra")},
	}},
	{manifests: []string{"_config.yml", "_config.yaml"}, skip: backendReader.isNotJekyll, frameworks: []framework{
		{kind: "jekyll", role: app, port: 4000, ports: []portPattern{{nil, regexp.MustCompile(`(?m)^port:\s*["']?(\d+)`), stated}}},
	}},
	{read: backendReader.readComposer, manifests: []string{"composer.json"}, more: backendReader.readLaravel, frameworks: []framework{
		{kind: "laravel", role: app, port: 8000, with: []string{"artisan"}},
		{kind: "symfony", role: app, port: 8000, with: []string{"bin/console", "symfony.lock config/bundles.php src/Kernel.php"}},
		{kind: "codeigniter", role: app, port: 8080, with: []string{"spark"}},
		{kind: "cakephp", role: app, port: 8765, with: []string{"bin/cake"}},
	}},
	{read: backendReader.readPHPSites, manifests: []string{"artisan"}, frameworks: []framework{{kind: "laravel", role: app, port: 8000}}},
	{manifests: []string{".wp-env.json"}, frameworks: []framework{
		{kind: "wordpress", role: app, port: 8888, ports: []portPattern{{nil, regexp.MustCompile(`"port"\s*:\s*(\d+)`), stated}}},
	}},
	{read: backendReader.readElixir},
	{read: backendReader.readGo},
	{manifests: []string{"Trunk.toml"}, frameworks: []framework{
		{kind: "trunk", role: app, port: 8080, ports: []portPattern{{nil, regexp.MustCompile(`(?ms)^\[serve\][^\[]*^port\s*=\s*(\d+)`), stated}}},
	}},
	{manifests: []string{"Cargo.toml"}, frameworks: []framework{
		{kind: "leptos", role: api, port: 3000, uses: regexp.MustCompile(`\nleptos`), ports: rustPorts},
		{kind: "dioxus", role: api, port: 8080, uses: regexp.MustCompile(`\ndioxus`), ports: rustPorts},
		{kind: "rocket", role: api, port: 8000, uses: regexp.MustCompile(`\nrocket`), ports: rustPorts},
		{kind: "rust", role: api, uses: regexp.MustCompile(`\nloco-rs`), ports: append(rustPorts, portPattern{[]string{"config/development.yaml"}, regexp.MustCompile(`(?m)^\s+port:\s*(\d+)`), stated})},
		{kind: "rust", role: api, uses: regexp.MustCompile(`\n(axum|actix-web|warp|hyper|poem|salvo)`), ports: rustPorts},
	}},
	{manifests: []string{"pom.xml", "build.gradle", "build.gradle.kts"}, frameworks: []framework{
		{kind: "spring", role: api, port: 8080, uses: regexp.MustCompile(`spring-boot-starter-(web|graphql|thymeleaf)|spring-cloud-starter-gateway`), ports: javaPort(springPort)},
		{kind: "spring", role: api, port: 8080, uses: regexp.MustCompile(`spring-boot`), ports: javaPort(springPort), optional: true},
		{kind: "quarkus", role: api, port: 8080, uses: regexp.MustCompile(`io\.quarkus`), ports: javaPort(`(?m)^\s*(?:%dev\.)?quarkus\.http\.port\s*=\s*(\d+)|^\s+port:\s*(\d+)`)},
		{kind: "micronaut", role: api, port: 8080, uses: regexp.MustCompile(`micronaut`), ports: javaPort(springPort)},
		{kind: "ktor", role: api, port: 8080, uses: regexp.MustCompile(`io\.ktor`), ports: javaPort(`(?m)^\s*port\s*[=:]\s*"?\$?\{?[^\d\n]*(\d+)`)},
	}},
	{read: backendReader.readDotnet},
	{manifests: []string{"hugo.toml", "hugo.yaml", "hugo.yml", "hugo.json"}, frameworks: []framework{{kind: "hugo", role: app, port: 1313}}},
	{manifests: []string{"config.toml", "config.yaml", "config.yml"}, frameworks: []framework{
		{kind: "hugo", role: app, port: 1313, uses: regexp.MustCompile(`base(URL|url)|languageCode`), with: []string{"content layouts themes"}},
		{kind: "zola", role: app, port: 1111, uses: regexp.MustCompile(`(?m)^base_url\s*=`), with: []string{"content"}},
	}},
	{manifests: []string{"mkdocs.yml", "mkdocs.yaml"}, frameworks: []framework{
		{kind: "mkdocs", role: docs, port: 8000, ports: []portPattern{{nil, regexp.MustCompile(`(?m)^dev_addr:\s*["']?[^\s"']*?:(\d+)`), stated}}},
	}},
}
