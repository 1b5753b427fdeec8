package scaffold

import (
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Listener is a process of this machine that listens on TCP.
type Listener struct {
	Name  string // "node"
	Dir   string // its working folder; empty if unknown
	Ports []int
}

var (
	exposed = regexp.MustCompile(`(?mi)^\s*(?:EXPOSE|ENV\s+PORT[= ])\s*(\d+)`)
	linked  = regexp.MustCompile(`https?://(?:localhost|127\.0\.0\.1|0\.0\.0\.0):(\d{4,5})`)
)

// readHints gives a server without a known port the one that its Dockerfile
// exposes, or the only one that its README links to. If no server is known, the
// ports that a development container forwards are the servers.
func (d *discovery) readHints() {
	for _, c := range d.candidates {
		if c.port != 0 || c.role == container {
			continue
		}
		port, file, line := d.firstNumber(c.folder, []string{"Dockerfile.dev", "Dockerfile", "dev.Dockerfile"}, exposed)
		if !nothingHTTP(port) && port != 80 && port != 443 {
			c.set(port, sample, file, line)
		}
		for _, name := range []string{"README.md", "readme.md", "README.rst", "README.adoc", "README", "CONTRIBUTING.md"} {
			file := path.Join(c.folder, name)
			var ports []int
			for _, m := range linked.FindAllStringSubmatch(string(d.text(file)), 50) {
				if port := portOf(m[1]); port != 0 && !nothingHTTP(port) && !slices.Contains(ports, port) {
					ports = append(ports, port)
				}
			}
			if len(ports) == 1 {
				c.set(ports[0], sample, file, lineOf(string(d.text(file)), ":"+strconv.Itoa(ports[0])))
			}
		}
	}
	if len(d.candidates)+len(d.sites) > 0 {
		return
	}
	for _, file := range []string{".devcontainer/devcontainer.json", ".devcontainer.json"} {
		config, _ := d.json(d.deep(file))
		for _, port := range config.At("forwardPorts").Items {
			if port.Port() == 0 || nothingHTTP(port.Port()) {
				continue
			}
			c := &candidate{role: app, file: file}
			if words := strings.Fields(config.At("portsAttributes." + port.Text + ".label").Text); len(words) > 0 {
				c.label = label(words[0])
			}
			c.state(port, file)
			d.add(c)
		}
	}
}

// notServers are programs that listen in a folder and serve no pages.
var notServers = strings.Fields("docker-proxy ssh sshd code code-server gopls dlv postgres mysqld redis-server mongod devproxy dockerd containerd rootlesskit pet rust-analyzer")

const runningProcess = "a running process"

// readListening uses the processes that listen now in the project's folder. Their
// port counts if no file sets one.
func (d *discovery) readListening(dir string, listening []Listener) {
	for _, l := range listening {
		folder, ok := within(dir, l.Dir)
		ports := slices.DeleteFunc(slices.Clone(l.Ports), nothingHTTP)
		known := func(c *candidate) bool { return slices.Contains(ports, c.port) }
		if !ok || len(ports) == 0 || slices.Contains(notServers, l.Name) || d.any(known) {
			for _, c := range d.candidates {
				c.running = c.running || ok && slices.Contains(ports, c.port)
			}
			continue
		}
		open := slices.DeleteFunc(slices.Clone(d.candidates), func(c *candidate) bool { // whose port no file sets
			return c.role == container || c.folder != folder && !strings.HasPrefix(folder, c.folder+"/") || c.evidence >= running
		})
		made := &candidate{folder: folder, kind: l.Name, role: app, port: ports[0], evidence: running, file: runningProcess}
		switch {
		case len(open) > 0 && len(ports) == 1 || len(open) == 1:
			highest(open).replace(ports[0], running, "", 0)
			highest(open).running = true
			d.say(runningProcess, made.describe()+" in "+printable(folder))
		case len(d.of(folder)) == 0 && !slices.ContainsFunc(ports, func(port int) bool { return d.routed(strconv.Itoa(port)) }):
			d.add(made)
		}
	}
}

// within returns the folder of the project, whose path is root, that has the
// absolute path dir.
func within(root, dir string) (folder string, ok bool) {
	if dir == "" {
		return "", false
	}
	resolved, _ := filepath.EvalSymlinks(root)
	for _, base := range []string{root, resolved} {
		if rel, err := filepath.Rel(base, dir); err == nil && filepath.IsLocal(rel) {
			folder = filepath.ToSlash(rel)
			return folder, !strings.Contains("/"+folder+"/", "/node_modules/") && !strings.HasPrefix(path.Base(folder), ".git")
		}
	}
	return "", false
}
