package scaffold

import (
	"encoding/json"
	"path"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"
)

// slimFile is .slim.yaml.
type slimFile struct {
	Services []struct {
		Domain string
		Port   int
		Routes []struct {
			Path string
			Port int
		}
	}
	CORS bool
}

func readSlim(s *scan, file string, text []byte) {
	var slim slimFile
	if err := yaml.Unmarshal(text, &slim); err != nil {
		s.draft.note(file, 0, "it is not a .slim.yaml as slim reads it")
		return
	}
	for _, service := range slim.Services {
		if service.Domain == "" || portOf(strconv.Itoa(service.Port)) == 0 {
			s.draft.note(file, 0, "a service without domain or port")
			continue
		}
		h := &host{name: underLocalhost(service.Domain), upstream: strconv.Itoa(service.Port), cors: slim.CORS, file: file}
		for _, r := range service.Routes {
			at, port := routePath(r.Path), strconv.Itoa(r.Port)
			if at == "" || at == "/" || portOf(port) == 0 {
				s.draft.note(file, 0, "a route of "+strconv.Quote(service.Domain)+" that a Proxyfile cannot say: "+strconv.Quote(r.Path))
				continue
			}
			h.route(s.draft, file, 0, route{path: at, upstream: port})
		}
		s.draft.add(h)
		s.draft.say(file, "%s on %d", service.Domain, service.Port)
	}
}

// readLocalias reads a flat map of names to ports.
func readLocalias(s *scan, file string, text []byte) {
	var doc yaml.Node
	if err := yaml.Unmarshal(text, &doc); err != nil || len(doc.Content) == 0 || doc.Content[0].Kind != yaml.MappingNode {
		s.draft.note(file, 0, "it is not a map of names to ports")
		return
	}
	pairs := doc.Content[0].Content
	for i := 0; i+1 < len(pairs); i += 2 {
		alias, port := pairs[i], pairs[i+1]
		name := alias.Value
		if _, rest, found := strings.Cut(name, "://"); found {
			name = rest
		}
		if name == "" || strings.ContainsAny(name, "/*:") || portOf(port.Value) == 0 {
			s.draft.note(file, alias.Line, "it is not a name and a port")
			continue
		}
		s.draft.add(&host{name: underLocalhost(name), upstream: strconv.Itoa(portOf(port.Value)), file: file, line: alias.Line})
		s.draft.say(file, "%s on %d", name, portOf(port.Value))
	}
}

// portlessApp is portless.json, an app in it, or that key of package.json.
type portlessApp struct {
	Name    string
	AppPort int
	Apps    map[string]portlessApp
}

func readPortless(s *scan, file string, text []byte) {
	var app portlessApp
	if err := json.Unmarshal(text, &app); err != nil {
		s.draft.note(file, 0, "it is not a portless.json as portless reads it")
		return
	}
	s.portless(file, path.Dir(file), app)
	for _, folder := range sortedKeys(app.Apps) {
		s.portless(file, path.Join(path.Dir(file), folder), app.Apps[folder])
	}
}

// portless keeps the name of a folder's app. Its port is portless's own pick,
// unless appPort says one.
func (s *scan) portless(file, folder string, app portlessApp) {
	if app.Name == "" {
		return
	}
	if s.names == nil {
		s.names = map[string]string{}
	}
	s.names[folder] = underLocalhost(strings.TrimSuffix(app.Name, suffix) + suffix)
	if portOf(strconv.Itoa(app.AppPort)) == 0 {
		s.draft.say(file, "%s", app.Name)
		return
	}
	s.draft.add(&host{name: s.names[folder], upstream: strconv.Itoa(app.AppPort), file: file})
	s.draft.say(file, "%s on %d", app.Name, app.AppPort)
}
