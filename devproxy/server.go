// Package devproxy serves the plans of projects: it joins listeners, plans,
// upstreams and pages into one running server, and applies new plans to it
// without closing anything that has not changed.
//
// A request reads the current generation once and lives in it to its end. A
// save builds the next generation beside the current one and swaps one pointer.
package devproxy

import (
	"context"
	"crypto/rand"
	"net/http"
	"sync"
	"sync/atomic"

	"github.com/devproxy/devproxy/devproxy/access"
	"github.com/devproxy/devproxy/devproxy/advice"
	"github.com/devproxy/devproxy/devproxy/forward"
	"github.com/devproxy/devproxy/devproxy/inspect"
	"github.com/devproxy/devproxy/devproxy/plan"
	"github.com/devproxy/devproxy/tunnel/budget"
	"github.com/devproxy/devproxy/tunnel/field"
)

// BodyMemory is how many bytes the bodies of requests under way make devproxy
// hold, in all: what has come of them and what is kept to send them again. Beyond
// it, a body of the connection that holds most is cut off, the one that has not
// moved for longest.
const BodyMemory = 128 << 20

// Options configure a Server.
type Options struct {
	// Recorder records every exchange.
	Recorder *inspect.Recorder
	// OnState is called when an upstream, or one of several members, comes up or
	// goes away; nil means nobody asks. It must not block.
	OnState func(StateChange)
	// Folder is how people know a folder, as pages name it ("~/shop"); nil
	// names it by its path.
	Folder func(path string) string
}

// Server serves one generation at a time. It is an http.Handler; Run serves it
// on listeners. Create one with New; Close ends what it runs.
type Server struct {
	opts     Options
	instance string         // in the hop header, to recognise a loop
	memory   *budget.Budget // of request bodies

	current  atomic.Pointer[generation]
	inFlight atomic.Int64
	// stopping is set, under mu, once no later generation will come.
	stopping atomic.Bool

	mu       sync.Mutex // held by Apply, Remove and Close, never by a request
	folders  []folderPlan
	attempts map[string]*access.Attempts // by host; under mu

	// clients counts what each client has under way, cancelled exchanges too.
	clients   forward.Clients
	machine   field.Machine
	advised   advice.Once
	again     advice.Again
	scripts   scripts
	crashes   crashes
	retired   retirees
	listening atomic.Pointer[Listening]

	closing context.Context // ended by Close
	cancel  context.CancelFunc
}

// Listening is what the server must know of its sockets.
type Listening struct {
	// HTTPSPort is the port that plain HTTP is redirected to.
	HTTPSPort uint16
	// ServePlain serves plans over plain HTTP too, instead of redirecting.
	ServePlain bool
}

// SetListening says what the sockets are now. Before, it is port 443.
func (s *Server) SetListening(l Listening) { s.listening.Store(&l) }

// folderPlan is what one folder wants served.
type folderPlan struct {
	folder string
	plan   *plan.Plan
}

// New is a server with nothing to serve yet: every host is unknown.
func New(opts Options) *Server {
	if opts.Folder == nil {
		opts.Folder = func(path string) string { return path }
	}
	s := &Server{opts: opts, instance: rand.Text(), memory: budget.New(budget.Limits{Total: BodyMemory}), attempts: map[string]*access.Attempts{}}
	s.closing, s.cancel = context.WithCancel(context.Background())
	s.SetListening(Listening{HTTPSPort: 443})
	s.current.Store(&generation{plan: &plan.Plan{}})
	return s
}

// ServeHTTP is the way of every request, from whichever listener: the exchange
// is opened, answered or failed, and closed.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.inFlight.Add(1)
	defer s.inFlight.Add(-1)
	x := s.open(w, r)
	defer s.close(x, r)
	if x.err = s.serve(x, r); x.err != nil {
		s.fail(x, r)
	}
	x.w.end()
	if x.reported().Member == "" {
		linger(w, r)
	}
}
