package devproxy

import (
	"fmt"
	"net/http"
	"net/netip"
	"strings"

	"github.com/devproxy/devproxy/tunnel/page"
)

// crossOriginError is the error of a request for one of devproxy's own paths
// that a page of another origin made.
type crossOriginError struct{ path string }

func (e *crossOriginError) Error() string {
	return fmt.Sprintf("only pages of this host may request %s", e.path)
}

// Page is how a client is shown the error.
func (e *crossOriginError) Page() page.Page {
	return page.Page{Status: http.StatusForbidden, Title: "Requests from this origin are not allowed."}
}

// isLocalName reports whether host, in lower case and without port and trailing
// dot, always means this machine: localhost and the names below it (RFC 6761
// section 6.3), and loopback addresses. Any other name can be made to resolve to
// this machine, so that a page of a stranger's site reads what devproxy answers
// (DNS rebinding).
func isLocalName(host string) bool {
	if strings.HasSuffix("."+host, ".localhost") {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback()
}

// isCrossOrigin reports whether a page of another origin made r, as its browser
// says by Origin or by Sec-Fetch-Site (W3C Fetch Metadata). Programs send
// neither.
func isCrossOrigin(r *http.Request) bool {
	for _, site := range r.Header["Sec-Fetch-Site"] {
		if site != "none" && site != "same-origin" {
			return true
		}
	}
	for _, origin := range r.Header["Origin"] {
		// Behind another proxy the scheme may be another one.
		if _, authority, ok := strings.Cut(origin, "://"); !ok || !strings.EqualFold(authority, r.Host) {
			return true
		}
	}
	return false
}

// opensDocument reports whether the response to r is a page in a tab of its own,
// which the page that linked to it cannot read.
func opensDocument(r *http.Request) bool {
	return r.Method == http.MethodGet && r.Header.Get("Sec-Fetch-Mode") == "navigate" && r.Header.Get("Sec-Fetch-Dest") == "document"
}
