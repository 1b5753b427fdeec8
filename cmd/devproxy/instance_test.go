package main

import (
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync"
	"testing"
)

// logBuffer is a text that may be written and read at once.
type logBuffer struct {
	mu   sync.Mutex
	text strings.Builder
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// TestUnsolicitedResponse: what net/http logs of an upstream that sends a response
// which was not requested reaches the terminal with --verbose only, as a log line.
func TestUnsolicitedResponse(t *testing.T) {
	was, flags := slog.Default(), log.Flags()
	out := log.Writer()
	defer func() {
		slog.SetDefault(was)
		log.SetOutput(out)
		log.SetFlags(flags)
	}()
	for _, verbose := range []bool{false, true} {
		var terminal, raw logBuffer
		log.SetOutput(&raw) // where the standard library logs directly
		newLog(&terminal, verbose)
		unsolicited(t)
		if got := terminal.String(); strings.Contains(got, "level=WARN") != verbose || strings.Contains(got, "Unsolicited response") != verbose {
			t.Errorf("verbose %t: the terminal shows %q", verbose, got)
		}
		if got := raw.String(); got != "" {
			t.Errorf("verbose %t: unformatted: %q", verbose, got)
		}
	}
}

// unsolicited returns when a transport has received a second response to a request. By
// then it has logged that, and closed the connection.
func unsolicited(t *testing.T) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	idle, closed := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(closed)
		conn, err := ln.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		_, _ = conn.Read(make([]byte, 4<<10))
		_, _ = conn.Write([]byte("HTTP/1.1 204 No Content\r\n\r\n"))
		select {
		case <-idle:
		case <-t.Context().Done():
			return
		}
		_, _ = conn.Write([]byte("HTTP/1.1 204 No Content\r\n\r\n"))
		_, _ = conn.Read(make([]byte, 1)) // until the transport closes it
	}()
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{PutIdleConn: func(error) { close(idle) }})
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+ln.Addr().String(), nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := transport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	<-closed
}
