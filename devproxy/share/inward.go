package share

import (
	"net/http"
	"net/netip"

	"github.com/devproxy/devproxy/devproxy/urlfield"
	"github.com/devproxy/devproxy/tunnel/field"
)

// inward is r as the project sees it. What handlers keep of r stays as it is.
func (s *Share) inward(q *query) *http.Request {
	in := q.r.WithContext(q.r.Context())
	in.Header = q.r.Header.Clone()
	in.Host = q.local.String()
	in.RemoteAddr = netip.AddrPortFrom(s.machine.Shown(q.visitor.Addr.Addr()), q.visitor.Addr.Port()).String()
	s.inwardTarget(in, q)
	for name := range in.Header {
		// Connection and its like are the forwarder's to read and to drop.
		if !field.Allowed(name, field.Visitor) && !field.IsHopByHop(name) {
			delete(in.Header, name)
		}
	}
	s.dropKeys(in.Header, q.keyed)
	s.hideSecretIn(in.Header)
	s.inwardOrigins(in.Header)
	return in
}

// inwardTarget makes the target origin-form (RFC 9112 section 3.2.1), as the
// host is told elsewhere, and takes the link's secret out of it.
func (s *Share) inwardTarget(in *http.Request, q *query) {
	target := *q.r.URL
	target.Scheme, target.Host, target.User = "", "", nil
	target.RawQuery, _ = s.cutSecret(target.RawQuery)
	target.RawQuery = s.hideSecret(target.RawQuery)
	in.URL = &target
	in.RequestURI = q.path
	if target.RawQuery != "" || target.ForceQuery {
		in.RequestURI += "?" + target.RawQuery
	}
}

// inwardOrigins makes Origin, Referer and its like local when they are of this share. A
// project must see those of others as they are.
func (s *Share) inwardOrigins(h http.Header) {
	url := func(url string) string {
		local, _ := s.table.localReference(url)
		return local
	}
	urlfield.Request(h, func(origin string) string {
		if local, ok := s.table.publicOrigin(origin); ok {
			return local
		}
		return origin
	}, url)
}

// dropKeys takes out what opens the gate: it is none of the project's business.
// Who has not shown the key must not learn of a password here, on a public
// path, by what the project is told. Cookies that the share hides go, too.
func (s *Share) dropKeys(h http.Header, keyed bool) {
	if (keyed || !s.gate.password) && s.gate.bears(h) {
		delete(h, "Authorization")
	}
	if lines := s.inwardCookies(h["Cookie"]); len(lines) > 0 {
		h["Cookie"] = lines
	} else {
		delete(h, "Cookie")
	}
}
