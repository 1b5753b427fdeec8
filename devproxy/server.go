// Package devproxy serves the plan of a project: it joins listeners, plans,
// upstreams and pages into one running server, and applies new plans to it
// without closing anything that has not changed.
//
// A request reads the current generation once and stays in it until it ends. A
// save builds the next generation next to the current one and swaps one pointer.
package devproxy

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/devproxy/devproxy/devproxy/access"
	"github.com/devproxy/devproxy/devproxy/advice"
	"github.com/devproxy/devproxy/devproxy/control"
	"github.com/devproxy/devproxy/devproxy/forward"
	"github.com/devproxy/devproxy/devproxy/inspect"
	"github.com/devproxy/devproxy/devproxy/listen"
	"github.com/devproxy/devproxy/devproxy/plan"
	"github.com/devproxy/devproxy/devproxy/port"
	"github.com/devproxy/devproxy/devproxy/service"
	"github.com/devproxy/devproxy/tunnel/budget"
	"github.com/devproxy/devproxy/tunnel/field"
)

// BodyMemory is how many bytes devproxy holds of the bodies of all requests in
// progress: what has arrived and what is kept to send it again. Beyond it, a body of
// the connection that holds the most is cut off, the one that has not moved for
// longest.
const BodyMemory = 128 << 20

// Options configure a Server.
type Options struct {
	// Recorder records every exchange.
	Recorder inspect.Recorder
	// OnState is called when an upstream, or one of several members, becomes
	// reachable or unreachable. It must not block. Nil is allowed.
	OnState func(StateChange)
	// OnPort is called when a tcp or udp block can't be listened on or its upstream refuses
	// a connection, and when that has ended. It must not block. Nil is allowed.
	OnPort func(control.Port)
	// Service returns the state of the service that devproxy runs for a port of this
	// machine; ok is false for any other port. Requests are held until it is ready.
	// Nil means that there is none.
	Service func(port uint16) (state service.State, ok bool)
	// Machine answers requests of this machine's programs for plan.OwnHost, over TLS.
	// Nil answers that the host is unknown.
	Machine http.Handler
	// Version is shown on the page of unknown hosts.
	Version string
}

// Server serves one generation at a time. It is an http.Handler; Run serves it
// on listeners. Create one with New; Close ends everything that it runs.
type Server struct {
	opts     Options
	instance string         // in the hop header, to recognise a loop
	memory   *budget.Budget // of request bodies

	current  atomic.Pointer[generation]
	inFlight atomic.Int64
	// stopping is set, under mu, once no later generation will come.
	stopping atomic.Bool

	mu       sync.Mutex                  // held by Apply and Close, never by a request
	attempts map[string]*access.Attempts // by host; under mu

	// clients counts each client's exchanges in progress, cancelled ones too.
	clients   forward.Clients
	ports     *port.Set
	machine   field.Machine
	advised   advice.Once
	again     advice.Again
	scripts   scripts
	crashes   crashes
	check     shareCheck
	retired   retirees
	listening atomic.Pointer[Listening]

	closing context.Context // ended by Close
	cancel  context.CancelFunc
}

// Listening describes the server's sockets.
type Listening struct {
	// HTTPSPort is the port that plain HTTP is redirected to.
	HTTPSPort uint16
	// ServePlain serves plans over plain HTTP too, instead of redirecting.
	ServePlain bool
}

// SetListening replaces the description of the sockets. The default is port
// 443.
func (s *Server) SetListening(l Listening) { s.listening.Store(&l) }

// New returns a server with nothing to serve yet: every host is unknown.
func New(opts Options) *Server {
	s := &Server{opts: opts, instance: rand.Text(), memory: budget.New(budget.Limits{Total: BodyMemory}), attempts: map[string]*access.Attempts{}}
	s.closing, s.cancel = context.WithCancel(context.Background())
	s.ports = port.New(port.Options{Dial: s.dial, OnState: func(state port.State) {
		if opts.OnPort != nil {
			opts.OnPort(s.portStatus(state))
		}
	}})
	s.SetListening(Listening{HTTPSPort: 443})
	s.current.Store(&generation{plan: &plan.Plan{}})
	return s
}

// Run serves on the listeners until ctx ends. Then it accepts nothing more,
// closes streams, which would not end otherwise, and returns when the requests
// in progress are finished; Close cuts them short. The error is that of a
// listener that failed on its own.
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

const (
	// idleTimeout closes unused connections. It is longer than what browsers
	// keep (Chromium: 5 minutes), so the browser closes first and no request
	// meets a closing connection.
	idleTimeout = 6 * time.Minute
	// maxHeadBytes bounds what net/http reads of a header. Package message refuses
	// 64 KiB with 431, in HTTP/2 on that stream alone; beyond maxHeadBytes net/http
	// would end the connection, with all other streams. It is more than all the
	// cookies that a browser keeps for one host (RFC 6265 section 6.1: 180 of 4 KiB
	// in Chromium).
	maxHeadBytes = 1 << 20
	// maxStreams is how many requests one HTTP/2 connection may have open: a cold
	// load of a large module graph requests all modules at once.
	maxStreams = 1000
	// maxFrame is the longest HTTP/2 frame accepted, the least that RFC 9113
	// section 4.2 allows and what browsers send. A frame of a header is held
	// whole, so a stranger could fill net/http's 1 MiB.
	maxFrame = 16 << 10
	// connectionWindow is HTTP/2's credit for all uploads of a connection: 32 may
	// stall, and the next still moves.
	connectionWindow = 32 * forward.UploadWindow
)

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
	s.ports.Close()
	for _, u := range s.upstreams() {
		u.CloseAllStreams()
	}
	// Requests that are held are answered; those in progress finish.
	for _, u := range s.current.Load().upstreams {
		u.Retire()
		s.retired.add(u)
	}
	if srv.Shutdown(ctx) != nil {
		srv.Close()
	}
	// srv does not wait for upgraded connections. Once their upstream is idle,
	// their close frames are written and answered.
	for _, u := range s.retired.list() {
		_ = u.Wait(ctx) // ended by Close
	}
	s.clients.Close()
}

// stopApplying makes the current generation the last, so that drain sees all that
// runs.
func (s *Server) stopApplying() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopping.Store(true)
}

// Close cuts off what Run still waits for and makes every later Apply fail.
func (s *Server) Close() {
	s.stopApplying()
	s.ports.Close()
	s.cancel()
	s.clients.Close()
	for _, u := range s.current.Load().upstreams {
		u.Retire()
	}
}

// Generation is the number of the plan that is served now; 0 before the first.
func (s *Server) Generation() uint64 { return s.current.Load().number }

// Streams is the number of open upgraded connections and event streams.
func (s *Server) Streams() int {
	n := 0
	for _, u := range s.upstreams() {
		n += u.Streams()
	}
	return n
}

// upstreams are those of the current generation and those that only finish their
// exchanges.
func (s *Server) upstreams() []*forward.Upstream {
	return slices.AppendSeq(s.retired.list(), maps.Values(s.current.Load().upstreams))
}

// InFlight is the number of exchanges that have not ended, streams among them.
func (s *Server) InFlight() int { return int(s.inFlight.Load()) }
