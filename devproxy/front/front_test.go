//go:build unix

package front

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestNames checks which project gets the connections for a name, on both ports.
func TestNames(t *testing.T) {
	dir := shortDir(t)
	a := start(t, dir, "shop.localhost", "*.shop.localhost")
	b := start(t, dir, "blog.localhost", "api.shop.localhost")
	if a.https != b.https || a.http != b.http {
		t.Fatalf("the ports are not shared: %s and %s, %s and %s", a.https, b.https, a.http, b.http)
	}
	for name, want := range map[string]*project{
		"shop.localhost":       a,
		"SHOP.localhost":       a,
		"admin.shop.locaLhost": a,
		"blog.localhost":       b,
		"api.shop.localhost":   b, // exact before wildcard
		"x.y.shop.localhost":   a, // unknown: the front's
		"other.localhost":      a,
		"127.0.0.1":            a,
	} {
		a.overTLS(name).reaches(want)
		a.overHTTP(name).reaches(want)
		a.overHTTP(name + ":80").reaches(want)
	}
	b.does("names blog.localhost new.localhost")
	a.overTLS("new.localhost").reaches(b)
	a.overTLS("api.shop.localhost").reaches(a)
}

// TestTakenName: the second project is refused, and keeps what it had.
func TestTakenName(t *testing.T) {
	dir := shortDir(t)
	a := start(t, dir, "shop.localhost", "blog.localhost")
	b := start(t, dir, "mail.localhost")
	want := fmt.Sprintf("error: blog.localhost is already served by /%s/Proxyfile, line 2", a.pid())
	if got := b.do("names mail.localhost blog.localhost"); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := a.do("names shop.localhost mail.localhost"); !strings.Contains(got, "mail.localhost is already served by /"+b.pid()+"/Proxyfile, line 1") {
		t.Errorf("the front's own name: %q", got)
	}
	a.overTLS("mail.localhost").reaches(b)
	a.overTLS("blog.localhost").reaches(a)
	a.kill()
	eventually(t, "the name of a killed project is free", func() bool { return b.do("names mail.localhost blog.localhost") == "ok" })
	b.overTLS("blog.localhost").reaches(b)
}

// TestKilledProject: its names are gone at once, and those of others are served.
func TestKilledProject(t *testing.T) {
	dir := shortDir(t)
	a, b, c := start(t, dir, "a.localhost"), start(t, dir, "b.localhost"), start(t, dir, "c.localhost")
	b.kill()
	c.overTLS("b.localhost").reaches(a)
	c.overTLS("c.localhost").reaches(c)
}

// TestKilledFront kills the front again and again. Connections of other projects stay,
// and new ones made at that moment are served.
func TestKilledFront(t *testing.T) {
	dir := shortDir(t)
	var projects []*project
	for i := range 6 {
		projects = append(projects, start(t, dir, fmt.Sprintf("p%d.localhost", i)))
	}
	for len(projects) > 1 {
		front, rest := frontOf(t, projects)
		open := map[*project]*client{}
		for _, p := range rest {
			open[p] = p.overTLS(p.name)
			open[p].reaches(p)
		}
		front.kill()
		for _, p := range rest {
			p.overTLS(p.name).reaches(p)
			p.overHTTP(p.name).reaches(p)
			open[p].reaches(p)
		}
		projects = rest
	}
}

// frontOf splits projects into the front and the rest.
func frontOf(t *testing.T, projects []*project) (front *project, rest []*project) {
	t.Helper()
	for _, p := range projects {
		switch {
		case !p.isFront():
			rest = append(rest, p)
		case front != nil:
			t.Fatal("two processes are the front")
		default:
			front = p
		}
	}
	if front == nil {
		t.Fatal("no process is the front")
	}
	return front, rest
}

// TestFrontEndsInOrder: a connection that has sent nothing yet, or a part of its
// ClientHello, is served by the next front.
func TestFrontEndsInOrder(t *testing.T) {
	for _, command := range []string{"close", "stepdown"} {
		t.Run(command, func(t *testing.T) {
			dir := shortDir(t)
			a, b := start(t, dir, "a.localhost"), start(t, dir, "b.localhost")
			silent, err := net.Dial("tcp", a.http)
			must(t, err)
			defer silent.Close()
			begun := dialed(t, a.http, requestBegins)
			a.does(command)
			eventually(t, "the other project is the front", b.isFront)
			if command == "stepdown" {
				b.overTLS("a.localhost").reaches(a)
			}
			answered(t, begun, requestEnds, b)
			answered(t, silent, "GET / HTTP/1.1\r\nHost: b.localhost\r\n\r\n", b)
			b.does("stepdown") // with another project or alone
			b.overTLS("b.localhost").reaches(b)
		})
	}
}

