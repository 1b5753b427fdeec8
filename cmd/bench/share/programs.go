package share

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/pprof"
	"slices"
	"syscall"

	"github.com/devproxy/devproxy/cmd/bench/harness"
	"github.com/devproxy/devproxy/tunnel/wan"
)

// programs are the programs that run on one path.
type programs struct {
	bench    bench
	link     *wan.Link
	dir      string // of their files, in which they run; removed at the end
	children []*harness.Child
}

// on opens a path, has use run programs on it, and stops them, the last one first.
func (b bench) on(ctx context.Context, path wan.Config, use func(*programs) error) (err error) {
	link, err := wan.Open(ctx, path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, link.Close()) }()
	p := &programs{bench: b, link: link}
	if p.dir, err = os.MkdirTemp("", "bench-share-"); err != nil {
		return err
	}
	defer func() {
		for _, c := range slices.Backward(p.children) {
			c.Stop()
		}
		_ = os.RemoveAll(p.dir)
	}()
	return use(p)
}

// file is the path of a file in dir.
func (p *programs) file(name string) string { return filepath.Join(p.dir, name) }

// start starts a program on one side of the path.
func (p *programs) start(ctx context.Context, side wan.Side, name string, env []string, command ...string) (*harness.Child, error) {
	cmd := p.link.Command(ctx, side, command[0], command[1:]...)
	cmd.Dir, cmd.Env = p.dir, append(os.Environ(), env...)
	c, err := harness.Start(name, cmd, p.bench.verbose)
	if err == nil {
		p.children = append(p.children, c)
	}
	return c, err
}

// role starts this program again, to do s.
func (p *programs) role(ctx context.Context, side wan.Side, s spec) (*harness.Child, error) {
	s.Verbose = p.bench.verbose
	if p.bench.profile != "" {
		dir, err := filepath.Abs(p.bench.profile)
		if err != nil {
			return nil, err
		}
		s.Profile = filepath.Join(dir, s.Role+".pprof")
	}
	text, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return p.start(ctx, side, s.Role, []string{specVariable + "=" + string(text)}, self)
}

// readyRole is role for one that is waited for until it is ready, at an address.
func (p *programs) readyRole(ctx context.Context, side wan.Side, s spec) (c *harness.Child, addr string, err error) {
	if c, err = p.role(ctx, side, s); err != nil {
		return nil, "", err
	}
	var m message
	err = c.Next(&m)
	return c, m.Ready, err
}

// upstream starts the application that is shared and returns its port.
func (p *programs) upstream(ctx context.Context, side wan.Side) (port uint16, err error) {
	_, ready, err := p.readyRole(ctx, side, spec{Role: "upstream", Addr: "127.0.0.1:0"})
	if err != nil {
		return 0, err
	}
	addr, err := netip.ParseAddrPort(ready)
	return addr.Port(), err
}

// specVariable contains the spec of a child that is this program again.
const specVariable = "BENCH_SHARE_SPEC"

// spec is the task of a child.
type spec struct {
	Role string `json:"role"`
	// Addr is the address and port that one child listens on and the other dials.
	Addr string `json:"addr"`
	// Tune is the congestion control of the tunnel.
	Tune string `json:"tune"`
	// Lanes is how many sockets the probe has.
	Lanes int   `json:"lanes"`
	Rows  []row `json:"rows"`
	// Profile is the file of a CPU profile; empty for none.
	Profile string `json:"profile"`
	Verbose bool   `json:"verbose"`
	// For visitors: the URL, the root certificate, and the address and port to dial
	// in place of the URL's.
	URL  string `json:"url"`
	Root string `json:"root"`
	Dial string `json:"dial"`
	// Game is the address and port for a game's packets.
	Game string `json:"game"`
	// Path selects what they ask for; empty means bytes.
	Path string `json:"path"`
	// Patient visitors retry until they get a first response.
	Patient bool `json:"patient"`
	// Sessions is the number of sleeping shares.
	Sessions int `json:"sessions"`
}

// message is a line that a child writes.
type message struct {
	Ready  string  `json:"ready,omitempty"` // an address, when it listens
	Result *result `json:"result,omitempty"`
}

func tell(m message) error { return json.NewEncoder(os.Stdout).Encode(m) }

// tellRows measures the rows and writes a message for each. facts, if not nil, adds to
// a result.
func (s spec) tellRows(ctx context.Context, c client, facts func() *sessionFacts) error {
	for _, r := range s.Rows {
		res, err := r.run(ctx, c)
		if err != nil {
			return err
		}
		if facts != nil {
			res.Session = facts()
		}
		if err := tell(message{Result: &res}); err != nil {
			return err
		}
	}
	return nil
}

// IsRole reports whether this process was started as one end of a measurement.
func IsRole() bool { return os.Getenv(specVariable) != "" }

// RunRole does the work of such a process. It returns when that ends.
func RunRole() error { return runRole(os.Getenv(specVariable)) }

func runRole(text string) error {
	var s spec
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		return fmt.Errorf("read %s: %w", specVariable, err)
	}
	role := map[string]func(context.Context, spec) error{
		"tunnel-load": tunnelLoad, "tunnel-serve": tunnelServe,
		"probe-load": probeLoad, "probe-serve": probeServe,
		"upstream": serveUpstream, "visitors": visit, "sleepers": sleep,
	}[s.Role]
	if role == nil {
		return fmt.Errorf("unknown role %q", s.Role)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if s.Profile == "" {
		return role(ctx, s)
	}
	if err := os.MkdirAll(filepath.Dir(s.Profile), 0o755); err != nil {
		return err
	}
	file, err := os.Create(s.Profile)
	if err != nil {
		return err
	}
	if err := pprof.StartCPUProfile(file); err != nil {
		return errors.Join(err, file.Close())
	}
	err = role(ctx, s)
	pprof.StopCPUProfile()
	return errors.Join(err, file.Close())
}
