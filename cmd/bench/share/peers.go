package share

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/devproxy/devproxy/cmd/bench/harness"
	"github.com/devproxy/devproxy/tunnel/wan"
)

// peer is another tunnel, measured when its programs are on PATH. Visitors
// reach it over plain HTTP, which spares it the TLS that a share has.
type peer struct {
	name     string
	programs []string
	// files are written to its folder, in which its programs run.
	files func(p peerPlace) map[string]string
	// relay and agent are command lines.
	relay, agent func(p peerPlace) []string
	// host is what visitors ask for; empty is the relay's address.
	host string
}

// peerPlace is what a peer's command lines are made of.
type peerPlace struct {
	relay string // address of the relay
	port  uint16 // the application's, on loopback beside the agent
}

// peerVisitors is the port that visitors of peers come to; piko's default.
const peerVisitors = "8000"

// allPeers are set up as their own documents do, with defaults where they have
// any, so that each shows what its users get.
func allPeers() []peer {
	return []peer{
		frp("frp tcp", "tcp"),
		frp("frp quic", "quic"),
		{
			name: "chisel", programs: []string{"chisel"},
			relay: func(peerPlace) []string { return []string{"chisel", "server", "--reverse", "--port", "8001"} },
			agent: func(p peerPlace) []string {
				return []string{"chisel", "client", "http://" + p.relay + ":8001", fmt.Sprintf("R:0.0.0.0:%s:127.0.0.1:%d", peerVisitors, p.port)}
			},
		},
		{
			name: "piko", programs: []string{"piko"}, host: "shop." + relayDomain,
			relay: func(peerPlace) []string { return []string{"piko", "server"} },
			agent: func(p peerPlace) []string {
				return []string{"piko", "agent", "http", "shop", fmt.Sprint(p.port), "--connect.url", "http://" + p.relay + ":8001"}
			},
		},
		{
			name: "sish", programs: []string{"sish", "ssh"}, host: "shop." + relayDomain,
			relay: func(p peerPlace) []string {
				return []string{"sish", "--ssh-address", p.relay + ":2222", "--http-address", p.relay + ":" + peerVisitors, "--domain", relayDomain,
					"--authentication=false", "--bind-random-subdomains=false", "--private-keys-directory", "."}
			},
			agent: func(p peerPlace) []string {
				return []string{"ssh", "-N", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-p", "2222",
					"-R", fmt.Sprintf("shop:80:127.0.0.1:%d", p.port), p.relay}
			},
		},
	}
}

func frp(name, protocol string) peer {
	return peer{
		name: name, programs: []string{"frps", "frpc"},
		files: func(p peerPlace) map[string]string {
			return map[string]string{
				"frps.toml": "bindPort = 7000\nquicBindPort = 7000\n",
				"frpc.toml": fmt.Sprintf(`serverAddr = %q
serverPort = 7000
loginFailExit = false
transport.protocol = %q

[[proxies]]
name = "shop"
type = "tcp"
localIP = "127.0.0.1"
localPort = %d
remotePort = %s
`, p.relay, protocol, p.port, peerVisitors),
			}
		},
		relay: func(peerPlace) []string { return []string{"frps", "-c", "frps.toml"} },
		agent: func(peerPlace) []string { return []string{"frpc", "-c", "frpc.toml"} },
	}
}

// peers are those whose programs are here.
func (b bench) peers(cc string) []system {
	var found []system
	for _, p := range allPeers() {
		if p.here() {
			found = append(found, b.peer(p, cc))
		}
	}
	return found
}

func (p peer) here() bool {
	for _, program := range p.programs {
		if _, err := exec.LookPath(program); err != nil {
			return false
		}
	}
	return true
}

func (b bench) peer(p peer, cc string) system {
	return system{name: p.name, cc: cc, cannot: stalled, open: func(ctx context.Context, l *wan.Link, rows []row) (*harness.Child, func(), error) {
		r := &peerRun{bench: b, peer: p, link: l}
		load, err := r.open(ctx, rows)
		if err != nil {
			r.stop()
			return nil, nil, err
		}
		return load, func() { load.Stop(); r.stop() }, nil
	}}
}

// peerRun is a peer whose programs run.
type peerRun struct {
	bench    bench
	peer     peer
	link     *wan.Link
	dir      string
	children []*harness.Child
}

func (r *peerRun) open(ctx context.Context, rows []row) (*harness.Child, error) {
	place := peerPlace{relay: r.link.Addr(wan.A).String()}
	upstream, err := r.bench.role(ctx, r.link, wan.B, spec{Role: "upstream", Addr: "127.0.0.1:0"}, "")
	if err != nil {
		return nil, err
	}
	r.children = append(r.children, upstream)
	var m message
	if err := upstream.Next(&m); err != nil {
		return nil, err
	}
	place.port = netip.MustParseAddrPort(m.Ready).Port()
	if err := r.write(place); err != nil {
		return nil, err
	}
	if err := r.start(ctx, wan.A, r.peer.relay(place)); err != nil {
		return nil, err
	}
	if err := r.start(ctx, wan.B, r.peer.agent(place)); err != nil {
		return nil, err
	}
	at := place.relay + ":" + peerVisitors
	url := "http://" + at
	if r.peer.host != "" {
		url = "http://" + r.peer.host + ":" + peerVisitors
	}
	return r.bench.role(ctx, r.link, wan.A, spec{Role: "visitors", URL: url, Dial: at, Rows: rows, Patient: true}, "")
}

func (r *peerRun) write(place peerPlace) (err error) {
	if r.dir, err = os.MkdirTemp("", "bench-share-"); err != nil {
		return err
	}
	if r.peer.files == nil {
		return nil
	}
	for name, text := range r.peer.files(place) {
		if err := os.WriteFile(filepath.Join(r.dir, name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	return nil
}

func (r *peerRun) start(ctx context.Context, side wan.Side, command []string) error {
	cmd := r.link.Command(ctx, side, command[0], command[1:]...)
	cmd.Dir = r.dir
	c, err := harness.Start(command[0], cmd, r.bench.verbose)
	if err != nil {
		return err
	}
	r.children = append(r.children, c)
	go c.Drain()
	return nil
}

func (r *peerRun) stop() {
	for _, c := range r.children {
		c.Stop()
	}
	if r.dir != "" {
		_ = os.RemoveAll(r.dir)
	}
}
