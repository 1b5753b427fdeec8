package devproxy

import (
	"cmp"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"

	"github.com/devproxy/devproxy/devproxy/answer"
	"github.com/devproxy/devproxy/devproxy/forward"
	"github.com/devproxy/devproxy/devproxy/listen"
	"github.com/devproxy/devproxy/devproxy/middleware"
	"github.com/devproxy/devproxy/devproxy/plan"
	"github.com/devproxy/devproxy/tunnel/budget"
	"github.com/devproxy/devproxy/tunnel/message"
)

// ServeHTTP handles every request, whichever listener it came from: it opens an
// exchange, answers it or shows why that failed, and closes it.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.inFlight.Add(1)
	defer s.inFlight.Add(-1)
	x := s.open(w, r)
	defer x.close(r)
	defer x.visit.free()
	if x.err = x.serve(r); x.err != nil {
		x.fail(r)
	}
	x.visit.finish()
	x.w.end()
	if x.reported().Member == "" {
		linger(w, r)
	}
}

// serve answers r on x, or returns why it could not, with nothing written yet.
func (x *exchange) serve(r *http.Request) error {
	if refusal, ok := message.Refused(x.w, r); ok {
		return refusal
	}
	if x.visit != nil {
		return x.serveVisitor(r)
	}
	if x.server.opts.Machine != nil && plan.IsOwnHost(hostname(r.Host)) {
		return x.serveMachine(r)
	}
	if conn := listen.FromContext(r.Context()); !conn.TLS && (conn.PlainOnTLS || !x.server.listening.Load().ServePlain) {
		return x.redirectToHTTPS(r)
	}
	if strings.HasPrefix(r.URL.Path, ownPaths) {
		return x.serveOwn(r)
	}
	return x.serveRoute(r)
}

// redirectToHTTPS redirects plain HTTP to the same URL over TLS: with 307, which
// keeps method and body and which no browser remembers beyond the session.
func (x *exchange) redirectToHTTPS(r *http.Request) error {
	host := hostname(r.Host)
	_, err := x.generation.plan.Match(plan.Request{Method: r.Method, Host: host, Path: "/"})
	if _, unknown := errors.AsType[*plan.UnknownHostError](err); unknown {
		return err // an unknown name is not redirected
	}
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	x.w.Header().Set("Location", x.server.publicURL(host)+requestTarget(r))
	x.w.WriteHeader(http.StatusTemporaryRedirect)
	return nil
}

// publicURL is where a host is served.
func (s *Server) publicURL(name string) string {
	port := strconv.Itoa(int(s.listening.Load().HTTPSPort))
	return "https://" + name + strings.TrimSuffix(":"+port, ":443")
}

// serveRoute finds the route of r and answers with it.
func (x *exchange) serveRoute(r *http.Request) error {
	for {
		match, err := x.generation.plan.Match(plan.Request{
			Method: r.Method, Host: hostname(r.Host), Path: rawPath(r), RawQuery: r.URL.RawQuery, Header: r.Header,
		})
		if err != nil {
			return err
		}
		x.route = match.Route
		err = x.answer(r, match)
		if !errors.Is(err, forward.ErrRetired) {
			return err
		}
		if x.server.stopping.Load() {
			return errStopping
		}
		// The plan changed while the request was held and nothing has been sent:
		// match it against the new plan.
		x.generation = x.server.current.Load()
	}
}

// answer answers r with the route of match and everything that the route puts around
// its answer.
func (x *exchange) answer(r *http.Request, match plan.Match) error {
	// Before a cache, which may answer without the upstream.
	if err := x.visit.guard(r, match); err != nil {
		return err
	}
	route, perRequest := match.Route, match.Route.FieldPlaceholders()
	if route.Placeholders() {
		match = match.With(x.values(r))
	}
	upstream, ok := match.Route.Answer.(*plan.Upstream)
	if ok {
		x.w.advise = x.advisor(r, match, upstream) // for a cached response too
	}
	if !ok || perRequest {
		// Package forward sets those of an upstream's response. A cached response
		// has those of another request.
		x.w.fields = match.Route.ResponseHeaders
	}
	around := x.generation.around[route.ID]
	if around == nil {
		return x.respond(x.w, r, match)
	}
	return around.Serve(x.w, r, route, x.from(r), func(w http.ResponseWriter, r *http.Request) error {
		return x.respond(w, r, match)
	})
}

// respond answers r on w, which writes to x.w unless a cache requests for itself.
func (x *exchange) respond(w http.ResponseWriter, r *http.Request, match plan.Match) error {
	switch a := match.Route.Answer.(type) {
	case *plan.Upstream:
		if f := match.Route.TryFiles; f != nil {
			file := &responseWriter{ResponseWriter: w, fields: match.Route.ResponseHeaders}
			if answered, err := answer.Try(file, r, f, match.TryPath()); answered || err != nil {
				return err
			}
		}
		return x.forward(w, r, match, a)
	case *plan.Files:
		if match.Route.Exact {
			return answer.File(w, r, a, match.FilesPath())
		}
		return answer.Files(w, r, a, match.FilesPath())
	case *plan.Redirect:
		return answer.Redirect(w, r, a, match)
	case *plan.Respond:
		return answer.Respond(w, r, a)
	case *plan.Withheld:
		return &withheldError{a.Effects}
	}
	panic("a route without an answer") // plan.Build makes none
}

