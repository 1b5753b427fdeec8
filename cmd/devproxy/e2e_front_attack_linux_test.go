//go:build e2e

package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// inThreadOfNobody calls do in a thread of another user.
func inThreadOfNobody(t *testing.T, do func()) {
	t.Helper()
	var group sync.WaitGroup
	group.Go(func() {
		runtime.LockOSThread() // and it ends with this goroutine
		if _, _, errno := syscall.RawSyscall(syscall.SYS_SETRESUID, nobody, nobody, nobody); errno != 0 {
			t.Error(errno)
			return
		}
		do()
	})
	group.Wait()
}

// answeringHost is a host that answers its name.
func answeringHost(name string) string {
	return fmt.Sprintf("host %q { respond = { status = 200, body = %[1]q } }\n", name)
}

// neighbours are running projects that answer their name.
func neighbours(t *testing.T, names ...string) (all []*upProcess) {
	t.Helper()
	place := &upProcess{}
	place.home, place.state, place.env = privateState(t)
	for _, name := range names {
		all = append(all, startBeside(t, place, projectDir(t, answeringHost(name)), "up", "--json"))
	}
	for _, u := range all { // they start at once
		u.ready = u.await("ready")
		u.trust()
	}
	return all
}

// neighboursInTurn is neighbours with the first as the front.
func neighboursInTurn(t *testing.T, names ...string) []*upProcess {
	t.Helper()
	all := neighbours(t, names[0])
	for _, name := range names[1:] {
		u := startBeside(t, all[0], projectDir(t, answeringHost(name)), "up", "--json")
		u.ready = u.await("ready")
		u.trust()
		all = append(all, u)
	}
	return all
}

// answers checks that a project answers on a new connection.
func (u *upProcess) answers(name string) {
	u.t.Helper()
	client := u.client("h2")
	defer client.CloseIdleConnections()
	if code, body := fetch(u.t, client, u.url(name, "/")); code != http.StatusOK || body != name {
		u.t.Errorf("%s: %d %q", name, code, body)
	}
}

// TestE2EFirstAtOnce: of projects that start at the same time one is the front, and all
// have its ports.
func TestE2EFirstAtOnce(t *testing.T) {
	if !inNetwork(t) {
		return
	}
	for range 3 {
		names := []string{"a.localhost", "b.localhost", "c.localhost", "d.localhost"}
		all := neighbours(t, names...)
		for i, u := range all {
			if u.ready.HTTPS != "127.0.0.1:443" {
				t.Errorf("%s is at %s", names[i], u.ready.HTTPS)
			}
			u.answers(names[i])
		}
		for _, u := range all {
			u.stop()
		}
	}
}

// clientHello is the first message of crypto/tls for a name.
func clientHello(t *testing.T, name string) []byte {
	t.Helper()
	ours, theirs := net.Pipe()
	defer ours.Close()
	go func() { _ = tls.Client(theirs, &tls.Config{ServerName: name, InsecureSkipVerify: true}).Handshake() }()
	record := make([]byte, 1<<14)
	n, err := ours.Read(record)
	if err != nil {
		t.Fatal(err)
	}
	return record[:n]
}

// inRecords splits a ClientHello in records of one byte.
func inRecords(hello []byte) (out []byte) {
	for _, b := range hello[5:] {
		out = append(out, hello[0], hello[1], hello[2], 0, 1, b)
	}
	return out
}

// withTwoNames is a ClientHello whose server name extension has the name twice.
func withTwoNames(hello []byte, name string) []byte {
	entry := append([]byte{0, 0, byte(len(name))}, name...)
	list := append([]byte{0, byte(len(entry))}, entry...)
	extension := append([]byte{0, 0, 0, byte(len(list))}, list...)
	at := bytes.Index(hello, extension)
	out := append([]byte{}, hello[:at]...)
	out = append(out, 0, 0, 0, byte(len(list)+len(entry)), 0, byte(2*len(entry)))
	out = append(append(append(out, entry...), entry...), hello[at+len(extension):]...)
	binary.BigEndian.PutUint16(out[3:], uint16(len(out)-5))
	binary.BigEndian.PutUint16(out[7:], uint16(len(out)-9))
	// The length of all extensions follows the compression methods.
	session := 43 + 1 + int(out[43])
	suites := session + 2 + int(binary.BigEndian.Uint16(out[session:]))
	extensions := suites + 1 + int(out[suites])
	binary.BigEndian.PutUint16(out[extensions:], uint16(len(out)-extensions-2))
	return out
}

