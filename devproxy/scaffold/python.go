package scaffold

import (
	"path"
	"regexp"
	"slices"
	"strings"
)

// dependencyFiles name what a Python project needs.
var dependencyFiles = []string{"requirements.txt", "requirements-dev.txt", "requirements.in", "pyproject.toml", "Pipfile", "setup.py", "setup.cfg", "environment.yml"}

func (d *discovery) readPython() {
	for _, folder := range d.folders("manage.py") {
		file := path.Join(folder, "manage.py")
		if !d.contains(file, "django", "DJANGO_SETTINGS_MODULE") {
			continue
		}
		c := d.server(folder, "django", app, 8000, file)
		c.plainHTTP = d.djangoOrigin(folder)
		for _, other := range d.of(folder) { // daphne or uvicorn serve the same app
			if other != c && kindOf(other.kind) == "python" {
				other.plainHTTP = c.plainHTTP
			}
		}
	}
	for _, folder := range d.folders(dependencyFiles...) {
		if d.kind(folder, "django") != nil || d.hasBelow(folder, "manage.py") {
			continue
		}
		switch {
		case d.requires(folder, "fastapi"):
			d.pythonServer(folder, "fastapi", api, 8000)
		case d.requires(folder, "streamlit"):
			c := d.server(folder, "streamlit", app, 0, d.in(folder, dependencyFiles...))
			file := d.deep(path.Join(folder, ".streamlit/config.toml"))
			port, line := d.number(file, regexp.MustCompile(`(?m)^port\s*=\s*(\d+)`))
			c.set(port, stated, file, line)
			c.set(8501, standard, "", 0)
		case d.requires(folder, "flask"):
			c := d.pythonServer(folder, "flask", app, 5000)
			if port, file, line := d.environmentPort(folder, "FLASK_RUN_PORT"); port != 0 {
				c.set(port, stated, file, line)
			}
		case d.requires(folder, "litestar"):
			d.pythonServer(folder, "litestar", api, 8000)
		case d.requires(folder, "starlette", "uvicorn"):
			d.pythonServer(folder, "uvicorn", api, 8000)
		case d.requires(folder, "sanic"):
			d.pythonServer(folder, "sanic", api, 8000)
		case d.requires(folder, "quart"):
			d.pythonServer(folder, "quart", app, 5000)
		case d.requires(folder, "dash"):
			d.pythonServer(folder, "dash", app, 8050)
		case d.requires(folder, "gradio"):
			d.pythonServer(folder, "gradio", app, 7860)
		case d.requires(folder, "nicegui"):
			d.pythonServer(folder, "nicegui", app, 8080)
		case d.requires(folder, "aiohttp") && d.runs(folder, "run_app("):
			d.pythonServer(folder, "aiohttp", api, 8080)
		case d.requires(folder, "tornado", "bottle", "falcon", "pyramid", "cherrypy") && d.runs(folder, ".listen(", "run(", "serve("):
			d.pythonServer(folder, "python", api, 0)
		}
	}
}

// hasBelow reports whether folder has a file of this name, itself or in a folder
// of it.
func (d *discovery) hasBelow(folder, name string) bool {
	return slices.ContainsFunc(d.named(name), func(file string) bool {
		return folder == "." || strings.HasPrefix(file, folder+"/")
	})
}

// pythonServer is the server of a framework. A call in its main file says the
// port: app.run(port=5001), uvicorn.run("main:app", port=8080).
func (d *discovery) pythonServer(folder, kind string, r role, port int) *candidate {
	known := len(d.of(folder)) > 0
	c := d.server(folder, kind, r, 0, d.in(folder, dependencyFiles...))
	for _, name := range pythonMains {
		file := path.Join(folder, name)
		if at, line := d.number(file, pythonPort); at != 0 {
			if known && c.evidence == standard && c.kind != kind {
				break
			}
			c.set(at, sample, file, line)
			break
		}
	}
	if at, file, line := d.environmentPort(folder, "PORT"); at != 0 && c.evidence == sample && d.contains(c.file, `"PORT"`, `'PORT'`) {
		c.port = 0
		c.set(at, sample, file, line)
	}
	c.set(port, standard, "", 0)
	return c
}

// pythonMains are the files that start a server.
var pythonMains = []string{"main.py", "app.py", "server.py", "run.py", "wsgi.py", "asgi.py", "api.py", "__main__.py", "app/main.py", "src/main.py", "src/app.py", "app/__init__.py", "app/__main__.py", "api/main.py", "backend/main.py"}

// runs reports whether a file that may start a server has one of calls.
func (d *discovery) runs(folder string, calls ...string) bool {
	return slices.ContainsFunc(pythonMains, func(name string) bool { return d.contains(path.Join(folder, name), calls...) })
}

var pythonPort = regexp.MustCompile(`(?s)(?:\.run|run_app|run_simple|serve|launch|\.listen|run)\([^)]{0,400}?\bport\s*=\s*(?:int\(\s*)?(?:os\.(?:environ\.get|getenv)\(\s*["']\w+["']\s*,\s*["']?(\d+)|(\d+))|\.listen\(\s*(\d+)|(?m:^PORT\s*=\s*(?:int\(\s*)?(?:os\.(?:environ\.get|getenv)\(\s*["']\w+["']\s*,\s*["']?)?(\d+))`)

// requires reports whether the project in folder needs one of the packages.
func (d *discovery) requires(folder string, names ...string) bool {
	for _, base := range dependencyFiles {
		text := strings.ToLower(string(d.text(path.Join(folder, base))))
		for _, name := range names {
			for i := strings.Index(text, name); i >= 0; {
				end := i + len(name)
				if (i == 0 || strings.ContainsRune("\n \t\"'[,", rune(text[i-1]))) && (end == len(text) || strings.ContainsRune("\n \t\r\"'[=<>~!;,@:", rune(text[end]))) {
					return true
				}
				next := strings.Index(text[end:], name)
				if next < 0 {
					break
				}
				i = end + next
			}
		}
	}
	return false
}
