package share

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/devproxy/devproxy/cmd/bench/harness"
	"github.com/devproxy/devproxy/tunnel/wan"
)

// system is something to measure.
type system struct {
	name string
	cc   string
	// cannot are the kinds of rows that it does not support.
	cannot []kind
	// open starts it on a new path. The child writes a result for each row.
	open func(ctx context.Context, p *programs, rows []row) (load *harness.Child, err error)
}

func (b bench) systems(cc string) (all []system) {
	with := ""
	if b.bbr {
		with = " with BBR"
	}
	if b.raw {
		s := b.pair("tunnel"+with, spec{Role: "tunnel", Tune: b.tune()})
		s.cannot = []kind{game}
		all = append(all, s)
	}
	if b.probe {
		for _, n := range b.lanes {
			s := b.pair(fmt.Sprintf("%d sockets", n), spec{Role: "probe", Lanes: n})
			s.cannot = []kind{stalled, game}
			all = append(all, s)
		}
	}
	if !b.raw && !b.probe {
		all = append(all, system{name: "devproxy" + with, open: openVisitors})
		for _, p := range allPeers() {
			if p.installed() {
				s := system{name: p.name, cannot: []kind{stalled}, open: p.open}
				if !p.udp {
					s.cannot = append(s.cannot, game)
				}
				all = append(all, s)
			}
		}
	}
	for i := range all {
		all[i].cc = cc
	}
	return all
}

func (b bench) tune() string {
	if b.bbr {
		return "bbr"
	}
	return "system"
}

// pair is a system of two children of this program: the loading one next to the
// relay, and the one that answers.
func (b bench) pair(name string, s spec) system {
	s.Addr = wan.DefaultAddr(wan.A).String() + ":443"
	return system{name: name, open: func(ctx context.Context, p *programs, rows []row) (*harness.Child, error) {
		loading, serving := s, s
		loading.Rows = rows
		loading.Role += "-load"
		serving.Role += "-serve"
		load, _, err := p.readyRole(ctx, wan.A, loading)
		if err != nil {
			return nil, err
		}
		_, err = p.role(ctx, wan.B, serving)
		return load, err
	}}
}

const (
	// relayDomain is the relay's name, and the parent of links.
	relayDomain = "t.test"
	// relayToken enrols the folder; no other program reaches the relay.
	relayToken = "benchmark-of-one-machine"
)

// share is a relay, a project and its link.
type share struct {
	*programs
	relay, up *harness.Child
	url       string
	game      string // where visitors reach its UDP block
}

// openVisitors opens a share for visitors next to the relay, so that their whole way
// is from there.
func openVisitors(ctx context.Context, p *programs, rows []row) (*harness.Child, error) {
	s := &share{programs: p}
	err := s.open(ctx, wan.B, slices.ContainsFunc(rows, func(r row) bool { return r.Kind == game }))
	if err != nil {
		return nil, err
	}
	return p.role(ctx, wan.A, s.visitors(rows))
}

func (s *share) visitors(rows []row) spec {
	return spec{Role: "visitors", URL: s.url, Root: s.file("cert.pem"), Dial: s.link.Addr(wan.A).String() + ":443", Game: s.game, Rows: rows}
}

// openShare opens a share of a project on agentSide: B, unless both ends are to be on
// one machine.
func openShare(ctx context.Context, p *programs, agentSide wan.Side) (*share, error) {
	s := &share{programs: p}
	return s, s.open(ctx, agentSide, false)
}

// open opens the share, with a UDP block for a game or without.
func (s *share) open(ctx context.Context, agentSide wan.Side, game bool) error {
	if err := harness.WriteCertificate(s.dir, relayDomain, "*."+relayDomain); err != nil {
		return err
	}
	var err error
	addr := s.link.Addr(wan.A).String()
	relay := []string{"relay", "--domain", relayDomain, "--listen", addr + ":443", "--http", addr + ":80",
		"--cert", s.file("cert.pem"), "--key", s.file("key.pem"), "--state", s.file("relay.db"), "--congestion", s.bench.tune(), "--json"}
	up := []string{"up", "--share", "--relay", relayDomain, "--congestion", s.bench.tune(), "--json", "--quiet",
		"-C", s.dir, "--https", "127.0.0.1:443", "--http", "127.0.0.1:0"}
	if game {
		relay, up = append(relay, "--udp-ports", "20000-20009"), append(up, "--allow")
	}
	if s.relay, _, err = s.devproxy(ctx, wan.A, "ready", relay...); err != nil {
		return err
	}
	port, err := s.upstream(ctx, agentSide)
	if err != nil {
		return err
	}
	text := fmt.Sprintf("host \"shop.localhost\" {\n  upstream = %d\n}\n", port)
	if game {
		text += fmt.Sprintf("udp \"game\" {\n  upstream = %d\n  public   = true\n}\nshare {\n  udp = [udp.game]\n}\n", port)
	}
	if err := os.WriteFile(s.file("Proxyfile"), []byte(text), 0o600); err != nil {
		return err
	}
	var shared event
	s.up, shared, err = s.devproxy(ctx, agentSide, "shared", up...)
	s.url = strings.TrimSuffix(shared.URL, "/")
	for _, p := range shared.Ports {
		_, port, splitErr := net.SplitHostPort(p.Address)
		if splitErr != nil {
			return fmt.Errorf("the share has no port: %s", p.Error)
		}
		s.game = net.JoinHostPort(addr, port)
	}
	return err
}

