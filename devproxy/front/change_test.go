//go:build unix

package front

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// TestHandOverMany: a front that ends hands over more connections than one socket holds.
func TestHandOverMany(t *testing.T) {
	dir := shortDir(t)
	a, b := start(t, dir, "a.localhost"), start(t, dir, "b.localhost")
	var begun []net.Conn
	for range 700 {
		begun = append(begun, dialed(t, a.http, requestBegins))
	}
	a.overHTTP("a.localhost").reaches(a) // it has accepted all
	a.does("close")
	for _, c := range begun {
		_, err := io.WriteString(c, requestEnds)
		must(t, err)
	}
	for _, c := range begun {
		answered(t, c, "", b)
	}
}

// TestHandOverToNewcomer: a process that has not got the sockets yet gets no connection
// before them.
func TestHandOverToNewcomer(t *testing.T) {
	for range 5 { // leases are in no order
		dir := shortDir(t)
		a, b := start(t, dir, "a.localhost"), start(t, dir, "b.localhost")
		for range 3 {
			wireTo(t, dir)
		}
		c := dialed(t, a.http, requestBegins)
		a.overHTTP("a.localhost").reaches(a)
		a.does("close")
		answered(t, c, requestEnds, b)
	}
}

// TestRemovedFiles: what cleans up temporary directories makes no second front, and new
// projects find the first again.
func TestRemovedFiles(t *testing.T) {
	t.Run("lock", func(t *testing.T) {
		dir := shortDir(t)
		a := start(t, dir, "a.localhost")
		must(t, os.Remove(filepath.Join(dir, lockFile)))
		b := start(t, dir, "b.localhost")
		if a.https != b.https {
			t.Errorf("the ports are not shared: %s and %s", a.https, b.https)
		}
		b.overTLS("a.localhost").reaches(a)
		a.kill()
		b.overTLS("b.localhost").reaches(b)
	})
	t.Run("all", func(t *testing.T) {
		dir := filepath.Join(shortDir(t), "run")
		a, b := start(t, dir, "a.localhost"), start(t, dir, "b.localhost")
		must(t, os.RemoveAll(dir))
		eventually(t, "the socket is there again", func() bool {
			_, err := os.Lstat(filepath.Join(dir, socketFile))
			return err == nil
		})
		c := start(t, dir, "c.localhost")
		if a.https != c.https {
			t.Errorf("the ports are not shared: %s and %s", a.https, c.https)
		}
		for _, p := range []*project{a, b, c} {
			p.overTLS(p.name).reaches(p)
		}
		frontOf(t, []*project{a, b, c})
	})
}

// TestLostName: a project that was stopped while the front changed keeps the names that
// no other has got.
func TestLostName(t *testing.T) {
	dir := shortDir(t)
	a, b, c := start(t, dir, "a.localhost"), start(t, dir, "b.localhost", "b2.localhost"), start(t, dir, "c.localhost")
	b.signal(syscall.SIGSTOP)
	a.kill()
	c.does("names c.localhost b.localhost") // after the grace period
	b.signal(syscall.SIGCONT)
	eventually(t, "the name that was not taken is served", func() bool {
		got, err := c.overTLS("b2.localhost").get()
		return err == nil && got == b.pid()
	})
	c.overTLS("b.localhost").reaches(c)
	if got, want := b.do("lost"), fmt.Sprintf("error: b.localhost is already served by /%s/Proxyfile, line 2", c.pid()); got != want {
		t.Errorf("lost: %q, want %q", got, want)
	}
}

// TestLostFront: what keeps a project from the next front is told once, and its end too.
func TestLostFront(t *testing.T) {
	dir := shortDir(t)
	a, b := start(t, dir, "a.localhost"), start(t, dir, "b.localhost")
	b.does("lost")
	must(t, os.Remove(filepath.Join(dir, socketFile)))
	must(t, os.Mkdir(filepath.Join(dir, socketFile), 0o700))
	must(t, os.Mkdir(filepath.Join(dir, socketFile, "full"), 0o700))
	a.kill()
	eventually(t, "b says why it is not the front", func() bool { return b.do("lost") != "ok" })
	must(t, os.RemoveAll(filepath.Join(dir, socketFile)))
	eventually(t, "b says that it is over", func() bool { return b.do("lost") == "ok" })
	b.overTLS("b.localhost").reaches(b)
	if got := b.do("losses"); got != "error: 2" {
		t.Errorf("it was told %q times", got)
	}
}

// stub is a stage that does what a test wants.
type stub struct {
	stage
	registered func(names) error
}

func (s stub) register(given names) error { return s.registered(given) }

// TestRegisterAtAChange: names that a stage has granted at its end are registered with
// the next one, whatever that has heard of them.
func TestRegisterAtAChange(t *testing.T) {
	s := &Shared{ctx: t.Context(), changed: make(chan struct{})}
	var last names
	second := stub{registered: func(given names) error { last = given; return nil }}
	first := stub{registered: func(names) error {
		s.again(second) // before the names are noted
		return nil
	}}
	s.enter(&first)
	inner := first.registered
	first.registered = func(given names) error {
		err := inner(given)
		s.enter(&second)
		return err
	}
	must(t, s.Register(t.Context(), []Name{{Name: "new.localhost"}}))
	if len(last.Names) != 1 || len(s.names) != 1 {
		t.Errorf("the next stage has %v, and after it %v", last.Names, s.names)
	}
}

// TestInterruptedBeforeWaiting: a connection that begins to wait while the role ends does
// not hold up its end.
func TestInterruptedBeforeWaiting(t *testing.T) {
	l, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	must(t, err)
	defer l.Close()
	client, err := net.Dial("tcp", l.Addr().String())
	must(t, err)
	defer client.Close()
	accepted, err := l.AcceptTCP()
	must(t, err)
	c := connection{accepted, true}
	defer c.Close()
	var p pending
	over := make(chan struct{})
	p.add(c, func() {})
	close(over)
	p.interrupt() // before the goroutine sets its deadline
	began := time.Now()
	if _, err := readName(c, over); !errors.Is(err, errOver) {
		t.Errorf("got %v", err)
	}
	if took := time.Since(began); took > helloTimeout/2 {
		t.Errorf("the role's end took %s", took)
	}
}

// TestPassAfterInterrupt: a connection whose deadline the end of the role has set is not
// for this process any more.
func TestPassAfterInterrupt(t *testing.T) {
	var p pending
	c := connection{&net.TCPConn{}, true}
	p.add(c, func() {})
	p.interrupt()
	if err := p.pass(c, func() error { t.Error("passed"); return nil }); !errors.Is(err, errOver) {
		t.Errorf("got %v", err)
	}
	if all := p.take(); len(all) != 1 {
		t.Errorf("%d are handed over, want 1", len(all))
	}
	if err := p.pass(c, func() error { t.Error("passed"); return nil }); !errors.Is(err, errGone) {
		t.Errorf("got %v", err)
	}
}

// TestStepDownWithoutStage: a key press does not wait forever for a front that is not
// found.
func TestStepDownWithoutStage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &Shared{ctx: t.Context(), stepDown: make(chan chan struct{}), ended: make(chan struct{}), changed: make(chan struct{})}
		began := time.Now()
		s.StepDown()
		if took := time.Since(began); took != joinTimeout {
			t.Errorf("it took %s", took)
		}
	})
}
