package relay

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/devproxy/devproxy/tunnel/message"
)

// ServeRedirect sends plain HTTP on ln to the same place over TLS, until the
// relay stops or ctx ends.
func (r *Relay) ServeRedirect(ctx context.Context, ln net.Listener) error {
	if !r.hold(ln, public) {
		return ln.Close()
	}
	defer r.group.Done()
	l := r.opts.Limits
	server := &http.Server{
		Handler:           http.HandlerFunc(r.redirect),
		ReadHeaderTimeout: l.HeadTimeout, ReadTimeout: l.HeadTimeout, WriteTimeout: l.HeadTimeout, IdleTimeout: l.HeadTimeout,
		MaxHeaderBytes: l.HeadBytes,
		ConnContext:    message.ConnContext,
		ConnState:      message.ConnState,
		ErrorLog:       slog.NewLogLogger(r.journal.logger(r.opts.Log, kindServer).Handler(), slog.LevelDebug),
	}
	defer server.Close() // also when the relay closes ln
	defer context.AfterFunc(ctx, func() { server.Close() })()
	err := server.Serve(doorListener{ln, r.door, l.HeadTimeout})
	if errors.Is(err, http.ErrServerClosed) || errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// redirect answers with 308, which keeps method and body.
func (r *Relay) redirect(w http.ResponseWriter, req *http.Request) {
	if refusal, refused := message.Refused(w, req); refused {
		w.Header().Set("Connection", "close")
		unclear(refusal).write(w, req)
		return
	}
	at, ok := readAuthority(req.Host, "http")
	if !ok || at.name != r.opts.Domain && !below(at.name, r.opts.Domain) {
		page{Status: http.StatusMisdirectedRequest, Kind: "client", Title: "This name is not served here."}.write(w, req)
		return
	}
	v := &visit{relay: r, r: req}
	to := "https://" + at.name
	if port := r.port.Load(); port != 443 {
		to += ":" + strconv.Itoa(int(port))
	}
	w.Header().Set("Location", to+v.target())
	w.Header().Set("Connection", "close")
	w.WriteHeader(http.StatusPermanentRedirect)
}

// doorListener lets in as many connections as a door does, each behind the
// scanner of HTTP/1.
type doorListener struct {
	net.Listener
	door        *door
	headTimeout time.Duration
}

// Accept implements net.Listener.
func (l doorListener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if entered := l.door.enter(c); entered != nil {
			return message.Scan(entered, l.headTimeout), nil
		}
		c.Close()
	}
}
