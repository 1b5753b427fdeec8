package listen

import (
	"context"
	"errors"
	"net"
	"slices"

	"github.com/devproxy/devproxy/devproxy/front"
)

// endpoints are the sockets of both protocols.
type endpoints struct {
	https, http endpoint
	shared      *front.Shared // nil with sockets of this process alone
	left        bool          // closed, and nothing replaces them yet
}

// close closes shared endpoints.
func (e endpoints) close() {
	closeAll(e.sockets())
	_ = e.shared.Close() // has nothing to lose
}

func (e endpoints) sockets() []net.Listener { return slices.Concat(e.https.sockets, e.http.sockets) }

// has reports whether err is that of a port which these endpoints share.
func (e endpoints) has(err error) bool {
	failed, ok := errors.AsType[*BindError](err)
	return ok && e.shared != nil && failed.Reason == Taken && slices.ContainsFunc(e.sockets(), func(socket net.Listener) bool {
		return boundTo(socket).Port() == failed.Addr.Port()
	})
}

// openEndpoints opens the sockets for cfg. It keeps those of old that fit, and closes
// none of them: a failure changes nothing.
func openEndpoints(ctx context.Context, cfg Config, old endpoints) (endpoints, error) {
	if cfg.shares() && old.shared != nil && !old.left {
		return old, nil
	}
	if cfg.shares() {
		next, err := joinOthers(ctx, cfg)
		if !errors.Is(err, front.ErrUnsupported) {
			return next, err
		}
	}
	if old.shared != nil {
		old = endpoints{} // its listeners are not sockets of this process alone
	}
	return openOwn(ctx, cfg, old)
}

// openOwn binds sockets for this process alone.
func openOwn(ctx context.Context, cfg Config, old endpoints) (next endpoints, err error) {
	if next.https, err = old.https.change(ctx, cfg.HTTPS, defaultHTTPS, fallbackHTTPS); err != nil {
		return endpoints{}, err
	}
	if next.http, err = old.http.change(ctx, cfg.HTTP, defaultHTTP, 0); err != nil {
		closeAll(without(next.https.sockets, old.https.sockets))
		return endpoints{}, err
	}
	return next, nil
}

// joinOthers shares the default ports with the user's other projects.
func joinOthers(ctx context.Context, cfg Config) (next endpoints, err error) {
	next.shared, err = front.Join(ctx, front.Options{
		Dir: cfg.Runtime, Lost: cfg.Lost, Log: cfg.Log,
		Bind: func(ctx context.Context) (front.Sockets, error) {
			first, err := openOwn(ctx, Config{}, endpoints{})
			next.https.fallback, next.http.fallback = first.https.fallback, first.http.fallback
			return front.Sockets{HTTPS: tcpListeners(first.https.sockets), HTTP: tcpListeners(first.http.sockets)}, err
		},
	})
	if err != nil {
		return endpoints{}, err
	}
	bound := next.https.fallback != nil || next.http.fallback != nil
	next.https.sockets, next.http.sockets = next.shared.Listeners()
	if !bound { // by another project, or as wanted
		next.https.explain(ctx, defaultHTTPS)
		next.http.explain(ctx, defaultHTTP)
	}
	return next, nil
}

func tcpListeners(sockets []net.Listener) []*net.TCPListener {
	all := make([]*net.TCPListener, len(sockets))
	for i, socket := range sockets {
		all[i] = socket.(*net.TCPListener) // of bindOne
	}
	return all
}

// explain finds out why another project has not bound the port wanted.
func (e *endpoint) explain(ctx context.Context, wanted uint16) {
	var got uint16
	if len(e.sockets) > 0 {
		got = boundTo(e.sockets[0]).Port()
	}
	if got == wanted {
		return
	}
	e.fallback = &Fallback{Wanted: int(wanted), Got: int(got), Reason: Shared}
	sockets, err := bind(ctx, onLoopback(wanted), nil)
	closeAll(sockets)
	if failed, ok := errors.AsType[*BindError](err); ok && failed.Reason != 0 {
		failed.explain()
		e.fallback.Reason, e.fallback.Holder, e.fallback.Fix = failed.Reason, failed.Holder, failed.Fix
	}
}
