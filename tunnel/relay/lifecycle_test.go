package relay

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/devproxy/devproxy/tunnel"
)

// successor starts a second relay next to w, which gets what w hands over.
func successor(t *testing.T, w *world) (next *world, dial func(context.Context) (net.Conn, error)) {
	t.Helper()
	next = &world{t: t, ca: w.ca}
	r, err := New(w.opts)
	if err != nil {
		t.Fatal(err)
	}
	next.Relay = r
	dir, err := os.MkdirTemp("", "late")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	path := filepath.Join(dir, "s")
	late, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	ln := listen(t)
	next.addr = ln.Addr().String()
	var group sync.WaitGroup
	group.Go(func() { _ = r.Serve(context.Background(), ln) })
	group.Go(func() { _ = r.ServeHandover(context.Background(), late) })
	t.Cleanup(func() {
		r.Close()
		group.Wait()
	})
	return next, func(ctx context.Context) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", path)
	}
}

// TestRetire: while another relay takes over, no request fails: neither one in progress,
// nor one on an open connection, nor an upgraded one.
func TestRetire(t *testing.T) {
	w := start(t, nil)
	key := testKey("a")
	begun, finish := make(chan struct{}), make(chan struct{})
	app := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/slow":
			close(begun)
			<-finish
			fmt.Fprint(w, "done")
		case "/ws":
			socketEcho(w, r)
		default:
			http.SetCookie(w, &http.Cookie{Name: "wide", Value: "1", Domain: domain})
			fmt.Fprint(w, visitorOf(r).Addr.Addr())
		}
	})
	first := w.agent(key, claimOf(key, ""), app)
	host := first.grant.Hosts[0]
	clients := map[string]*http.Client{}
	for _, protocol := range protocols { // connections that are open before
		clients[protocol] = w.client(protocol)
		get(t, clients[protocol], "https://"+host+"/")
	}
	socket := w.open(t, host)
	say(t, socket, []byte("before"))
	slow := make(chan string)
	go func() {
		_, body, _ := get(t, w.client("h1"), "https://"+host+"/slow")
		slow <- body
	}()
	within(t, "the slow request", begun)

	next, dial := successor(t, w)
	retired := make(chan struct{})
	go func() {
		defer close(retired)
		w.Retire(context.Background(), dial)
		w.Close()
	}()
	within(t, "the agent hears of it", first.Draining())
	next.agent(key, claimOf(key, ""), app)

	for _, protocol := range protocols {
		status, body, header := get(t, clients[protocol], "https://"+host+"/")
		if status != 200 || body != "127.0.0.1" || header["Set-Cookie"] != nil {
			t.Errorf("%s, on an open connection: %d %q %v", protocol, status, body, header)
		}
	}
	if status, _, _ := get(t, next.client("h2"), "https://"+host+"/"); status != 200 {
		t.Errorf("at the successor: %d", status)
	}
	say(t, socket, bytes.Repeat([]byte("after"), 100_000))
	close(finish)
	if body := within(t, "the slow answer", slow); body != "done" {
		t.Errorf("the request under way got %q", body)
	}
	_ = socket.Close(1000, "")
	within(t, "the first session's end", first.Done())
	if !errors.Is(first.Err(), tunnel.ErrDrained) {
		t.Errorf("the first session ended with %v", first.Err())
	}
	within(t, "the end of the first relay, with the connections its clients left open", retired)
}

// TestRetireWhileWaiting: a request that waits for its share is passed on as soon as
// another relay takes over, where the share comes back.
func TestRetireWhileWaiting(t *testing.T) {
	w := start(t, func(o *Options) { o.Limits.Wait = 10 * patience })
	key := testKey("a")
	app := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "here") })
	first := w.agent(key, claimOf(key, ""), app)
	host := first.grant.Hosts[0]
	client := w.client("h1")
	first.Close(nil)
	eventually(t, "the session is gone", func() bool { return w.memory.Accounts() == 0 })
	body := make(chan string, 1)
	go func() {
		_, text, _ := get(t, client, "https://"+host+"/")
		body <- text
	}()
	eventually(t, "the request waits", func() bool { return w.memory.Accounts() == 1 })
	next, dial := successor(t, w)
	retired := make(chan struct{})
	go func() {
		defer close(retired)
		w.Retire(context.Background(), dial)
		w.Close()
	}()
	next.agent(key, claimOf(key, ""), app)
	if text := within(t, "the answer", body); text != "here" {
		t.Errorf("it is %q", text)
	}
	client.CloseIdleConnections()
	within(t, "the end of the first relay", retired)
}

