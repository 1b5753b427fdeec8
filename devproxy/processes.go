package devproxy

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/devproxy/devproxy/devproxy/listen"
	"github.com/devproxy/devproxy/devproxy/plan"
)

// maxPortHints bounds how many processes a page names.
const maxPortHints = 3

// misplacedProcess is a process that may be the server that a route means.
type misplacedProcess struct {
	text string // "node (pid 41213, ~/shop/web)"
	port int
}

func (p misplacedProcess) String() string { return fmt.Sprintf("%s listens on %d", p.text, p.port) }

// misplaced are those of processes that may be the server of route: they run in the
// folder of its Proxyfile, or below it, on a port that no route has. The port nearest
// to the route's comes first: dev servers take the next port when theirs is taken.
func misplaced(g *generation, route *plan.Route, processes []listen.Process) []misplacedProcess {
	spec, ok := route.Answer.(*plan.Upstream)
	if !ok || route.Host.Folder == "" {
		return nil
	}
	wanted := spec.LocalPort()
	folder, err := filepath.EvalSymlinks(route.Host.Folder) // the system reports real paths
	if wanted == 0 || err != nil {
		return nil
	}
	known := g.ports()
	var found []misplacedProcess
	for _, process := range processes {
		rel, err := filepath.Rel(folder, process.Dir)
		if process.Dir == "" || process.PID == os.Getpid() || isDevproxy(process) || err != nil || !filepath.IsLocal(rel) {
			continue
		}
		for _, port := range process.Ports {
			if !known[port] {
				found = append(found, misplacedProcess{describe(process), port})
			}
		}
	}
	distance := func(p misplacedProcess) int { return max(p.port-wanted, wanted-p.port) }
	slices.SortStableFunc(found, func(a, b misplacedProcess) int { return cmp.Compare(distance(a), distance(b)) })
	return found[:min(len(found), maxPortHints)]
}

// isDevproxy reports whether a process is a devproxy, such as a relay or another up.
func isDevproxy(process listen.Process) bool {
	return strings.TrimSuffix(process.Name, ".exe") == "devproxy"
}

// ports are the ports of this machine that upstreams and services of the plan have.
func (g *generation) ports() map[int]bool {
	known := map[int]bool{}
	for route := range g.routes() {
		spec, ok := route.Answer.(*plan.Upstream)
		if !ok {
			continue
		}
		for _, m := range slices.Concat(spec.Members, spec.Fallback) {
			known[m.LocalPort()] = true
		}
	}
	for _, running := range g.plan.Services() {
		known[int(running.Port)] = true
	}
	return known
}

// twins is the hint that two servers share the port of an upstream which does not say
// which of the two addresses of this machine it means; empty for most.
func twins(spec *plan.Upstream) string {
	port := spec.LocalPort()
	if port == 0 || len(spec.Members[0].Addrs) < 2 {
		return ""
	}
	four, six, ok := listen.Twins(port)
	if !ok {
		return ""
	}
	return fmt.Sprintf("two servers listen on %d: %s on 127.0.0.1, %s on [::1]; stop one, or write \"127.0.0.1:%[1]d\" or \"[::1]:%[1]d\"", port, describe(four), describe(six))
}

// describe is a process as people know it: "node (pid 41213, ~/shop/web)".
func describe(p listen.Process) string {
	if p.Dir == "" {
		return fmt.Sprintf("%s (pid %d)", p.Name, p.PID)
	}
	return fmt.Sprintf("%s (pid %d, %s)", p.Name, p.PID, Home(p.Dir))
}

// Home is path with the home directory shortened to "~".
func Home(path string) string {
	home, err := os.UserHomeDir()
	if err != nil || home == "/" {
		return path
	}
	if rest, ok := strings.CutPrefix(path, home); ok && (rest == "" || os.IsPathSeparator(rest[0])) {
		return "~" + rest
	}
	return path
}
