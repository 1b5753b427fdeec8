package agent

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"

	"github.com/devproxy/devproxy/tunnel"
)

// TestVisitors has a visitor's bytes go both ways, and their ends by themselves.
func TestVisitors(t *testing.T) {
	r := newRelay(t).start(nil)
	a := run(t, optionsFor(r))
	s := r.session()
	if up := a.until(Up); up.Grant.Hosts[0] != "shop."+relayName || up.Lanes == 0 || up.RTT == 0 {
		t.Errorf("up as %+v", up)
	}
	stream, err := s.Open(visitor.AppendTo(nil))
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	if _, err := stream.Write([]byte("question")); err != nil {
		t.Fatal(err)
	}
	stream.CloseWrite()
	accepted, err := a.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer accepted.Close()
	conn, ok := accepted.(*Conn)
	if !ok || conn.Visitor != visitor {
		t.Fatalf("accepted %+v", accepted)
	}
	if text, err := io.ReadAll(conn); string(text) != "question" || err != nil {
		t.Errorf("read %q, %v", text, err)
	}
	if _, err := conn.Write([]byte("answer")); err != nil {
		t.Fatal(err)
	}
	conn.CloseWrite()
	if text, err := io.ReadAll(stream); string(text) != "answer" || err != nil {
		t.Errorf("read %q, %v", text, err)
	}
}

// TestEnds has Run end with its context, and with Close, and Accept with both.
func TestEnds(t *testing.T) {
	for name, end := range map[string]func(*running){
		"context": func(a *running) { a.cancel() },
		"close":   func(a *running) { a.Close(); a.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRelay(t).start(nil)
			a := run(t, optionsFor(r))
			s := r.session()
			a.until(Up)
			end(a)
			if err := within(t, a.ended); err != nil {
				t.Errorf("Run is %v", err)
			}
			if _, err := a.Accept(); !errors.Is(err, net.ErrClosed) {
				t.Errorf("Accept is %v", err)
			}
			<-s.Done()
			if !errors.Is(s.Err(), tunnel.ErrClosed) {
				t.Errorf("the relay's end of the session is %v", s.Err())
			}
		})
	}
}

// TestStrangeHead has a stream that no visitor can be read from turned away,
// and the next served.
func TestStrangeHead(t *testing.T) {
	r := newRelay(t).start(nil)
	a := run(t, optionsFor(r))
	s := r.session()
	go echo(a.Agent)
	strange, err := s.Open([]byte("visitor/9"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(strange); !errors.Is(err, tunnel.ErrReset) {
		t.Errorf("the strange stream ends with %v", err)
	}
	visit(t, s, "hello")
}

// TestComesBack kills the relay, whose successor has the same address.
func TestComesBack(t *testing.T) {
	first := newRelay(t).start(nil)
	a := run(t, optionsFor(first))
	go echo(a.Agent)
	visit(t, first.session(), "one")
	first.kill()
	ln, err := net.Listen("tcp", first.ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	second := newRelay(t)
	second.ca, second.cert = first.ca, first.cert
	visit(t, second.start(ln).session(), "two")
}

// TestDraining has the relay drain: open streams go on next to a new session.
func TestDraining(t *testing.T) {
	r := newRelay(t).start(nil)
	a := run(t, optionsFor(r))
	go echo(a.Agent)
	old := r.session()
	a.until(Up)
	open, err := old.Open(visitor.AppendTo(nil))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := open.Write([]byte("before")); err != nil {
		t.Fatal(err)
	}
	var got [6]byte
	if _, err := io.ReadFull(open, got[:]); err != nil {
		t.Fatal(err)
	}
	old.Drain()
	visit(t, r.session(), "new")
	if _, err := open.Write([]byte("after.")); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(open, got[:]); err != nil || string(got[:]) != "after." {
		t.Errorf("the old session's visitor reads %q, %v", got, err)
	}
	open.Close()
	<-old.Done()
	if !errors.Is(old.Err(), tunnel.ErrDrained) {
		t.Errorf("the old session ends with %v", old.Err())
	}
}

// TestReplaced has a second agent take the key over.
func TestReplaced(t *testing.T) {
	r := newRelay(t).start(nil)
	first := run(t, optionsFor(r))
	first.until(Up)
	second := run(t, optionsFor(r))
	second.until(Up)
	e := first.fails()
	wants(t, e, ReasonReplaced, `another "devproxy up --share" uses this folder's key`, "devproxy down")
	if !errors.Is(e, tunnel.ErrReplaced) {
		t.Error("the cause is not to be found")
	}
}

// TestEnrol leaves the relay at once.
func TestEnrol(t *testing.T) {
	r := newRelay(t)
	r.admit = func(claim tunnel.Claim) (tunnel.Grant, *tunnel.Refusal) {
		if claim.Enrol != "token" || len(claim.Hosts) > 0 {
			return tunnel.Grant{}, &tunnel.Refusal{Code: tunnel.CodeBadToken}
		}
		return grantAll(claim)
	}
	r.cert = r.ca.leaf(t, "share.localhost", r.cert.Leaf.NotAfter)
	r.start(nil)
	opts := optionsFor(r)
	_, port, _ := net.SplitHostPort(r.ln.Addr().String())
	opts.Relay = "share.localhost:" + port // dialled as loopback without any help
	if err := Enrol(context.Background(), opts); err == nil {
		t.Error("enrolled without a token")
	} else {
		wants(t, err, ReasonBadToken, "the enrolment token is not valid", "devproxy relay login share.localhost:"+port)
	}
	opts.Claim.Enrol = "token"
	if err := Enrol(context.Background(), opts); err != nil {
		t.Fatal(err)
	}
	<-r.session().Done()
}
