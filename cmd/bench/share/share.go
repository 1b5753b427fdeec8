package share

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/devproxy/devproxy/cmd/bench/harness"
	"github.com/devproxy/devproxy/tunnel/wan"
)

const (
	// relayDomain is the relay's name, and the parent of links.
	relayDomain = "t.test"
	// relayToken enrols the folder; nobody else reaches the relay.
	relayToken = "benchmark-of-one-machine"
)

// event is a line of JSON that devproxy writes.
type event struct {
	Event string `json:"event"`
	URL   string `json:"url"`
	State string `json:"state"`
	Error string `json:"error"`
	Fix   string `json:"fix"`
}

// share is a relay, a project and its link.
type share struct {
	bench bench
	link  *wan.Link
	dir   string // for certificate, state and project; removed at the end

	relay, up, upstream *harness.Child
	url                 string
}

// agentSide is where the project is: B, unless both ends are to be beside each other.
func (b bench) openShare(ctx context.Context, l *wan.Link, agentSide wan.Side) (s *share, err error) {
	s = &share{bench: b, link: l}
	defer func() {
		if err != nil {
			s.stop()
		}
	}()
	if s.dir, err = os.MkdirTemp("", "bench-share-"); err != nil {
		return s, err
	}
	if err := s.startRelay(ctx); err != nil {
		return s, err
	}
	if err := s.startUpstream(ctx, agentSide); err != nil {
		return s, err
	}
	return s, s.startUp(ctx, agentSide)
}

func (s *share) stop() {
	s.up.Stop()
	s.relay.Stop()
	s.upstream.Stop()
	if s.dir != "" {
		_ = os.RemoveAll(s.dir)
	}
}

// file is the path of a file of this share.
func (s *share) file(name string) string { return filepath.Join(s.dir, name) }

func (s *share) startRelay(ctx context.Context) error {
	cert, err := harness.MakeCertificate(relayDomain, "*."+relayDomain)
	if err != nil {
		return err
	}
	certPEM, keyPEM, err := harness.EncodeCertificate(cert)
	if err != nil {
		return err
	}
	for name, text := range map[string][]byte{"cert.pem": certPEM, "key.pem": keyPEM} {
		if err := os.WriteFile(s.file(name), text, 0o600); err != nil {
			return err
		}
	}
	addr := s.link.Addr(wan.A).String()
	s.relay, err = s.devproxy(ctx, wan.A, "relay", "--domain", relayDomain, "--listen", addr+":443", "--http", addr+":80",
		"--cert", s.file("cert.pem"), "--key", s.file("key.pem"), "--state", s.file("relay.db"), "--congestion", s.bench.tune(), "--json")
	if err != nil {
		return err
	}
	_, err = await(s.relay, "ready")
	return err
}

func (s *share) startUpstream(ctx context.Context, side wan.Side) (err error) {
	s.upstream, err = s.bench.role(ctx, s.link, side, spec{Role: "upstream", Addr: "127.0.0.1:0"}, "")
	return err
}

// startUp runs `devproxy up --share` on a project of one route.
func (s *share) startUp(ctx context.Context, side wan.Side) error {
	var m message
	if err := s.upstream.Next(&m); err != nil {
		return err
	}
	port := netip.MustParseAddrPort(m.Ready).Port()
	text := fmt.Sprintf("host \"shop.localhost\" {\n  upstream = %d\n}\n", port)
	if err := os.WriteFile(s.file("Proxyfile"), []byte(text), 0o600); err != nil {
		return err
	}
	var err error
	s.up, err = s.devproxy(ctx, side, "up", "--share", "--relay", relayDomain, "--congestion", s.bench.tune(), "--json", "--quiet",
		"-C", s.dir, "--https", "127.0.0.1:443", "--http", "127.0.0.1:0")
	if err != nil {
		return err
	}
	shared, err := await(s.up, "shared")
	s.url = strings.TrimSuffix(shared.URL, "/")
	return err
}

func (s *share) devproxy(ctx context.Context, side wan.Side, args ...string) (*harness.Child, error) {
	cmd := s.link.Command(ctx, side, s.bench.devproxy, args...)
	cmd.Env = s.environment()
	return harness.Start("devproxy "+args[0], cmd, s.bench.verbose)
}

// environment has state of its own, and trusts our certificate alone.
func (s *share) environment() []string {
	return append(os.Environ(), "HOME="+s.dir, "XDG_RUNTIME_DIR="+s.dir, "DEVPROXY_HOME="+s.file("home"),
		"SSL_CERT_FILE="+s.file("cert.pem"), "SSL_CERT_DIR="+s.dir, "DEVPROXY_RELAY_TOKEN="+relayToken)
}

// await reads a devproxy's events until one comes, and has the rest read by
// nobody, so that it never waits for us.
func await(c *harness.Child, name string) (event, error) {
	const patience = 30 * time.Second // a few round trips, some of them lost
	timer := time.AfterFunc(patience, c.Stop)
	defer timer.Stop()
	var trouble string
	for {
		var e event
		if err := c.Next(&e); err != nil {
			return e, fmt.Errorf("there was no event %q within %v: %w%s", name, patience, err, trouble)
		}
		if e.Error != "" {
			trouble = fmt.Sprintf("\n  its last event %q: %s\n  %s", e.Event, e.Error, e.Fix)
		}
		if e.Event == name {
			go c.Drain()
			return e, nil
		}
	}
}

// system is the share as something to measure.
func (b bench) share(cc string) system {
	name := "devproxy"
	if b.bbr {
		name = "devproxy asking for BBR"
	}
	return system{name: name, cc: cc, open: func(ctx context.Context, l *wan.Link, rows []row) (*harness.Child, func(), error) {
		s, err := b.openShare(ctx, l, wan.B)
		if err != nil {
			return nil, nil, err
		}
		load, err := b.role(ctx, l, wan.A, s.visitors(rows), "")
		if err != nil {
			s.stop()
			return nil, nil, err
		}
		return load, func() { load.Stop(); s.stop() }, nil
	}}
}

// visitors are beside the relay, which is their whole way.
func (s *share) visitors(rows []row) spec {
	return spec{Role: "visitors", URL: s.url, Root: s.file("cert.pem"), Dial: s.link.Addr(wan.A).String() + ":443", Rows: rows}
}

// findDevproxy is the devproxy to measure.
func findDevproxy(path string) (string, error) {
	found, err := exec.LookPath(path)
	if err != nil {
		return "", fmt.Errorf("%w: build it with `make build`, or name one with --devproxy", err)
	}
	return filepath.Abs(found)
}
