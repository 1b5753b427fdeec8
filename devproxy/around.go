package devproxy

import (
	"crypto/rand"
	"encoding/hex"
	"net"
	"net/http"
	"net/netip"

	"github.com/devproxy/devproxy/devproxy/answer"
	"github.com/devproxy/devproxy/devproxy/middleware"
	"github.com/devproxy/devproxy/devproxy/plan"
)

// answer has the route of match answer r: what the route puts around its
// answer, and in its middle the answer itself.
func (s *Server) answer(x *exchange, r *http.Request, match plan.Match) error {
	// Before a cache, which need not ask the upstream.
	if err := x.visit.guard(r, match); err != nil {
		return err
	}
	route, perRequest := match.Route, match.Route.FieldPlaceholders()
	if route.Placeholders() {
		match = match.With(s.values(x, r))
	}
	upstream, ok := match.Route.Answer.(*plan.Upstream)
	if ok {
		x.w.advise = s.advisor(x, r, match, upstream) // also of what a cache has
	}
	if !ok || perRequest {
		// An upstream's are forward's. A cache has those of another request.
		x.w.fields = match.Route.ResponseHeaders
	}
	around := x.generation.around[route.ID]
	if around == nil {
		return s.respond(x, x.w, r, match)
	}
	return around.Serve(x.w, r, route, s.from(x, r), func(w http.ResponseWriter, r *http.Request) error {
		return s.respond(x, w, r, match)
	})
}

// respond answers r on w, which writes to x.w unless a cache asks for itself.
func (s *Server) respond(x *exchange, w http.ResponseWriter, r *http.Request, match plan.Match) error {
	switch a := match.Route.Answer.(type) {
	case *plan.Upstream:
		if f := match.Route.TryFiles; f != nil {
			file := &responseWriter{ResponseWriter: w, fields: match.Route.ResponseHeaders}
			if answered, err := answer.Try(file, r, f, match.TryPath()); answered || err != nil {
				return err
			}
		}
		return s.forward(x, w, r, match, a)
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

// values are what placeholders stand for in r. A visitor of a share is shown as the
// project is told of them.
func (s *Server) values(x *exchange, r *http.Request) plan.Values {
	v := plan.Values{Client: "unknown", Host: r.Host, Path: rawPath(r), Query: r.URL.RawQuery, ID: requestID()}
	if x.visit != nil {
		v.Client = s.machine.Shown(x.visit.visitor.Addr.Addr()).String()
	} else if remote, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
		v.Client = remote.Addr().Unmap().WithZone("").String()
	}
	return v
}

// requestID is 128 random bits in hexadecimal.
func requestID() string {
	var id [16]byte
	_, _ = rand.Read(id[:]) // it never fails (crypto/rand)
	return hex.EncodeToString(id[:])
}

// from is who asks. A visitor's address is what the relay tells; the one that
// their connection comes from is the relay's.
func (s *Server) from(x *exchange, r *http.Request) middleware.From {
	from := middleware.From{Plain: scheme(r) == "http", Port: s.publicPort(r)}
	if x.visit != nil {
		from.Visitor, from.Addr, from.Audience = true, x.visit.visitor.Addr.Addr().Unmap(), x.visit.share.Audience()
		return from
	}
	if remote, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
		from.Addr = remote.Addr().Unmap()
	}
	return from
}

// publicPort is the port of the origins of this server's hosts, empty for the
// one that goes without saying.
func (s *Server) publicPort(r *http.Request) string {
	if scheme(r) == "https" {
		if port := s.listening.Load().HTTPSPort; port != 443 {
			return itoa(port)
		}
		return ""
	}
	_, port, _ := net.SplitHostPort(r.Host)
	return port
}
