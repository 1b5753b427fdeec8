//go:build e2e

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/devproxy/devproxy/devproxy/control"
	"github.com/devproxy/devproxy/tunnel/wan"
)

// sharedPorts are the blocks in an event about a share.
func sharedPorts(t *testing.T, e upEvent) []control.SharedPort {
	t.Helper()
	var shared struct{ Ports []control.SharedPort }
	decodeEvent(t, e, &shared)
	return shared.Ports
}

// beginPorts shares a project with blocks, and returns them.
func (r *devRelay) beginPorts(t *testing.T, file string) (*sharedProject, []control.SharedPort) {
	t.Helper()
	p := r.beginShare(t, projectDir(t, file), nil, "--allow")
	p.ready = p.await("ready")
	p.trust()
	e := p.awaitPast("shared")
	p.noteLink(e)
	return p, sharedPorts(t, e)
}

// TestE2ESharedPostgres runs pgbench through a share, while the file is saved, and changes
// who may connect.
func TestE2ESharedPostgres(t *testing.T) {
	server, public := unusedPort(t), unusedPort(t)
	start := startPostgres(t, server)
	file := func(access string, status int, more string) string {
		return fmt.Sprintf("host \"shop.localhost\" { respond = %d }\ntcp \"postgres\" {\n  upstream = %d\n  %s\n}\n%s", status, server, access, more)
	}
	const shared, office = "share { tcp = [tcp.postgres] }\n", "allow = [\"203.0.113.0/24\"]"
	r := startDevRelay(t, "--tcp-ports", strconv.Itoa(public))
	p, ports := r.beginPorts(t, file("public = true", 200, shared))
	if want := "share.localhost:" + strconv.Itoa(public); len(ports) != 1 || ports[0].Address != want || !ports[0].Public {
		t.Fatalf("the share has %+v", ports)
	}
	env := append(slices.Clone(p.env), postgresEnv("127.0.0.1", public)...)
	start()
	run := toolWith(t, env)
	if err := run.initPgbench(); err != nil {
		t.Fatal(err)
	}

	done := make(chan error, 1)
	go func() {
		_, err := run.pgbench()
		done <- err
	}()
	saves := 0
	for running := true; running; {
		select {
		case err := <-done:
			if running = false; err != nil {
				t.Error(err)
			}
		default:
			saves++
			p.save("Proxyfile", file("public = true", 200+saves%2*4, shared))
			p.await("applied")
		}
	}
	t.Logf("%d saves", saves)

	// Who may connect changes at once, under the same link.
	link := p.link
	query := func() error {
		out, err := runTool(t, patience, env, "psql", "--no-psqlrc", "--tuples-only", "--command=SELECT 1")
		if err != nil {
			err = fmt.Errorf("%w\n%s", err, out)
		}
		return err
	}
	change := func(text string) []control.SharedPort {
		t.Helper()
		p.save("Proxyfile", text)
		p.await("applied")
		e := p.awaitPast("shared")
		p.noteLink(e)
		return sharedPorts(t, e)
	}
	open := dialPostgres(t, public)
	change(file("allow = [\"127.0.0.1\", \"::1\"]", 200, shared))
	if err := query(); err != nil {
		t.Errorf("an address that is allowed: %v", err)
	}
	stays(t, open, "a connection that is still allowed")
	change(file(office, 200, shared))
	ends(t, open, "a connection that is not allowed any more")
	if err := query(); err == nil {
		t.Error("an address that is not allowed can connect")
	}
	change(file("public = true", 200, shared))
	open = dialPostgres(t, public)
	if ports := change(file("public = true", 200, "")); len(ports) > 0 {
		t.Errorf("without the block the share has %+v", ports)
	}
	ends(t, open, "a connection to a block that is not shared any more")
	if err := query(); err == nil {
		t.Error("a block that is not shared accepts")
	}
	if again := change(file("public = true", 200, shared)); len(again) != 1 || again[0].Address != ports[0].Address {
		t.Errorf("shared again it has %+v", again)
	}
	if err := query(); err != nil {
		t.Errorf("shared again: %v", err)
	}
	if p.link != link {
		t.Errorf("the link has moved from %s to %s", link, p.link)
	}
	open = dialPostgres(t, public)
	p.stop()
	ends(t, open, "a connection of a share that has ended")
}

// dialPostgres opens a connection that the server has answered.
func dialPostgres(t *testing.T, port int) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(patience))
	if _, err := c.Write([]byte{0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f}); err != nil { // an SSLRequest
		t.Fatal(err)
	}
	if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
		t.Fatalf("the server does not answer: %v", err)
	}
	return c
}

// stays wants an open connection to PostgreSQL to work.
func stays(t *testing.T, c net.Conn, what string) {
	t.Helper()
	if _, err := c.Write([]byte{0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x30}); err != nil { // a GSSENCRequest
		t.Errorf("%s: %v", what, err)
	}
	if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
		t.Errorf("%s: %v", what, err)
	}
}

// ends wants an open connection to end.
func ends(t *testing.T, c net.Conn, what string) {
	t.Helper()
	if n, err := c.Read(make([]byte, 1)); err == nil {
		t.Errorf("%s: %d bytes", what, n)
	} else if errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%s does not end", what)
	}
}

