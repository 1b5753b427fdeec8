package service

import (
	"context"
	"net"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/devproxy/devproxy/devproxy/listen"
)

const (
	// firstProbe to lastProbe are the pauses between two checks of a service that is not
	// ready yet; each is twice the one before.
	firstProbe = 20 * time.Millisecond
	lastProbe  = 250 * time.Millisecond
	// lateProbe is the pause once a service is late: its checks fill its output.
	lateProbe = time.Second
	// dialTimeout bounds one connection to loopback, responseTimeout one response.
	dialTimeout     = time.Second
	responseTimeout = 5 * time.Second
	// elsewhereAfter is how long a service may take to listen on the port it was asked
	// to use, after it listens on another one.
	elsewhereAfter = time.Second
	// lateAfter is how long a service may take to be ready before it is said why it is not.
	// Each pause until that is said again is twice the one before, up to lastLate.
	lateAfter = 10 * time.Second
	lastLate  = time.Minute
)

// await checks a service until it is ready. It returns the port that it listens on. late is
// called with the reason when that takes long.
func await(ctx context.Context, spec Spec, r running, out *output, late func(why string)) (port uint16, ok bool) {
	a := awaiting{spec: spec, ports: r.ports, client: newClient(), out: out}
	defer a.client.CloseIdleConnections()
	return a.run(ctx, lateAfter, late)
}

// awaiting is the wait for one start of a service.
type awaiting struct {
	spec   Spec
	ports  func() []uint16
	client *http.Client
	out    *output
	// elsewhere is another port that the service was found to listen on, since when.
	elsewhere uint16
	since     time.Time
}

// run checks the service until it is ready. patience is how long it waits before it says
// why it is not.
func (a *awaiting) run(ctx context.Context, patience time.Duration, late func(why string)) (port uint16, ok bool) {
	matched := a.out.matched
	tooLong := time.NewTimer(patience)
	defer tooLong.Stop()
	longest := lastProbe
	for pause := firstProbe; ; pause = min(2*pause, longest) {
		if a.printed() {
			matched = nil
			if port, ok := a.check(ctx); ok {
				return port, true
			}
		}
		select {
		case <-time.After(pause):
		case <-matched:
		case <-tooLong.C:
			if why := a.why(ctx); why != "" && ctx.Err() == nil {
				late(why)
			}
			patience, longest = min(2*patience, lastLate), lateProbe
			tooLong.Reset(patience)
		case <-ctx.Done():
			return 0, false
		}
	}
}

// printed reports whether the service has printed the line that says it is ready. It is
// true for one that prints none.
func (a *awaiting) printed() bool {
	if a.spec.Ready.Log == "" {
		return true
	}
	select {
	case <-a.out.matched:
		return true
	default:
		return false
	}
}

// find returns where a service that has said to be ready listens now; its own port if it
// listens nowhere. ok is false while another user listens there.
func (a *awaiting) find(ctx context.Context) (port uint16, ok bool) {
	stranger := listen.StrangerOn(a.spec.Port)
	if stranger || !accepts(ctx, a.spec.Port) {
		if elsewhere := a.choose(ctx); elsewhere != 0 {
			return elsewhere, true
		}
	}
	return a.spec.Port, !stranger
}

// check returns the port if the service is ready. The ports of services can be guessed, so
// another user of this machine could take one before the service does, and would get its
// requests: such a port counts as one on which nothing listens.
func (a *awaiting) check(ctx context.Context) (uint16, bool) {
	if a.spec.Port == 0 {
		return 0, true
	}
	if a.spec.Ready.Log != "" {
		return a.find(ctx)
	}
	port := a.spec.Port
	if !accepts(ctx, port) || listen.StrangerOn(port) {
		if port = a.findElsewhere(ctx); port == 0 {
			return 0, false
		}
	}
	if a.spec.Ready.Path == "" {
		return port, true
	}
	return port, a.spec.Ready.accepts(a.status(ctx, port, a.spec.Ready.Path))
}

// accepts reports whether a response with this status says that the service is ready.
func (r Ready) accepts(status int) bool {
	if r.Status != 0 {
		return status == r.Status
	}
	return status >= 200 && status < 400
}

// findElsewhere returns the port that the service has listened on for elsewhereAfter
// instead of its own; 0 for none.
func (a *awaiting) findElsewhere(ctx context.Context) uint16 {
	found := a.choose(ctx)
	if found != a.elsewhere {
		a.elsewhere, a.since = found, time.Now()
	}
	if found == 0 || time.Since(a.since) < elsewhereAfter {
		return 0
	}
	return found
}

// helperPorts are those that dev servers open for their own use: Node's inspector and
// Vite's WebSocket for updates.
var helperPorts = []uint16{9229, 24678}

// choose returns the port, of those that the service listens on, that answers requests.
// The one next above the port it was asked to use comes first, as dev servers count
// upwards when a port is taken.
func (a *awaiting) choose(ctx context.Context) uint16 {
	ports := slices.DeleteFunc(a.ports(), func(port uint16) bool { return slices.Contains(helperPorts, port) })
	if slices.Contains(ports, a.spec.Port) {
		return 0 // it is about to accept, or listens on an address that is not loopback
	}
	slices.SortFunc(ports, func(p, q uint16) int { return int(p-a.spec.Port) - int(q-a.spec.Port) }) // those below come last
	for _, port := range ports {
		if !listen.StrangerOn(port) && a.status(ctx, port, "/") != 0 {
			return port
		}
	}
	return 0
}

func newClient() *http.Client {
	return &http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true, DialContext: dialLoopback},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Timeout:       responseTimeout,
	}
}

// status is that of the response to a GET request; 0 without a response.
func (a *awaiting) status(ctx context.Context, port uint16, path string) int {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://localhost:"+strconv.Itoa(int(port))+path, nil)
	if err != nil {
		return 0
	}
	res, err := a.client.Do(req)
	if err != nil {
		return 0
	}
	res.Body.Close()
	return res.StatusCode
}

// loopback are the addresses that a port without an address means.
var loopback = []string{"127.0.0.1", "::1"}

// dialLoopback connects to the port of addr on this machine, whatever a resolver says.
func dialLoopback(ctx context.Context, network, addr string) (net.Conn, error) {
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	dialer := net.Dialer{Timeout: dialTimeout}
	var conn net.Conn
	for _, host := range loopback {
		if conn, err = dialer.DialContext(ctx, network, net.JoinHostPort(host, port)); err == nil {
			break
		}
	}
	return conn, err
}

// accepts reports whether something listens on a port of this machine.
func accepts(ctx context.Context, port uint16) bool {
	conn, err := dialLoopback(ctx, "tcp", net.JoinHostPort("localhost", strconv.Itoa(int(port))))
	if err != nil {
		return false
	}
	conn.Close()
	return true
}

// holderOf returns the process that listens on a port, as a noun; empty if none does.
func holderOf(port uint16) string {
	if port == 0 || !accepts(context.Background(), port) {
		return ""
	}
	for _, p := range listen.ListeningProcesses() {
		if slices.Contains(p.Ports, int(port)) {
			return p.Name + " (pid " + strconv.Itoa(p.PID) + ")"
		}
	}
	return "another process"
}
