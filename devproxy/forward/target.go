package forward

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/devproxy/devproxy/tunnel/page"
)

// TargetError is a request target that cannot be sent as it came (400).
type TargetError struct {
	Target string
	Reason string
}

func (e *TargetError) Error() string {
	return fmt.Sprintf("the request target %q cannot be forwarded: %s", e.Target, e.Reason)
}

// Page is how a client is shown the error.
func (e *TargetError) Page() page.Page {
	return page.Page{Status: http.StatusBadRequest, Title: "This path can't be forwarded."}
}

// targetURL is a URL whose RequestURI gives path byte for byte, with the query
// of r behind it. Scheme and host are the member's, filled in later.
func targetURL(r *http.Request, path string) (*url.URL, error) {
	// HTTP/2 lets a space through, which would end an HTTP/1 target (RFC 9112
	// section 3).
	for i := range len(path) {
		if path[i] <= ' ' || path[i] == 0x7f {
			return nil, &TargetError{path, "it holds a space or a control character"}
		}
	}
	if strings.ContainsRune(r.URL.RawQuery, ' ') {
		return nil, &TargetError{path + "?" + r.URL.RawQuery, "its query holds a space"}
	}
	if path == "*" && r.Method != http.MethodOptions || path != "*" && !strings.HasPrefix(path, "/") {
		return nil, &TargetError{path, `it does not begin with "/"`}
	}
	u := &url.URL{RawQuery: r.URL.RawQuery, ForceQuery: r.URL.ForceQuery}
	decoded, err := url.PathUnescape(path)
	if err == nil && path != "*" {
		u.Path, u.RawPath = decoded, path
		if u.EscapedPath() == path {
			return u, nil
		}
	}
	if strings.HasPrefix(path, "//") {
		// net/http would read what follows as an authority.
		return nil, &TargetError{path, `it begins with "//" and holds characters that must be percent-encoded`}
	}
	u.Path, u.RawPath, u.Opaque = "", "", path
	return u, nil
}
