package scaffold

import (
	"path"
	"regexp"
	"slices"
	"strings"
)

// addRecipes lets devproxy start the servers of frameworks that are started in the same
// way in every project.
func (d *discovery) addRecipes() {
	for _, c := range d.candidates {
		if c.start != nil || c.role == container || c.file == runningProcess {
			continue
		}
		words := d.recipe(c)
		if words == nil {
			continue
		}
		moves := slices.ContainsFunc(words, func(word string) bool { return strings.Contains(word, portWord) }) || d.listensOnPORT(c)
		c.startWith(&start{words: words, folder: c.folder, moves: moves})
	}
}

// recipe returns the usual command of a framework; nil if there is none.
func (d *discovery) recipe(c *candidate) []string {
	in := func(names ...string) bool { return d.in(c.folder, names...) != "" }
	switch c.kind {
	case "django":
		if in("manage.py") {
			return d.python(c.folder, "manage.py", "runserver", portWord)
		}
	case "flask":
		if in("app.py", "wsgi.py", ".flaskenv") {
			return d.python(c.folder, "-m", "flask", "run", "--port", portWord)
		}
	case "fastapi":
		return d.fastAPI(c.folder)
	case "streamlit":
		for _, name := range []string{"streamlit_app.py", "app.py", "main.py"} {
			if in(name) {
				return d.python(c.folder, "-m", "streamlit", "run", name, "--server.port", portWord, "--server.headless", "true")
			}
		}
	case "mkdocs":
		return d.python(c.folder, "-m", "mkdocs", "serve", "-a", "127.0.0.1:"+portWord)
	case "rails":
		if in("bin/rails") {
			return []string{"bin/rails", "server", "-p", portWord}
		}
		return []string{"bundle", "exec", "rails", "server", "-p", portWord}
	case "jekyll":
		words := []string{"jekyll", "serve", "--port", portWord}
		if in("Gemfile") {
			words = append([]string{"bundle", "exec"}, words...)
		}
		return words
	case "laravel":
		if in("artisan") {
			return []string{"php", "artisan", "serve", "--port=" + portWord}
		}
	case "symfony":
		if in("public/index.php") {
			return []string{"php", "-S", "127.0.0.1:" + portWord, "-t", "public"}
		}
	case "phoenix":
		return []string{"mix", "phx.server"}
	case "go":
		return d.goRun(c.folder)
	case "spring":
		switch {
		case in("mvnw"):
			return []string{"./mvnw", "spring-boot:run", "-Dspring-boot.run.arguments=--server.port=" + portWord}
		case in("gradlew"):
			return []string{"./gradlew", "bootRun", "--args=--server.port=" + portWord}
		}
	case "dotnet":
		return []string{"dotnet", "run", "--urls", "http://127.0.0.1:" + portWord}
	case "rust":
		if in("src/main.rs") {
			return []string{"cargo", "run"}
		}
	case "hugo":
		return []string{"hugo", "server", "--port", portWord}
	case "zola":
		return []string{"zola", "serve", "--port", portWord}
	}
	return nil
}

// environments are the programs that run others in the environment of a Python project,
// by the file that shows them.
var environments = [][]string{{"uv.lock", "uv", "run"}, {"poetry.lock", "poetry", "run"}, {"pdm.lock", "pdm", "run"}, {"Pipfile.lock", "pipenv", "run"}, {"Pipfile", "pipenv", "run"}}

// python returns the command that runs Python in the environment of a folder.
func (d *discovery) python(folder string, arguments ...string) []string {
	for i, dir := range parents(folder) {
		for _, one := range environments {
			if d.in(dir, one[0]) != "" {
				return slices.Concat(one[1:], []string{"python"}, arguments)
			}
		}
		for _, name := range []string{".venv/bin/python", "venv/bin/python", "env/bin/python", ".venv/Scripts/python.exe", "venv/Scripts/python.exe"} {
			if _, err := d.root.Lstat(path.Join(dir, name)); err == nil {
				return append([]string{strings.Repeat("../", i) + name}, arguments...)
			}
		}
	}
	return append([]string{"python3"}, arguments...)
}

var (
	fastAPIApp = regexp.MustCompile(`(?m)^(\w+)\s*(?::\s*FastAPI\s*)?=\s*FastAPI\(`)
	uvicornDep = python("uvicorn")
	fastAPIDep = regexp.MustCompile(`(?i)fastapi\[(?:standard|all)|fastapi-cli`)
)

// fastAPI returns the command for the app of a folder: that of FastAPI, if its packages
// are there, otherwise uvicorn.
func (d *discovery) fastAPI(folder string) []string {
	for _, name := range []string{"main.py", "app.py", "api.py", "app/main.py", "app/app.py", "app/api.py", "src/main.py"} {
		app := submatch(fastAPIApp, string(d.text(path.Join(folder, name))))
		if app == "" {
			continue
		}
		for _, file := range dependencyFiles {
			text := d.text(path.Join(folder, file))
			switch {
			case fastAPIDep.Match(text):
				return d.python(folder, "-m", "fastapi", "dev", name, "--port", portWord)
			case uvicornDep.Match(text):
				module := strings.ReplaceAll(strings.TrimSuffix(name, ".py"), "/", ".")
				return d.python(folder, "-m", "uvicorn", module+":"+app, "--reload", "--port", portWord)
			}
		}
	}
	return nil
}

// goRun returns the command for the only program of a Go module; nil if there are several.
func (d *discovery) goRun(folder string) []string {
	if d.in(folder, ".air.toml") != "" {
		return []string{"air"}
	}
	if d.contains(path.Join(folder, "main.go"), "package main") {
		return []string{"go", "run", "."}
	}
	var mains []string
	for _, file := range d.named("main.go") {
		if dir := path.Dir(file); path.Dir(dir) == path.Join(folder, "cmd") && d.contains(file, "package main") {
			mains = append(mains, path.Base(dir))
		}
	}
	if len(mains) != 1 {
		return nil
	}
	return []string{"go", "run", "./cmd/" + mains[0]}
}

// listensOnPORT reports whether the sources or the configuration of a server that no
// command line starts read PORT.
func (d *discovery) listensOnPORT(c *candidate) bool {
	switch c.kind {
	case "phoenix":
		return d.contains(path.Join(c.folder, "config/dev.exs"), `"PORT"`)
	case "go":
		return d.contains(c.file, `"PORT"`)
	}
	return false
}
