package relay

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/devproxy/devproxy/testdata/smuggle"
)

// TestSmuggle sends every case of testdata/smuggle, which tests devproxy's own
// listeners too.
func TestSmuggle(t *testing.T) {
	w := start(t, nil)
	key := testKey("a")
	app := &recorder{}
	host := w.agent(key, claimOf(key, ""), app).grant.Hosts[0]
	cases, err := smuggle.Cases()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			expect, message, _ := strings.Cut(c.Expect, " ")
			var want []string
			switch {
			case c.OtherHost:
				expect = "400"
			case c.ByPlan:
				return // the agent refuses it
			case expect == "forward":
				expect, want = "200", []string{message}
			case expect == "abort" && c.EOF:
				expect = "0"
			case expect == "abort":
				expect = "400"
			}
			conn := w.dial(host)
			_, _ = io.WriteString(conn, replaceHost(c.Raw, host)) // may fail: a long head is refused before its end
			if c.EOF {
				_ = conn.CloseWrite()
			}
			status := 0
			from := bufio.NewReader(conn)
			if res, err := http.ReadResponse(from, nil); err == nil {
				status = res.StatusCode
				_, _ = io.Copy(io.Discard, res.Body)
			}
			if expect == "200" {
				_ = conn.CloseWrite() // the relay closes refused requests
			}
			_ = conn.SetDeadline(time.Now().Add(patience))
			if _, err := io.Copy(io.Discard, from); errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("%s: the connection was not closed", c.Rule)
			}
			if got := app.take(); !slices.Equal(got, want) || strconv.Itoa(status) != expect {
				t.Errorf("%s: status %d, want %s; the app saw %q, want %q", c.Rule, status, expect, got, want)
			}
		})
	}
}

func replaceHost(raw, host string) string {
	return strings.NewReplacer("shop.localhost", host, "SHOP.localhost", strings.ToUpper(host)).Replace(raw)
}

// TestSmuggleHTTP2 does the same with the HTTP/2 cases.
func TestSmuggleHTTP2(t *testing.T) {
	w := start(t, nil)
	key := testKey("a")
	app := &recorder{}
	host := w.agent(key, claimOf(key, ""), app).grant.Hosts[0]
	for _, c := range smuggle.HTTP2Cases() {
		t.Run(c.Name, func(t *testing.T) {
			conn, err := tls.Dial("tcp", w.addr, &tls.Config{RootCAs: w.ca.pool, ServerName: host, NextProtos: []string{"h2"}})
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			_ = conn.SetDeadline(time.Now().Add(patience))
			outcome, err := c.Send(conn, host)
			if err != nil {
				t.Errorf("no answer: %v", err)
			}
			if wrong := c.Judge(outcome, app.take()); wrong != "" {
				t.Error(wrong)
			}
		})
	}
}

// TestSlowSecondHead: an incomplete head has the same time on a connection that has
// had a request before, and does not end a request in progress.
func TestSlowSecondHead(t *testing.T) {
	w := start(t, func(o *Options) { o.Limits = Limits{HeadTimeout: 200 * time.Millisecond} })
	key := testKey("a")
	begun, finish := make(chan struct{}), make(chan struct{})
	host := w.agent(key, claimOf(key, ""), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/wait" {
			begun <- struct{}{}
			<-finish
		}
		fmt.Fprint(w, "ok")
	})).grant.Hosts[0]
	answer := func(from *bufio.Reader) {
		t.Helper()
		res, err := http.ReadResponse(from, nil)
		if err != nil {
			t.Fatal(err)
		}
		if body, err := io.ReadAll(res.Body); err != nil || res.StatusCode != 200 {
			t.Fatalf("%s %q %v", res.Status, body, err)
		}
	}
	c := w.dial(host)
	from := bufio.NewReader(c)
	fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: %s\r\n\r\n", host)
	answer(from)
	fmt.Fprintf(c, "GET /wait HTTP/1.1\r\nHost: %s\r\n\r\n", host)
	within(t, "the request", begun)
	fmt.Fprint(c, "GET / HTTP/1.1\r\n")
	ended := make(chan struct{})
	time.AfterFunc(500*time.Millisecond, func() { close(ended) }) // longer than a head may take
	<-ended
	close(finish)
	answer(from)
	if _, err := io.ReadAll(from); err != nil { // closed, not by our own deadline
		t.Errorf("the second head does not end: %v", err)
	}
}

