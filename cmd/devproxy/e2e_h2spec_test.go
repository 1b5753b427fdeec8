//go:build e2e && unix

package main

import (
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const (
	// h2specCases is how many cases the pinned version has.
	h2specCases = 145
	// h2specLimit is for all of them; some wait two seconds to see that nothing
	// comes.
	h2specLimit = 5 * time.Minute
)

// h2specFails are the cases that net/http's HTTP/2 server cannot pass, by
// h2spec's names, with its behaviour instead.
var h2specFails = map[string]string{
	"http2/6.5.3/1":   "hangs up on a SETTINGS frame that names one setting twice",
	"http2/8.1.2.2/1": "answers a request with a Connection field with 400, not RST_STREAM",
	"http2/8.1.2.2/2": "answers a request with a TE field other than trailers with 400, not RST_STREAM",
}

// h2specRaces are cases that break a request while its body is still open: by
// one that contradicts its declared length, or by a window that overflows. A
// server that needs no body may have answered and reset the stream before that,
// as RFC 9113 section 8.1 allows, so there they may pass or fail.
var h2specRaces = map[string]bool{"http2/8.1.2.6/1": true, "http2/8.1.2.6/2": true, "http2/6.9.1/3": true}

// TestE2EH2Spec has h2spec judge HTTP/2 as devproxy speaks it: where it answers
// itself, and where an upstream does.
func TestE2EH2Spec(t *testing.T) {
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // a visitor that breaks off is a case
		io.WriteString(w, "hello from the upstream")
	}))
	t.Cleanup(upstream.Close)
	// h2spec resolves its host by the system, which knows plain "localhost".
	u := startUp(t, projectDir(t, fmt.Sprintf(`
host "localhost" {
  upstream = %q
  route "/own" { respond = { status = 200, body = "hello" } }
}
`, upstream.URL)))
	for path, races := range map[string]map[string]bool{"/own": h2specRaces, "/": nil} {
		t.Run("path="+path, func(t *testing.T) {
			passed, failed := h2spec(t, u, path)
			if passed < h2specCases-len(h2specFails)-len(races) {
				t.Errorf("only %d of %d cases passed: has h2spec run them all?", passed, h2specCases)
			}
			for name, instead := range h2specFails {
				if _, still := failed[name]; !still {
					t.Errorf("%s passes now, so net/http no longer %s: take it off the list", name, instead)
				}
			}
			for name, why := range failed {
				if _, known := h2specFails[name]; !known && !races[name] {
					t.Errorf("%s fails:\n%s", name, why)
				}
			}
		})
	}
}

// h2spec runs every case against a path. The failed ones are named by section
// and number, "http2/6.5.3/1", with the expected and the actual result.
func h2spec(t *testing.T, u *upProcess, path string) (passed int, failed map[string]string) {
	t.Helper()
	report := filepath.Join(t.TempDir(), "report.xml")
	// Its exit code only says that something failed. It takes any certificate;
	// others prove those.
	out, err := runTool(t, h2specLimit, os.Environ(), needTool(t, "go"), "tool", "h2spec",
		"--tls", "--insecure", "--host", "localhost", "--port", fmt.Sprint(u.addr.Port()), "--path", path, "--junit-report", report)
	text, readErr := os.ReadFile(report)
	if readErr != nil {
		t.Fatalf("h2spec wrote no report: %v\n%s", err, out)
	}
	return readH2SpecReport(t, text)
}

// h2specReport is the JUnit report, as far as it is read here.
type h2specReport struct {
	Suites []struct {
		ID    string `xml:"id,attr"`
		Cases []struct {
			Package string  `xml:"package,attr"`
			Class   string  `xml:"classname,attr"`
			Failure *string `xml:"failure"`
			Error   *string `xml:"error"`
			Skipped *string `xml:"skipped"`
		} `xml:"testcase"`
	} `xml:"testsuite"`
}

func readH2SpecReport(t *testing.T, text []byte) (passed int, failed map[string]string) {
	t.Helper()
	var report h2specReport
	if err := xml.Unmarshal(text, &report); err != nil {
		t.Fatal(err)
	}
	failed = map[string]string{}
	for _, suite := range report.Suites {
		for i, c := range suite.Cases {
			name := fmt.Sprintf("%s/%d", c.Package, i+1)
			switch {
			case c.Failure != nil:
				failed[name] = c.Class + strings.TrimSpace(*c.Failure)
			case c.Error != nil:
				failed[name] = c.Class + strings.TrimSpace(*c.Error)
			case c.Skipped == nil:
				passed++
			}
		}
	}
	return passed, failed
}
