package scaffold

import (
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// Listener is a process of this machine that listens on TCP.
type Listener struct {
	Name  string // "node"
	Dir   string // its working folder; empty when not known
	Ports []int
}

// readProcesses uses the processes that listen now in the project's folder:
// where no file says a port, theirs is the port.
func (d *discovery) readProcesses() {
	for _, l := range d.listening {
		folder, ok := d.within(l.Dir)
		if !ok {
			continue
		}
		ports := slices.DeleteFunc(slices.Clone(l.Ports), nothingHTTP)
		if len(ports) == 0 || slices.Contains(notServers, l.Name) || d.published2(ports) {
			continue
		}
		var open []*candidate // those whose port no file says
		taken := false
		for _, c := range d.candidates {
			if c.role == container {
				continue
			}
			if slices.Contains(ports, c.port) {
				taken = true
			} else if (c.folder == folder || strings.HasPrefix(folder, c.folder+"/")) && c.evidence < running {
				open = append(open, c)
			}
		}
		switch {
		case taken:
		case len(open) > 0 && len(ports) == 1 || len(open) == 1:
			best := slices.MaxFunc(open, func(a, b *candidate) int { return int(a.role) - int(b.role) })
			best.port = 0
			best.set(ports[0], running, "", 0)
			d.say("a running process", l.describe(folder, ports[0]))
		case len(d.of(folder)) == 0 && !d.sited(ports):
			for i, port := range ports {
				if i > 0 && len(ports) > 2 {
					break
				}
				d.add(&candidate{folder: folder, kind: l.Name, role: app, port: port, evidence: running, file: "a running process"})
				if i == 0 {
					break
				}
			}
		}
	}
}

// notServers are programs that listen in a folder and serve no pages.
var notServers = []string{"docker-proxy", "ssh", "sshd", "code", "code-server", "gopls", "dlv", "postgres", "mysqld", "redis-server", "mongod", "devproxy", "dockerd", "containerd", "rootlesskit", "pet", "rust-analyzer"}

func (l Listener) describe(folder string, port int) string {
	return (&candidate{kind: l.Name, folder: folder, port: port}).describe() + " in " + printable(folder)
}

// within is the folder of the project that an absolute path is in.
func (d *discovery) within(dir string) (folder string, ok bool) {
	if dir == "" {
		return "", false
	}
	for _, base := range []string{d.dir, resolved(d.dir)} {
		rel, err := filepath.Rel(base, dir)
		if err == nil && filepath.IsLocal(rel) {
			folder = filepath.ToSlash(rel)
			return folder, !strings.Contains("/"+folder+"/", "/node_modules/") && !strings.HasPrefix(path.Base(folder), ".git")
		}
	}
	return "", false
}

func resolved(dir string) string {
	if real, err := filepath.EvalSymlinks(dir); err == nil {
		return real
	}
	return dir
}

// published2 reports whether compose publishes one of ports.
func (d *discovery) published2(ports []int) bool {
	return slices.ContainsFunc(d.candidates, func(c *candidate) bool { return c.role == container && slices.Contains(ports, c.port) })
}

// sited reports whether a host that a file names whole forwards to one of ports.
func (d *discovery) sited(ports []int) bool {
	return slices.ContainsFunc(ports, func(port int) bool { return d.routed(upstreamOf(port)) })
}
