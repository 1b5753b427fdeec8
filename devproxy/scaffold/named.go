package scaffold

import (
	"path"
	"strconv"
	"strings"

	"github.com/devproxy/devproxy/devproxy/scaffold/javascript"
)

// readNamed reads the files of tools that give hosts their names.
func (d *discovery) readNamed() {
	d.hostNames, d.startScripts = map[string]string{}, map[string]string{}
	for _, file := range d.named(".slim.yaml", ".slim.yml") {
		d.readSlim(file)
	}
	for _, file := range d.named(".localias.yaml", "localias.yaml") {
		d.readLocalias(file)
	}
	for _, file := range d.named("portless.json") {
		config, ok := d.json(file)
		if !ok {
			d.notes.add(Note{File: file, Text: "not valid JSON"})
			continue
		}
		d.readPortless(file, path.Dir(file), config)
		for _, app := range config.At("apps").Fields {
			d.readPortless(file, path.Join(path.Dir(file), app.Name), app.Value)
		}
	}
	for _, file := range d.named("package.json") {
		config, _ := d.json(file)
		if app, ok := config.Field("portless"); ok {
			if app.Kind == javascript.String {
				app.Fields = []javascript.Field{{Name: "name", Value: app}}
			}
			d.readPortless(file, path.Dir(file), app)
		}
	}
}

// applyAssignedPorts gives the servers of folders the port that portless starts
// them with.
func (d *discovery) applyAssignedPorts() {
	for _, app := range d.assignedPorts {
		if list := d.of(app.folder); len(list) > 0 {
			highest(list).replace(app.port, stated, app.file, app.line)
		} else {
			d.add(app)
		}
	}
}

// readSlim reads a list of domains with their ports.
func (d *discovery) readSlim(file string) {
	slim, ok := d.yaml(file)
	if !ok {
		d.notes.add(Note{File: file, Text: "not valid YAML"})
		return
	}
	for _, service := range slim.At("services").Items {
		domain, port := service.At("domain").Text, service.At("port")
		if domain == "" || port.Port() == 0 {
			d.notes.add(Note{File: file, Text: "a service has no domain or no port"})
			continue
		}
		h := &host{name: underLocalhost(domain), file: file, block: block{upstream: port.Text}}
		if slim.At("cors").Is(true) {
			h.set("cors", "true")
		}
		for _, r := range service.At("routes").Items {
			at, port := routePath(r.At("path").Text), r.At("port")
			if at == "" || at == "/" || port.Port() == 0 {
				d.notes.add(Note{File: file, Text: "a Proxyfile can't express the route " + strconv.Quote(r.At("path").Text) + " of " + strconv.Quote(domain)})
			} else {
				h.addRoute(route{place: place{path: at}, block: block{upstream: port.Text}})
			}
		}
		d.addSite(h, domain+" on "+port.Text)
	}
}

// readLocalias reads a map of names to ports.
func (d *discovery) readLocalias(file string) {
	names, _ := d.yaml(file)
	if names.Kind != javascript.Object {
		d.notes.add(Note{File: file, Text: "not a map of names to ports"})
		return
	}
	for _, f := range names.Fields {
		name := f.Name
		if _, rest, found := strings.Cut(name, "://"); found {
			name = rest
		}
		if name == "" || strings.ContainsAny(strings.TrimPrefix(name, "*."), "/*:") || f.Value.Port() == 0 {
			d.notes.add(Note{file, f.Value.Line, "not a name and a port"})
			continue
		}
		h := &host{name: underLocalhost(name), file: file, line: f.Value.Line, block: block{upstream: strconv.Itoa(f.Value.Port())}}
		d.addSite(h, name+" on "+h.upstream)
	}
}

// readPortless keeps the name of a folder's app, and the script that starts it.
// portless picks the port, unless appPort sets it.
func (d *discovery) readPortless(file, folder string, config javascript.Value) {
	name, port, script := config.At("name").Text, config.At("appPort"), config.At("script")
	if script.Kind == javascript.String {
		d.startScripts[folder] = script.Text
	}
	if name != "" {
		d.hostNames[folder] = underLocalhost(strings.TrimSuffix(name, suffix) + suffix)
	}
	if port.Port() != 0 {
		c := &candidate{folder: folder, role: app, name: d.hostNames[folder], file: file}
		c.state(port, file)
		d.assignedPorts = append(d.assignedPorts, c)
	} else if name != "" {
		d.say(file, name)
	}
}
