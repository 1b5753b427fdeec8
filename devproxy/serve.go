package devproxy

import (
	"cmp"
	"errors"
	"net"
	"net/http"
	"strings"

	"github.com/devproxy/devproxy/devproxy/forward"
	"github.com/devproxy/devproxy/devproxy/listen"
	"github.com/devproxy/devproxy/devproxy/middleware"
	"github.com/devproxy/devproxy/devproxy/plan"
	"github.com/devproxy/devproxy/tunnel/budget"
	"github.com/devproxy/devproxy/tunnel/message"
)

// serve answers r on x, or returns why it could not, with nothing written yet.
func (s *Server) serve(x *exchange, r *http.Request) error {
	if refusal, ok := message.Refused(x.w, r); ok {
		return refusal
	}
	if x.visit != nil {
		return s.serveVisitor(x, r)
	}
	if conn := listen.FromContext(r.Context()); !conn.TLS && (conn.PlainOnTLS || !s.listening.Load().ServePlain) {
		return s.redirectToHTTPS(x, r)
	}
	if strings.HasPrefix(r.URL.Path, ownPaths) {
		return s.serveOwn(x, r)
	}
	return s.serveRoute(x, r)
}

// serveRoute has the route of r answer it.
func (s *Server) serveRoute(x *exchange, r *http.Request) error {
	for {
		match, err := x.generation.plan.Match(request(r))
		if err != nil {
			return err
		}
		x.route = match.Route
		err = s.answer(x, r, match)
		if !errors.Is(err, forward.ErrRetired) {
			return err
		}
		if s.stopping.Load() {
			return errStopping
		}
		// The plan changed while the request waited, and nothing has been sent
		// yet: what the file says now counts.
		x.generation = s.current.Load()
	}
}

func setHeaders(to http.Header, fields []plan.Header) {
	for _, field := range fields {
		if field.Remove {
			to.Del(field.Name)
		} else {
			to.Set(field.Name, field.Value)
		}
	}
}

func (s *Server) forward(x *exchange, w http.ResponseWriter, r *http.Request, match plan.Match, spec *plan.Upstream) error {
	target := match.Target(rawPath(r))
	report := &forward.Report{}
	out := forward.Exchange{Match: match, Target: target, Scheme: scheme(r), Client: client(x, r), Report: report}
	if v := x.visit; v != nil {
		out.Visitor, out.Machine, out.PublicHost, out.Hops = v.visitor.Addr.Addr(), &s.machine, v.visitor.Host, v.hops
	}
	if isViteClient(r) {
		r = uncompressed(r)
	}
	var seen seenResponse
	out.Inspect = func(res *http.Response) error {
		if err := s.stopLoop(x, r, match, spec, res); err != nil {
			return err
		}
		if v := x.visit; v != nil {
			if err := v.share.InspectResponse(res); err != nil {
				return err
			}
		}
		seen = s.watch(r, match.Route, spec, res)
		return nil
	}
	if middleware.Background(r.Context()) {
		// For a cache, which outlives this exchange.
		return x.generation.upstream(spec).Forward(w, r, out)
	}
	out.Switched = func(header http.Header) {
		outside(r, match, spec).Cookies(header)
		if x.w.outward != nil {
			x.w.outward(header, http.StatusSwitchingProtocols)
		}
	}
	if v := x.visit; v != nil {
		out.Over = v.streams
		if r.Header["Upgrade"] != nil {
			out.Messages = s.messages(x, r, target)
		}
	}
	defer func() {
		x.setReport(*report)
		x.tell(spec.Key, s.adviceOn(&seen, r, spec, x.visit != nil))
	}()
	err := x.generation.upstream(spec).Forward(w, x.traced(r), out)
	if err == nil {
		s.crashes.answered(x, r)
	}
	return err
}

// client is who counts in Server.clients: the network of a visitor, or a local
// connection. It is nil when neither is known.
func client(x *exchange, r *http.Request) any {
	if v := x.visit; v != nil {
		return budget.NetworkOf(v.visitor.Addr.Addr()) // visitors without an address count as one
	}
	if id := listen.FromContext(r.Context()).ID; id != 0 {
		return id
	}
	return nil
}

// request is what the plan matches r by.
func request(r *http.Request) plan.Request {
	return plan.Request{
		Method:   r.Method,
		Host:     hostname(r.Host),
		Path:     rawPath(r),
		RawQuery: r.URL.RawQuery,
		Header:   r.Header,
	}
}

// rawPath is the path as it came: RequestURI up to the query. URL.Path has
// lost the difference between "/" and "%2F".
func rawPath(r *http.Request) string {
	target := r.RequestURI
	if !strings.HasPrefix(target, "/") {
		// Absolute-form (RFC 9112 section 3.2.2), or "*". An empty path is "/"
		// (RFC 9110 section 4.2.3).
		return cmp.Or(r.URL.EscapedPath(), "/")
	}
	path, _, _ := strings.Cut(target, "?")
	return path
}

// hostname is authority without its port and brackets.
func hostname(authority string) string {
	if host, _, err := net.SplitHostPort(authority); err == nil {
		return host
	}
	return strings.Trim(authority, "[]")
}

func scheme(r *http.Request) string {
	if listen.FromContext(r.Context()).TLS {
		return "https"
	}
	return "http"
}

// redirectToHTTPS sends plain HTTP to the same place over TLS: with 307, which
// keeps method and body and which no browser remembers beyond the session.
func (s *Server) redirectToHTTPS(x *exchange, r *http.Request) error {
	host := hostname(r.Host)
	if _, err := x.generation.plan.Match(plan.Request{Method: r.Method, Host: host, Path: "/"}); err != nil {
		var unknown *plan.UnknownHostError
		if errors.As(err, &unknown) {
			return err // a name that is not served is not sent anywhere
		}
	}
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	x.w.Header().Set("Location", s.publicURL(host)+requestTarget(r))
	x.w.WriteHeader(http.StatusTemporaryRedirect)
	return nil
}

// requestTarget is path and query as they came.
func requestTarget(r *http.Request) string {
	if strings.HasPrefix(r.RequestURI, "/") {
		return r.RequestURI
	}
	return r.URL.RequestURI()
}
