package devproxy

import (
	"context"
	"log/slog"
	"net"
	"net/http"

	"github.com/devproxy/devproxy/devproxy/share"
)

// Sharing is a share as ServeShare serves it.
type Sharing struct {
	// Name is what records call the share; never empty.
	Name string
	// Visitor tells who is at the other end of a connection of the listener.
	Visitor func(net.Conn) share.Visitor
	// Share is what is shared now. It is asked once for each request and never
	// gives nil.
	Share func() *Shared
}

// Shared is what is shared at one moment.
type Shared struct {
	*share.Share
	// Streams ends the streams that were opened under it, when it is done: for
	// whoever may not see any more what they show. It must be done when the
	// share is over. Nil means that it is not before.
	Streams context.Context
}

// ServeShare serves the visitors that ln brings until ctx ends, or ln fails: as
// it serves local requests, but for what the share keeps from them. Once ctx
// has ended streams are closed, what is in flight finishes, and new requests
// are sent away; ln is closed after that. Closing ln, or the Server, cuts it
// short. The error is ln's when it failed on its own.
//
// The connections have an http.Server of their own: a share can end while the
// rest goes on, and a connection carries one exchange, whatever the relay may
// make of it, so that no two visitors share a parser.
func (s *Server) ServeShare(ctx context.Context, log *slog.Logger, ln net.Listener, sharing Sharing) error {
	srv := s.httpServer(log)
	srv.Protocols = new(http.Protocols)
	srv.Protocols.SetHTTP1(true)
	srv.SetKeepAlivesEnabled(false)
	srv.BaseContext = func(net.Listener) context.Context {
		return context.WithValue(context.Background(), sharingKey{}, &shared{Sharing: sharing, over: ctx})
	}
	cut, cutOff := context.WithCancel(s.closing)
	defer cutOff()
	in := &visitors{Listener: ln, sharing: sharing, cut: cut, none: make(chan struct{})}
	var failed error
	served := make(chan struct{})
	go func() {
		defer close(served)
		failed = srv.Serve(in)
	}()
	select {
	case <-served:
	case <-ctx.Done():
		in.finish()
		select {
		case <-in.none:
		case <-served: // ln was closed
		case <-s.closing.Done():
		}
	}
	wanted := ctx.Err() != nil
	cutOff()
	_ = ln.Close() // before srv, which waits for Accept to return
	srv.Close()
	<-served
	if wanted {
		return nil
	}
	return failed
}

// sharingKey is the context key of *shared.
type sharingKey struct{}

// shared is a share that is being served.
type shared struct {
	Sharing
	over context.Context // done once the share ends
}

// sharingOf is nil for a local request.
func sharingOf(ctx context.Context) *shared {
	sh, _ := ctx.Value(sharingKey{}).(*shared)
	return sh
}
