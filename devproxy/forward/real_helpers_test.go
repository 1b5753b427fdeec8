package forward

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/devproxy/devproxy/devproxy/plan"
)

// needTool is the path of a program; without it the test is skipped, or failed
// where CI promises that everything is there.
func needTool(t *testing.T, name string) string {
	t.Helper()
	for _, candidate := range []string{name, filepath.Join("/usr/sbin", name)} {
		if path, err := exec.LookPath(candidate); err == nil {
			return path
		}
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s is missing; make deps installs it", name)
	}
	t.Skipf("%s is missing; make deps installs it", name)
	return ""
}

// startProgram runs a server that prints its port as its first line, until the
// test ends.
func startProgram(t *testing.T, program string, args ...string) plan.Member {
	t.Helper()
	return tcpMember(net.JoinHostPort("127.0.0.1", runProgram(t, program, args...)))
}

// runProgram runs a program until the test ends. It returns the first line that the
// program prints.
func runProgram(t *testing.T, program string, args ...string) string {
	t.Helper()
	cmd := exec.Command(needTool(t, program), args...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("%s printed no line: %v", program, err)
	}
	return strings.TrimSpace(line)
}

func tcpMember(addr string) plan.Member {
	return plan.Member{Scheme: plan.SchemeHTTP, Network: "tcp", Addrs: []string{addr}, Text: ":upstream"}
}

// ask sends a request with fields "Name", "value" and returns the answer, its
// body read.
func (p *proxy) ask(t *testing.T, method, path string, body io.Reader, fields ...string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, p.URL+path, body)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(fields); i += 2 {
		req.Header.Set(fields[i], fields[i+1])
	}
	// Said by the caller or not at all: net/http would unpack behind our back.
	if req.Header.Get("Accept-Encoding") == "" {
		req.Header.Set("Accept-Encoding", "identity")
	}
	res, err := p.client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	got, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	return res, string(got)
}

// patience is for what must happen, however slow the machine.
const patience = 30 * time.Second

// within is the next value of from; when none comes, the test fails.
func within[T any](t *testing.T, what string, from <-chan T) T {
	t.Helper()
	select {
	case value := <-from:
		return value
	case <-time.After(patience):
		t.Fatalf("%s: nothing within %v", what, patience)
		panic("not reached")
	}
}