// TestE2ESharedDNS asks a DNS server through a share, as long as the address is allowed.
func TestE2ESharedDNS(t *testing.T) {
	needTool(t, "dig")
	socket, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server, public := serveDNS(t, socket), unusedPort(t)
	file := func(access string) string {
		return fmt.Sprintf("host \"shop.localhost\" { respond = 204 }\nudp \"dns\" {\n  upstream = %d\n  %s\n}\nshare { udp = [udp.dns] }\n", server, access)
	}
	r := startDevRelay(t, "--udp-ports", strconv.Itoa(public))
	p, ports := r.beginPorts(t, file("public = true"))
	if want := "share.localhost:" + strconv.Itoa(public); len(ports) != 1 || ports[0].Address != want {
		t.Fatalf("the share has %+v", ports)
	}
	dig := func(more ...string) (answers []string, err error) {
		out, err := runTool(t, patience, nil, "dig", append(digArguments("127.0.0.1", public), more...)...)
		return strings.Fields(out), err
	}
	if got, err := dig(); err != nil || len(got) != 20 || !slices.Contains(got, "192.0.2.20") {
		t.Errorf("dig: %v, %q", err, got)
	}
	change := func(access string) {
		t.Helper()
		p.save("Proxyfile", file(access))
		p.await("applied")
		p.awaitPast("shared")
	}
	change("allow = [\"203.0.113.0/24\"]")
	if got, err := dig("+tries=1", "+timeout=1"); err == nil {
		t.Errorf("an address that is not allowed gets %q", got)
	}
	change("allow = [\"127.0.0.0/8\"]")
	if got, err := dig(); err != nil || len(got) != 20 {
		t.Errorf("an address that is allowed: %v, %q", err, got)
	}
}

// TestE2ESharedPortsPath uses a database, a DNS server and a game through a share on an
// emulated path of 40 ms, from next to the relay.
func TestE2ESharedPortsPath(t *testing.T) {
	needTool(t, "dig")
	n := newDropPath(t, 0)
	number := unusedPort(t)
	start := startPostgres(t, number)
	database := start()
	var socket, game net.PacketConn
	var files net.Listener
	if err := n.link.Enter(wan.B, func() (err error) {
		if socket, err = net.ListenPacket("udp", "127.0.0.1:0"); err != nil {
			return err
		}
		if game, err = net.ListenPacket("udp", "127.0.0.1:0"); err != nil {
			return err
		}
		files, err = net.Listen("tcp", "127.0.0.1:0")
		return err
	}); err != nil {
		t.Fatal(err)
	}
	serveGame(t, game, files)
	n.startRelay("--tcp-ports", "20000-20009", "--udp-ports", "20000-20009")
	// A unix socket is the same in both networks.
	shared := n.startProject(fmt.Sprintf(`host "shop.localhost" { respond = 204 }
tcp "postgres" {
  upstream = "unix:%s"
  allow    = [%q]
}
tcp "files" {
  upstream = %d
  public   = true
}
udp "dns" {
  upstream = %d
  public   = true
}
udp "game" {
  upstream = %d
  public   = true
}
share {
  tcp = [tcp.postgres, tcp.files]
  udp = [udp.dns, udp.game]
}
`, filepath.Join(database.Dir, fmt.Sprintf(".s.PGSQL.%d", number)), n.link.Addr(wan.A), files.Addr().(*net.TCPAddr).Port, serveDNS(t, socket), boundPort(game)), "--allow")
	ports := map[string]int{}
	for _, p := range sharedPorts(t, upEvent{Line: shared.Line}) {
		host, port, err := net.SplitHostPort(p.Address)
		if err != nil || host != dropDomain {
			t.Fatalf("%s is at %q: %v %s", p, p.Address, err, p.Error)
		}
		ports[p.Name], _ = strconv.Atoi(port)
	}
	at := n.link.Addr(wan.A).String()
	run := tool(func(name string, args ...string) (string, error) {
		ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
		defer cancel()
		cmd := n.link.Command(ctx, wan.A, needTool(t, name), args...)
		cmd.Env = append(slices.Clone(n.env), postgresEnv(at, ports["postgres"])...)
		out, err := cmd.CombinedOutput()
		return string(out), err
	})
	if err := run.initPgbench(); err != nil {
		t.Fatal(err)
	}
	out, err := run.pgbench()
	if err != nil {
		t.Error(err)
	}
	t.Log(out)
	if out, err := run("dig", digArguments(at, ports["dns"])...); err != nil || len(strings.Fields(out)) != 20 {
		t.Errorf("dig: %v\n%s", err, out)
	}
	var player, download net.Conn
	if err := n.link.Enter(wan.A, func() (err error) {
		if player, err = net.Dial("udp", net.JoinHostPort(at, strconv.Itoa(ports["game"]))); err != nil {
			return err
		}
		download, err = net.Dial("tcp", net.JoinHostPort(at, strconv.Itoa(ports["files"])))
		return err
	}); err != nil {
		t.Fatal(err)
	}
	played := play(t, player, download)
	if len(played.delays) < ticks*9/10 || played.percentile(95) > slowTick {
		t.Fatalf("%d of %d packets came back, the slowest after %v", len(played.delays), ticks, played.delays)
	}
	t.Log(played)
}
