package share

import (
	"net/http"
	"strings"
)

// inward is r as the project sees it. What handlers keep of r stays as it is.
func (s *Share) inward(q *query) *http.Request {
	in := q.r.WithContext(q.r.Context())
	in.Header = q.r.Header.Clone()
	in.Host = q.local.String()
	in.RemoteAddr = ""
	if q.visitor.Addr.IsValid() {
		in.RemoteAddr = q.visitor.Addr.String()
	}
	s.inwardTarget(in, q)
	for name := range in.Header {
		if speaksOfVisitor(name) {
			delete(in.Header, name)
		}
	}
	s.inwardOrigins(in.Header)
	s.dropKeys(in.Header, q.keyed)
	return in
}

// inwardTarget makes the target origin-form (RFC 9112 section 3.2.1), as the
// host is told elsewhere, and takes the link's secret out of it.
func (s *Share) inwardTarget(in *http.Request, q *query) {
	target := *q.r.URL
	target.Scheme, target.Host, target.User = "", "", nil
	target.RawQuery, _ = s.cutSecret(target.RawQuery)
	in.URL = &target
	in.RequestURI = q.path
	if target.RawQuery != "" || target.ForceQuery {
		in.RequestURI += "?" + target.RawQuery
	}
}

// inwardOrigins makes Origin and Referer local when they are of this share. A
// project must see those of others as they are.
func (s *Share) inwardOrigins(h http.Header) {
	if origin := h["Origin"]; len(origin) == 1 {
		if local, ok := s.table.publicOrigin(origin[0]); ok {
			h["Origin"] = []string{local}
		}
	}
	if referer := h["Referer"]; len(referer) == 1 {
		if local, ok := s.table.localReference(referer[0]); ok {
			h["Referer"] = []string{local}
		}
	}
}

// dropKeys takes out what opens the gate: it is none of the project's business.
// Who has not shown the key must not learn of a password here, on a public
// path, by what the project is told.
func (s *Share) dropKeys(h http.Header, keyed bool) {
	if (keyed || !s.gate.password) && s.gate.bears(h) {
		delete(h, "Authorization")
	}
	for _, line := range h["Cookie"] {
		if !strings.Contains(line, "-devproxy=") {
			continue
		}
		h["Cookie"] = withoutGateCookies(h["Cookie"])
		if len(h["Cookie"]) == 0 {
			delete(h, "Cookie")
		}
		return
	}
}

// speaksOfVisitor lists the fields by which proxies tell who asks and for what.
// Visitors are no proxies of ours. Some frameworks take the path itself from
// the last two, which would lead past the guard. CGI and its heirs do not tell
// "_" from "-".
func speaksOfVisitor(name string) bool {
	name = strings.ReplaceAll(lower(name), "_", "-")
	switch name {
	case "forwarded", "x-real-ip", "x-client-ip", "x-cluster-client-ip", "true-client-ip", "cf-connecting-ip",
		"fastly-client-ip", "x-host", "x-original-host", "x-original-url", "x-rewrite-url":
		return true
	}
	return strings.HasPrefix(name, "x-forwarded")
}
