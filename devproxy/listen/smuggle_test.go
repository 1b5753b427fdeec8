package listen

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/devproxy/devproxy/testdata/smuggle"
)

// TestSmuggle sends every case through a server that forwards, and looks at
// what a raw upstream got.
func TestSmuggle(t *testing.T) {
	cases, err := smuggle.Cases()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range cases {
		if c.ByPlan {
			continue
		}
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			u := newUpstream(t)
			conn := serve(t, u.forwarder()).dial(t, false)
			io.WriteString(conn, c.Raw) // may fail: a long head is refused before its end
			expect, _, _ := strings.Cut(c.Expect, " ")
			if c.EOF {
				conn.CloseWrite()
			}
			in := bufio.NewReader(conn)
			response, err := http.ReadResponse(in, nil)
			status := 0
			if err == nil {
				status = response.StatusCode
				io.Copy(io.Discard, response.Body)
			}
			// Refused and broken connections are closed by the server: our side
			// is still open, unless the case itself closed it.
			if expect == "forward" {
				conn.CloseWrite()
			}
			_, err = io.Copy(io.Discard, in)
			if expect == "abort" && !errors.Is(err, os.ErrDeadlineExceeded) {
				err = nil // a reset is as good an end
			}
			if err != nil {
				t.Errorf("the connection was not closed: %v", err)
			}
			u.compare(t, c, status)
		})
	}
}

// compare compares the received messages with the expected ones.
func (u *upstream) compare(t *testing.T, c smuggle.Case, status int) {
	t.Helper()
	u.finish()
	if u.stuck > 0 {
		t.Errorf("%s: the upstream's connection was left open", c.Rule)
	}
	expect, want, _ := strings.Cut(c.Expect, " ")
	switch expect {
	case "forward":
		got := []string{}
		for _, m := range u.messages {
			got = append(got, fmt.Sprintf("%s %s %q", m.method, m.target, m.body))
		}
		if diff := cmp.Diff([]string{want}, got); diff != "" || status != 200 || u.broken > 0 {
			t.Errorf("%s: status %d, broken %d, messages (-want +got):\n%s", c.Rule, status, u.broken, diff)
		}
	case "abort":
		if len(u.messages) > 0 || status == 200 {
			t.Errorf("%s: status %d, complete messages at the upstream: %q", c.Rule, status, u.raw.String())
		}
		if strings.HasSuffix(u.raw.String(), "0\r\n\r\n") {
			t.Errorf("%s: the upstream got a final chunk: %q", c.Rule, u.raw.String())
		}
	default:
		if strconv.Itoa(status) != expect || u.raw.Len() > 0 {
			t.Errorf("%s: status %d, want %s; at the upstream: %q", c.Rule, status, expect, u.raw.String())
		}
	}
}
