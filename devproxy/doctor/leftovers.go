package doctor

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/devproxy/devproxy/devproxy/control"
	"github.com/devproxy/devproxy/devproxy/hostsfile"
	"github.com/devproxy/devproxy/devproxy/programs"
	"github.com/devproxy/devproxy/localca/trust"
)

// tool is a program like devproxy that leaves something behind.
type tool struct {
	name  string
	root  string // how the name of its root begins
	block string // the first line of its block in the hosts file; empty if it has none
	clean string // the command that removes all of it
}

func tools() []tool {
	return []tool{
		{"portless", "portless Local CA", "# portless-start", "portless clean"},
		{"mkcert", "mkcert ", "", "mkcert -uninstall"},
		{"Caddy", "Caddy Local Authority", "", "caddy untrust"},
	}
}

// ownRoot is how the names of devproxy's roots begin.
const ownRoot = "devproxy local CA "

// checkOtherTools looks for roots of other tools, which can sign certificates for any
// site, and for their lines in the hosts file.
func checkOtherTools(ctx context.Context, s *Subject) []Finding {
	bounded, cancel := context.WithTimeout(ctx, clientTimeout)
	defer cancel()
	held := trust.Held(bounded, s.Machine())
	hosts, _ := hostsfile.Read(s.Hosts) // checkHosts reports the error
	var all []Finding
	for _, t := range tools() {
		var found []string
		fix := t.clean
		_, err := s.programs().Find(strings.Fields(t.clean)[0])
		for _, root := range held {
			if !strings.HasPrefix(root.Name, t.root) {
				continue
			}
			if !slices.Contains(found, "the "+root.Store+" store") {
				found = append(found, "the "+root.Store+" store")
			}
			if err != nil && root.Removal != "" {
				fix = root.Removal
			}
		}
		if len(found) > 0 {
			found = []string{"its CA is in " + list(found) + ", and can sign for any site"}
		}
		if t.block != "" && bytes.Contains(hosts, []byte(t.block)) {
			found = append(found, "it has lines in "+s.Hosts)
		}
		if len(found) > 0 {
			all = append(all, warning(strings.Join(found, "; "), fix).about(t.name))
		}
	}
	return append(all, s.checkOwnRoots(held)...)
}

// checkOwnRoots reports roots of devproxy that are not the one in use.
func (s *Subject) checkOwnRoots(held []trust.HeldRoot) []Finding {
	ca, err := s.CA()
	var stores []string
	for _, root := range held {
		if !strings.HasPrefix(root.Name, ownRoot) || err == nil && root.Is(ca.Root()) || slices.Contains(stores, root.Store) {
			continue
		}
		stores = append(stores, root.Store)
	}
	if len(stores) == 0 {
		return nil
	}
	fix := "devproxy untrust"
	if err == nil {
		fix += " && devproxy trust"
	}
	return []Finding{warning("another CA of devproxy is in "+list(stores), fix).about("old CA")}
}

// maxStale bounds how many removals one fix has.
const maxStale = 20

// checkLeftovers looks for files of instances that were killed.
func checkLeftovers(_ context.Context, s *Subject) []Finding {
	if s.RuntimeErr != nil {
		return nil // checkInstances has said so
	}
	stale, err := control.Stale(s.Runtime)
	if err != nil || len(stale) == 0 {
		return []Finding{fine("none")}
	}
	var commands []string
	for _, left := range stale[:min(len(stale), maxStale)] {
		commands = append(commands, removal(left))
	}
	return []Finding{warning(count(len(stale), "devproxy")+agree(commands, " was", " were")+" killed, and left sockets", strings.Join(commands, " && "))}
}

// removal removes files of an instance, unless one has started in the meantime.
func removal(left control.Left) string {
	argv := append([]string{"rm", "-f"}, left.Files...)
	if flock := "/usr/bin/flock"; filepath.IsAbs(left.Lock) && exists(flock) {
		argv = append([]string{"flock", "-n", left.Lock}, argv...)
	}
	return programs.Line(argv)
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
