package control

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/devproxy/devproxy/devproxy/journal"
)

// keeping runs a folder whose output is in the returned journal, until end is called or
// the test ends.
func keeping(t *testing.T) (client *Client, j *journal.Journal, end func()) {
	t.Helper()
	return keepingFor(t, readTimeout)
}

// keepingFor is keeping with a time in which requests must have come.
func keepingFor(t *testing.T, timeout time.Duration) (client *Client, j *journal.Journal, end func()) {
	t.Helper()
	dir, folder := shortDir(t), t.TempDir()
	in, err := Acquire(dir, folder)
	must(t, err)
	in.readTimeout = timeout
	must(t, in.Listen())
	j = journal.New(nil)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := in.Serve(ctx, Handler(Verbs{Output: j}), j.Done()); err != nil {
			t.Error(err)
		}
		in.Close()
	}()
	t.Cleanup(func() { cancel(); j.Close(); <-done })
	client, err = Dial(dir, folder)
	must(t, err)
	return client, j, cancel
}

func open(t *testing.T, client *Client, request OutputRequest) *Output {
	t.Helper()
	out, err := client.Output(t.Context(), request)
	must(t, err)
	t.Cleanup(func() { out.Close() })
	return out
}

// rest reads all lines to the end.
func rest(t *testing.T, out *Output) string {
	t.Helper()
	var texts []string
	for {
		line, err := out.Next()
		if errors.Is(err, io.EOF) {
			return strings.Join(texts, " ")
		}
		must(t, err)
		texts = append(texts, line.Text)
	}
}

func TestOutputSoFar(t *testing.T) {
	client, j, _ := keeping(t)
	if got := rest(t, open(t, client, OutputRequest{Last: -1})); got != "" {
		t.Errorf("before the first line: %q", got)
	}
	var all []string
	for i := range 500 { // more than Read returns at once
		name := []string{"", "web"}[i%2]
		all = append(all, fmt.Sprint(name, i))
		j.Add(name, all[i])
	}
	for _, c := range []struct {
		request OutputRequest
		want    string
	}{
		{OutputRequest{Last: -1}, strings.Join(all, " ")},
		{OutputRequest{Last: 2}, "498 web499"},
		{OutputRequest{Last: 2, Service: "web"}, "web497 web499"},
		{OutputRequest{Last: 0}, ""},
		{OutputRequest{Last: 9, Service: "api"}, ""},
		{OutputRequest{After: 498}, "498 web499"},
	} {
		if got := rest(t, open(t, client, c.request)); got != c.want {
			t.Errorf("%+v: %q, want %q", c.request, got, c.want)
		}
	}
}

// TestOutputUntilTheEnd follows the output while an instance ends, and has its last
// line.
func TestOutputUntilTheEnd(t *testing.T) {
	client, j, end := keeping(t)
	out := open(t, client, OutputRequest{Follow: true})
	j.Add("", "serving")
	line, err := out.Next()
	must(t, err)
	if line.Text != "serving" {
		t.Errorf("%+v", line)
	}
	end()
	eventually(t, "it accepts nothing more", func() bool { _, err := dial(t.Context(), client.base); return err != nil })
	j.Add("", "stopped")
	j.Close()
	if got := rest(t, out); got != "stopped" {
		t.Errorf("the rest is %q", got)
	}
}

// TestOutputLastsLongerThanARequestMay follows the output for several times as long as a
// request may take to come.
func TestOutputLastsLongerThanARequestMay(t *testing.T) {
	const timeout = 300 * time.Millisecond
	client, j, _ := keepingFor(t, timeout)
	out := open(t, client, OutputRequest{Follow: true})
	for since := time.Now(); time.Since(since) < 4*timeout; {
		j.Add("", "goes on")
		_, err := out.Next()
		must(t, err)
	}
}

func TestOutputEndsWithItsContext(t *testing.T) {
	client, j, _ := keeping(t)
	ctx, cancel := context.WithCancel(t.Context())
	out, err := client.Output(ctx, OutputRequest{Follow: true})
	must(t, err)
	defer out.Close()
	cancel()
	if _, err := out.Next(); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	j.Add("", "goes on")
}

// TestAReaderThatDoesNotReadHoldsUpNothing: lines are added while it reads nothing, and
// it learns how many it has missed.
func TestAReaderThatDoesNotReadHoldsUpNothing(t *testing.T) {
	client, j, _ := keeping(t)
	conn, err := net.Dial("unix", client.base+socketSuffix)
	must(t, err)
	defer conn.Close()
	fmt.Fprintf(conn, "GET %s?%s HTTP/1.1\r\nHost: devproxy\r\n\r\n", outputPath, OutputRequest{Follow: true}.query())
	if _, err := io.ReadFull(conn, make([]byte, len("HTTP/1.1 200 OK"))); err != nil {
		t.Fatal(err)
	}
	out := open(t, client, OutputRequest{Follow: true})
	long := strings.Repeat("x", 1<<14)
	for range 1000 { // 16 MB, far more than sockets take
		j.Add("", long)
	}
	j.Add("", "last")
	j.Close()
	var lines, missed uint64
	for {
		line, err := out.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		must(t, err)
		lines++
		missed += line.Missed
	}
	if lines+missed != 1001 {
		t.Errorf("%d lines and %d missed ones, want 1001", lines, missed)
	}
}

func TestTooManyReaders(t *testing.T) {
	client, _, _ := keeping(t)
	for range maxFollowers {
		open(t, client, OutputRequest{Follow: true})
	}
	if _, err := client.Output(t.Context(), OutputRequest{Follow: true}); err == nil || !strings.Contains(err.Error(), "already read the output") {
		t.Error(err)
	}
}

func TestAnOlderInstanceKeepsNoOutput(t *testing.T) {
	client := answering(t, func(func()) http.Handler { return Handler(Verbs{}) })
	if _, err := client.Output(t.Context(), OutputRequest{}); !errors.Is(err, ErrNoOutput) {
		t.Error(err)
	}
	client = answering(t, func(func()) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Header().Set(protocolField, "9") })
	})
	if _, err := client.Output(t.Context(), OutputRequest{}); err == nil || !strings.Contains(err.Error(), `"9"`) {
		t.Error(err)
	}
}

func TestABadRequestForOutput(t *testing.T) {
	client, _, _ := keeping(t)
	status, _, err := client.send(t.Context(), http.MethodGet, outputPath+"?last=many", http.NoBody)
	if err != nil || status != http.StatusBadRequest {
		t.Errorf("%d, %v", status, err)
	}
}

func TestClients(t *testing.T) {
	dir := shortDir(t)
	folder := t.TempDir()
	serve(t, dir, folder)
	silent, err := Acquire(dir, t.TempDir()) // it listens, and nothing answers
	must(t, err)
	must(t, silent.Listen())
	p := up(t, dir, t.TempDir())
	p.kill(t)
	all, err := Clients(dir)
	must(t, err)
	if len(all) != 2 {
		t.Errorf("%d instances, want 2", len(all))
	}
	for _, client := range all {
		if client.Holder().PID == 0 {
			t.Errorf("%+v has no pid", client.Holder())
		}
	}
	must(t, silent.ln.Close())
	must(t, silent.Close())
	if all, err := Clients(shortDir(t) + "/none"); err != nil || len(all) != 0 {
		t.Errorf("without a folder: %v, %v", all, err)
	}
}