// TestHandedOverUploadIsEvicted: a stalled request through the process that was
// replaced loses its slot like any other.
func TestHandedOverUploadIsEvicted(t *testing.T) {
	w := start(t, nil)
	key := testKey("a")
	begun := make(chan struct{}, 1)
	app := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			begun <- struct{}{}
			<-r.Context().Done()
		}
	})
	first := w.agent(key, claimOf(key, ""), app)
	host := first.grant.Hosts[0]
	client := w.client("h2")
	get(t, client, "https://"+host+"/")
	next, dial := successor(t, w)
	retired := make(chan struct{})
	go func() {
		defer close(retired)
		w.Retire(context.Background(), dial)
		w.Close()
	}()
	within(t, "the agent hears of it", first.Draining())
	next.agent(key, claimOf(key, ""), app)
	status := make(chan int, 1)
	go func() {
		got, _, _ := get(t, client, "https://"+host+"/slow")
		status <- got
	}()
	within(t, "the late request", begun)

	l, _, _ := next.shares.find(host)
	other, err := l.slots.take(t.Context(), netip.MustParsePrefix("192.0.2.1/32"))
	if err != nil {
		t.Fatal(err)
	}
	defer other.release()
	l.slots.mu.Lock()
	var late *slot
	for late = range l.slots.networks[netip.MustParsePrefix("127.0.0.1/32")].used {
	}
	l.slots.mu.Unlock()
	if _, may := late.stalledFor(); may {
		t.Error("it may be given up while it moves")
	}
	late.moved.Store(int64(-stalledExchange))
	if _, may := late.stalledFor(); !may {
		t.Fatal("it can not be given up")
	}
	late.end()
	if got := within(t, "its end", status); got != http.StatusBadGateway {
		t.Errorf("the visitor got %d", got)
	}
	client.CloseIdleConnections()
	within(t, "the end of the first relay", retired)
}

// TestRetireUnderLoad: a constant flow of requests, on open connections and on new ones,
// all succeed.
func TestRetireUnderLoad(t *testing.T) {
	w := start(t, nil)
	key := testKey("a")
	app := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(io.Discard, r.Body)
		if err != nil {
			t.Error(err)
		}
		fmt.Fprint(w, n)
	})
	first := w.agent(key, claimOf(key, ""), app)
	host := first.grant.Hosts[0]
	next, dial := successor(t, w)

	var current atomic.Pointer[string] // the address that new connections reach, as with a handed socket
	current.Store(&w.addr)
	var group sync.WaitGroup
	stop := make(chan struct{})
	var served atomic.Int64
	var clients []*http.Client
	for i := range 8 {
		client := w.client(protocols[i%2])
		clients = append(clients, client)
		client.Transport.(*http.Transport).DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, *current.Load())
		}
		group.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				res, err := client.Post("https://"+host+"/", "text/plain", strings.NewReader("12345"))
				if err != nil {
					t.Errorf("POST: %v", err)
					return
				}
				body, _ := io.ReadAll(res.Body)
				res.Body.Close()
				if res.StatusCode != 200 || string(body) != "5" {
					t.Errorf("POST: %d %q", res.StatusCode, body)
				}
				served.Add(1)
			}
		})
	}
	eventually(t, "load", func() bool { return served.Load() > 50 })
	current.Store(&next.addr)
	retired := make(chan struct{})
	go func() {
		defer close(retired)
		w.Retire(context.Background(), dial)
		w.Close()
	}()
	within(t, "the agent hears of it", first.Draining())
	next.agent(key, claimOf(key, ""), app)
	before := served.Load()
	eventually(t, "load on the successor", func() bool { return served.Load() > before+200 })
	close(stop)
	group.Wait()
	for _, client := range clients {
		client.CloseIdleConnections() // net/http may have opened one too many
	}
	within(t, "the end of the first relay", retired)
}

