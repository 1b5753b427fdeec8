package forward

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestParse(t *testing.T) {
	b, err := parse(strings.Fields("--devproxy a,b -d 500ms -n 3 -row h2-1k,save -peers nginx --json out.json"))
	if err != nil {
		t.Fatal(err)
	}
	if b.devproxy != "a,b" || b.duration != 500*time.Millisecond || b.rounds != 3 || b.json != "out.json" ||
		!slices.Equal(b.rows, []string{"h2-1k", "save"}) || !slices.Equal(b.peers, []string{"nginx"}) {
		t.Errorf("%+v", b)
	}
	for _, wrong := range []string{"-row nonesuch", "-peers nonesuch", "-n 0", "-d 0s", "-d -1s", "extra"} {
		if _, err := parse(strings.Fields(wrong)); err == nil {
			t.Errorf("%q is accepted", wrong)
		}
	}
}

const h2loadText = `finished in 300.05ms, 40.00 req/s, 1.2MB/s
requests: 13 total, 14 started, 12 done, 12 succeeded, 0 failed, 0 errored, 0 timeout
status codes: 12 2xx, 0 3xx, 0 4xx, 0 5xx
`

func TestReadH2load(t *testing.T) {
	result, err := readH2load(h2loadText)
	if err != nil || result != (loadResult{succeeded: 12, took: 300050 * time.Microsecond}) {
		t.Errorf("%+v, %v", result, err)
	}
	for _, change := range [][2]string{{"0 3xx", "1 3xx"}, {"0 4xx", "1 4xx"}, {"0 5xx", "1 5xx"}, {"0 errored", "1 errored"}, {"0 timeout", "1 timeout"}} {
		if result, err := readH2load(strings.Replace(h2loadText, change[0], change[1], 1)); err != nil || result.failed != 1 {
			t.Errorf("%s: %+v, %v", change[1], result, err)
		}
	}
	for line := range strings.Lines(h2loadText) {
		if _, err := readH2load(strings.Replace(h2loadText, line, "", 1)); err == nil {
			t.Errorf("accepted without %q", line)
		}
	}
}

func TestFigures(t *testing.T) {
	r := &report{Rounds: 2, Seconds: 3, Systems: []system{{"nginx", "1"}, {"caddy", "2"}, {"devproxy", ""}}}
	row := figures{Title: "what", Unit: "µs"}
	for _, v := range []struct {
		i     int
		value float64
	}{{0, 10}, {1, 40}, {2, -1}, {0, 20}, {1, 20}, {2, -1}} {
		row.add(v.i, v.value)
	}
	r.Rows = []figures{row}
	var out bytes.Buffer
	r.print(&out)
	if want := "| what | µs | 15 | 30 (2.00) | – |\n"; !strings.HasSuffix(out.String(), want) {
		t.Errorf("got %s\nwant it to end in %s", out.String(), want)
	}
}

// TestRun measures the real devproxy next to nginx, for an instant.
func TestRun(t *testing.T) {
	if _, err := exec.LookPath("h2load"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("h2load is not installed: make deps")
		}
		t.Skip("h2load is not installed: make deps")
	}
	program := filepath.Join(t.TempDir(), "devproxy")
	if out, err := exec.Command("go", "build", "-o", program, "../../devproxy").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	b := bench{devproxy: program, peers: []string{"nginx"}, rows: []string{"h1-1k", "h2-100k", "memory", "save"}, duration: 100 * time.Millisecond, rounds: 1}
	r, err := b.measure(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Rows) != 8 || len(r.Systems) != 2 {
		t.Fatalf("%d rows of %d systems", len(r.Rows), len(r.Systems))
	}
	for _, row := range r.Rows {
		for i, s := range r.Systems {
			if row.Medians[i] <= 0 {
				t.Errorf("%s, %s: %v", s.Name, row.Row, row.Medians)
			}
		}
	}
}
