package devproxy

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/devproxy/devproxy/devproxy/answer"
	"github.com/devproxy/devproxy/devproxy/inspect"
	"github.com/devproxy/devproxy/devproxy/listen"
	"github.com/devproxy/devproxy/devproxy/plan"
	"github.com/devproxy/devproxy/devproxy/rewrite"
	"github.com/devproxy/devproxy/devproxy/share"
	"github.com/devproxy/devproxy/tunnel/field"
	"github.com/devproxy/devproxy/tunnel/websocket"
)

// visit is a request that came through a share.
type visit struct {
	share   *share.Share
	visitor share.Visitor
	over    context.Context // done when the share is
	streams context.Context // done when its streams must end
	// host is the local authority that was meant, and target the path and query
	// without the link's secret; empty until the visitor was admitted.
	host, target string
	// asked is the request as it came; nil until the visitor was admitted.
	asked *http.Request
	// hops are the instances of devproxy that the request has passed through.
	hops []string
	// request and response are what the share makes of them; nil until the visitor was
	// admitted. response is nil too if bodies are left unchanged.
	request  *rewrite.Request
	response *rewrite.Response
	// hidden is why the share hid the request; nil if it did not.
	hidden *share.Hit
	// expect is Sharing.Expect. logins finds the logins that the response begins; nil for
	// none.
	expect func(ctx context.Context, state string) error
	logins *share.Logins
}

// newVisit is nil for a local request.
func newVisit(r *http.Request) *visit {
	sharing, ok := r.Context().Value(sharingKey{}).(*shared)
	if !ok {
		return nil
	}
	conn := listen.FromContext(r.Context())
	now := sharing.Share()
	v := &visit{
		share: now.Share, over: sharing.over, streams: sharing.over, expect: sharing.Expect,
		visitor: share.Visitor{Addr: conn.Visitor, Scheme: scheme(r), Host: conn.PublicHost},
	}
	if conn.AddrField != "" {
		v.visitor.Addr = toldAddr(r.Header[http.CanonicalHeaderKey(conn.AddrField)])
	}
	if now.Streams != nil {
		v.streams = now.Streams
	}
	return v
}

