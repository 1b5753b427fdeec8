//go:build e2e

package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// unusedPort returns a port that nothing listens on.
func unusedPort(t *testing.T) int {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port
}

// postgresProgram is a program of PostgreSQL's server, which Debian keeps out of PATH.
func postgresProgram(t *testing.T, name string) string {
	t.Helper()
	needTool(t, "pgbench") // of the same package
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/" + name)
	if len(found) == 0 {
		return needTool(t, name)
	}
	return found[len(found)-1]
}

// startPostgres runs a PostgreSQL until the test ends, and returns how it is started
// again. It does not run as root.
func startPostgres(t *testing.T, port int) (start func() *exec.Cmd) {
	t.Helper()
	dir := shortDir(t)
	credential := &syscall.SysProcAttr{}
	if os.Geteuid() == 0 {
		owner, err := user.Lookup("postgres")
		if err != nil {
			t.Fatal(err)
		}
		uid, _ := strconv.Atoi(owner.Uid)
		gid, _ := strconv.Atoi(owner.Gid)
		if err := os.Chown(dir, uid, gid); err != nil {
			t.Fatal(err)
		}
		credential.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	}
	run := func(name string, args ...string) *exec.Cmd {
		cmd := exec.Command(postgresProgram(t, name), args...)
		cmd.Dir, cmd.SysProcAttr = dir, credential
		return cmd
	}
	data := filepath.Join(dir, "data")
	if out, err := run("initdb", "--no-sync", "--auth=trust", "--username=shop", data).CombinedOutput(); err != nil {
		t.Fatalf("initdb: %v\n%s", err, out)
	}
	return func() *exec.Cmd {
		cmd := run("postgres", "-D", data, "-F", "-p", strconv.Itoa(port), "-k", dir, "-c", "listen_addresses=127.0.0.1")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			_ = cmd.Process.Signal(syscall.SIGQUIT) // it may have ended
			_ = cmd.Wait()
		})
		return cmd
	}
}

// postgresEnv is the environment of clients of a PostgreSQL.
func postgresEnv(host string, port int) []string {
	return []string{"PGHOST=" + host, fmt.Sprintf("PGPORT=%d", port), "PGUSER=shop", "PGDATABASE=postgres", "PGCONNECT_TIMEOUT=60"}
}

// noFailures is in the output of pgbench.
var noFailures = regexp.MustCompile(`number of failed transactions: 0 `)

// tool runs a program and returns its output.
type tool func(name string, args ...string) (string, error)

// toolWith runs programs of this machine in an environment.
func toolWith(t *testing.T, env []string) tool {
	return func(name string, args ...string) (string, error) {
		return runTool(t, 2*patience, env, name, args...)
	}
}

// initPgbench makes the tables of pgbench. A server that starts refuses with an error of
// its own.
func (run tool) initPgbench() error {
	for {
		out, err := run("pgbench", "--initialize", "--quiet", "--scale=1")
		if err == nil {
			return nil
		}
		if !strings.Contains(out, "starting up") {
			return fmt.Errorf("%w\n%s", err, out)
		}
	}
}

// pgbench runs pgbench for three seconds. A failed transaction is an error.
func (run tool) pgbench() (string, error) {
	out, err := run("pgbench", "--client=8", "--jobs=2", "--time=3", "--no-vacuum")
	if err == nil && !noFailures.MatchString(out) {
		err = errors.New("transactions have failed")
	}
	if err != nil {
		err = fmt.Errorf("pgbench: %w\n%s", err, out)
	}
	return out, err
}

// TestE2EPostgres runs pgbench through a tcp block, while the file is saved.
func TestE2EPostgres(t *testing.T) {
	server, listen := unusedPort(t), unusedPort(t)
	start := startPostgres(t, server)
	file := func(status, more string) string {
		return fmt.Sprintf("host \"shop.localhost\" { respond = %s }\ntcp \"postgres\" {\n  listen = %d\n  upstream = %d\n}\n%s", status, listen, server, more)
	}
	u := startUp(t, projectDir(t, file("204", "")))
	run := toolWith(t, append(slices.Clone(u.env), postgresEnv("127.0.0.1", listen)...))

	// The first connection waits until the server has started.
	first := make(chan error, 1)
	go func() { first <- run.initPgbench() }()
	start()
	if err := <-first; err != nil {
		t.Fatal(err)
	}

	type outcome struct {
		text string
		err  error
	}
	done := make(chan outcome, 1)
	go func() {
		text, err := run.pgbench()
		done <- outcome{text, err}
	}()
	saves := 0
	var bench outcome
	for running := true; running; {
		select {
		case bench = <-done:
			running = false
		default:
			saves++
			u.save("Proxyfile", file(strconv.Itoa(200+saves%2*4), fmt.Sprintf("tcp \"other\" { upstream = %d }\n", 1+saves%2)))
			u.await("applied")
		}
	}
	if bench.err != nil {
		t.Error(bench.err)
	}
	t.Logf("%d saves\n%s", saves, bench.text)
}

// serveDNS answers each query on socket with 20 addresses, until the test ends.
func serveDNS(t *testing.T, socket net.PacketConn) (port int) {
	t.Helper()
	runDNS(t, &dns.Server{PacketConn: socket, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, asked *dns.Msg) {
		answer := new(dns.Msg)
		answer.SetReply(asked)
		for i := range 20 {
			record, _ := dns.NewRR(fmt.Sprintf("%s 60 IN A 192.0.2.%d", asked.Question[0].Name, i+1))
			answer.Answer = append(answer.Answer, record)
		}
		_ = w.WriteMsg(answer)
	})})
	return boundPort(socket)
}

