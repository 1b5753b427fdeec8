package relay

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/devproxy/devproxy/tunnel"
)

// sleeper is a machine that can fall asleep: its connections stay, and nothing
// moves on them.
type sleeper struct{ awake sync.RWMutex }

type sleepingConn struct {
	net.Conn
	on *sleeper
}

func (c sleepingConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.on.awake.RLock()
	defer c.on.awake.RUnlock()
	return n, err
}

func (c sleepingConn) Write(p []byte) (int, error) {
	c.on.awake.RLock()
	defer c.on.awake.RUnlock()
	return c.Conn.Write(p)
}

// dialFrom makes lanes of agents on a machine that can fall asleep.
func (w *world) dialFrom(s *sleeper) func(context.Context) (tunnel.Lane, error) {
	return func(ctx context.Context) (tunnel.Lane, error) {
		c, err := new(net.Dialer).DialContext(ctx, "tcp", w.addr)
		if err != nil {
			return tunnel.Lane{}, err
		}
		secure := tls.Client(sleepingConn{c, s}, &tls.Config{RootCAs: w.ca.pool, ServerName: domain, NextProtos: []string{tunnel.ALPN}})
		if err := secure.HandshakeContext(ctx); err != nil {
			c.Close()
			return tunnel.Lane{}, err
		}
		binding, err := tunnel.Binding(secure.ConnectionState())
		return tunnel.Lane{Conn: secure, Binding: binding}, err
	}
}

// person makes r a request of a browser that opens a page.
func person(r *http.Request) *http.Request {
	r.Header.Set("Accept", "text/html,*/*;q=0.8")
	r.Header.Set("Sec-Fetch-Dest", "document")
	r.Header.Set("Sec-Fetch-Mode", "navigate")
	return r
}

// answerTo sends r and returns the status and the body; 0 for an error.
func (w *world) answerTo(r *http.Request) (status int, body string) {
	res, err := w.client("h2").Do(r)
	if err != nil {
		return 0, err.Error()
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, err.Error()
	}
	return res.StatusCode, string(text)
}

// TestPageForSleepingLaptop: a person gets a page, and programs wait until the laptop
// is awake again.
func TestPageForSleepingLaptop(t *testing.T) {
	w := start(t, nil)
	machine := new(sleeper)
	w.dialer = w.dialFrom(machine)
	key := testKey("a")
	slow := make(chan struct{})
	host := w.agent(key, claimOf(key, ""), http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			<-slow
		}
		_, _ = io.WriteString(rw, "hello")
	})).grant.Hosts[0]
	get := func(path string) *http.Request {
		r, err := http.NewRequestWithContext(t.Context(), "GET", "https://"+host+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	// A slow dev server is not asleep.
	type answer struct {
		status int
		body   string
	}
	ask := func(r *http.Request) chan answer {
		answers := make(chan answer, 1)
		go func() {
			status, body := w.answerTo(r)
			answers <- answer{status, body}
		}()
		return answers
	}
	page := ask(person(get("/slow")))
	select {
	case got := <-page:
		t.Fatalf("a slow page: %+v", got)
	case <-time.After(pageAfter + 2*watchEvery):
		close(slow)
	}
	if got := within(t, "the slow page", page); got.status != 200 || got.body != "hello" {
		t.Errorf("the slow page: %+v", got)
	}

	machine.awake.Lock()
	program, post := ask(get("/")), get("/")
	post.Method, post.Body, post.ContentLength = "POST", io.NopCloser(strings.NewReader("x")), 1
	form := ask(person(post))
	if got := within(t, "the page", ask(person(get("/")))); got.status != 503 || !strings.Contains(got.body, "not connected at the moment") || !strings.Contains(got.body, `http-equiv="refresh"`) {
		t.Errorf("a page: %+v", got)
	}
	for name, waits := range map[string]chan answer{"a program": program, "a form": form} {
		select {
		case got := <-waits:
			t.Errorf("%s: %+v, and it was to wait", name, got)
		default:
		}
	}
	machine.awake.Unlock()
	for name, waits := range map[string]chan answer{"a program": program, "a form": form, "a page": ask(person(get("/")))} {
		if got := within(t, name, waits); got.status != 200 || got.body != "hello" {
			t.Errorf("%s, awake: %+v", name, got)
		}
	}
}

// TestPageAfterGoodbye comes at once, while a program waits for an agent that is
// started again.
func TestPageAfterGoodbye(t *testing.T) {
	w := start(t, nil)
	key := testKey("a")
	agent := w.agent(key, claimOf(key, ""), http.HandlerFunc(echo))
	host := agent.grant.Hosts[0]
	agent.Close(nil)
	eventually(t, "the relay knows", func() bool {
		l, _, _ := w.shares.find(host)
		return !l.lost.IsZero()
	})
	program := make(chan int, 1)
	go func() {
		status, _, _ := get(t, w.client("h1"), "https://"+host+"/")
		program <- status
	}()
	r, err := http.NewRequestWithContext(t.Context(), "GET", "https://"+host+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	if status, body := w.answerTo(person(r)); status != 503 || !strings.Contains(body, "This share is asleep.") {
		t.Errorf("a page: %d %s", status, body)
	}
	select {
	case status := <-program:
		t.Errorf("a program: %d, and it was to wait", status)
	default:
	}
	w.agent(key, claimOf(key, ""), http.HandlerFunc(echo))
	if status := within(t, "a program", program); status != 200 {
		t.Errorf("a program, once the agent is there again: %d", status)
	}
}
