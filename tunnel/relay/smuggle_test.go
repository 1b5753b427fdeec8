package relay

import (
	"bufio"
	"crypto/tls"
	"errors"
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

// TestSmuggle sends every case of testdata/smuggle, which devproxy's own
// listeners judge too.
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
				_ = conn.CloseWrite() // what is refused is closed by the relay
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
