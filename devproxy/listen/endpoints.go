package listen

import (
	"context"
	"errors"
	"net"
	"os"
	"slices"

	"github.com/devproxy/devproxy/devproxy/front"
)

// endpoints are the sockets of both protocols.
type endpoints struct {
	https, http endpoint
	shared      *front.Shared // nil with sockets of this process alone
	left        bool          // closed, and nothing replaces them yet
	older       uint16        // the port of HTTPS that others had before; 0 if it is the same
}

// close closes the sockets, and gives up this process's part in shared ones.
func (e endpoints) close() {
	closeAll(e.sockets())
	if e.shared != nil {
		_ = e.shared.Close() // has nothing to lose
	}
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
	if cfg.Passed != nil && (cfg.HTTPS != "" || cfg.HTTP != "") {
		return endpoints{}, ErrPassed
	}
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
	https, http := cfg.Passed.files()
	if next.https, err = old.https.change(ctx, cfg, cfg.HTTPS, defaultHTTPS, https); err != nil {
		return endpoints{}, err
	}
	if next.http, err = old.http.change(ctx, cfg, cfg.HTTP, defaultHTTP, http); err != nil {
		closeAll(without(next.https.sockets, old.https.sockets))
		return endpoints{}, err
	}
	return next, nil
}

// joinOthers shares the default ports with the user's other projects.
func joinOthers(ctx context.Context, cfg Config) (next endpoints, err error) {
	next.shared, err = front.Join(ctx, front.Options{
		Dir: cfg.Runtime, Socket: cfg.Passed.frontSocket(), Lost: cfg.Lost, Log: cfg.Log,
		Bind: func(ctx context.Context) (front.Sockets, error) {
			first, err := openOwn(ctx, cfg, endpoints{})
			next.https.fallback, next.http.fallback = first.https.fallback, first.http.fallback
			return first.shareable(), err
		},
	})
	if err != nil {
		return endpoints{}, err
	}
	bound := next.https.fallback != nil || next.http.fallback != nil
	next.https.sockets, next.http.sockets = next.shared.Listeners()
	if !bound { // by another project, or as wanted
		next.grow(ctx, cfg)
	}
	return next, nil
}

// grow shares the ports that are wanted and not shared yet: they were not available when
// another project bound its own.
func (e *endpoints) grow(ctx context.Context, cfg Config) {
	https, http := cfg.Passed.files()
	more := endpoints{}
	more.https.sockets = e.https.missing(ctx, cfg, defaultHTTPS, https)
	more.http.sockets = e.http.missing(ctx, cfg, defaultHTTP, http)
	if len(more.sockets()) == 0 {
		return
	}
	older := boundTo(e.https.sockets[0]).Port()
	if err := e.shared.Add(ctx, more.shareable()); err != nil {
		if cfg.Log != nil {
			cfg.Log.Warn("the ports of the running projects are used", "error", err)
		}
		closeAll(more.sockets())
		return
	}
	e.https.sockets, e.http.sockets = e.shared.Listeners()
	if len(more.https.sockets) > 0 {
		e.https.fallback, e.older = nil, older
	}
	if len(more.http.sockets) > 0 {
		e.http.fallback = nil
	}
}

// shareable are the sockets as package front takes them.
func (e endpoints) shareable() front.Sockets {
	return front.Sockets{HTTPS: tcpListeners(e.https.sockets), HTTP: tcpListeners(e.http.sockets)}
}

func tcpListeners(sockets []net.Listener) []*net.TCPListener {
	all := make([]*net.TCPListener, len(sockets))
	for i, socket := range sockets {
		all[i] = socket.(*net.TCPListener) // of bindOne, or of a Passed, which has checked it
	}
	return all
}

// missing opens the sockets that are passed and not shared, or without any the port
// wanted. If that is not available, the fallback says why.
func (e *endpoint) missing(ctx context.Context, cfg Config, wanted uint16, passed []*os.File) []net.Listener {
	if len(passed) > 0 {
		sockets, err := duplicates(passed)
		if err != nil || slices.ContainsFunc(e.sockets, func(shared net.Listener) bool { return boundTo(shared) == boundTo(sockets[0]) }) {
			closeAll(sockets)
			return nil
		}
		return sockets
	}
	var got uint16
	if len(e.sockets) > 0 {
		got = boundTo(e.sockets[0]).Port()
	}
	if got == wanted {
		return nil
	}
	e.fallback = &Fallback{Wanted: int(wanted), Got: int(got), Reason: Shared}
	sockets, err := bind(ctx, onLoopback(wanted), nil, cfg.Announce)
	if failed, ok := errors.AsType[*BindError](err); ok && failed.Reason != 0 {
		failed.explain()
		e.fallback.because(failed)
	}
	return sockets
}
