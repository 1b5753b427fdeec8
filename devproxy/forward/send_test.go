package forward

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/devproxy/devproxy/devproxy/plan"
)

// dying is a raw upstream that reads each request with its body and closes the
// connection, after having written partial, for the first n of them.
func dying(t *testing.T, n int64, partial string) (plan.Member, *atomic.Int64) {
	var seen atomic.Int64
	return rawUpstream(t, func(c *net.TCPConn, r *bufio.Reader) {
		req, err := http.ReadRequest(r)
		if err != nil {
			return
		}
		body, _ := io.ReadAll(req.Body)
		if seen.Add(1) <= n {
			io.WriteString(c, partial)
			return
		}
		fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s", len(body), body)
	}), &seen
}

func TestWhatIsSentAgainAfterACrash(t *testing.T) {
	small, large := strings.Repeat("x", maxReplay), strings.Repeat("x", maxReplay+1)
	for _, test := range []struct {
		method, body string
		dies         int64
		partial      string
		status       int
		seen         int64
	}{
		{"GET", "", 1, "", 200, 2},
		{"GET", "", maxResends, "", 200, maxResends + 1},
		{"GET", "", maxResends + 1, "", 502, maxResends + 1},
		{"GET", "", 1, "HTTP/1.1 200", 502, 1},
		{"PUT", small, 1, "", 200, 2},
		{"PUT", large, 1, "", 502, 1},
		{"DELETE", "", 1, "", 200, 2},
		{"POST", "", 1, "", 502, 1},
		{"POST", small, 1, "", 502, 1},
		{"PATCH", small, 1, "", 502, 1},
	} {
		for _, visitor := range visitorModes {
			m, seen := dying(t, test.dies, test.partial)
			p := newProxy(t, visitor, Options{}, m)
			req, _ := http.NewRequest(test.method, p.URL, strings.NewReader(test.body))
			res, err := p.client().Do(req)
			if err != nil {
				t.Fatal(err)
			}
			got, _ := io.ReadAll(res.Body)
			res.Body.Close()
			if res.StatusCode != test.status || seen.Load() != test.seen || test.status == 200 && string(got) != test.body {
				t.Errorf("%s of %d bytes, %d deaths after %q: %s after %d requests, %.200s", test.method, len(test.body), test.dies, test.partial, res.Status, seen.Load(), got)
			}
			if test.status == 502 {
				var bad *UpstreamError
				if err := <-p.errs; !errors.As(err, &bad) || !strings.Contains(err.Error(), "before it answered") {
					t.Errorf("%s: %v", test.method, err)
				}
			} else if report := <-p.report; report.Resent != int(test.dies) {
				t.Errorf("report = %+v", report)
			}
		}
	}
}

func TestMembersTakeTurnsAndOneThatRefusesIsPassedOver(t *testing.T) {
	named := func(name string) plan.Member {
		return startUpstream(t, "http", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, name) }))
	}
	dead := plan.Member{Scheme: plan.SchemeHTTP, Network: "unix", Addrs: []string{t.TempDir() + "/none"}, Text: "none"}
	p := newProxy(t, "h1", Options{}, named("a"), dead, named("b"))
	var got string
	for range 6 {
		res, body := p.get(t, "/")
		if res.StatusCode != http.StatusOK {
			t.Fatal(res.Status, body)
		}
		got += body
		if report := <-p.report; report.Held != 0 {
			t.Errorf("held for %v although a member answers", report.Held)
		}
	}
	if got != "ababab" {
		t.Errorf("answered by %q", got)
	}
}

// The upstream gives up an idle connection just when something is sent on it.
func TestWhatMayNotBeSentTwiceMeetsNoClosingConnection(t *testing.T) {
	p := newProxy(t, "h1", Options{}, rawUpstream(t, func(c *net.TCPConn, r *bufio.Reader) {
		req, err := http.ReadRequest(r)
		if err != nil {
			return
		}
		io.Copy(io.Discard, req.Body)
		io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
		r.ReadByte()
	}))
	for i, method := range []string{"GET", "POST", "GET", "GET", "PATCH", "POST"} {
		req, _ := http.NewRequest(method, p.URL, strings.NewReader("data"))
		res, err := p.client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != http.StatusOK {
			t.Errorf("%d, %s: %s", i, method, res.Status)
		}
	}
}