// TestShutdown: the relay waits for requests in progress, and for nothing else. What is
// left at the end of the time is closed.
func TestShutdown(t *testing.T) {
	for name, patient := range map[string]bool{"a request that ends": true, "one that does not": false} {
		t.Run(name, func(t *testing.T) {
			w := start(t, nil)
			key := testKey("a")
			begun, finish := make(chan struct{}), make(chan struct{})
			host := w.agent(key, claimOf(key, ""), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				close(begun)
				select {
				case <-finish:
				case <-r.Context().Done():
				}
				fmt.Fprint(w, "done")
			})).grant.Hosts[0]
			answer := make(chan string, 1)
			go func() {
				res, err := w.client("h1").Get("https://" + host + "/")
				if err != nil {
					answer <- "failed"
					return
				}
				defer res.Body.Close()
				body, _ := io.ReadAll(res.Body)
				answer <- string(body)
			}()
			within(t, "the request", begun)
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			down := make(chan struct{})
			go func() {
				defer close(down)
				w.Shutdown(ctx)
			}()
			eventually(t, "nobody else comes in", func() bool {
				c, err := net.Dial("tcp", w.addr)
				if err == nil {
					c.Close()
				}
				return err != nil
			})
			if len(answer) > 0 || w.life.Err() != nil {
				t.Error("the request was not waited for")
			}
			want := "done"
			if patient {
				close(finish)
			} else {
				want = "failed"
				cancel()
			}
			if got := within(t, "the answer", answer); got != want {
				t.Errorf("the request got %q", got)
			}
			within(t, "the end", down)
			if w.life.Err() == nil || w.enter() {
				t.Error("the relay continues")
			}
		})
	}
}

func TestRedirect(t *testing.T) {
	w := start(t, func(o *Options) { o.Port = 8443 })
	ln := listen(t)
	done := make(chan error, 1)
	go func() { done <- w.ServeRedirect(context.Background(), ln) }()
	client := &http.Client{
		Transport: &http.Transport{DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, ln.Addr().String())
		}},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	for url, want := range map[string]string{
		"http://shop." + domain + "/a%2Fb?c=d": "https://shop." + domain + ":8443/a%2Fb?c=d",
		"http://shop." + domain + ":80//x":     "https://shop." + domain + ":8443//x",
		"http://" + domain:                     "https://" + domain + ":8443/",
		"http://evil.example/":                 "",
	} {
		status, _, header := get(t, client, url)
		if got := header.Get("Location"); got != want || (want != "") != (status == http.StatusPermanentRedirect) {
			t.Errorf("%s: %d %q, want %q", url, status, got, want)
		}
	}
	for name, c := range map[string]struct {
		request string
		status  int
		says    string
	}{
		"a POST":             {"POST /a HTTP/1.1\r\nHost: shop." + domain + "\r\nContent-Length: 0\r\n\r\n", 308, ""},
		"another name":       {"GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n", 421, "not served here"},
		"a name that is not": {"GET / HTTP/1.1\r\nHost: -.\r\n\r\n", 421, "not served here"},
		"two lengths":        {"POST / HTTP/1.1\r\nHost: shop." + domain + "\r\nContent-Length: 0\r\nContent-Length: 0\r\n\r\n", 400, "two Content-Length"},
	} {
		conn := dialTCP(t, ln.Addr().String())
		_, _ = io.WriteString(conn, c.request)
		res, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		body, _ := io.ReadAll(res.Body)
		if res.StatusCode != c.status || !strings.Contains(strings.ToLower(string(body)), strings.ToLower(c.says)) || res.Close != (c.status != 421) {
			t.Errorf("%s: %d %q, closes %t", name, res.StatusCode, body, res.Close)
		}
	}
	w.Close()
	if err := within(t, "ServeRedirect", done); err != nil {
		t.Error(err)
	}
}

