package scaffold

import (
	"cmp"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/devproxy/devproxy/devproxy/scaffold/javascript"
)

// composeNames are the files that compose reads by default, then those that
// people add with -f in development. Later ones win.
var composeNames = [][]string{
	strings.Fields("compose.yaml compose.yml docker-compose.yaml docker-compose.yml podman-compose.yaml podman-compose.yml"),
	strings.Fields("compose.override.yaml compose.override.yml docker-compose.override.yaml docker-compose.override.yml"),
	strings.Fields("compose.dev.yaml compose.dev.yml docker-compose.dev.yaml docker-compose.dev.yml docker-compose-dev.yml docker-compose-dev.yaml compose.development.yaml docker-compose.development.yml"),
	strings.Fields("compose.local.yaml compose.local.yml docker-compose.local.yaml docker-compose.local.yml docker-compose-local.yml local.yml"),
}

// service is a service of a compose file.
type service struct {
	name     string
	folder   string // of its file
	file     string
	line     int
	image    string
	context  string // the folder it is built from, relative to the project; empty if none
	mounts   []string
	ports    []javascript.Value
	profiles []string
	aliases  []string // other names in the network; some may be empty
	base     string   // the service that it extends; empty if none
	baseFile string   // the file that has base; empty means its own
	hosts    []string // of Traefik's rules
}

// folder returns the services of a folder, merged from its compose files.
func (r composeReader) folder(folder string) []*service {
	var services []*service
	for _, names := range composeNames {
		file := r.in(folder, names...)
		if file == "" || path.Base(file) == "local.yml" && !r.contains(file, "services:") {
			continue
		}
		services = mergeServices(services, r.file(file, 0))
	}
	for _, s := range services {
		r.extend(services, s, 0)
	}
	return services
}

// maxIncludes is how deep includes and extends are followed.
const maxIncludes = 5

// file returns the services of a file, and of those that it includes.
func (r composeReader) file(file string, depth int) []*service {
	doc, ok := r.yaml(r.deep(file))
	if !ok {
		r.notes.add(Note{File: file, Text: "not valid YAML"})
		return nil
	}
	var services []*service
	for _, entry := range doc.At("include").Items {
		at := entry.At("path")
		for _, name := range append([]javascript.Value{entry, at}, at.Items...) {
			if local := path.Join(path.Dir(file), name.Text); name.Text != "" && !strings.HasPrefix(local, "..") && depth < maxIncludes {
				services = mergeServices(services, r.file(local, depth+1))
			}
		}
	}
	var own []*service
	for _, f := range doc.At("services").Fields {
		own = append(own, r.service(file, f))
	}
	return mergeServices(services, own)
}

func (r composeReader) service(file string, f javascript.Field) *service {
	v, folder := f.Value, path.Dir(file)
	expand := func(text string) string { return substitute(text, r.lookup(folder)) }
	s := &service{name: f.Name, folder: folder, file: file, line: v.Line, image: expand(v.At("image").Text), ports: v.At("ports").Items}
	for _, p := range v.At("profiles").Items {
		s.profiles = append(s.profiles, p.Text)
	}
	s.aliases = []string{expand(v.At("container_name").Text), expand(v.At("hostname").Text)}
	if build := v.At("build"); build.Text+build.At("context").Text != "" {
		s.context = path.Join(folder, expand(build.Text+build.At("context").Text))
	}
	for _, volume := range v.At("volumes").Items {
		source, _, _ := strings.Cut(volume.Text, ":")
		if source = expand(source + volume.At("source").Text); strings.HasPrefix(source, ".") {
			s.mounts = append(s.mounts, path.Join(folder, source))
		}
	}
	extends := v.At("extends")
	s.base = extends.Text + extends.At("service").Text
	if file := extends.At("file").Text; file != "" {
		s.baseFile = path.Join(folder, file)
	}
	labels := v.At("labels").Items
	for _, f := range v.At("labels").Fields {
		labels = append(labels, f.Value)
	}
	s.hosts = traefikHosts(labels, expand)
	return s
}

var traefikRule = regexp.MustCompile(`Host\(([^)]*)\)`)

// traefikHosts returns the host names in the labels that Traefik reads.
func traefikHosts(labels []javascript.Value, expand func(string) string) (hosts []string) {
	for _, l := range labels {
		for _, m := range traefikRule.FindAllStringSubmatch(l.Text, maxIncludes) {
			for name := range strings.SplitSeq(m[1], ",") {
				name = expand(strings.Trim(name, " `'\""))
				if name != "" && plainHost.MatchString(name) && !slices.Contains(hosts, name) {
					hosts = append(hosts, name)
				}
			}
		}
	}
	return hosts
}

// mergeServices merges over into under, as compose does with several files.
func mergeServices(under, over []*service) []*service {
	for _, s := range over {
		i := slices.IndexFunc(under, func(u *service) bool { return u.name == s.name })
		if i < 0 {
			under = append(under, s)
			continue
		}
		base := under[i]
		if len(s.ports) == 0 {
			s.file = base.file
		}
		if len(s.profiles) == 0 {
			s.profiles = base.profiles
		}
		s.inherit(base)
		s.base, s.baseFile = cmp.Or(s.base, base.base), cmp.Or(s.baseFile, base.baseFile)
		s.aliases = append(s.aliases, base.aliases...)
		s.hosts = append(s.hosts, base.hosts...)
		under[i] = s
	}
	return under
}

// inherit adds the ports and mounts of base, and its image and context if s has
// none.
func (s *service) inherit(base *service) {
	s.ports = slices.Concat(s.ports, base.ports)
	s.mounts = slices.Concat(s.mounts, base.mounts)
	s.image = cmp.Or(s.image, base.image)
	s.context = cmp.Or(s.context, base.context)
}

// extend adds the settings that a service inherits from another one.
func (r composeReader) extend(services []*service, s *service, depth int) {
	name := s.base
	if name == "" || depth > maxIncludes {
		return
	}
	if s.baseFile != "" && !strings.HasPrefix(s.baseFile, "..") {
		services = r.file(s.baseFile, maxIncludes)
	}
	s.base = ""
	if i := slices.IndexFunc(services, func(o *service) bool { return o.name == name }); i >= 0 && services[i] != s {
		r.extend(services, services[i], depth+1)
		s.inherit(services[i])
	}
}