// toldAddr is the visitor's address in the lines of a field, without a port. It is
// zero unless there is one line with one address: a second has another author.
func toldAddr(lines []string) netip.AddrPort {
	if len(lines) != 1 {
		return netip.AddrPort{}
	}
	addr, err := netip.ParseAddr(lines[0])
	if err != nil {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(addr.Unmap().WithZone(""), 0)
}

// serveVisitor is serve for a visitor of a share.
func (x *exchange) serveVisitor(r *http.Request) error {
	if x.serveProbe(r) {
		return nil
	}
	in, handled := x.visit.share.Admit(x.w, r, x.visit.visitor)
	if handled {
		if hit, hidden := x.visit.share.Hides(requestTarget(r)); hidden && x.w.status == http.StatusNotFound {
			x.visit.hidden = &hit
		}
		return nil
	}
	x.visit.host, x.visit.target, x.visit.hops = in.Host, in.RequestURI, r.Header[field.Hop]
	x.visit.asked = r
	x.visit.findLogins(x, in.Host)
	x.visit.publish(x, r) // only now, since the gate's own responses are public already
	if in.URL.Path == statePath {
		return x.serveState(in)
	}
	if x.visit.over.Err() != nil {
		return errStopping
	}
	if err := x.visit.rewrite(x, in); err != nil {
		return fmt.Errorf("%w: %w", errGone, err)
	}
	err := x.serveRoute(in)
	if x.visit.response != nil && x.visit.response.Part() {
		return x.serveWhole(in)
	}
	return err
}

// rewrite makes URLs in the body of the request local, and has those in the body of
// the response made public.
func (v *visit) rewrite(x *exchange, in *http.Request) (err error) {
	if v.request, err = v.share.Inward(in, v.visitor); err != nil || !v.share.RewritesBodies() {
		return err
	}
	options := v.share.Bodies(v.visitor, func(text string) { x.tell(in.Host, []string{text}) })
	if v.logins != nil && in.Method == http.MethodPost {
		options.See = v.logins.Body
	}
	v.response = rewrite.NewResponse(x.w.ResponseWriter, v.request, options)
	x.w.ResponseWriter = v.response
	return nil
}

// serveWhole answers again when the answer was a part of a text, which can't be
// changed: now without the Range, which is optional to the project (RFC 9110 section
// 14.2). Nothing was written.
func (x *exchange) serveWhole(in *http.Request) error {
	below := x.visit.response.ResponseWriter
	clear(below.Header())
	x.visit.response.Free()
	delete(in.Header, "Range")
	delete(in.Header, "If-Range")
	x.w.status = 0
	x.visit.response = x.visit.response.Again()
	x.w.ResponseWriter = x.visit.response
	return x.serveRoute(in)
}

// finish writes the rest of the response. It breaks off one that is not complete.
func (v *visit) finish() {
	if v == nil || v.response == nil {
		return
	}
	if err := v.response.Finish(); err != nil {
		panic(http.ErrAbortHandler)
	}
}

// free gives up what the visit has in memory.
func (v *visit) free() {
	if v == nil {
		return
	}
	if v.request != nil {
		v.request.Free()
	}
	if v.response != nil {
		v.response.Free()
	}
}

// publish makes every header public that is written from now on.
func (v *visit) publish(x *exchange, r *http.Request) {
	x.w.outward = func(header http.Header, status int) {
		v.share.Outward(header, status, v.visitor, r)
		v.lookAtHeader(header)
	}
	x.w.trailers = v.share.Trailers
}

// guard refuses requests that the share hides, also when the route leads there
// by a different path than the visitor's, which Admit has checked: by the path
// that is sent, and by the path below the route, where an app that is mounted
// there has its own root.
func (v *visit) guard(r *http.Request, match plan.Match) error {
	if v == nil {
		return nil
	}
	asked, sent, tried := rawPath(r), "", ""
	switch a := match.Route.Answer.(type) {
	case *plan.Upstream:
		sent = match.Target(asked)
		if match.Route.TryFiles != nil {
			tried = match.TryPath()
		}
	case *plan.Files:
		sent = answer.LooksUp(a, match)
	default:
		return nil // the answer is in the Proxyfile
	}
	for _, path := range []string{sent, tried, match.Rest} {
		if path == asked || path == "" {
			continue
		}
		if hit, hidden := v.share.HidesSent(path + "?" + r.URL.RawQuery); hidden {
			v.hidden = &hit
			return errHidden
		}
	}
	return nil
}

// messages returns the rules for a visitor's messages on a WebSocket of a
// developer tool. Such a socket agrees on no extension, since compressed
// messages could not be checked: r must be the visit's own. The first message
// that is hidden is recorded at once, since the socket may stay open for hours.
func (x *exchange) messages(r *http.Request, target string) func(string) *websocket.Rules {
	tell := func(hit share.Hit) {
		if x.server.opts.Recorder == nil {
			return
		}
		record := x.newRecord(r)
		record.Start, record.Status = time.Now(), http.StatusSwitchingProtocols
		record.Hidden, record.Show = hit.What, hit.Show
		x.server.opts.Recorder.Record(record)
	}
	shared := x.visit.share
	if shared.SocketRules(r, target, "", tell) != nil {
		r.Header.Del("Sec-WebSocket-Extensions")
	}
	return func(accepted string) *websocket.Rules { return shared.SocketRules(r, target, accepted, tell) }
}

// record adds the visit to a record, without the link's secret, which a query may
// carry.
func (v *visit) record(record *inspect.Exchange, r *http.Request) {
	record.Share = listen.FromContext(r.Context()).Share
	if addr := v.visitor.Addr.Addr(); addr.IsValid() {
		record.Visitor = addr.Unmap().String()
	}
	if v.hidden != nil {
		record.Hidden, record.Show = v.hidden.What, v.hidden.Show
	}
	if v.host != "" {
		record.Host, record.Target = v.host, v.target
		return
	}
	if local := v.share.Meant(r, v.visitor); local != "" {
		record.Host = local
	}
	record.Target, _, _ = strings.Cut(record.Target, "?")
}
