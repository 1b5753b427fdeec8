//go:build e2e && linux

package main

import (
	"cmp"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/devproxy/devproxy/devproxy/credentials"
	"github.com/devproxy/devproxy/tunnel"
)

// The attacks on the real program. While an attack runs, what legitimate
// clients do may take at most attackRatio times what it takes without it in the
// same run, and the attacked processes stay within their memory. Attackers come
// from other networks than the legitimate visitor (attackerAddress) and are
// paced, so that they cannot win by using up the processor alone: they share it
// with what is measured.
const (
	// attackRatio is how many times longer a legitimate action may take.
	attackRatio = 2
	// attackNoise is added to both sides of the ratio: what two busy cores make
	// of a few milliseconds.
	attackNoise = 15 * time.Millisecond
	// attackSamples is how often each legitimate action is timed; medians are
	// compared.
	attackSamples = 9
	// attackRounds is how often the whole comparison is tried. A machine that
	// was busy for a moment passes the next time; a relay that gives way to the
	// attack does not.
	attackRounds = 3
	// attackPatience limits one legitimate action. A failed action fails the
	// test in every round.
	attackPatience = 10 * time.Second
)

// honest is something that a legitimate client does.
type honest struct {
	name string
	do   func(ctx context.Context) error
}

// watched is a process whose resident memory is bounded during an attack.
type watched struct {
	name  string
	pid   int
	bytes int64 // its documented bound; 0 is not bounded
}

// attackFunc runs until ctx ends. It calls underWay once when the attack has the
// strength in which it is to be measured.
type attackFunc func(ctx context.Context, underWay func())

// withstand runs an attack and compares: calm, under attack, and calm again.
func withstand(t *testing.T, run attackFunc, legitimate []honest, processes ...watched) {
	t.Helper()
	for _, p := range processes {
		p.resetPeak(t)
	}
	var faults []string
	for round := range attackRounds {
		faults = withstandOnce(t, run, legitimate)
		for _, p := range processes {
			if peak := p.peak(t); p.bytes > 0 && peak > p.bytes {
				t.Errorf("%s had %d MB resident, its bound is %d MB", p.name, peak>>20, p.bytes>>20)
			} else {
				t.Logf("%s had at most %d MB resident", p.name, peak>>20)
			}
		}
		if len(faults) == 0 || t.Failed() {
			break
		}
		t.Logf("round %d: %s", round, strings.Join(faults, "; "))
	}
	for _, fault := range faults {
		t.Error(fault)
	}
}

// withstandOnce returns the effect of an attack on legitimate clients.
func withstandOnce(t *testing.T, run attackFunc, legitimate []honest) (faults []string) {
	t.Helper()
	calm, err := measure(t, legitimate)
	if err != nil {
		t.Fatalf("without an attack: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	begun, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		run(ctx, sync.OnceFunc(func() { close(begun) }))
	}()
	defer func() {
		cancel()
		<-ended
	}()
	select {
	case <-begun:
	case <-ended:
		t.Fatal("the attack ended before it was under way")
	case <-time.After(patience):
		t.Fatalf("the attack is not under way after %v", patience)
	}
	under, err := measure(t, legitimate)
	if err != nil {
		faults = append(faults, fmt.Sprintf("under attack: %v", err))
	}
	select {
	case <-ended:
		t.Fatal("the attack ended before it was measured")
	default:
	}
	for i, h := range legitimate {
		if i >= len(under) {
			break
		}
		t.Logf("%s: %v calm, %v under attack", h.name, calm[i].Round(time.Millisecond/10), under[i].Round(time.Millisecond/10))
		if under[i]+attackNoise > attackRatio*(calm[i]+attackNoise) {
			faults = append(faults, fmt.Sprintf("%s takes %v under attack, %v without", h.name, under[i], calm[i]))
		}
	}
	return faults
}

// measure is the median time of each legitimate action, in their order. The
// actions take turns, so that what disturbs the machine disturbs all of them.
func measure(t *testing.T, legitimate []honest) ([]time.Duration, error) {
	t.Helper()
	took := make([][]time.Duration, len(legitimate))
	for range attackSamples {
		for i, h := range legitimate {
			ctx, cancel := context.WithTimeout(t.Context(), attackPatience)
			start := time.Now()
			err := h.do(ctx)
			cancel()
			if err != nil {
				return nil, fmt.Errorf("%s fails: %w", h.name, err)
			}
			took[i] = append(took[i], time.Since(start))
		}
	}
	medians := make([]time.Duration, len(took))
	for i := range took {
		slices.Sort(took[i])
		medians[i] = took[i][len(took[i])/2]
	}
	return medians, nil
}

// resetPeak makes peak count from now on (proc_pid_clear_refs(5)).
func (w watched) resetPeak(t *testing.T) {
	t.Helper()
	if err := os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", w.pid), []byte("5"), 0); err != nil {
		t.Logf("the peak of %s counts from its start: %v", w.name, err)
	}
}