// forward sends r to an upstream and copies its response to w.
func (x *exchange) forward(w http.ResponseWriter, r *http.Request, match plan.Match, spec *plan.Upstream) error {
	if isViteClient(r) {
		r = uncompressed(r)
	}
	received := r
	if x.generation.plan.Relocation() != nil {
		r = withOwnCookies(r)
	}
	sent := r
	if v := x.visit; v != nil && match.Route.PublicHost {
		sent = v.share.PublicRequest(r, v.asked, v.visitor)
	}
	target := match.Target(rawPath(r))
	report := &forward.Report{}
	var seen seenResponse
	out := forward.Exchange{
		Match: match, Target: target, Scheme: scheme(r), Client: client(x, r), Report: report,
		Inspect: func(res *http.Response) (err error) {
			seen, err = x.inspect(r, match, spec, res)
			return err
		},
	}
	if v := x.visit; v != nil {
		out.Visitor, out.Machine, out.PublicHost, out.Hops = v.visitor.Addr.Addr(), &x.server.machine, v.visitor.Host, v.hops
	}
	if middleware.Background(r.Context()) {
		// For a cache, which outlives this exchange.
		return x.generation.upstream(spec).Forward(w, sent, out)
	}
	out.Switched = func(header http.Header) {
		x.outside(received, match, spec).Cookies(header)
		if x.w.outward != nil {
			x.w.outward(header, http.StatusSwitchingProtocols)
		}
	}
	if v := x.visit; v != nil {
		out.Over = v.streams
		if r.Header["Upgrade"] != nil {
			out.Messages = x.messages(r, target)
		}
	}
	defer func() {
		x.setReport(*report)
		x.tell(spec.Key, x.adviceOn(&seen, r, spec))
	}()
	err := x.generation.upstream(spec).Forward(w, x.traced(sent), out)
	if err == nil {
		x.server.crashes.answered(x, r)
	}
	return err
}

// client identifies the client of r for Server.clients: the network of a visitor, or a
// local connection. It is nil when neither is known.
func client(x *exchange, r *http.Request) any {
	if v := x.visit; v != nil {
		return budget.NetworkOf(v.visitor.Addr.Addr()) // visitors without an address count as one
	}
	if id := listen.FromContext(r.Context()).ID; id != 0 {
		return id
	}
	return nil
}

// values are what placeholders mean in r. A visitor's address is the one that the
// project sees.
func (x *exchange) values(r *http.Request) plan.Values {
	v := plan.Values{Client: "unknown", Host: r.Host, Path: rawPath(r), Query: r.URL.RawQuery, ID: requestID()}
	if x.visit != nil {
		v.Client = x.server.machine.Shown(x.visit.visitor.Addr.Addr()).String()
	} else if addr := remoteAddr(r); addr.IsValid() {
		v.Client = addr.WithZone("").String()
	}
	return v
}

// requestID is 128 random bits in hexadecimal.
func requestID() string {
	var id [16]byte
	_, _ = rand.Read(id[:]) // it never fails (crypto/rand)
	return hex.EncodeToString(id[:])
}

// from describes the client for the middleware. A visitor's address comes from
// the relay's description, since the connection itself comes from the relay.
func (x *exchange) from(r *http.Request) middleware.From {
	from := middleware.From{Plain: scheme(r) == "http", Port: x.server.publicPort(r), Addr: remoteAddr(r)}
	if x.visit != nil {
		from.Visitor, from.Addr, from.Audience = true, x.visit.visitor.Addr.Addr().Unmap(), x.visit.share.Audience()
		if x.route != nil && x.route.PublicHost {
			from.Audience += "\n" + x.visit.visitor.Host // which responses may contain
		}
	}
	return from
}

// remoteAddr is the address of the other end of r's connection; zero if unknown.
func remoteAddr(r *http.Request) netip.Addr {
	remote, _ := netip.ParseAddrPort(r.RemoteAddr)
	return remote.Addr().Unmap()
}

// publicPort is the port of the origins of this server's hosts, empty for the
// default.
func (s *Server) publicPort(r *http.Request) string {
	if scheme(r) == "https" {
		if port := s.listening.Load().HTTPSPort; port != 443 {
			return strconv.Itoa(int(port))
		}
		return ""
	}
	_, port, _ := net.SplitHostPort(r.Host)
	return port
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

// requestTarget is path and query as they came.
func requestTarget(r *http.Request) string {
	if strings.HasPrefix(r.RequestURI, "/") {
		return r.RequestURI
	}
	return r.URL.RequestURI()
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
