package doctor

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/devproxy/devproxy/devproxy/advice"
	"github.com/devproxy/devproxy/devproxy/advisory"
	"github.com/devproxy/devproxy/devproxy/control"
	"github.com/devproxy/devproxy/devproxy/failure"
	"github.com/devproxy/devproxy/devproxy/listen"
	"github.com/devproxy/devproxy/devproxy/plan"
	"github.com/devproxy/devproxy/devproxy/scaffold"
)

const (
	// dialTimeout bounds a connection to an upstream: those of this machine accept at
	// once.
	dialTimeout = time.Second
	// fetchTimeout bounds the request for Vite's client, which Vite may have to build.
	fetchTimeout = 3 * time.Second
)

func checkProxyfile(_ context.Context, s *Subject) []Finding {
	switch p := s.Project; {
	case p == nil:
		return nil
	case p.Err != nil:
		return []Finding{fault(failure.Text(p.Err), "")}
	case p.Mistakes > 0:
		return []Finding{fault(p.File+" has "+count(p.Mistakes, "mistake"), "devproxy check")}
	case p.Plan == nil:
		return nil
	default:
		return []Finding{fine(p.File + ", " + count(len(p.Plan.Hosts()), "host"))}
	}
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// upstream is an upstream of the plan, with the line that names it first.
type upstream struct {
	*plan.Upstream
	source plan.Source
	root   bool // a route for "/" leads to it
}

// upstreams returns the upstreams of the plan, each once, in the order of the file.
func (s *Subject) upstreams() []*upstream {
	if s.plan() == nil {
		return nil
	}
	var all []*upstream
	for _, h := range s.plan().Hosts() {
		for _, route := range h.Routes {
			spec, ok := route.Answer.(*plan.Upstream)
			if !ok || spec.Group != nil { // `devproxy up` knows containers
				continue
			}
			i := slices.IndexFunc(all, func(u *upstream) bool { return u.Key == spec.Key })
			if i < 0 {
				i = len(all)
				all = append(all, &upstream{Upstream: spec, source: route.Source})
			}
			all[i].root = all[i].root || route.Path == "/"
			if route.Source.Line < all[i].source.Line {
				all[i].source = route.Source
			}
		}
	}
	slices.SortStableFunc(all, func(a, b *upstream) int { return cmp.Compare(a.source.Line, b.source.Line) })
	return all
}

// reached is what connecting to one upstream has shown.
type reached struct {
	up      []string // addresses that accept
	down    []string // texts of members that do not
	members int      // that were tried
	skipped []string // texts of members that are not on this machine
}

// reach connects to every address on this machine that an upstream has. Others are left
// alone: the Proxyfile may be a stranger's.
func (s *Subject) reach(ctx context.Context, u *plan.Upstream) (r reached) {
	for _, m := range u.Members {
		if !s.local(m) {
			r.skipped = append(r.skipped, m.Text)
			continue
		}
		r.members++
		before := len(r.up)
		for _, addr := range m.Addrs {
			if accepts(ctx, m.Network, addr) {
				r.up = append(r.up, addr)
			}
		}
		if len(r.up) == before {
			r.down = append(r.down, m.Text)
		}
	}
	return r
}

// local reports whether a member is a port of this machine, or a socket in the project.
func (s *Subject) local(m plan.Member) bool {
	if m.Network == "unix" {
		return m.Within == s.Project.Root
	}
	return !slices.ContainsFunc(m.Addrs, func(addr string) bool {
		at, err := netip.ParseAddrPort(addr)
		return err != nil || !at.Addr().IsLoopback()
	})
}

func accepts(ctx context.Context, network, addr string) bool {
	d := net.Dialer{Timeout: dialTimeout}
	conn, err := d.DialContext(ctx, network, addr)
	if err != nil {
		return false
	}
	conn.Close()
	return true
}

// checkUpstreams connects to the project's upstreams.
func checkUpstreams(ctx context.Context, s *Subject) []Finding {
	all := s.upstreams()
	results := make([]reached, len(all))
	var group sync.WaitGroup
	for i, u := range all {
		group.Go(func() { results[i] = s.reach(ctx, u.Upstream) })
	}
	group.Wait()
	var findings []Finding
	var good, far []string
	for i, u := range all {
		r := results[i]
		far = append(far, r.skipped...)
		twins, is := s.twins(u)
		switch {
		case len(r.down) > 0:
			findings = append(findings, s.downFinding(ctx, u, r))
		case is:
			findings = append(findings, twins.about(u.Text))
		case r.members > 0:
			good = append(good, u.Text+on(r))
		}
	}
	if len(good) > 0 {
		findings = slices.Insert(findings, 0, fine(some(good)+agree(good, " answers", " answer")))
	}
	if len(far) > 0 {
		findings = append(findings, unknown(some(far)+agree(far, " is", " are")+" outside of this machine or project", "").about("others"))
	}
	return findings
}

// on is " on [::1]" for a port that answers on that address alone.
func on(r reached) string {
	if r.members != 1 || len(r.up) != 1 {
		return ""
	}
	host, _, err := net.SplitHostPort(r.up[0])
	if err != nil || host != "::1" {
		return ""
	}
	return " on [::1]"
}

func (s *Subject) downFinding(ctx context.Context, u *upstream, r reached) Finding {
	if service := s.serviceOf(u); service != nil && !s.runs(ctx) {
		return fine("devproxy up starts " + service.Name).about(service.Name)
	} else if service != nil {
		switch running := s.running(ctx, service); {
		case running.Port != service.Port && acceptsPort(ctx, running.Port):
			return fine(fmt.Sprintf("%s listens on :%d, and devproxy uses that port instead of %s", service.Name, running.Port, u.Text)).about(service.Name)
		case running.State == "failed":
			return fault(service.Name+" fails: "+running.Exit, "devproxy logs "+service.Name).about(service.Name)
		}
		return fault(fmt.Sprintf("%s does not listen on %s", service.Name, u.Text), "devproxy restart "+service.Name).about(service.Name)
	}
	if len(r.down) < r.members {
		return warning("nothing listens on "+some(r.down)+"; the others of "+u.source.String()+" answer", "").about(u.Text)
	}
	detail := "nothing listens on " + some(r.down)
	fix := "start the server of " + u.source.String() + ", or write its port there"
	if port, process := s.misplaced(u); port != 0 {
		detail += fmt.Sprintf("; %s listens on %d", process, port)
		fix = fmt.Sprintf("write %d at %s", port, u.source)
	}
	return fault(detail, fix).about(u.Text)
}

// running is what the devproxy of the project says about a service; the zero value without
// an answer.
func (s *Subject) running(ctx context.Context, service *plan.Service) control.Service {
	for _, status := range s.instances(ctx).statuses {
		if status.Folder != s.Project.Folder {
			continue
		}
		for _, running := range status.Services {
			if running.Name == service.Name {
				return running
			}
		}
	}
	return control.Service{}
}

func acceptsPort(ctx context.Context, port uint16) bool {
	return port != 0 && accepts(ctx, "tcp", net.JoinHostPort("localhost", strconv.Itoa(int(port))))
}

// serviceOf returns the service with a command that an upstream leads to; nil for none.
func (s *Subject) serviceOf(u *upstream) *plan.Service {
	for _, service := range s.plan().Services() {
		if port := u.LocalPort(); port != 0 && int(service.Port) == port {
			return service
		}
	}
	return nil
}

// misplaced returns the port nearest to the upstream's on which a process of the project
// listens, and no upstream is: dev servers take the next port if theirs is taken.
func (s *Subject) misplaced(u *upstream) (port int, process string) {
	wanted := u.LocalPort()
	if wanted == 0 {
		return 0, ""
	}
	known := map[int]bool{}
	for _, other := range s.upstreams() {
		known[other.LocalPort()] = true
	}
	for _, service := range s.plan().Services() {
		known[int(service.Port)] = true
	}
	distance := func(port int) int { return max(port-wanted, wanted-port) }
	for _, p := range s.processes() {
		if !s.owns(p) || p.Name == "devproxy" || p.PID == os.Getpid() {
			continue
		}
		for _, candidate := range p.Ports {
			if !known[candidate] && (port == 0 || distance(candidate) < distance(port)) {
				port, process = candidate, describe(p)
			}
		}
	}
	return port, process
}

// processes are those that listen. It reads much of /proc, so it does that once.
func (s *Subject) processes() []listen.Process {
	s.listOnce.Do(func() { s.listening = listen.ListeningProcesses() })
	return s.listening
}

func describe(p listen.Process) string { return fmt.Sprintf("%s (pid %d)", p.Name, p.PID) }

// twins reports two servers on the same port, one on IPv4 and one on IPv6. If one of
// them is the project's, the other is in the way.
func (s *Subject) twins(u *upstream) (Finding, bool) {
	port := u.LocalPort()
	if port == 0 || len(u.Members[0].Addrs) < 2 {
		return Finding{}, false
	}
	four, six, ok := listen.Twins(port)
	if !ok {
		return Finding{}, false
	}
	fix := fmt.Sprintf(`write "127.0.0.1:%d" or "[::1]:%[1]d" at %s`, port, u.source)
	switch own4, own6 := s.owns(four), s.owns(six); {
	case own4 && !own6:
		fix = "kill " + strconv.Itoa(six.PID)
	case own6 && !own4:
		fix = "kill " + strconv.Itoa(four.PID)
	}
	return warning(fmt.Sprintf("two servers: %s on 127.0.0.1, %s on [::1]", describe(four), describe(six)), fix), true
}

func (s *Subject) owns(p listen.Process) bool { return p.Dir != "" && s.inside(p.Dir) }

// checkHotReload looks for settings with which the browser's connection for hot reload
// bypasses devproxy: in the project's files, and in the client that a running Vite sends.
func checkHotReload(ctx context.Context, s *Subject) []Finding {
	if s.plan() == nil {
		return nil
	}
	var all []Finding
	servers := s.upstreams()
	told := make([]string, len(servers))
	var group sync.WaitGroup
	for i, u := range servers {
		if u.root && u.LocalPort() != 0 && u.Members[0].Scheme == plan.SchemeHTTP {
			group.Go(func() { told[i] = askVite(ctx, u) })
		}
	}
	group.Wait()
	for i, u := range servers {
		if told[i] != "" {
			all = append(all, warning(told[i], "").about(u.Text))
		}
	}
	notes, err := scaffold.HotReload(s.Project.Folder)
	if err != nil {
		return append(all, unknown(failure.Text(err), ""))
	}
	if len(all) > 0 {
		return all // the server that runs says the same
	}
	for _, note := range notes {
		place := note.File
		if note.Line > 0 {
			place = fmt.Sprintf("%s:%d", note.File, note.Line)
		}
		what, fix, _ := strings.Cut(note.Text, "; ")
		all = append(all, warning(strings.TrimPrefix(place+": ", ": ")+what, fix))
	}
	return all
}

// askVite asks for Vite's client at the usual path, and returns what to write if its
// socket bypasses devproxy; empty for other servers.
func askVite(ctx context.Context, u *upstream) string {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	transport := &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (conn net.Conn, err error) {
			d := net.Dialer{Timeout: dialTimeout}
			for _, addr := range u.Members[0].Addrs {
				if conn, err = d.DialContext(ctx, "tcp", addr); err == nil {
					return conn, nil
				}
			}
			return nil, err
		},
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://localhost:%d/@vite/client", u.LocalPort()), http.NoBody)
	if err != nil {
		return ""
	}
	response, err := transport.RoundTrip(request)
	if err != nil {
		return ""
	}
	defer response.Body.Close()
	client, err := io.ReadAll(io.LimitReader(response.Body, advice.MaxViteClient))
	if err != nil || response.StatusCode != http.StatusOK {
		return ""
	}
	return advice.PatchViteClient(client, u.Upstream)
}

// checkVersions looks for dev servers with known vulnerabilities. They concern visitors
// of a share.
func checkVersions(_ context.Context, s *Subject) []Finding {
	if s.plan() == nil {
		return nil
	}
	root := cmp.Or(s.Project.Root, s.Project.Folder)
	var folders []string
	for _, p := range s.processes() {
		folders = append(folders, p.Dir)
	}
	var all []Finding
	for _, hole := range advisory.Find(root, advisory.Folders(root, append(folders, s.Project.Folder)...)...) {
		what, _, _ := strings.Cut(hole.String(), ": update to")
		all = append(all, warning(what, s.updateFix(hole.Package+"@"+hole.Fixed)))
	}
	return all
}

// updateFix is the command of the project's package manager, by its lock file.
func (s *Subject) updateFix(pkg string) string {
	exists := func(name string) bool {
		for _, folder := range []string{s.Project.Folder, s.Project.Root} {
			if matches, _ := filepath.Glob(filepath.Join(escape(folder), name)); len(matches) > 0 {
				return true
			}
		}
		return false
	}
	switch {
	case exists("pnpm-lock.yaml"):
		return "pnpm update " + pkg
	case exists("yarn.lock") && exists(".yarnrc.yml"):
		return "yarn up " + pkg
	case exists("yarn.lock"):
		return "yarn upgrade " + pkg
	case exists("bun.lock*"):
		return "bun add " + pkg
	}
	return "npm install " + pkg
}

// escape makes a folder a pattern that matches it alone.
func escape(folder string) string {
	return strings.NewReplacer(`[`, `\[`, `*`, `\*`, `?`, `\?`, `\`, `\\`).Replace(folder)
}