// peak is the most memory that the process had resident, in bytes.
func (w watched) peak(t *testing.T) int64 {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", w.pid))
	if err != nil {
		t.Fatalf("%s is gone: %v", w.name, err)
	}
	_, rest, _ := strings.Cut(string(text), "VmHWM:")
	fields := strings.Fields(rest)
	if len(fields) == 0 {
		t.Fatalf("%s has ended", w.name)
	}
	kb, err := strconv.ParseInt(fields[0], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return kb << 10
}

// plainBinary is devproxy as users have it, without the race detector: only
// that one's memory and times mean anything. It is built once for all tests.
func plainBinary(t *testing.T) string {
	t.Helper()
	plainBuild.Do(func() {
		// Next to the devproxy that TestMain has made, and removed with it. The
		// flags are those of `make build`, whose results are in the build cache.
		program := filepath.Join(filepath.Dir(devproxyBinary(t)), "devproxy-plain")
		env := append(os.Environ(), "CGO_ENABLED=0")
		if out, err := runTool(t, 5*time.Minute, env, needTool(t, "go"), "build", "-trimpath", "-ldflags=-s -w", "-o", program, "."); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		plainProgram = program
	})
	if plainProgram == "" {
		t.Fatal("devproxy could not be built")
	}
	return plainProgram
}

// plainBuild guards plainProgram, plainBinary's path.
var (
	plainBuild   sync.Once
	plainProgram string
)

// siege is a relay with one share that legitimate clients use, and that is to
// be attacked.
type siege struct {
	t       *testing.T
	relay   *devRelay
	project *sharedProject
	app     *app
	token   string // enrols agents, where the relay wants that
}

// siegeOptions configure the attacked relay.
type siegeOptions struct {
	// program is devproxyBinary for the race detector; "" is plainBinary.
	program string
	// files is how many the relay may have open; 0 is the system's limit.
	files int
	// relay are more arguments of the relay; token is its token.
	relay []string
	token string
	// app answers the share's visitors; nil says hello.
	app http.HandlerFunc
}

// besiege starts a relay and a share until the test ends.
func besiege(t *testing.T, o siegeOptions) *siege {
	t.Helper()
	if o.program == "" {
		o.program = plainBinary(t)
	}
	if o.app == nil {
		o.app = func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") }
	}
	place := &upProcess{program: o.program}
	place.home, place.state, place.env = privateState(t)
	if o.token != "" {
		place.env = append(place.env, credentials.TokenVariable+"="+o.token)
	}
	command := append(fewFiles(t, o.files), o.program, "relay", "--dev", "--json")
	started := startProgram(t, place, shortDir(t), append(command, o.relay...))
	s := &siege{t: t, token: o.token, relay: newDevRelay(t, started, filepath.Join(place.state, "root.pem"))}
	s.app = startApp(t, o.app)
	s.project = s.relay.share(t, projectDir(t, fmt.Sprintf("host \"shop.localhost\" { upstream = %q }\n", s.app.URL)), nil)
	return s
}

// process is the relay's, with the bound of its memory.
func (s *siege) process(bytes int64) watched {
	return watched{"the relay", s.relay.cmd.Process.Pid, bytes}
}

// agentProcess is the one of `devproxy up --share`.
func (s *siege) agentProcess(bytes int64) watched {
	return watched{"devproxy up", s.project.cmd.Process.Pid, bytes}
}

// clients are a visitor with a new connection, a visitor with one that is open,
// and an agent that registers.
func (s *siege) clients() []honest {
	warm := s.relay.visitor(s.t, "h2")
	return []honest{
		{"a visit on a new connection", func(ctx context.Context) error {
			fresh := s.relay.visitor(s.t, "h1")
			defer fresh.CloseIdleConnections()
			return s.visit(ctx, fresh)
		}},
		{"a visit", func(ctx context.Context) error { return s.visit(ctx, warm) }},
		{"a registration", s.register},
	}
}

// visit requests the share's page.
func (s *siege) visit(ctx context.Context, client *http.Client) error {
	response, body, err := roundTrip(ctx, client, http.MethodGet, s.project.link, nil)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%d %.200q", response.StatusCode, body)
	}
	return err
}