// TestE2EHostileClients: nothing that another user sends to the shared ports affects
// other clients.
func TestE2EHostileClients(t *testing.T) {
	if !inNetwork(t) {
		return
	}
	all := neighboursInTurn(t, "a.localhost", "b.localhost") // the first is the front
	hello := clientHello(t, "b.localhost")
	unanswered := map[string][]byte{
		"nothing":    nil,
		"one byte":   hello[:1],
		"a part":     hello[:len(hello)-1],
		"endless":    append([]byte{22, 3, 1, 0x40, 0, 1, 0, 0xff, 0xff}, bytes.Repeat([]byte("x"), 64<<10)...),
		"records":    bytes.Repeat([]byte{22, 3, 1, 0, 1, 1}, 12<<10),
		"a header":   bytes.Repeat([]byte("GET / HTTP/1.1\r\n"), 4<<10),
		"two names":  withTwoNames(hello, "b.localhost"),
		"zero byte":  bytes.Replace(hello, []byte("b.localhost"), []byte("b\x00localhost"), 1),
		"the length": bytes.Replace(hello, []byte("\x00\x0bb.localhost"), []byte("\xff\xffb.localhost"), 1),
	}
	inThreadOfNobody(t, func() {
		for what, begin := range unanswered {
			for _, port := range []string{"443", "80"} {
				for range 20 {
					c, err := net.Dial("tcp", "127.0.0.1:"+port)
					if err != nil {
						t.Error(err)
						return
					}
					defer c.Close()
					_ = c.SetWriteDeadline(time.Now().Add(patience))
					_, _ = c.Write(begin)
				}
			}
			for _, u := range all {
				u.answers(map[bool]string{true: "a.localhost", false: "b.localhost"}[u == all[0]])
			}
			if t.Failed() {
				t.Errorf("after %s", what)
				return
			}
		}
	})
	// More than wait for their turn.
	for range 2000 {
		c, err := net.Dial("tcp", "127.0.0.1:443")
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	// Clients that leave in the handshake, before the project has taken them.
	_ = all[1].cmd.Process.Signal(syscall.SIGSTOP)
	var leaving []net.Conn
	for range 200 {
		c, err := net.Dial("tcp", "127.0.0.1:443")
		if err != nil {
			t.Fatal(err)
		}
		_, _ = c.Write(hello)
		_ = c.(*net.TCPConn).SetLinger(0)
		leaving = append(leaving, c)
	}
	all[0].answers("a.localhost") // the front has passed them on
	for _, c := range leaving {
		c.Close()
	}
	_ = all[1].cmd.Process.Signal(syscall.SIGCONT)
	all[0].answers("a.localhost")
	all[1].answers("b.localhost")
	// A ClientHello in records of one byte is unusual, not wrong.
	c, err := net.Dial("tcp", "127.0.0.1:443")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience))
	if _, err := c.Write(inRecords(hello)); err != nil {
		t.Fatal(err)
	}
	if first := make([]byte, 1); read(c, first) != nil || first[0] != 22 {
		t.Errorf("the answer to a ClientHello in many records begins with %d, want a handshake", first[0])
	}
}

func read(c net.Conn, p []byte) error {
	_, err := io.ReadFull(c, p)
	return err
}

