package hcl

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/zclconf/go-cty/cty"
)

// Container is the containers of a service of compose, which answer for a service of
// the Proxyfile. Which containers those are is known only when it is served.
type Container struct {
	Service string // in the compose file
	// Port is where the service listens inside of a container; 0 means the only port
	// that it exposes.
	Port  uint16
	Range Range
}

// String returns the container as the waiting page names it: "container api".
func (c *Container) String() string { return "container " + c.Service }

// DiscoverDocker is the value of discover: containers of an engine with Docker's API,
// which Podman has too, get routes by their labels.
const DiscoverDocker = "docker"

// composeService matches the names that compose accepts for services. The length is
// that of a DNS label, since other services reach it by that name.
var composeService = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$`)

const containerExample = `write container = "api", the name of a service in your compose file`

// decodeContainer decodes container, which replaces upstream; nil for a mistake.
func (d *decoder) decodeContainer(b *block, f field) *Container {
	for _, other := range []string{"upstream", "command"} {
		attr := b.attrs[other]
		if attr == nil {
			continue
		}
		if g, present := d.get(b, other); present {
			detail := "remove one of them"
			if n, is := integer(g.Value); is && other == "upstream" {
				detail += fmt.Sprintf("; for the port inside of the container, write container = { service = \"api\", port = %d }", n)
			}
			d.at(attr.nameRange()).errorf(detail, "%s can't be combined with container", other)
			return nil
		}
	}
	for _, e := range commandEntries() {
		if attr := b.attrs[e.name]; attr != nil {
			d.at(attr.nameRange()).errorf("write it in the compose file", "%s can't be combined with container", e.name)
			return nil
		}
	}
	c := &Container{Range: f.at()}
	before := len(d.diags)
	switch {
	case !f.IsKnown():
		return nil
	case f.isObject():
		decodeObject(f.value, "container", []entry[Container]{
			{name: "service", decode: func(f field, c *Container) { c.Service = decodeComposeService(f) }},
			{name: "port", decode: func(f field, c *Container) { c.Port = decodeContainerPort(f) }},
		}, c)
		if c.Service == "" && len(d.diags) == before {
			f.errorf(`write container = { service = "api", port = 3000 }`, "container needs service")
		}
	case f.is(cty.String):
		c.Service = decodeComposeService(f)
	default:
		f.errorf(containerExample, "container must be a string or an object")
	}
	if len(d.diags) > before || c.Service == "" {
		return nil
	}
	return c
}

// decodeComposeService decodes the name of a service of compose; "" for a mistake.
func decodeComposeService(f field) string {
	text, ok := f.str("the name of a service in compose")
	if !ok {
		return ""
	}
	name, port, _ := strings.Cut(text, ":")
	n, err := strconv.ParseUint(port, 10, 16)
	hasPort := err == nil && n > 0 && composeService.MatchString(name)
	if !f.place().passes(
		when(text == "", containerExample, "container is empty"),
		when(hasPort, fmt.Sprintf("write container = { service = %q, port = %d }", name, n), "the name of a service can't have a port"),
		when(!composeService.MatchString(text), containerExample, "%q is not a valid name for a service in compose", text),
	) {
		return ""
	}
	return text
}

// decodeContainerPort decodes the port inside of a container; 0 for a mistake.
func decodeContainerPort(f field) uint16 {
	if !f.known() {
		return 0
	}
	if n, ok := integer(f.Value); ok && n >= 1 && n <= 65535 {
		return uint16(n)
	}
	switch {
	case f.is(cty.String) && allDigits.MatchString(f.AsString()):
		return f.place().port(f.AsString())
	case f.is(cty.Number):
		f.errorf("write a number from 1 to 65535", "port %s is out of range", f.written())
	default:
		f.errorf("write the port inside of the container: port = 3000", "port must be a number")
	}
	return 0
}

// decodeDiscover decodes discover.
func (d *decoder) decodeDiscover(root *block) {
	f, present := d.get(root, "discover")
	if !present {
		return
	}
	const docker = `write "docker", which finds Podman too`
	if f.is(cty.Bool) {
		f.errorf(docker, "discover must be a string")
		return
	}
	word := f.oneOf([]string{DiscoverDocker}, map[string]string{"podman": docker, "compose": docker, "containers": docker})
	if word != "" {
		d.file.Discover, d.file.DiscoverRange = word, f.at()
	}
}

// CheckHost returns the name that a host gets from a text that is not in the Proxyfile,
// like the label of a container, in lower case. The rules are those of host blocks;
// wildcards are not allowed. If it breaks one, why says which.
func CheckHost(text string, domains []string) (name, why string) {
	r := newReporter(domains)
	name = r.at(Range{}).hostName(text, true)
	if name != "" && strings.HasPrefix(name, "*.") {
		return "", "a wildcard is not allowed"
	}
	return name, r.first()
}

// CheckPath does the same for the path of a route.
func CheckPath(text string) (path, why string) {
	r := newReporter(nil)
	path, ok := r.at(Range{}).routePath(text, false)
	if ok && strings.Contains(path, "*") {
		return "", `"*" is not allowed`
	}
	return path, r.first()
}

// newReporter returns a reporter of its own, for a text outside of the Proxyfile.
func newReporter(domains []string) *reporter {
	return &reporter{reported: map[Severity]int{}, secrets: newSecrets(func(string) string { return "" }), domains: domains}
}

// first returns the first mistake; empty if there is none.
func (r *reporter) first() string {
	if len(r.diags) == 0 {
		return ""
	}
	return r.diags[0].Summary
}
