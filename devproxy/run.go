package devproxy

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/devproxy/devproxy/devproxy/forward"
	"github.com/devproxy/devproxy/devproxy/listen"
)

const (
	// idleTimeout closes connections nobody uses. It is longer than what
	// browsers keep (Chromium: 5 minutes), so that the browser closes first
	// and no request meets a closing connection.
	idleTimeout = 6 * time.Minute
	// maxHeadBytes bounds what net/http takes of a head. Package message refuses a
	// head of 64 KiB with 431, in HTTP/2 on its stream alone; beyond maxHeadBytes
	// net/http would end the connection, with all other streams. It is more than all
	// the cookies that a browser keeps for one host (RFC 6265 section 6.1: 180 of 4 KiB
	// in Chromium).
	maxHeadBytes = 1 << 20
	// maxStreams is what one HTTP/2 connection may ask for at once: a cold
	// load of a large module graph asks for all it knows of.
	maxStreams = 1000
	// maxFrame is the longest HTTP/2 frame taken, the least that RFC 9113
	// section 4.2 allows and what browsers send. A frame of a head is held
	// whole, so net/http's 1 MiB would be a stranger's to fill.
	maxFrame = 16 << 10
	// connectionWindow is HTTP/2's credit for all uploads of a connection: 32 may
	// stall, and the next still moves.
	connectionWindow = 32 * forward.UploadWindow
)

// Run serves on the listeners until ctx ends. Then it accepts nothing more,
// closes streams, which have no end of their own, and returns when the
// requests in flight are finished; Close cuts them short. The error is a
// listener's that failed on its own.
func (s *Server) Run(ctx context.Context, log *slog.Logger, listeners ...net.Listener) error {
	srv := s.httpServer(log)
	var group sync.WaitGroup
	failed := make(chan error, len(listeners))
	for _, ln := range listeners {
		group.Go(func() {
			if err := srv.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
				failed <- err
			}
		})
	}
	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	s.drain(srv)
	group.Wait()
	return err
}

func (s *Server) httpServer(log *slog.Logger) *http.Server {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true)
	return &http.Server{
		Handler: s,
		// OPTIONS * is refused like any other message that devproxy does not serve.
		DisableGeneralOptionsHandler: true,

		ConnContext:       listen.ConnContext,
		ConnState:         listen.ConnState,
		ReadHeaderTimeout: listen.HeadTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeadBytes,
		Protocols:         protocols,
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams:          maxStreams,
			MaxReadFrameSize:              maxFrame,
			MaxReceiveBufferPerStream:     forward.UploadWindow,
			MaxReceiveBufferPerConnection: connectionWindow,
		},
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
}

// drain ends srv: streams are closed, requests finish. It returns early when
// Close is called.
func (s *Server) drain(srv *http.Server) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	stop := context.AfterFunc(s.closing, cancel)
	defer stop()

	s.stopApplying()
	s.closeAllStreams()
	// What is held is sent away; what is under way finishes.
	for _, u := range s.current.Load().upstreams {
		u.Retire()
		s.retired.add(u)
	}
	if srv.Shutdown(ctx) != nil {
		srv.Close()
	}
	// Upgraded connections are not srv's to wait for: their close frames are
	// written, and answered, by the time their upstream is idle.
	s.retired.wait(ctx)
	s.clients.Close()
}

func (s *Server) closeAllStreams() {
	for _, u := range s.current.Load().upstreams {
		u.CloseAllStreams()
	}
	s.retired.closeStreams()
}

// stopApplying makes the current generation the last, so that what is drained
// is all there is.
func (s *Server) stopApplying() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopping.Store(true)
}

// Close cuts off what Run still waits for and makes every later Apply fail.
func (s *Server) Close() {
	s.stopApplying()
	s.cancel()
	s.clients.Close()
	for _, u := range s.current.Load().upstreams {
		u.Retire()
	}
}
