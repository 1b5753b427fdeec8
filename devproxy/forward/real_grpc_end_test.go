package forward

import (
	"context"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/keepalive"
	grpcstatus "google.golang.org/grpc/status"
)

// The time until the caller's deadline reaches the server, and so does its cancellation.
func TestRealGRPCDeadlineAndCancellationReachTheServer(t *testing.T) {
	overGRPC(t, func(t *testing.T, conn *grpc.ClientConn, e *echo) {
		ctx, leave := context.WithTimeout(t.Context(), patience)
		defer leave()
		result := make(chan error, 1)
		go func() {
			_, err := call(ctx, conn, "Wait", "")
			result <- err
		}()
		if left := within(t, "the deadline", e.deadline); left <= 0 || left > patience {
			t.Errorf("the server has %v, want up to %v", left, patience)
		}
		within(t, "the call", e.started)
		leave()
		if err := within(t, "the result", result); grpcstatus.Code(err) != codes.Canceled {
			t.Errorf("the caller who left got %v", err)
		}
		if err := within(t, "the end", e.ended); err == nil {
			t.Error("the server was not told")
		}
	})
}

func TestRealGRPCDeadlineExceeded(t *testing.T) {
	for _, mode := range grpcUpstreams {
		t.Run(mode, func(t *testing.T) {
			e := &echo{started: make(chan bool, 1), ended: make(chan error, 1)}
			srv, member := grpcUpstream(t, mode, e)
			_, conn := grpcProxy(t, Options{}, member)
			ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			defer cancel()
			if _, err := call(ctx, conn, "Wait", ""); grpcstatus.Code(err) != codes.DeadlineExceeded {
				t.Errorf("got %v", err)
			}
			// It returns when no call is left, and would wait for ever for one
			// that was never told.
			srv.GracefulStop()
		})
	}
}

// A stream that has begun is under no clock, and ends on the server when its
// caller leaves.
func TestRealGRPCStreamEndsWithItsCaller(t *testing.T) {
	overGRPC(t, func(t *testing.T, conn *grpc.ClientConn, e *echo) {
		ctx, leave := context.WithCancel(t.Context())
		defer leave()
		watch := open(ctx, t, conn, "Watch")
		hear(t, watch, "first")
		within(t, "the call", e.started)
		leave()
		if err := within(t, "the end", e.ended); err == nil {
			t.Error("the server was not told")
		}
	})
}

// A server that dies in the middle of a stream is an error, never an end.
func TestRealGRPCServerDies(t *testing.T) {
	for _, mode := range grpcUpstreams {
		t.Run(mode, func(t *testing.T) {
			srv, member := grpcUpstream(t, mode, &echo{})
			_, conn := grpcProxy(t, Options{}, member)
			talk := open(t.Context(), t, conn, "Talk")
			say(t, talk, "hello")
			hear(t, talk, "re: hello")
			srv.Stop()
			if text, err := receive(talk); grpcstatus.Code(err) == codes.OK || text != "" {
				t.Errorf("got %q %v", text, err)
			}
		})
	}
}

// The server sends GOAWAY on each connection after a moment, as those behind
// load balancers do. No call notices.
func TestRealGRPCGoAwayFailsNoCall(t *testing.T) {
	for _, mode := range grpcUpstreams {
		t.Run(mode, func(t *testing.T) {
			_, member := grpcUpstream(t, mode, &echo{}, grpc.KeepaliveParams(keepalive.ServerParameters{MaxConnectionAge: 10 * time.Millisecond}))
			_, conn := grpcProxy(t, Options{}, member)
			var group sync.WaitGroup
			for range 4 {
				group.Go(func() {
					for i := range 150 {
						if got, err := call(t.Context(), conn, "Say", "hello"); err != nil || got != "hello" {
							t.Errorf("call %d: %q %v", i, got, err)
						}
					}
				})
			}
			group.Wait()
		})
	}
}

// A watcher restarts the server: the stream under way is answered to its end by
// the old one, and a call meanwhile is held for the new one.
func TestRealGRPCServerRestarts(t *testing.T) {
	srv, member := grpcUpstream(t, "h2c", &echo{})
	p, conn := grpcProxy(t, Options{}, member)
	p.route.Hold = patience
	talk := open(t.Context(), t, conn, "Talk")
	say(t, talk, "before")
	hear(t, talk, "re: before")
	stopped := make(chan bool)
	go func() {
		srv.GracefulStop()
		close(stopped)
	}()
	waitRefused(t, member.Addrs[0])
	say(t, talk, "after")
	hear(t, talk, "re: after")
	held := make(chan error, 1)
	go func() {
		_, err := call(t.Context(), conn, "Say", "hello")
		held <- err
	}()
	if err := talk.CloseSend(); err != nil {
		t.Fatal(err)
	}
	heardEnd(t, talk)
	within(t, "the old server", stopped)
	ln, err := net.Listen("tcp", member.Addrs[0])
	if err != nil {
		t.Fatal(err)
	}
	serveGRPC(t, ln, &echo{})
	if err := within(t, "the held call", held); err != nil {
		t.Errorf("the call in between got %v", err)
	}
}

// waitRefused returns when nothing listens on addr any more.
func waitRefused(t *testing.T, addr string) {
	t.Helper()
	for end := time.Now().Add(patience); ; {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			return
		}
		_ = conn.Close()
		if time.Now().After(end) {
			t.Fatalf("%s still listens", addr)
		}
	}
}

// A gRPC client gets the same facts as a browser, as a status instead of a
// page.
func TestRealGRPCUpstreamIsDown(t *testing.T) {
	shut := &gate{}
	shut.shut()
	_, member := grpcUpstream(t, "h2c", &echo{})
	p, conn := grpcProxy(t, Options{Dial: shut.dial}, member)
	p.route.Hold = 0
	_, err := call(t.Context(), conn, "Say", "hello")
	if got := grpcstatus.Convert(err); got.Code() != codes.Unavailable || !strings.Contains(got.Message(), "nothing listens on "+member.Addrs[0]) {
		t.Errorf("a call: %v %q", got.Code(), got.Message())
	}
	talk := open(t.Context(), t, conn, "Talk")
	if _, err := receive(talk); grpcstatus.Code(err) != codes.Unavailable {
		t.Errorf("a stream: %v", err)
	}
	// It comes up, and the same client continues.
	p.route.Hold = patience
	shut.open()
	if got, err := call(t.Context(), conn, "Say", "hello"); err != nil || got != "hello" {
		t.Errorf("after it came up: %q %v", got, err)
	}
}

// A WebSocket on the same upstream, which needs HTTP/1.1, must not make gRPC forget which
// protocol its server speaks.
func TestRealGRPCAfterHTTP1OnTheSameUpstream(t *testing.T) {
	_, member := grpcUpstream(t, "https", &echo{})
	p, conn := grpcProxy(t, Options{}, member)
	if _, err := call(t.Context(), conn, "Say", "one"); err != nil {
		t.Fatal(err)
	}
	res, _ := p.ask(t, "GET", "/socket", nil, "Connection", "Upgrade", "Upgrade", "websocket",
		"Sec-WebSocket-Version", "13", "Sec-WebSocket-Key", "AAAAAAAAAAAAAAAAAAAAAA==")
	if !slices.Contains([]int{400, 404, 415, 502, 505}, res.StatusCode) {
		t.Errorf("the upgrade got %s", res.Status)
	}
	if got, err := call(t.Context(), conn, "Say", "two"); err != nil || got != "two" {
		t.Errorf("after it: %q %v", got, err)
	}
}