// TestE2EFrontOfAnotherUser: other users can't reach the front's files. If a script opens
// these to them, the process still refuses them.
func TestE2EFrontOfAnotherUser(t *testing.T) {
	if !inNetwork(t) {
		return
	}
	all := neighbours(t, "a.localhost", "b.localhost")
	var run string
	for _, entry := range all[0].env {
		if value, ok := strings.CutPrefix(entry, "XDG_RUNTIME_DIR="); ok {
			run = filepath.Join(value, "devproxy")
		}
	}
	files, err := os.ReadDir(run)
	if err != nil {
		t.Fatal(err)
	}
	inThreadOfNobody(t, func() {
		if _, err := os.ReadDir(run); err == nil {
			t.Error("another user can list the runtime directory")
		}
		for _, f := range files {
			if _, err := os.Open(filepath.Join(run, f.Name())); err == nil {
				t.Errorf("another user can open %s", f.Name())
			}
			if _, err := net.Dial("unix", filepath.Join(run, f.Name())); err == nil {
				t.Errorf("another user can connect to %s", f.Name())
			}
		}
	})
	for dir := run; len(dir) > len("/tmp"); dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	sockets := 0
	for _, f := range files {
		if filepath.Ext(f.Name()) != ".sock" {
			continue
		}
		sockets++
		path := filepath.Join(run, f.Name())
		if err := os.Chmod(path, 0o666); err != nil {
			t.Fatal(err)
		}
		inThreadOfNobody(t, func() {
			c, err := net.Dial("unix", path)
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			_ = c.SetDeadline(time.Now().Add(patience))
			content := `{"version":1,"pid":1}`
			_, _ = c.Write(append([]byte{'h', 0, 0, 0, byte(len(content))}, content...))
			if answer, _ := io.ReadAll(c); len(answer) > 0 {
				t.Errorf("%s answers another user: %q", f.Name(), answer)
			}
		})
	}
	if sockets != 3 {
		t.Errorf("%d sockets, want the front's and one for each project", sockets)
	}
	all[1].answers("b.localhost")
}

// TestE2ERuntimeDirectoryOfAnotherUser: in a temporary directory anyone may make the
// folder first.
func TestE2ERuntimeDirectoryOfAnotherUser(t *testing.T) {
	needRoot(t, "to be two users")
	for name, prepare := range map[string]func(path string) error{
		"belongs to another user": func(path string) error {
			if err := os.Mkdir(path, 0o700); err != nil {
				return err
			}
			return os.Chown(path, nobody, nobody)
		},
		"is not a folder": func(path string) error { return os.Symlink(filepath.Dir(path), path) },
	} {
		place := &upProcess{}
		place.home, place.state, place.env = privateState(t)
		temporary := shortDir(t)
		if err := prepare(filepath.Join(temporary, fmt.Sprint("devproxy-", os.Geteuid()))); err != nil {
			t.Fatal(err)
		}
		env := append(place.env, "XDG_RUNTIME_DIR=", "TMPDIR="+temporary)
		out, err := runIn(t, projectDir(t, "host \"a.localhost\" { respond = 204 }\n"), env, "devproxy", "up", "--https", ":0")
		if err == nil || !strings.Contains(out, name) || !strings.Contains(out, "XDG_RUNTIME_DIR") {
			t.Errorf("%v, %s; want it to say %q", err, out, name)
		}
	}
}

// TestE2ENamesWhilePortsChange: a project that moves to the shared ports with a name that
// another one has keeps the names that it serves.
func TestE2ENamesWhilePortsChange(t *testing.T) {
	if !inNetwork(t) {
		return
	}
	a := neighbours(t, "a.localhost")[0]
	place := &upProcess{home: a.home, state: a.state, env: a.env}
	b := startBeside(t, place, projectDir(t, answeringHost("b.localhost")+"listen { https = 9443 }\n"), "up", "--json")
	b.ready = b.await("ready")
	b.trust()
	b.answers("b.localhost")
	b.save("Proxyfile", answeringHost("b.localhost")+answeringHost("a.localhost"))
	if e := b.await("rejected"); !strings.Contains(e.Error, "a.localhost is already served by") {
		t.Errorf("the save: %s", e.Line)
	}
	b.ready = a.ready
	b.trust()
	b.answers("b.localhost")
	a.answers("a.localhost")
	// A port that the project would need for itself is refused, and no request is lost.
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range 20 {
			a.answers("a.localhost")
			b.answers("b.localhost")
		}
	}()
	a.save("Proxyfile", answeringHost("a.localhost")+"listen { https = 443 }\n")
	if e := a.await("rejected"); !strings.Contains(e.Error, "443") {
		t.Errorf("the save: %s", e.Line)
	}
	<-done
}

// runIn runs a program in a folder to its end.
func runIn(t *testing.T, dir string, env []string, name string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, needTool(t, name), args...)
	cmd.Dir, cmd.Env = dir, env
	out, err := cmd.CombinedOutput()
	return string(out), err
}