// legitimateAgent is the address that agents in good faith come from.
const legitimateAgent = "127.0.0.8"

// register shares one host under a new key, and leaves again.
func (s *siege) register(ctx context.Context) error {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	session, err := s.relay.dialSession(ctx, legitimateAgent, key, tunnel.Claim{
		Enrol: s.token, Project: "shop", Link: tunnel.Link(key, 0), Hosts: []string{""},
	})
	if err != nil {
		return err
	}
	session.Close(nil)
	<-session.Done()
	return nil
}

// attackerAddress is one of as many addresses of attackers as are wanted; each
// is its own network to the relay.
func attackerAddress(i int) string { return fmt.Sprintf("127.66.%d.%d", i/250%250, 1+i%250) }

// dialFrom connects to the relay from an address of this machine.
func (r *devRelay) dialFrom(ctx context.Context, from string) (net.Conn, error) {
	return (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}).DialContext(ctx, "tcp", r.listen)
}

// dialTLS is a TLS connection from an address, for raw HTTP/1.1, HTTP/2 or the
// tunnel: "http/1.1", "h2", tunnel.ALPN. name may have a port.
func (r *devRelay) dialTLS(ctx context.Context, from, name, protocol string) (*tls.Conn, error) {
	conn, err := r.dialFrom(ctx, from)
	if err != nil {
		return nil, err
	}
	name, _, _ = strings.Cut(name, ":")
	secure := tls.Client(conn, &tls.Config{RootCAs: r.roots, ServerName: name, NextProtos: []string{protocol}})
	if err := secure.HandshakeContext(ctx); err != nil {
		conn.Close()
		return nil, err
	}
	return secure, nil
}

// dialSession is an agent's session from an address. The error is a
// *tunnel.Refusal if the relay refuses it.
func (r *devRelay) dialSession(ctx context.Context, from string, key ed25519.PrivateKey, claim tunnel.Claim) (*tunnel.Session, error) {
	hello, err := json.Marshal(claim)
	if err != nil {
		return nil, err
	}
	session, _, err := tunnel.Dial(ctx, tunnel.Config{Key: key, Hello: hello, Dial: func(ctx context.Context) (tunnel.Lane, error) {
		secure, err := r.dialTLS(ctx, from, devDomain, tunnel.ALPN)
		if err != nil {
			return tunnel.Lane{}, err
		}
		binding, err := tunnel.Binding(secure.ConnectionState())
		return tunnel.Lane{Conn: secure, Binding: binding}, err
	}})
	return session, err
}

// paced calls do at the given rate per second, one call at a time, until ctx
// ends.
func paced(ctx context.Context, perSecond int, do func(i int)) {
	tick := time.NewTicker(time.Second / time.Duration(cmp.Or(perSecond, 1)))
	defer tick.Stop()
	for i := 0; ; i++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			do(i)
		}
	}
}
