package plan

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/devproxy/devproxy/hcl"
)

// The labels by which a container gets a route.
const (
	LabelHost = "devproxy.host"
	LabelPath = "devproxy.path" // "/" if left out
	LabelPort = "devproxy.port" // the only port if left out
)

const (
	// maxLabelledRoutes bounds the routes that labels make.
	maxLabelledRoutes = 200
	// maxLabelText bounds what is shown of a label.
	maxLabelText = 60
)

// Note is something about the labels of containers that a person is told once. Text may
// have parts of labels, which are quoted.
type Note struct{ Text string }

// Notes returns what is wrong with the labels of containers. Routes with a mistake are
// left out of the plan.
func (p *Plan) Notes() []Note {
	if p == nil {
		return nil
	}
	return p.notes
}

// labelledRoutes returns the routes that labels have made.
func (p *Plan) labelledRoutes() []*Route {
	return slices.DeleteFunc(p.routes(), func(r *Route) bool { return !r.Labelled })
}

// labelled is a file with the hosts and routes that labels of containers add to it.
type labelled struct {
	file     *hcl.File
	services map[*hcl.Service][]Container
	hosts    map[*hcl.Host]bool
	notes    []Note
}

// labelKey identifies a route that labels make.
type labelKey struct{ host, path string }

// readLabels adds the hosts and routes of labels to a copy of file. What is in the file
// always counts; between containers of several services, the first by name does.
func readLabels(file *hcl.File, env Env) labelled {
	l := labelled{file: file, services: map[*hcl.Service][]Container{}, hosts: map[*hcl.Host]bool{}}
	if file.Discover == "" || env.Containers == nil {
		return l
	}
	l.notes = slices.Clone(env.Containers.Notes)
	groups := map[labelKey][]Container{}
	var keys []labelKey
	for _, c := range env.Containers.All {
		key, why := c.label(file, env.Taken)
		if why != "" {
			l.note(c, why)
		}
		if key.host == "" {
			continue
		}
		first := groups[key]
		switch {
		case first == nil && len(keys) == maxLabelledRoutes:
			l.note(c, fmt.Sprintf("labels can make at most %d routes", maxLabelledRoutes))
			continue
		case first == nil:
			keys = append(keys, key)
		case first[0].owner() != c.owner():
			l.note(c, fmt.Sprintf("%s%s leads to container %s already", key.host, key.path, first[0].Name))
			continue
		}
		groups[key] = append(first, c)
	}
	slices.SortFunc(keys, func(x, y labelKey) int { return cmp.Or(cmp.Compare(x.host, y.host), cmp.Compare(x.path, y.path)) })
	extended := *file
	extended.Hosts = slices.Clone(file.Hosts)
	l.file = &extended
	for _, key := range keys {
		l.add(key, groups[key])
	}
	return l
}

// owner is what the containers of one route have in common.
func (c *Container) owner() string { return cmp.Or(c.Service, c.Name) }

func (l *labelled) note(c Container, why string) {
	n := Note{Text: fmt.Sprintf("container %s: %s", shortLabel(c.Name), why)}
	if !slices.Contains(l.notes, n) {
		l.notes = append(l.notes, n)
	}
}

// shortLabel is the beginning of an untrusted text, quoted if it is not a plain word.
func shortLabel(text string) string {
	if len(text) > maxLabelText {
		text = text[:maxLabelText] + "…"
	}
	if plainWord.MatchString(text) {
		return text
	}
	return strconv.QuoteToASCII(text)
}

// label returns the host and path that the labels of c give it, in the worktree of the
// file; empty without a label, or if something is wrong with it, which why says.
func (c *Container) label(file *hcl.File, taken map[string]string) (key labelKey, why string) {
	wrong := func(label, format string, args ...any) (labelKey, string) {
		return labelKey{}, "label " + label + ": " + fmt.Sprintf(format, args...)
	}
	switch {
	case c.Host == "" && c.Path != "":
		return wrong(LabelPath, "it needs %s", LabelHost)
	case c.Host == "":
		return labelKey{}, ""
	case len(c.Host) > maxName:
		return wrong(LabelHost, "%s is longer than %d characters", shortLabel(c.Host), maxName)
	}
	original := file.Relocation.Original(file.Domain)
	name, problem := hcl.CheckHost(c.Host, []string{original})
	if problem != "" {
		return wrong(LabelHost, "%s", problem)
	}
	if r := file.Relocation; r == nil || !below(name, r.To) {
		name = r.Moved(name)
	}
	path, problem := "/", ""
	if c.Path != "" {
		path, problem = hcl.CheckPath(c.Path)
		switch {
		case problem != "":
			return wrong(LabelPath, "%s", problem)
		case len(path) > maxLabelPath:
			return wrong(LabelPath, "%s is longer than %d characters", shortLabel(path), maxLabelPath)
		case hcl.Legible(path) != path:
			return wrong(LabelPath, "%s has characters that can't be seen or look like others", shortLabel(path))
		}
	}
	if _, problem := c.labelledPort(); problem != "" {
		return labelKey{}, problem
	}
	if problem := refusal(file, name, path); problem != "" {
		return wrong(LabelHost, "%s", problem)
	}
	if problem := taken[name]; problem != "" {
		return wrong(LabelHost, "%s", problem)
	}
	return labelKey{name, path}, ""
}