// TestChunksKeepTheConnection: the end of a chunked request is certain, so that
// another one may follow.
func TestChunksKeepTheConnection(t *testing.T) {
	w := start(t, nil)
	key := testKey("a")
	app := &recorder{}
	host := w.agent(key, claimOf(key, ""), app).grant.Hosts[0]
	c := w.dial(host)
	from := bufio.NewReader(c)
	for i := range 3 {
		fmt.Fprintf(c, "POST / HTTP/1.1\r\nHost: %s\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", host)
		res, err := http.ReadResponse(from, nil)
		if err != nil {
			t.Fatalf("request %d: %v", i, err)
		}
		_, _ = io.Copy(io.Discard, res.Body)
		if res.StatusCode != 200 || res.Close {
			t.Errorf("request %d: %s, close %t", i, res.Status, res.Close)
		}
	}
	if got := app.take(); len(got) != 3 || got[2] != `POST / "hello"` {
		t.Errorf("the app saw %q", got)
	}
}

// TestRedirectIsScanned: the plain port checks requests like the other one.
func TestRedirectIsScanned(t *testing.T) {
	w := start(t, nil)
	ln := listen(t)
	done := make(chan error, 1)
	go func() { done <- w.ServeRedirect(t.Context(), ln) }()
	t.Cleanup(func() {
		w.Close()
		<-done
	})
	for request, want := range map[string]int{
		"GET / HTTP/1.1\r\nHost: " + domain + "\r\n\r\n":                                                              308,
		"GET / HTTP/1.1\nHost: " + domain + "\r\n\r\n":                                                                400,
		"POST / HTTP/1.1\r\nHost: " + domain + "\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n": 400,
	} {
		c := dialTCP(t, ln.Addr().String())
		fmt.Fprint(c, request)
		res, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil || res.StatusCode != want {
			t.Errorf("%q: %v, %v; want %d", request, res, err, want)
		}
	}
}

// TestTrailersFiltered: trailers about a connection or the visitor are not
// passed on, in either direction.
func TestTrailersFiltered(t *testing.T) {
	bad := []string{"X-Forwarded-For", "Forwarded", "X-Real-Ip", "Connection", "Keep-Alive", "Proxy-Connection", "Te", "Upgrade"}
	w := start(t, nil)
	key := testKey("a")
	seen := make(chan http.Header, 1)
	host := w.agent(key, claimOf(key, ""), http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		seen <- r.Trailer
		_, _ = io.WriteString(rw, "body")
		rw.(http.Flusher).Flush()
		for _, name := range append(bad, "X-Mine") {
			rw.Header().Set(http.TrailerPrefix+name, "there")
		}
	})).grant.Hosts[0]
	for _, protocol := range protocols {
		// The scanner refuses the fields of a connection in a trailer; the others
		// are for the filter.
		var fields strings.Builder
		for _, name := range []string{"X-Forwarded-For", "Forwarded", "X-Real-Ip", "X-Mine"} {
			fmt.Fprintf(&fields, "%s: here\r\n", name)
		}
		if protocol == "h1" { // by hand: net/http's client refuses most of them
			c := w.dial(host)
			fmt.Fprintf(c, "POST / HTTP/1.1\r\nHost: %s\r\nTe: trailers\r\nTrailer: X-Mine, X-Forwarded-For, Forwarded\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n%s\r\n", host, &fields)
			res, err := http.ReadResponse(bufio.NewReader(c), nil)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = io.Copy(io.Discard, res.Body)
			checkTrailer(t, "to an HTTP/1 visitor", res.Trailer, bad, "there")
		} else {
			res, err := w.client(protocol).Post("https://"+host+"/", "", strings.NewReader("x"))
			if err != nil {
				t.Fatal(err)
			}
			_, _ = io.Copy(io.Discard, res.Body)
			res.Body.Close()
			checkTrailer(t, "to an HTTP/2 visitor", res.Trailer, bad, "there")
		}
		got := within(t, "the request", seen)
		if protocol == "h1" {
			checkTrailer(t, "to the app", got, bad, "here")
		}
	}
}

func checkTrailer(t *testing.T, where string, got http.Header, bad []string, want string) {
	t.Helper()
	if got.Get("X-Mine") != want {
		t.Errorf("%s: X-Mine is %q in %v", where, got.Get("X-Mine"), got)
	}
	for _, name := range bad {
		if got.Get(name) != "" {
			t.Errorf("%s: the trailer %s came through", where, name)
		}
	}
}
