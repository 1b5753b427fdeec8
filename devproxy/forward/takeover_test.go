package forward

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/devproxy/devproxy/devproxy/plan"
	"github.com/devproxy/devproxy/hcl"
)

// An upstream hands its listening socket to its successor, ends what it has
// begun, and stops: the port never refuses, but every kept connection ends.
// POST is not among the methods: Go's own Shutdown hangs up on requests that it
// has just read, and nobody can tell those from requests that were carried out.
func TestAnUpstreamThatHandsItsSocketOverLosesNothing(t *testing.T) {
	first, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	file, err := first.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var served [4]atomic.Int64
	serve := func(i int, ln net.Listener) *http.Server {
		srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			served[i].Add(1)
			_, _ = io.Copy(w, r.Body)
		})}
		go srv.Serve(ln)
		return srv
	}
	p := newProxy(t, "h1", Options{}, plan.Member{Scheme: hcl.SchemeHTTP, Network: "tcp", Addrs: []string{first.Addr().String()}, Text: ":up"})
	srv := serve(0, first)
	var done atomic.Bool
	var group sync.WaitGroup
	client := p.client()
	for worker := range 4 {
		group.Go(func() {
			for i := worker; !done.Load(); i++ {
				method, want := http.MethodGet, ""
				if i%2 == 1 {
					method, want = http.MethodPut, "form"
				}
				req, _ := http.NewRequest(method, p.URL, strings.NewReader(want))
				res, err := client.Do(req)
				if err != nil {
					t.Errorf("%s: %v", method, err)
					return
				}
				got, err := io.ReadAll(res.Body)
				res.Body.Close()
				if err != nil || res.StatusCode != http.StatusOK || string(got) != want {
					t.Errorf("%s: %s %.200q %v", method, res.Status, got, err)
					return
				}
			}
		})
	}
	for i := 1; i < len(served); i++ {
		for before := served[i-1].Load(); served[i-1].Load() < before+50; {
			<-time.After(time.Millisecond)
			if t.Failed() {
				break
			}
		}
		ln, err := net.FileListener(file)
		if err != nil {
			t.Fatal(err)
		}
		next := serve(i, ln)
		if err := srv.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		srv = next
	}
	done.Store(true)
	group.Wait()
	_ = srv.Close()
}

// killable in the environment makes the test binary an upstream at the socket
// it names, which holds each request until it is killed.
const killable = "FORWARD_TEST_KILLABLE"

func TestTheUpstreamThatIsKilled(t *testing.T) {
	socket := os.Getenv(killable)
	if socket == "" {
		return // another test starts this one as a process of its own
	}
	ln, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Println("ready")
	_ = http.Serve(ln, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if r.URL.Path == "/now" {
			return
		}
		fmt.Println("asked")
		select {}
	}))
}

func startKillable(t *testing.T, socket string) (kill func(), said *bufio.Reader) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestTheUpstreamThatIsKilled$")
	cmd.Env = append(os.Environ(), killable+"="+socket)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	said = bufio.NewReader(out)
	if line, err := said.ReadString('\n'); line != "ready\n" {
		t.Fatal(line, err)
	}
	kill = sync.OnceFunc(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		_ = os.Remove(socket) // a killed process leaves it
	})
	t.Cleanup(kill)
	return kill, said
}

// SIGKILL while a GET and a POST are being served: the GET is answered by the
// successor, the POST is a 502 that says why.
func TestAfterAKillAGetIsAskedAgainAndAPostIsExplained(t *testing.T) {
	socket := t.TempDir() + "/s"
	kill, said := startKillable(t, socket)
	p := newProxy(t, "h1", Options{}, plan.Member{Scheme: hcl.SchemeHTTP, Network: "unix", Addrs: []string{socket}, Text: ":app"})
	client := p.client()
	type answer struct {
		status int
		body   string
	}
	ask := func(method string) chan answer {
		answers := make(chan answer, 1)
		go func() {
			req, _ := http.NewRequest(method, p.URL+"/slow", strings.NewReader("data"))
			if method == http.MethodGet {
				req.Body, req.ContentLength = nil, 0
			}
			res, err := client.Do(req)
			if err != nil {
				answers <- answer{0, err.Error()}
				return
			}
			defer res.Body.Close()
			body, _ := io.ReadAll(res.Body)
			answers <- answer{res.StatusCode, string(body)}
		}()
		if line, err := said.ReadString('\n'); line != "asked\n" {
			t.Fatal(line, err)
		}
		return answers
	}
	get := ask(http.MethodGet)
	post := ask(http.MethodPost)
	kill()
	if a := <-post; a.status != http.StatusBadGateway || !strings.Contains(a.body, ":app") {
		t.Errorf("POST: %+v", a)
	}
	var bad *UpstreamError
	if err := <-p.errs; !errors.As(err, &bad) {
		t.Errorf("Forward returned %T", err)
	}
	ln, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "successor") })}
	go srv.Serve(ln)
	defer srv.Close()
	if a := <-get; a.status != http.StatusOK || a.body != "successor" {
		t.Errorf("GET: %+v", a)
	}
}

// Requests that a visitor sends without waiting for answers are answered in
// order, whatever became of their bodies.
func TestPipelinedRequestsAreAnsweredInOrder(t *testing.T) {
	p := newProxy(t, "h1", Options{}, startUpstream(t, "http", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s", r.URL.Path, body)
	})))
	addr, complaints := logged(t, p)
	c, r := dialAddr(t, addr)
	const rounds = 50
	for i := range rounds {
		fmt.Fprintf(c, "POST /%d HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\ndata", i)
		fmt.Fprintf(c, "PUT /%d HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\ndata\r\n0\r\n\r\n", i)
		fmt.Fprintf(c, "GET /%d HTTP/1.1\r\nHost: a\r\n\r\n", i)
	}
	for i := range 3 * rounds {
		want := fmt.Sprintf("/%d data", i/3)
		if i%3 == 2 {
			want = fmt.Sprintf("/%d ", i/3)
		}
		res, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatalf("answer %d: %v; the server says %.80q", i, err, complaints)
		}
		if got, err := io.ReadAll(res.Body); err != nil || string(got) != want {
			t.Fatalf("answer %d: got %q %v, want %q", i, got, err, want)
		}
	}
	if text := complaints.String(); text != "" {
		t.Errorf("net/http complains: %.80s", text)
	}
}
