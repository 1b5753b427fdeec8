package scaffold

import (
	"path"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/devproxy/devproxy/devproxy/scaffold/javascript"
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

// readNamed takes the files of tools that name hosts themselves.
func (d *discovery) readNamed() {
	d.names, d.scriptOf = map[string]string{}, map[string]string{}
	for _, file := range d.named(".slim.yaml", ".slim.yml") {
		d.readSlim(file)
	}
	for _, file := range d.named(".localias.yaml", "localias.yaml") {
		d.readLocalias(file)
	}
	for _, file := range d.named("portless.json") {
		config, ok := d.json(file)
		if !ok {
			d.notes.add(Note{File: file, Text: "it is not JSON"})
			continue
		}
		d.portless(file, path.Dir(file), config)
		apps, _ := config.Field("apps")
		for _, app := range apps.Fields {
			d.portless(file, path.Join(path.Dir(file), app.Name), app.Value)
		}
	}
	for _, file := range d.named("package.json") {
		config, _ := d.json(file)
		if app, ok := config.Field("portless"); ok {
			if app.Kind == javascript.String {
				app.Fields = []javascript.Field{{Name: "name", Value: app}}
			}
			d.portless(file, path.Dir(file), app)
		}
	}
}

// applyAppPorts gives the servers of folders the port that portless starts them
// with.
func (d *discovery) applyAppPorts() {
	for _, app := range d.appPorts {
		list := d.of(app.folder)
		if len(list) == 0 {
			d.add(app)
			continue
		}
		best := slices.MaxFunc(list, func(a, b *candidate) int { return int(a.role) - int(b.role) })
		best.port, best.evidence, best.file, best.line = app.port, stated, app.file, app.line
	}
}

func (d *discovery) readSlim(file string) {
	var slim slimFile
	if err := yaml.Unmarshal(d.text(file), &slim); err != nil {
		d.notes.add(Note{File: file, Text: "it is not YAML as slim reads it"})
		return
	}
	for _, service := range slim.Services {
		if service.Domain == "" || portOf(strconv.Itoa(service.Port)) == 0 {
			d.notes.add(Note{File: file, Text: "a service has no domain or no port"})
			continue
		}
		h := &host{name: underLocalhost(service.Domain), file: file}
		h.upstream = strconv.Itoa(service.Port)
		if slim.CORS {
			h.set("cors", "true")
		}
		for _, r := range service.Routes {
			at, port := routePath(r.Path), strconv.Itoa(r.Port)
			if at == "" || at == "/" || portOf(port) == 0 {
				d.notes.add(Note{File: file, Text: "a Proxyfile can't express the route " + strconv.Quote(r.Path) + " of " + strconv.Quote(service.Domain)})
				continue
			}
			h.route(route{path: at, block: block{upstream: port}})
		}
		d.sites = append(d.sites, h)
		d.say(file, service.Domain+" on "+strconv.Itoa(service.Port))
	}
}

// readLocalias reads a flat map of names to ports.
func (d *discovery) readLocalias(file string) {
	var doc yaml.Node
	if err := yaml.Unmarshal(d.text(file), &doc); err != nil || len(doc.Content) == 0 || doc.Content[0].Kind != yaml.MappingNode {
		d.notes.add(Note{File: file, Text: "it is not a map of names to ports"})
		return
	}
	pairs := doc.Content[0].Content
	for i := 0; i+1 < len(pairs); i += 2 {
		alias, port := pairs[i], resolve(pairs[i+1])
		name := alias.Value
		if _, rest, found := strings.Cut(name, "://"); found {
			name = rest
		}
		if name == "" || strings.ContainsAny(strings.TrimPrefix(name, "*."), "/*:") || portOf(port.Value) == 0 {
			d.notes.add(Note{file, alias.Line, "it is not a name and a port"})
			continue
		}
		h := &host{name: underLocalhost(name), file: file, line: alias.Line}
		h.upstream = strconv.Itoa(portOf(port.Value))
		d.sites = append(d.sites, h)
		d.say(file, name+" on "+h.upstream)
	}
}

// portless keeps the name of a folder's app, and the script that starts it. Its
// port is portless's own pick, unless appPort says one.
func (d *discovery) portless(file, folder string, config javascript.Value) {
	name, _ := config.Field("name")
	port, _ := config.Field("appPort")
	if script, _ := config.Field("script"); script.Kind == javascript.String {
		d.scriptOf[folder] = script.Text
	}
	if name.Text != "" {
		d.names[folder] = underLocalhost(strings.TrimSuffix(name.Text, suffix) + suffix)
	}
	switch {
	case port.Port() != 0:
		d.appPorts = append(d.appPorts, &candidate{folder: folder, role: app, name: d.names[folder], port: port.Port(), evidence: stated, file: file, line: port.Line})
	case name.Text != "":
		d.say(file, name.Text)
	}
}
