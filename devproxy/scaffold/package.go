package scaffold

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// manifest is what matters here of package.json.
type manifest struct {
	Name     string
	Scripts  map[string]string
	Portless json.RawMessage
}

// framework is a dev server, by the words that start it, and its port.
type framework struct {
	name  string
	start *regexp.Regexp
	port  int
}

// frameworks are in the order of trial: wrappers before what they wrap.
func frameworks() []framework {
	word := func(name, pattern string, port int) framework {
		return framework{name, regexp.MustCompile(`(^|[\s/;&|])` + pattern + `(\s|$)`), port}
	}
	return []framework{
		word("next", `next dev`, 3000),
		word("nuxt", `(nuxt|nuxi) dev`, 3000),
		word("astro", `astro dev`, 4321),
		word("remix", `remix (vite:)?dev`, 5173),
		word("react-router", `react-router dev`, 5173),
		word("angular", `ng serve`, 4200),
		word("create-react-app", `react-scripts start`, 3000),
		word("vue-cli", `vue-cli-service serve`, 8080),
		word("gatsby", `gatsby develop`, 8000),
		word("storybook", `(storybook dev|start-storybook)`, 6006),
		word("webpack", `(webpack serve|webpack-dev-server)`, 8080),
		word("eleventy", `(@11ty/)?eleventy\b.*--serve`, 8080),
		word("nest", `nest start`, 3000),
		word("parcel", `parcel(\s+(serve|\S+\.html))?`, 1234),
		word("vite", `vite(\s+(dev|serve))?`, 5173),
	}
}

var (
	portFlag     = regexp.MustCompile(`(?:^|\s)(?:-p|--port)[\s=]+(\d{1,5})\b`)
	portVariable = regexp.MustCompile(`(?:^|\s)PORT=(\d{1,5})\b`)
)

// portIn is the port that a command line names; 0 when it names none.
func portIn(command string) int {
	for _, form := range []*regexp.Regexp{portFlag, portVariable} {
		if m := form.FindStringSubmatch(command); m != nil && portOf(m[1]) != 0 {
			return portOf(m[1])
		}
	}
	return 0
}

func readPackage(s *scan, file string, text []byte) {
	var m manifest
	if err := json.Unmarshal(text, &m); err != nil {
		s.draft.note(file, 0, "it is not JSON as npm reads it")
		return
	}
	folder := path.Dir(file)
	s.packageName(file, folder, m)
	if s.apps[folder] {
		return // its configuration has been read
	}
	for _, script := range []string{"dev", "start", "serve", "develop", "start:dev", "storybook"} {
		command := m.Scripts[script]
		for _, f := range frameworks() {
			if !f.start.MatchString(command) {
				continue
			}
			port := portIn(command)
			if port == 0 {
				port = f.port
			}
			line := lineAt(text, bytes.Index(text, []byte(strconv.Quote(script))))
			s.app(&host{upstream: strconv.Itoa(port), what: f.name, file: file, line: line})
			s.draft.say(file, "%s on %d", f.name, port)
			return
		}
	}
}

// packageName takes the name that portless gives the folder by package.json.
func (s *scan) packageName(file, folder string, m manifest) {
	var app portlessApp
	if json.Unmarshal(m.Portless, &app.Name) == nil || json.Unmarshal(m.Portless, &app) == nil {
		s.portless(file, folder, app)
	}
}

// app adds the dev server of the folder that h's file is in. The root's is the
// project's own; those of other folders are named by their folder.
func (s *scan) app(h *host) {
	folder := path.Dir(h.file)
	if s.apps == nil {
		s.apps = map[string]bool{}
	}
	s.apps[folder] = true
	if h.name = s.names[folder]; h.name == "" && folder != "." {
		h.label = label(path.Base(folder))
	}
	s.draft.add(h)
}

// projectName is the name in the root's package.json, without its scope; else
// the folder's.
func (s *scan) projectName(folder string) string {
	var m manifest
	if text, err := s.text("package.json"); err == nil && json.Unmarshal(text, &m) == nil && m.Name != "" {
		_, name, scoped := strings.Cut(m.Name, "/")
		if !scoped {
			name = m.Name
		}
		return name
	}
	return folder
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// readProcfile takes the processes that say a port.
func readProcfile(s *scan, file string, text []byte) {
	number := 0
	for line := range strings.Lines(string(text)) {
		number++
		name, command, found := strings.Cut(strings.TrimSpace(line), ":")
		if !found || strings.HasPrefix(name, "#") {
			continue
		}
		port := procfilePort(command)
		switch {
		case port != 0:
			s.draft.say(file, "%s on %d", label(name), port)
			if !s.draft.routed(strconv.Itoa(port)) {
				s.draft.add(&host{label: label(name), upstream: strconv.Itoa(port), file: file, line: number})
			}
		case name == "web" || strings.Contains(command, "$PORT") || strings.Contains(command, "${PORT"):
			s.draft.note(file, number, fmt.Sprintf("process %q names no port: say it with -p or PORT=", name))
		}
	}
}

var (
	bindFlag    = regexp.MustCompile(`(?:^|\s)(?:-b|--bind|--listen)[\s=]+\S*?:(\d{1,5})\b`)
	portDefault = regexp.MustCompile(`\$\{PORT:-(\d{1,5})\}`)
	railsServer = regexp.MustCompile(`(^|[\s/])rails s(erver)?(\s|$)`)
)

func procfilePort(command string) int {
	if port := portIn(command); port != 0 {
		return port
	}
	for _, form := range []*regexp.Regexp{bindFlag, portDefault} {
		if m := form.FindStringSubmatch(command); m != nil {
			return portOf(m[1])
		}
	}
	if railsServer.MatchString(command) && !strings.Contains(command, "PORT") {
		return 3000
	}
	return 0
}

// scriptPort is the port that the dev script of a package.json names; 0 when
// it names none.
func (s *scan) scriptPort(file string) int {
	var m manifest
	text, err := s.text(file)
	if err != nil || json.Unmarshal(text, &m) != nil {
		return 0
	}
	for _, script := range []string{"dev", "start"} {
		if port := portIn(m.Scripts[script]); port != 0 {
			return port
		}
	}
	return 0
}
