package scaffold

import (
	"path"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// composeNames are the files that compose reads by itself, then those that
// people add with -f while they develop; the later ones win.
var composeNames = [][]string{
	{"compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml", "podman-compose.yaml", "podman-compose.yml"},
	{"compose.override.yaml", "compose.override.yml", "docker-compose.override.yaml", "docker-compose.override.yml"},
	{"compose.dev.yaml", "compose.dev.yml", "docker-compose.dev.yaml", "docker-compose.dev.yml", "docker-compose-dev.yml", "docker-compose-dev.yaml", "compose.development.yaml", "docker-compose.development.yml"},
	{"compose.local.yaml", "compose.local.yml", "docker-compose.local.yaml", "docker-compose.local.yml", "docker-compose-local.yml", "local.yml"},
}

// service is one of compose's.
type service struct {
	name     string
	folder   string // of its file
	file     string
	line     int
	image    string
	context  string // the folder it is built from, relative to the project; empty for none
	mounts   []string
	ports    []*yaml.Node
	profiles []string
	aliases  []string // other names in the network
	extends  [2]string
	hosts    []string // of Traefik's rules
}

// composeFolder merges the compose files of a folder.
func (d *discovery) composeFolder(folder string) []*service {
	var services []*service
	for _, names := range composeNames {
		file := d.in(folder, names...)
		if file == "" || path.Base(file) == "local.yml" && !d.contains(file, "services:") {
			continue
		}
		services = mergeServices(services, d.composeFile(file, 0))
	}
	for _, s := range services {
		d.extend(services, s, 0)
	}
	return services
}

// maxIncludes is how deep includes and extends are followed.
const maxIncludes = 5

func (d *discovery) composeFile(file string, depth int) []*service {
	var doc yaml.Node
	text := d.text(d.deep(file))
	if len(text) == 0 {
		return nil
	}
	if err := yaml.Unmarshal(text, &doc); err != nil || len(doc.Content) == 0 {
		d.notes.add(Note{File: file, Text: "it is not YAML"})
		return nil
	}
	var services []*service
	if include := child(doc.Content[0], "include"); include != nil && depth < maxIncludes {
		for _, entry := range include.Content {
			names := []*yaml.Node{resolve(entry)}
			if at := child(entry, "path"); at != nil {
				names = []*yaml.Node{at}
				if at.Kind == yaml.SequenceNode {
					names = at.Content
				}
			}
			for _, name := range names {
				if local := path.Join(path.Dir(file), name.Value); name.Value != "" && !strings.HasPrefix(local, "..") {
					services = mergeServices(services, d.composeFile(local, depth+1))
				}
			}
		}
	}
	list := child(doc.Content[0], "services")
	if list == nil || list.Kind != yaml.MappingNode {
		return services
	}
	var own []*service
	for i := 0; i+1 < len(list.Content); i += 2 {
		if s := d.decodeService(file, list.Content[i], list.Content[i+1]); s != nil {
			own = append(own, s)
		}
	}
	return mergeServices(services, own)
}

func (d *discovery) decodeService(file string, name, node *yaml.Node) *service {
	var raw composeService
	_ = node.Decode(&raw) // what has another type than compose's is left out
	folder := path.Dir(file)
	expand := func(text string) string {
		return substitute(text, func(name string) (string, bool) { return d.variable(folder, name) })
	}
	s := &service{name: name.Value, folder: folder, file: file, line: name.Line, image: expand(raw.Image), profiles: raw.Profiles}
	s.hosts = traefikHosts(resolve(&raw.Labels), expand)
	for i := range raw.Ports {
		s.ports = append(s.ports, resolve(&raw.Ports[i]))
	}
	for _, alias := range []string{raw.ContainerName, raw.Hostname} {
		if alias != "" {
			s.aliases = append(s.aliases, expand(alias))
		}
	}
	build := resolve(&raw.Build)
	if build.Kind == yaml.ScalarNode && build.Value != "" {
		s.context = path.Join(folder, expand(build.Value))
	} else if at := child(build, "context"); at != nil {
		s.context = path.Join(folder, expand(at.Value))
	}
	for i := range raw.Volumes {
		volume := resolve(&raw.Volumes[i])
		source, _, _ := strings.Cut(volume.Value, ":")
		if at := child(volume, "source"); at != nil {
			source = at.Value
		}
		if source = expand(source); strings.HasPrefix(source, ".") {
			s.mounts = append(s.mounts, path.Join(folder, source))
		}
	}
	if extends := resolve(&raw.Extends); extends.Kind == yaml.ScalarNode {
		s.extends[0] = extends.Value
	} else if of := child(extends, "service"); of != nil {
		s.extends[0] = of.Value
		if in := child(extends, "file"); in != nil {
			s.extends[1] = path.Join(folder, in.Value)
		}
	}
	return s
}

// mergeServices lays over on top of under, as compose does with several files.
func mergeServices(under, over []*service) []*service {
	for _, s := range over {
		i := slices.IndexFunc(under, func(u *service) bool { return u.name == s.name })
		if i < 0 {
			under = append(under, s)
			continue
		}
		u := under[i]
		if s.image != "" {
			u.image = s.image
		}
		if s.context != "" {
			u.context = s.context
		}
		u.mounts = append(u.mounts, s.mounts...)
		u.aliases = append(u.aliases, s.aliases...)
		if len(s.ports) > 0 {
			u.ports, u.file = append(slices.Clone(s.ports), u.ports...), s.file
		}
		if len(s.profiles) > 0 {
			u.profiles = s.profiles
		}
	}
	return under
}

// extend adds what a service takes over from another.
func (d *discovery) extend(services []*service, s *service, depth int) {
	if s.extends[0] == "" || depth > maxIncludes {
		return
	}
	from := services
	if s.extends[1] != "" && !strings.HasPrefix(s.extends[1], "..") {
		from = d.composeFile(s.extends[1], maxIncludes)
	}
	name := s.extends[0]
	s.extends[0] = ""
	i := slices.IndexFunc(from, func(o *service) bool { return o.name == name })
	if i < 0 || from[i] == s {
		return
	}
	base := from[i]
	d.extend(from, base, depth+1)
	s.ports = append(s.ports, base.ports...)
	s.mounts = append(s.mounts, base.mounts...)
	if s.image == "" {
		s.image = base.image
	}
	if s.context == "" {
		s.context = base.context
	}
}

// resolve is the node that an alias means.
func resolve(n *yaml.Node) *yaml.Node {
	for range maxIncludes {
		if n == nil || n.Kind != yaml.AliasNode {
			break
		}
		n = n.Alias
	}
	return n
}

// child is the value of a key of a mapping, merge keys included; nil when there
// is none.
func child(n *yaml.Node, key string) *yaml.Node {
	return childAt(n, key, 0)
}

func childAt(n *yaml.Node, key string, depth int) *yaml.Node {
	n = resolve(n)
	if n == nil || n.Kind != yaml.MappingNode || depth > maxIncludes {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return resolve(n.Content[i+1])
		}
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value != "<<" {
			continue
		}
		merged := resolve(n.Content[i+1])
		for _, one := range append([]*yaml.Node{merged}, merged.Content...) {
			if found := childAt(one, key, depth+1); found != nil {
				return found
			}
		}
	}
	return nil
}
