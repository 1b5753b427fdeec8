package listen

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// smuggleCase is a case of testdata/smuggle, whose README is the format.
type smuggleCase struct {
	name, rule, expect string
	eof                bool // the client closes its sending side
	byPlan             bool // not the scanner's to refuse
	raw                string
}

func smuggleCases(t testing.TB) []smuggleCase {
	t.Helper()
	files, err := filepath.Glob("../../testdata/smuggle/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	var cases []smuggleCase
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, block := range strings.Split("\n"+string(text), "\n== ")[1:] {
			cases = append(cases, parseCase(t, filepath.Base(file), block))
		}
	}
	return cases
}

func parseCase(t testing.TB, file, block string) smuggleCase {
	t.Helper()
	top, raw, _ := strings.Cut(block, "\n\n")
	name, facts, _ := strings.Cut(top, "\n")
	c := smuggleCase{name: file + "/" + name, raw: unescape(t, name, strings.ReplaceAll(raw, "\n", ""))}
	for line := range strings.SplitSeq(facts, "\n") {
		key, value, _ := strings.Cut(line, ": ")
		switch key {
		case "rule":
			c.rule = value
		case "expect":
			c.expect = value
		case "then":
			c.eof = value == "eof"
		case "by":
			c.byPlan = value == "plan"
		case "why", "host":
		default:
			t.Fatalf("%s: unknown line %q", name, line)
		}
	}
	return c
}

func unescape(t testing.TB, name, raw string) string {
	repeat := regexp.MustCompile(`\{repeat (\d+) ([^}]*)\}`)
	raw = repeat.ReplaceAllStringFunc(raw, func(s string) string {
		parts := repeat.FindStringSubmatch(s)
		n, _ := strconv.Atoi(parts[1])
		return strings.Repeat(parts[2], n)
	})
	text, err := strconv.Unquote(`"` + raw + `"`)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return text
}

// TestSmuggle sends every case through a server that forwards, and looks at
// what a raw upstream got.
func TestSmuggle(t *testing.T) {
	for _, c := range smuggleCases(t) {
		if c.byPlan {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			u := newUpstream(t)
			conn := serve(t, u.forwarder()).dial(t, false)
			io.WriteString(conn, c.raw) // may fail: a long head is refused before its end
			expect, _, _ := strings.Cut(c.expect, " ")
			if c.eof {
				conn.CloseWrite()
			}
			in := bufio.NewReader(conn)
			response, err := http.ReadResponse(in, nil)
			status := 0
			if err == nil {
				status = response.StatusCode
				io.Copy(io.Discard, response.Body)
			}
			// What is refused or broken is closed by the server: our side is
			// still open, unless the case itself closed it.
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

// compare holds what arrived against what the case expects.
func (u *upstream) compare(t *testing.T, c smuggleCase, status int) {
	t.Helper()
	u.finish()
	if u.stuck > 0 {
		t.Errorf("%s: the upstream's connection was left open", c.rule)
	}
	expect, want, _ := strings.Cut(c.expect, " ")
	switch expect {
	case "forward":
		got := []string{}
		for _, m := range u.messages {
			got = append(got, fmt.Sprintf("%s %s %q", m.method, m.target, m.body))
		}
		if diff := cmp.Diff([]string{want}, got); diff != "" || status != 200 || u.broken > 0 {
			t.Errorf("%s: status %d, broken %d, messages (-want +got):\n%s", c.rule, status, u.broken, diff)
		}
	case "abort":
		if len(u.messages) > 0 || status == 200 {
			t.Errorf("%s: status %d, complete messages at the upstream: %q", c.rule, status, u.raw.String())
		}
		if strings.HasSuffix(u.raw.String(), "0\r\n\r\n") {
			t.Errorf("%s: the upstream got a final chunk: %q", c.rule, u.raw.String())
		}
	default:
		if strconv.Itoa(status) != expect || u.raw.Len() > 0 {
			t.Errorf("%s: status %d, want %s; at the upstream: %q", c.rule, status, expect, u.raw.String())
		}
	}
}