// maxLabelPath bounds the path of a label. The banner has it in a column.
const maxLabelPath = 100

// labelledPort returns the port that a label names; 0 without one, or what is wrong
// with it.
func (c *Container) labelledPort() (port uint16, why string) {
	if c.Port == "" {
		return 0, ""
	}
	n, err := strconv.ParseUint(c.Port, 10, 16)
	if err != nil || n == 0 {
		return 0, fmt.Sprintf("label %s: %s is not a port", LabelPort, shortLabel(c.Port))
	}
	return uint16(n), ""
}

// refusal says why a label must not have a name and path; empty if it may. The name must
// be below the domain of the file, or a name of the file or below one.
func refusal(file *hcl.File, name, path string) string {
	inside := strings.Contains(file.Domain, ".") && below(name, file.Domain)
	for _, h := range file.Hosts {
		for _, own := range append([]hcl.Name{h.Name}, h.Aliases...) {
			base, isWildcard := strings.CutPrefix(own.Value, "*.")
			inside = inside || strings.Contains(base, ".") && below(name, base) || name == own.Value
			if label, covered := strings.CutSuffix(name, "."+base); isWildcard && covered && !strings.Contains(label, ".") {
				return fmt.Sprintf("%s is covered by host %q of the Proxyfile, which counts", name, own.Value)
			}
		}
	}
	if !inside {
		return fmt.Sprintf("%s is neither below the domain of the Proxyfile nor one of its names", name)
	}
	if h := hostNamed(file.Hosts, name); h != nil && hasRoute(h, path) {
		return fmt.Sprintf("the Proxyfile says what %s%s is, and counts", name, path)
	}
	return ""
}

// below reports whether name is domain or below it.
func below(name, domain string) bool {
	return name == domain || strings.HasSuffix(name, "."+domain)
}

// hostNamed returns the host that has exactly a name; nil for none.
func hostNamed(hosts []*hcl.Host, name string) *hcl.Host {
	for _, h := range hosts {
		if h.Name.Value == name || slices.ContainsFunc(h.Aliases, func(alias hcl.Name) bool { return alias.Value == name }) {
			return h
		}
	}
	return nil
}

// hasRoute reports whether the file says how h answers at a path.
func hasRoute(h *hcl.Host, path string) bool {
	return path == "/" && answerRange(&h.Settings) != nil || slices.ContainsFunc(h.Routes, func(r *hcl.Route) bool { return r.Path == path })
}

// add adds a route to the containers all, and its host if the file does not have it.
// Such a host is not shared: the file has to name what strangers may see.
func (l *labelled) add(key labelKey, all []Container) {
	at := l.file.DiscoverRange
	container := &hcl.Container{Service: all[0].owner(), Range: at}
	service := &hcl.Service{Name: container.Service, Balance: hcl.BalanceRoundRobin, Container: container, Range: at}
	service.Upstream = &hcl.Upstream{Text: container.String(), Range: at}
	l.services[service] = all
	route := &hcl.Route{Path: key.path, PathRange: at, Range: at}
	route.Upstream = &hcl.Upstream{Service: service, Text: container.String(), Range: at}
	h := hostNamed(l.file.Hosts, key.host)
	if h == nil {
		h = &hcl.Host{Name: hcl.Name{Value: key.host, Range: at}, Range: at}
		l.hosts[h] = true
		l.file.Hosts = append(l.file.Hosts, h)
	} else if !l.hosts[h] {
		changed := *h
		changed.Routes = slices.Clone(h.Routes)
		l.file.Hosts[slices.Index(l.file.Hosts, h)] = &changed
		h = &changed
	}
	h.Routes = append(h.Routes, route)
}

// withoutLabels leaves out the diagnostics of hosts and routes that labels have made,
// which are not mistakes of the file.
func withoutLabels(diags hcl.Diagnostics, file *hcl.File) hcl.Diagnostics {
	if file.Discover == "" {
		return diags
	}
	return slices.DeleteFunc(diags, func(d hcl.Diagnostic) bool { return d.Range == file.DiscoverRange })
}

// firstError returns the first mistake among diags.
func firstError(diags hcl.Diagnostics) string {
	i := slices.IndexFunc(diags, func(d hcl.Diagnostic) bool { return d.Severity == hcl.Error })
	return diags[i].Summary
}

// withoutEnvironment removes the fields that values of the environment are in. A
// container that labels lead to must not get them by joining a host of the file.
func withoutEnvironment(s *hcl.Settings) {
	for name := range s.RequestFlows {
		delete(s.RequestHeaders, name)
	}
	for name := range s.ResponseFlows {
		delete(s.ResponseHeaders, name)
	}
	s.RequestFlows, s.ResponseFlows = nil, nil
}
