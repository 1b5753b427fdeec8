//go:build e2e && linux

package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

const (
	// resetRequests is how many requests are made and cancelled, on one
	// connection, resetBatch of them at once.
	resetRequests = 2000
	resetBatch    = 100
	// resetPause is how long the dev server has for a batch.
	resetPause = 500 * time.Millisecond
	// resetPlaces is devproxy's limit for one connection
	// (forward.DefaultMaxPerClient).
	resetPlaces = 1000
	// resetFiles bounds the descriptors for those, with what else is open.
	resetFiles = resetPlaces + 200
)

// workingUpstream works on every request until it is told to end, whatever its
// client does.
type workingUpstream struct {
	listener      net.Listener
	working, most atomic.Int64
	end           chan struct{}
	group         sync.WaitGroup
}

func startWorkingUpstream(t *testing.T) *workingUpstream {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	u := &workingUpstream{listener: listener, end: make(chan struct{})}
	u.group.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			u.group.Go(func() { u.serve(conn) })
		}
	})
	t.Cleanup(func() {
		listener.Close()
		u.group.Wait()
	})
	return u
}

func (u *workingUpstream) serve(conn net.Conn) {
	defer conn.Close()
	in := bufio.NewReader(conn)
	for {
		r, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		if r.URL.Path == "/slow" {
			n := u.working.Add(1)
			for most := u.most.Load(); n > most && !u.most.CompareAndSwap(most, n); {
				most = u.most.Load()
			}
			<-u.end
			u.working.Add(-1)
		}
		if _, err := io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"); err != nil {
			return
		}
	}
}

// TestE2ERapidReset: a client that cancels all it asks gets no more of the dev
// server, and of devproxy, than one that waits, and others are served.
func TestE2ERapidReset(t *testing.T) {
	for name, made := range map[string]bool{"rapid reset": false, "made you reset": true} {
		t.Run(name, func(t *testing.T) {
			upstream := startWorkingUpstream(t)
			u := startUp(t, projectDir(t, fmt.Sprintf("host \"shop.localhost\" {\n  upstream = %d\n}\n", upstream.listener.Addr().(*net.TCPAddr).Port)))
			pid := u.cmd.Process.Pid
			before := residentOf(t, pid)
			conn := u.dialRaw(t, "https", "h2")
			if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
				t.Fatal(err)
			}
			if got := conn.(*tls.Conn).ConnectionState().NegotiatedProtocol; got != "h2" {
				t.Fatalf("the connection speaks %q", got)
			}
			files, memory, sent := 0, 0, 0
			sent = askAndCancel(t, conn, made, upstream, func() {
				files, memory = max(files, openFiles(t, pid)), max(memory, residentOf(t, pid))
			})
			response, err := u.client("h2").Get(u.url("shop.localhost", "/fast"))
			if err != nil {
				t.Fatalf("somebody else, meanwhile: %v", err)
			}
			response.Body.Close()
			if response.StatusCode != http.StatusOK {
				t.Errorf("somebody else, meanwhile: %s", response.Status)
			}
			files, memory = max(files, openFiles(t, pid)), max(memory, residentOf(t, pid))
			t.Logf("%d requests: %d at once at the dev server, %d files, %d MB more", sent, upstream.most.Load(), files, (memory-before)>>10)
			if n := upstream.most.Load(); n > resetPlaces+1 { // and somebody else's
				t.Errorf("the dev server worked on %d requests at once, want at most %d", n, resetPlaces)
			}
			if files > resetFiles {
				t.Errorf("devproxy had %d files open, want at most %d", files, resetFiles)
			}
			if n := upstream.most.Load(); n < resetPlaces {
				t.Errorf("only %d requests were under way at once: nothing is proved", n)
			}
			close(upstream.end)
		})
	}
}

// askAndCancel sends requests in batches, and cancels each batch when the dev
// server has it, or has had time to take it: with RST_STREAM, or by a frame that
// makes the server reset the stream. It returns how many were sent when the
// server had enough.
func askAndCancel(t *testing.T, conn net.Conn, made bool, upstream *workingUpstream, watch func()) int {
	t.Helper()
	var done sync.WaitGroup
	done.Go(func() { _, _ = io.Copy(io.Discard, conn) }) // until it is closed
	defer done.Wait()
	defer conn.Close()
	if _, err := io.WriteString(conn, http2.ClientPreface); err != nil {
		t.Fatal(err)
	}
	out := bufio.NewWriter(conn)
	framer := http2.NewFramer(out, nil)
	_ = framer.WriteSettings() // Flush tells
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	for first := 0; first < resetRequests; first += resetBatch {
		before := upstream.working.Load()
		for i := range resetBatch {
			block.Reset()
			for _, field := range [][2]string{{":method", "GET"}, {":scheme", "https"}, {":authority", "shop.localhost"}, {":path", "/slow"}} {
				_ = encoder.WriteField(hpack.HeaderField{Name: field[0], Value: field[1]})
			}
			_ = framer.WriteHeaders(http2.HeadersFrameParam{StreamID: uint32(2*(first+i) + 1), BlockFragment: block.Bytes(), EndHeaders: true, EndStream: true})
		}
		if out.Flush() != nil {
			return first
		}
		for deadline := time.Now().Add(resetPause); upstream.working.Load() < before+resetBatch && time.Now().Before(deadline); {
			time.Sleep(time.Millisecond)
		}
		for i := range resetBatch {
			stream := uint32(2*(first+i) + 1)
			if made {
				_ = framer.WriteRawFrame(http2.FrameWindowUpdate, 0, stream, []byte{0, 0, 0, 0})
			} else {
				_ = framer.WriteRSTStream(stream, http2.ErrCodeCancel)
			}
		}
		if out.Flush() != nil {
			return first
		}
		watch()
	}
	return resetRequests
}

// residentOf is VmRSS of proc_pid_status(5), in KB.
func residentOf(t *testing.T, pid int) int {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "VmRSS:")
	size, err := strconv.Atoi(strings.Fields(rest)[0])
	if err != nil {
		t.Fatal(err)
	}
	return size
}