// boundPort is the port of a socket.
func boundPort(socket net.PacketConn) int { return socket.LocalAddr().(*net.UDPAddr).Port }

// digArguments ask the server of serveDNS at a port of this machine.
func digArguments(host string, port int) []string {
	return []string{"@" + host, "-p", strconv.Itoa(port), "+notcp", "+ignore", "+short", "+bufsize=4096", "+tries=5", "shop.example", "A"}
}

// TestE2EDNS asks a DNS server through a udp block.
func TestE2EDNS(t *testing.T) {
	needTool(t, "dig")
	socket, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	listen := unusedPort(t)
	startUp(t, projectDir(t, fmt.Sprintf("host \"shop.localhost\" { respond = 204 }\nudp \"dns\" {\n  listen = %d\n  upstream = %d\n}\n", listen, serveDNS(t, socket))))
	out, err := runTool(t, patience, nil, "dig", digArguments("127.0.0.1", listen)...)
	if got := strings.Fields(out); err != nil || len(got) != 20 || !slices.Contains(got, "192.0.2.20") {
		t.Errorf("dig: %v\n%s", err, out)
	}
}

const (
	// ticks and tick are the game loop: 60 packets a second for three seconds.
	ticks = 180
	tick  = time.Second / 60
	// slowTick is how late an answer may come, on a busy machine with the race detector.
	slowTick = time.Second
)

// TestE2EGame plays a game loop over a udp block, next to a download over a tcp block.
func TestE2EGame(t *testing.T) {
	game, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	files, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	serveGame(t, game, files)
	udpPort, tcpPort := unusedPort(t), unusedPort(t)
	startUp(t, projectDir(t, fmt.Sprintf(`host "shop.localhost" { respond = 204 }
udp "game" {
  listen   = %d
  upstream = %d
}
tcp "files" {
  listen   = %d
  upstream = %d
}
`, udpPort, boundPort(game), tcpPort, files.Addr().(*net.TCPAddr).Port)))
	download, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", tcpPort))
	if err != nil {
		t.Fatal(err)
	}
	player, err := net.Dial("udp", fmt.Sprintf("127.0.0.1:%d", udpPort))
	if err != nil {
		t.Fatal(err)
	}
	played := play(t, player, download)
	// The system may drop some on a machine that is busy.
	if len(played.delays) < ticks*9/10 || played.percentile(95) > slowTick {
		t.Fatalf("%d of %d packets came back, the slowest after %v", len(played.delays), ticks, played.delays)
	}
	if played.downloaded < 10<<20 {
		t.Errorf("the download moved %d bytes", played.downloaded)
	}
	t.Log(played)
}

// serveGame sends each packet back, and bytes without end to each connection, until the
// test ends.
func serveGame(t *testing.T, game net.PacketConn, files net.Listener) {
	t.Helper()
	t.Cleanup(func() {
		game.Close()
		files.Close()
	})
	go func() {
		buffer := make([]byte, 1500)
		for {
			n, from, err := game.ReadFrom(buffer)
			if err != nil {
				return
			}
			_, _ = game.WriteTo(buffer[:n], from)
		}
	}()
	go func() {
		for {
			c, err := files.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				block := bytes.Repeat([]byte("x"), 1<<20)
				for {
					if _, err := c.Write(block); err != nil {
						return
					}
				}
			}()
		}
	}()
}

// played is a game loop that has ended.
type played struct {
	delays     []time.Duration // of the packets that came back, sorted
	downloaded int64           // bytes
}

func (p played) percentile(n int) time.Duration { return p.delays[len(p.delays)*n/100] }

func (p played) String() string {
	return fmt.Sprintf("%d of %d packets, p50 %v, p95 %v, next to %d MiB", len(p.delays), ticks, p.percentile(50), p.percentile(95), p.downloaded>>20)
}

// play sends the packets of a game loop, next to a download. It closes both connections.
func play(t *testing.T, player, download net.Conn) played {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	stop := context.AfterFunc(ctx, func() { download.Close() })
	defer stop()
	received := make(chan int64, 1)
	go func() {
		n, _ := io.Copy(io.Discard, download)
		received <- n
	}()

	defer player.Close()
	var delays []time.Duration
	start := time.Now()
	go func() {
		packet := make([]byte, 100)
		for i := range ticks {
			binary.BigEndian.PutUint64(packet, uint64(time.Since(start)))
			_, _ = player.Write(packet)
			<-time.After(time.Until(start.Add(time.Duration(i+1) * tick)))
		}
	}()
	buffer := make([]byte, 1500)
	_ = player.SetReadDeadline(start.Add(ticks*tick + slowTick))
	for len(delays) < ticks {
		n, err := player.Read(buffer)
		if err != nil {
			if !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Error(err)
			}
			break
		}
		if n != 100 {
			t.Errorf("a packet of %d bytes", n)
		}
		delays = append(delays, time.Since(start)-time.Duration(binary.BigEndian.Uint64(buffer)))
	}
	cancel()
	slices.Sort(delays)
	return played{delays, <-received}
}
