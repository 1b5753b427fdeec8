package scaffold

import (
	"path"
	"regexp"
	"slices"
	"strings"
)

var (
	// dependencyFiles name what a Python project needs.
	dependencyFiles = strings.Fields("requirements.txt requirements-dev.txt requirements.in pyproject.toml Pipfile setup.py setup.cfg environment.yml")
	// pythonMains are the files that start a server.
	pythonMains = strings.Fields("main.py app.py server.py run.py wsgi.py asgi.py api.py __main__.py app/main.py src/main.py src/app.py app/__init__.py app/__main__.py api/main.py backend/main.py")
)

var pythonFrameworks = []framework{
	{kind: "fastapi", role: api, port: 8000, needs: []string{"fastapi"}},
	{kind: "streamlit", role: app, port: 8501, needs: []string{"streamlit"}},
	{kind: "flask", role: app, port: 5000, needs: []string{"flask"}},
	{kind: "litestar", role: api, port: 8000, needs: []string{"litestar"}},
	{kind: "uvicorn", role: api, port: 8000, needs: []string{"starlette", "uvicorn"}},
	{kind: "sanic", role: api, port: 8000, needs: []string{"sanic"}},
	{kind: "quart", role: app, port: 5000, needs: []string{"quart"}},
	{kind: "dash", role: app, port: 8050, needs: []string{"dash"}},
	{kind: "gradio", role: app, port: 7860, needs: []string{"gradio"}},
	{kind: "nicegui", role: app, port: 8080, needs: []string{"nicegui"}},
	{kind: "aiohttp", role: api, port: 8080, needs: []string{"aiohttp"}, calls: []string{"run_app("}},
	{kind: "python", role: api, needs: []string{"tornado", "bottle", "falcon", "pyramid", "cherrypy"}, calls: []string{".listen(", "run(", "serve("}},
}

func (d backendReader) readPython() {
	for _, folder := range d.folders("manage.py") {
		file := path.Join(folder, "manage.py")
		if !d.contains(file, "django", "DJANGO_SETTINGS_MODULE") {
			continue
		}
		c := d.server(folder, "django", app, 8000, file)
		c.plainHTTP = d.djangoOrigin(folder)
		for _, other := range d.of(folder) { // daphne or uvicorn serve the same app
			if language(other.kind) == "python" {
				other.plainHTTP = c.plainHTTP
			}
		}
	}
	for _, folder := range d.folders(dependencyFiles...) {
		below := slices.ContainsFunc(d.named("manage.py"), func(file string) bool {
			return folder == "." || strings.HasPrefix(file, folder+"/")
		})
		f, found := firstUsed(pythonFrameworks, func(f framework) bool {
			return d.requires(folder, f.needs...) && (f.calls == nil || slices.ContainsFunc(pythonMains, func(name string) bool { return d.contains(path.Join(folder, name), f.calls...) }))
		})
		if found && !below && d.kind(folder, "django") == nil {
			d.addPython(folder, f)
		}
	}
}

// addPython adds the server of a framework.
func (d backendReader) addPython(folder string, f framework) {
	known := len(d.of(folder)) > 0
	c := d.server(folder, f.kind, f.role, 0, d.in(folder, dependencyFiles...))
	if f.kind == "streamlit" {
		d.setNumber(c, stated, path.Join(folder, ".streamlit/config.toml"), streamlitPort)
	} else if !known || c.evidence != standard || c.kind == f.kind {
		d.setPythonPort(c, folder)
	}
	if port, file, line := d.environmentPort(folder, "PORT"); port != 0 && c.evidence == sample && d.contains(c.file, `"PORT"`, `'PORT'`) {
		c.replace(port, sample, file, line)
	}
	if f.kind == "flask" {
		port, file, line := d.environmentPort(folder, "FLASK_RUN_PORT")
		c.set(port, stated, file, line)
	}
	c.set(f.port, standard, "", 0)
}

// setPythonPort sets the port of a call in the main file of a server:
// app.run(port=5001), uvicorn.run("main:app", port=8080).
func (d backendReader) setPythonPort(c *candidate, folder string) {
	for _, name := range pythonMains {
		file := path.Join(folder, name)
		if port, line := d.number(file, pythonPort); port != 0 {
			c.set(port, sample, file, line)
			return
		}
	}
}

var (
	streamlitPort = regexp.MustCompile(`(?m)^port\s*=\s*(\d+)`)
	pythonPort    = regexp.MustCompile(`(?s)(?:\.run|run_app|run_simple|serve|launch|\.listen|run)\([^)]{0,400}?\bport\s*=\s*(?:int\(\s*)?(?:os\.(?:environ\.get|getenv)\(\s*["']\w+["']\s*,\s*["']?(\d+)|(\d+))|\.listen\(\s*(\d+)|(?m:^PORT\s*=\s*(?:int\(\s*)?(?:os\.(?:environ\.get|getenv)\(\s*["']\w+["']\s*,\s*["']?)?(\d+))`)
)

// requires reports whether the project in folder needs one of the packages.
func (d backendReader) requires(folder string, names ...string) bool {
	pattern := regexp.MustCompile(`(?i)(?:^|[\n \t"'\[,])(?:` + strings.Join(names, "|") + `)(?:$|[\n \t\r"'\[=<>~!;,@:])`)
	return slices.ContainsFunc(dependencyFiles, func(base string) bool { return pattern.Match(d.text(path.Join(folder, base))) })
}