// answered sends the rest of a request.
func answered(t *testing.T, c net.Conn, rest string, by *project) {
	t.Helper()
	_ = c.SetDeadline(time.Now().Add(soon))
	if _, err := io.WriteString(c, rest); err != nil {
		t.Error(err)
		return
	}
	answer := make([]byte, 4096)
	n, err := c.Read(answer)
	if err != nil || !strings.HasSuffix(string(answer[:n]), by.pid()) {
		t.Errorf("%v: %q, want an answer of %s", err, answer[:n], by.pid())
	}
}

// TestManyAtOnce: of many first projects one is the front, and all share its ports.
func TestManyAtOnce(t *testing.T) {
	dir := shortDir(t)
	var all []*project
	for range 6 {
		all = append(all, begin(t, dir))
	}
	for i, p := range all {
		p.joined()
		p.name = fmt.Sprintf("p%d.localhost", i)
		p.does("names " + p.name)
	}
	frontOf(t, all)
	for _, p := range all {
		if p.https != all[0].https {
			t.Errorf("%s and %s", p.https, all[0].https)
		}
		p.overTLS(p.name).reaches(p)
	}
}

// TestStoppedProject: a process that does not take its connections holds up no other,
// and gets them when it continues.
func TestStoppedProject(t *testing.T) {
	dir := shortDir(t)
	a, b := start(t, dir, "a.localhost"), start(t, dir, "b.localhost")
	b.signal(syscall.SIGSTOP)
	const many = 700 // more than the kernel holds for one socket
	var waiting []net.Conn
	for range many {
		waiting = append(waiting, dialed(t, a.http, requestForB))
	}
	for range 20 {
		a.overTLS("a.localhost").reaches(a)
	}
	b.signal(syscall.SIGCONT)
	for _, c := range waiting {
		answered(t, c, "", b)
	}
}

// TestUnknownNameAfterAChange: after a change of the front, a connection for a name that is not
// registered again yet waits for it.
func TestUnknownNameAfterAChange(t *testing.T) {
	dir := shortDir(t)
	a, b := start(t, dir, "a.localhost"), start(t, dir, "b.localhost")
	a.kill()
	b.overTLS("a.localhost").reaches(b) // after the grace period
	c := start(t, dir, "a.localhost")
	b.overTLS("a.localhost").reaches(c)
}

// TestOtherVersion: a build that is newer sends more, and an older front ignores what
// it does not know.
func TestOtherVersion(t *testing.T) {
	dir := shortDir(t)
	a := start(t, dir, "a.localhost")
	w := wireTo(t, dir)
	must(t, w.sendJSON(kindHello, map[string]any{"version": 7, "pid": 1, "colour": "blue"}))
	m, err := w.receive()
	must(t, err)
	if len(m.files) != 2 || !strings.Contains(string(m.content), `"version":1`) {
		t.Errorf("%d sockets, %s", len(m.files), m.content)
	}
	m.close()
	must(t, w.sendJSON('?', "a kind of the future"))
	must(t, w.sendJSON(kindNames, map[string]any{"names": []map[string]any{{"name": "b.localhost", "owner": "ann"}}}))
	m, err = w.receive()
	must(t, err)
	if m.kind != kindResult || string(m.content) != `{"taken":null}` {
		t.Errorf("%q %s", m.kind, m.content)
	}
	dialed(t, a.http, requestForB)
	m, err = w.receive()
	must(t, err)
	passed, err := m.connection()
	must(t, err)
	defer passed.Close()
	request, err := http.ReadRequest(bufio.NewReader(passed))
	if err != nil || request.Host != "b.localhost" || passed.secure {
		t.Errorf("%v, %+v", err, request)
	}
}

// TestBlockingSocket: a front ends although another process has set the sockets to
// blocking, as systemd does when it starts a service again.
func TestBlockingSocket(t *testing.T) {
	s, err := Join(t.Context(), Options{Dir: shortDir(t), Bind: bindFree})
	must(t, err)
	for _, shared := range s.sockets {
		must(t, shared.use(func(fd int) error { return unix.SetNonblock(fd, false) }))
		dialed(t, shared.addr.String(), "GET / HTTP/1.1\r\nHost: a.localhost\r\n\r\n")
	}
	https, http := s.Listeners()
	for _, l := range append(https, http...) {
		c, err := l.Accept()
		must(t, err)
		c.Close()
	}
	ended := make(chan error, 1)
	go func() { ended <- s.Close() }()
	select {
	case err := <-ended:
		must(t, err)
	case <-time.After(soon):
		t.Fatal("the front does not end")
	}
}