// TestRedirectOfRetiring: a connection that was accepted before the handover gets its
// redirect.
func TestRedirectOfRetiring(t *testing.T) {
	w := start(t, func(o *Options) { o.Port = 8443 })
	ln := listen(t)
	done := make(chan error, 1)
	go func() { done <- w.ServeRedirect(context.Background(), ln) }()
	conn := dialTCP(t, ln.Addr().String())
	eventually(t, "the connection is in", func() bool { n, _, _ := w.conns.counts(); return n == 1 })
	retired := make(chan struct{})
	go func() {
		w.Retire(context.Background(), func(context.Context) (net.Conn, error) { return nil, errors.ErrUnsupported })
		close(retired)
	}()
	if err := within(t, "ServeRedirect", done); err != nil {
		t.Error(err)
	}
	_, _ = io.WriteString(conn, "GET /a HTTP/1.1\r\nHost: shop."+domain+"\r\n\r\n")
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil || res.StatusCode != http.StatusPermanentRedirect {
		t.Errorf("%v, %v", res, err)
	}
	<-retired
}

// TestRedirectEnds: how serving redirects ends, and that their connections count too.
func TestRedirectEnds(t *testing.T) {
	w := start(t, func(o *Options) { o.Limits.ConnectionsPerAddress = 1 })
	gone := errors.New("the socket is gone")
	if err := w.ServeRedirect(t.Context(), &scripted{errors: []error{gone}, closed: make(chan struct{})}); !errors.Is(err, gone) {
		t.Errorf("a socket that fails: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ln := listen(t)
	done := make(chan error, 1)
	go func() { done <- w.ServeRedirect(ctx, ln) }()
	dialTCP(t, ln.Addr().String())
	eventually(t, "the first one is in", func() bool { n, _, _ := w.conns.counts(); return n == 1 })
	second := dialTCP(t, ln.Addr().String())
	if _, err := second.Read(make([]byte, 1)); err == nil || strings.Contains(err.Error(), "timeout") {
		t.Errorf("one more than an address may have: %v, want it closed", err)
	}
	cancel()
	if err := within(t, "the end", done); err != nil {
		t.Error(err)
	}
	eventually(t, "none is left", func() bool { n, _, _ := w.conns.counts(); return n == 0 })
	w.Close()
	late := &scripted{closed: make(chan struct{})}
	if err := w.ServeRedirect(t.Context(), late); err != nil || late.accepts > 0 {
		t.Errorf("after the end: %v, %d accepts", err, late.accepts)
	}
	<-late.closed
}

// TestReadAuthority: names are compared without case, final dot and port; agents get the
// port unless it is the scheme's default.
func TestReadAuthority(t *testing.T) {
	for _, c := range []struct{ host, scheme, name, full string }{
		{"shop.example.com", "https", "shop.example.com", "shop.example.com"},
		{"Shop.Example.COM.", "https", "shop.example.com", "shop.example.com"},
		{"shop.example.com:443", "https", "shop.example.com", "shop.example.com"},
		{"shop.example.com:80", "https", "shop.example.com", "shop.example.com:80"},
		{"shop.example.com:80", "http", "shop.example.com", "shop.example.com"},
		{"shop.example.com:443", "http", "shop.example.com", "shop.example.com:443"},
		{"shop.example.com.:8443", "https", "shop.example.com", "shop.example.com:8443"},
		{"shop.example.com:", "https", "shop.example.com", "shop.example.com"},
	} {
		if at, ok := readAuthority(c.host, c.scheme); !ok || at.name != c.name || at.full != c.full {
			t.Errorf("%s of %s: %+v, %t", c.host, c.scheme, at, ok)
		}
	}
	for _, host := range []string{"", ".", ":443", "a b", "[::1]", "a..b", "des\u212a.example.com"} {
		if at, ok := readAuthority(host, "https"); ok {
			t.Errorf("%q: %+v", host, at)
		}
	}
}
