package scaffold

import (
	"path"
	"regexp"
	"slices"
	"strings"
)

var (
	exposed = regexp.MustCompile(`(?mi)^\s*(?:EXPOSE|ENV\s+PORT[= ])\s*(\d+)`)
	linked  = regexp.MustCompile(`https?://(?:localhost|127\.0\.0\.1|0\.0\.0\.0):(\d{4,5})`)
)

// readHints gives servers whose port nothing says the one that a Dockerfile
// exposes, or the only one that a README links to. Where no server is known, the
// ports that a development container forwards are the servers.
func (d *discovery) readHints() {
	for _, c := range d.candidates {
		if c.port != 0 || c.address != "" || c.role == container {
			continue
		}
		for _, name := range []string{"Dockerfile.dev", "Dockerfile", "dev.Dockerfile"} {
			if port, line := d.number(path.Join(c.folder, name), exposed); port != 0 && !nothingHTTP(port) && port != 80 && port != 443 {
				c.set(port, sample, path.Join(c.folder, name), line)
				break
			}
		}
		for _, name := range []string{"README.md", "readme.md", "README.rst", "README.adoc", "README", "CONTRIBUTING.md"} {
			file := path.Join(c.folder, name)
			var ports []string
			for _, m := range linked.FindAllStringSubmatch(string(d.text(file)), 50) {
				if port := portOf(m[1]); port != 0 && !nothingHTTP(port) && !slices.Contains(ports, m[1]) {
					ports = append(ports, m[1])
				}
			}
			if len(ports) == 1 {
				c.set(portOf(ports[0]), sample, file, lineOf(string(d.text(file)), ":"+ports[0]))
			}
		}
	}
	if len(d.candidates) > 0 || len(d.sites) > 0 {
		return
	}
	for _, file := range []string{".devcontainer/devcontainer.json", ".devcontainer.json"} {
		config, _ := d.json(d.deep(file))
		ports, _ := config.Field("forwardPorts")
		for _, port := range ports.Items {
			if n := port.Port(); n != 0 && !nothingHTTP(n) {
				title, _ := config.Field("portsAttributes", port.Text, "label")
				name := ""
				if words := strings.Fields(title.Text); len(words) > 0 {
					name = label(words[0])
				}
				c := &candidate{folder: ".", role: app, label: name, file: file, line: port.Line}
				c.set(n, stated, file, port.Line)
				d.add(c)
			}
		}
	}
}