// event is a line of JSON that devproxy writes.
type event struct {
	Event string `json:"event"`
	URL   string `json:"url"`
	Error string `json:"error"`
	Fix   string `json:"fix"`
	Ports []struct {
		Address string `json:"address"`
		Error   string `json:"error"`
	} `json:"ports"`
}

// devproxy starts devproxy, with its own state and only the share's certificate
// trusted, and returns at an event.
func (s *share) devproxy(ctx context.Context, side wan.Side, awaited string, args ...string) (*harness.Child, event, error) {
	env := []string{"HOME=" + s.dir, "XDG_RUNTIME_DIR=" + s.dir, "DEVPROXY_HOME=" + s.file("home"),
		"SSL_CERT_FILE=" + s.file("cert.pem"), "SSL_CERT_DIR=" + s.dir, "DEVPROXY_RELAY_TOKEN=" + relayToken}
	c, err := s.start(ctx, side, "devproxy "+args[0], env, append([]string{s.bench.devproxy}, args...)...)
	if err != nil {
		return nil, event{}, err
	}
	e, err := await(c, awaited)
	return c, e, err
}

// await reads a devproxy's events until one comes, and has the rest dropped, so that
// it never waits for its reader.
func await(c *harness.Child, name string) (event, error) {
	const patience = 30 * time.Second // a few round trips, some of them lost
	timer := time.AfterFunc(patience, c.Stop)
	defer timer.Stop()
	var trouble string
	for {
		var e event
		if err := c.Next(&e); err != nil {
			return e, fmt.Errorf("no event %q within %v: %w%s", name, patience, err, trouble)
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

// peer is another tunnel, measured when its programs are on PATH. Visitors
// reach it over plain HTTP, without the TLS that a share has.
type peer struct {
	name string
	// files are written to its folder, in which its programs run.
	files map[string]string
	// relay and agent are command lines. In them and in files, RELAY is the relay's
	// address, and PORT that of the application, on loopback next to the agent.
	relay, agent string
	// host is in the URL of visitors; empty for the relay's address.
	host string
	// udp reports that it carries the game at peerGame.
	udp bool
}

// peerVisitors is the port for visitors of peers; piko's default. peerGame is the UDP port
// for those of the game.
const (
	peerVisitors = "8000"
	peerGame     = "8002"
)

// allPeers are set up as their own documents say, with defaults where they have
// any, so that each shows what its users get.
func allPeers() []peer {
	return []peer{
		frp("frp tcp", "tcp"),
		frp("frp quic", "quic"),
		{
			name:  "chisel",
			relay: "chisel server --reverse --port 8001",
			agent: "chisel client http://RELAY:8001 R:0.0.0.0:8000:127.0.0.1:PORT",
		},
		{
			name: "piko", host: "shop." + relayDomain,
			relay: "piko server",
			agent: "piko agent http shop PORT --connect.url http://RELAY:8001",
		},
		{
			name: "sish", host: "shop." + relayDomain,
			relay: "sish --ssh-address RELAY:2222 --http-address RELAY:8000 --domain " + relayDomain +
				" --authentication=false --bind-random-subdomains=false --private-keys-directory .",
			agent: "ssh -N -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -p 2222 -R shop:80:127.0.0.1:PORT RELAY",
		},
	}
}

func frp(name, protocol string) peer {
	return peer{
		name: name,
		files: map[string]string{
			"frps.toml": "bindPort = 7000\nquicBindPort = 7000\n",
			"frpc.toml": `serverAddr = "RELAY"
serverPort = 7000
loginFailExit = false
transport.protocol = "` + protocol + `"

[[proxies]]
name = "shop"
type = "tcp"
localIP = "127.0.0.1"
localPort = PORT
remotePort = 8000

[[proxies]]
name = "game"
type = "udp"
localIP = "127.0.0.1"
localPort = PORT
remotePort = ` + peerGame + `
`,
		},
		relay: "frps -c frps.toml",
		agent: "frpc -c frpc.toml",
		udp:   true,
	}
}

func (p peer) installed() bool {
	return !slices.ContainsFunc([]string{p.relay, p.agent}, func(command string) bool {
		_, err := exec.LookPath(strings.Fields(command)[0])
		return err != nil
	})
}

func (p peer) open(ctx context.Context, run *programs, rows []row) (*harness.Child, error) {
	port, err := run.upstream(ctx, wan.B)
	if err != nil {
		return nil, err
	}
	relay := run.link.Addr(wan.A).String()
	words := strings.NewReplacer("RELAY", relay, "PORT", strconv.Itoa(int(port)))
	for name, text := range p.files {
		if err := os.WriteFile(run.file(name), []byte(words.Replace(text)), 0o600); err != nil {
			return nil, err
		}
	}
	for side, line := range []string{wan.A: p.relay, wan.B: p.agent} {
		command := strings.Fields(words.Replace(line))
		c, err := run.start(ctx, wan.Side(side), command[0], nil, command...)
		if err != nil {
			return nil, err
		}
		go c.Drain()
	}
	host := cmp.Or(p.host, relay)
	return run.role(ctx, wan.A, spec{
		Role: "visitors", URL: "http://" + net.JoinHostPort(host, peerVisitors), Dial: net.JoinHostPort(relay, peerVisitors), Game: net.JoinHostPort(relay, peerGame), Rows: rows, Patient: true,
	})
}
