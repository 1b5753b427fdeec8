//go:build unix

package front

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"testing"
)

// adds has the project share more sockets, and returns it with their addresses.
func (p *project) adds() *project {
	p.t.Helper()
	next := *p
	if _, err := fmt.Sscanf(p.do("add"), "error: %s %s", &next.https, &next.http); err != nil {
		p.t.Fatal(err)
	}
	if next.https == p.https || next.http == p.http {
		p.t.Fatalf("the new sockets have the ports of the old ones: %s, %s", next.https, next.http)
	}
	return &next
}

// TestAdd: more sockets are shared while projects run, by the front or by another. All
// projects get connections on old and new ports; those that start later use the new
// ones.
func TestAdd(t *testing.T) {
	for _, adder := range []string{"the front", "another"} {
		t.Run(adder, func(t *testing.T) {
			dir := shortDir(t)
			a, b, c := start(t, dir, "a.localhost"), start(t, dir, "b.localhost"), start(t, dir, "c.localhost")
			open := a.overTLS("c.localhost")
			open.reaches(c)
			added := b
			if adder == "the front" {
				added = a
			}
			added = added.adds()
			d := start(t, dir, "d.localhost")
			if d.https != added.https || d.http != added.http {
				t.Errorf("a project that starts is at %s and %s, want %s and %s", d.https, d.http, added.https, added.http)
			}
			all := []*project{a, b, c, d}
			for len(all) > 1 {
				for _, at := range []*project{c, d} { // the old ports and the new ones
					for _, p := range all {
						at.overTLS(p.name).reaches(p)
						at.overHTTP(p.name).reaches(p)
					}
				}
				open.reaches(c)
				// With each front that is killed, another process must have all sockets.
				var dead int
				for i, p := range all {
					if p.isFront() {
						dead = i
					}
				}
				if all[dead] == c {
					return
				}
				all[dead].kill()
				all = append(all[:dead:dead], all[dead+1:]...)
			}
		})
	}
}

// TestAddBeforeTheEnd: sockets that a front has added outlive it.
func TestAddBeforeTheEnd(t *testing.T) {
	dir := shortDir(t)
	a, b := start(t, dir, "a.localhost"), start(t, dir, "b.localhost")
	added := a.adds()
	a.kill()
	for _, at := range []*project{a, added} {
		at.overTLS("b.localhost").reaches(b)
		at.overHTTP("b.localhost").reaches(b)
	}
}

// TestAddOfOlderFront: an older build does not say that it takes more sockets.
func TestAddOfOlderFront(t *testing.T) {
	s := &Shared{}
	l := &lease{shared: s}
	if err := l.add(nil); !errors.Is(err, ErrOlder) || s.all() != nil {
		t.Errorf("the error is %v", err)
	}
}

// TestGrowsWithoutDescriptors: a process without descriptors for the front's sockets still
// knows that the front takes more.
func TestGrowsWithoutDescriptors(t *testing.T) {
	l := &lease{shared: &Shared{sockets: sockets{{secure: true}}}}
	err := l.took(message{kind: kindSockets, content: []byte(`{"version":1,"https":["127.0.0.1:443"],"grows":true}`)})
	if err != nil || !l.grows {
		t.Errorf("the front takes more: %v (%v)", l.grows, err)
	}
}

// systemd is sockets as systemd makes them for a unit.
func systemd(t *testing.T, dir string) (files []*os.File) {
	t.Helper()
	bound, err := bindFree(context.Background())
	must(t, err)
	unixSocket, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(dir, socketFile), Net: "unix"})
	must(t, err)
	for _, l := range []interface {
		File() (*os.File, error)
		Close() error
	}{bound.HTTPS[0], bound.HTTP[0], unixSocket} {
		f, err := l.File()
		must(t, err)
		t.Cleanup(func() { l.Close(); f.Close() })
		files = append(files, f)
	}
	return files
}

// TestSystemdSockets: projects share sockets that systemd passed to one of them, also
// when that one ends, and the front's socket stays systemd's. A project that starts
// while none runs waits for the one that gets the sockets.
func TestSystemdSockets(t *testing.T) {
	dir := shortDir(t)
	passed := systemd(t, dir)
	before, err := os.Stat(filepath.Join(dir, socketFile))
	must(t, err)
	early := begin(t, dir) // connects to the socket, which no project accepts on yet
	activation, err := net.FileListener(passed[2])
	must(t, err)
	unanswered, err := activation.Accept()
	must(t, err)
	must(t, errors.Join(unanswered.Close(), activation.Close()))
	a := begin(t, dir, passed...).joined().named("a.localhost")
	early = early.joined().named("early.localhost")
	b := start(t, dir, "b.localhost")
	a.overTLS("b.localhost").reaches(b)
	if early.https != a.https || b.https != a.https {
		t.Fatalf("the ports are not shared: %s, %s, %s", a.https, early.https, b.https)
	}
	if !a.isFront() {
		t.Fatal("the process with the sockets is not the front")
	}
	a.kill()
	b.overTLS("b.localhost").reaches(b)
	c := start(t, dir, "c.localhost")
	c.overTLS("early.localhost").reaches(early)
	again := begin(t, dir, passed...).joined().named("a.localhost") // systemd starts it again
	if again.isFront() {
		t.Error("the process that systemd started again took the role from another")
	}
	c.overHTTP("a.localhost").reaches(again)
	for _, p := range []*project{early, b, c, again} {
		p.kill()
	}
	after, err := os.Stat(filepath.Join(dir, socketFile))
	if err != nil || !os.SameFile(before, after) {
		t.Errorf("the socket of systemd was replaced: %v", err)
	}
	last := begin(t, dir, passed...).joined().named("a.localhost")
	last.overTLS("a.localhost").reaches(last)
}

// TestLocal: on a wildcard address, only connections of this machine are served.
func TestLocal(t *testing.T) {
	at := func(ip string) net.Addr { return &net.TCPAddr{IP: net.ParseIP(ip), Port: 443} }
	for _, test := range []struct {
		listener, peer string
		want           bool
	}{
		{"0.0.0.0", "127.0.0.1", true},
		{"::", "::1", true},
		{"::", "127.0.0.1", true},
		{"0.0.0.0", "192.0.2.1", false},
		{"::", "2001:db8::1", false},
		{"::", "::ffff:192.0.2.1", false},
		{"127.0.0.1", "192.0.2.1", true}, // the kernel lets only this machine connect
	} {
		if got := Local(at(test.listener), at(test.peer)); got != test.want {
			t.Errorf("Local(%s, %s) = %v", test.listener, test.peer, got)
		}
	}
	if Local(at("::"), &net.UnixAddr{}) {
		t.Error("a peer that is not of TCP is served")
	}
}
