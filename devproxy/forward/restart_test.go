package forward

import (
	"bufio"
	"context"
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
)

// load asks p with several visitors at once until stop is closed and returns
// how many answers came and what went wrong, at most a few of them.
func load(p *proxy, methods []string, stop <-chan struct{}) (answers int64, failures []string) {
	var group sync.WaitGroup
	var mu sync.Mutex
	var count atomic.Int64
	for worker := range 8 {
		group.Go(func() {
			for i := worker; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				method := methods[i%len(methods)]
				if fault := askOnce(p, method); fault != "" {
					mu.Lock()
					failures = append(failures, method+": "+fault)
					mu.Unlock()
				}
				count.Add(1)
			}
		})
	}
	group.Wait()
	return count.Load(), failures[:min(len(failures), 5)]
}

func askOnce(p *proxy, method string) string {
	var body io.Reader
	if method != http.MethodGet {
		body = strings.NewReader("data")
	}
	req, _ := http.NewRequest(method, p.URL, body)
	res, err := p.client().Do(req)
	if err != nil {
		return err.Error()
	}
	defer res.Body.Close()
	got, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		return fmt.Sprint(res.Status, " ", string(got), err)
	}
	return ""
}

// A dev server that stops gracefully and comes back: its port refuses between.
func TestAGracefulRestartUnderLoadLosesNothing(t *testing.T) {
	socket := t.TempDir() + "/s"
	serve := func() *http.Server {
		ln, err := net.Listen("unix", socket)
		if err != nil {
			t.Fatal(err)
		}
		srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.Copy(w, r.Body) })}
		go srv.Serve(ln)
		return srv
	}
	for _, visitor := range visitorModes {
		srv := serve()
		p := newProxy(t, visitor, Options{}, plan.Member{Scheme: plan.SchemeHTTP, Network: "unix", Addrs: []string{socket}, Text: "unix"})
		stop := make(chan struct{})
		go func() {
			defer close(stop)
			for range 10 {
				<-time.After(50 * time.Millisecond)
				srv.Shutdown(context.Background())
				<-time.After(10 * time.Millisecond)
				srv = serve()
			}
		}()
		n, failures := load(p, []string{"GET", "PUT"}, stop)
		if len(failures) > 0 {
			t.Errorf("%s: failed among %d: %q", visitor, n, failures)
		}
		t.Logf("%s: %d requests", visitor, n)
		p.Close()
		srv.Close()
	}
}

// crashChild in the environment makes the test binary an upstream on the
// listener it inherits.
const crashChild = "FORWARD_TEST_UPSTREAM"

func TestMainOfTheCrashingUpstream(t *testing.T) {
	if os.Getenv(crashChild) == "" {
		return // it is the parent's test that starts this one
	}
	ln, err := net.FileListener(os.NewFile(3, "listener"))
	if err != nil {
		t.Fatal(err)
	}
	fmt.Println("ready")
	http.Serve(ln, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(time.Millisecond)
		io.Copy(w, r.Body)
	}))
}

// The port stays open here while the process behind it is killed, so that
// connections wait in the queue: the worst case for telling what was read.
func TestACrashUnderLoadLosesNoIdempotentRequest(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	file, err := ln.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	start := func() *exec.Cmd {
		cmd := exec.Command(os.Args[0], "-test.run=^TestMainOfTheCrashingUpstream$")
		cmd.Env = append(os.Environ(), crashChild+"=1")
		cmd.ExtraFiles = []*os.File{file}
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		bufio.NewReader(out).ReadString('\n')
		return cmd
	}
	p := newProxy(t, "h1", Options{}, plan.Member{Scheme: plan.SchemeHTTP, Network: "tcp", Addrs: []string{ln.Addr().String()}, Text: ":upstream"})
	stop := make(chan struct{})
	go func() {
		defer close(stop)
		for range 5 {
			cmd := start()
			<-time.After(50 * time.Millisecond)
			cmd.Process.Kill()
			cmd.Wait()
		}
		cmd := start()
		<-time.After(50 * time.Millisecond)
		t.Cleanup(func() {
			cmd.Process.Kill()
			cmd.Wait()
		})
	}()
	n, failures := load(p, []string{"GET", "PUT"}, stop)
	if len(failures) > 0 {
		t.Errorf("failed among %d: %q", n, failures)
	}
	t.Logf("%d requests", n)
}

const nodeServer = `
const server = require('http').createServer((q, s) => { q.on('data', d => s.write(d)); q.on('end', () => s.end()) })
server.keepAliveTimeout = 5
server.keepAliveTimeoutBuffer = 0
server.listen(process.argv[1], () => console.log('ready'))`

// Node closes idle connections, here after 5 ms, in the face of what is just
// being sent on them.
func TestNodesKeepAliveTimeoutFailsNoRequest(t *testing.T) {
	socket := t.TempDir() + "/s"
	runProgram(t, "node", "-e", nodeServer, socket)
	p := newProxy(t, "h1", Options{}, plan.Member{Scheme: plan.SchemeHTTP, Network: "unix", Addrs: []string{socket}, Text: "unix"})
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for i := range 250 {
				// Pauses around the timeout itself.
				<-time.After(time.Duration(i%8) * time.Millisecond)
				for _, method := range []string{http.MethodGet, http.MethodPost} {
					if fault := askOnce(p, method); fault != "" {
						t.Errorf("%s %d: %s", method, i, fault)
					}
				}
			}
		})
	}
	group.Wait()
}
