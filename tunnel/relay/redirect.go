package relay

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"strconv"

	"github.com/devproxy/devproxy/tunnel/message"
	"github.com/devproxy/devproxy/tunnel/page"
)

// ServeRedirect sends plain HTTP on ln to the same place over TLS, until the
// relay stops or ctx ends.
func (r *Relay) ServeRedirect(ctx context.Context, ln net.Listener) error {
	if !r.enter() {
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
	conns := newHanded()
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = server.Serve(conns) // ends with Close
	}()
	err := r.accept(ctx, ln, public, func(c net.Conn) {
		entered := r.door.enter(c)
		if entered == nil {
			r.tooMany("connections", addrOf(c.RemoteAddr()))
			c.Close()
			return
		}
		r.group.Go(func() {
			if r.introduce(entered, false) {
				conns.give(message.Scan(entered, l.HeadTimeout))
			}
		})
	})
	server.Close()
	<-served
	return err
}

// redirect answers with 308, which keeps method and body.
func (r *Relay) redirect(w http.ResponseWriter, req *http.Request) {
	if refusal, refused := message.Refused(w, req); refused {
		w.Header().Set("Connection", "close")
		_ = unclear(refusal).Write(w, req) // a client that has left needs no page
		return
	}
	at, ok := readAuthority(req.Host, "http")
	if !ok || at.name != r.opts.Domain && !below(at.name, r.opts.Domain) {
		_ = page.Page{Status: http.StatusMisdirectedRequest, Public: true, Title: "This name is not served here."}.Write(w, req)
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
