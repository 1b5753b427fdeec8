package share

import (
	"net/http"
	"slices"
	"strings"
)

// Trailers takes out of the header of a response whose body has been written
// the trailer fields that visitors must not get. It is to be called when
// nothing more is set.
func (s *Share) Trailers(h http.Header) {
	for name := range h {
		if trailer, ok := strings.CutPrefix(name, http.TrailerPrefix); ok && !mayTrail(trailer) {
			delete(h, name)
		}
	}
}

// outwardTrailer takes out of the announced trailers those that must not be.
// What is sent unannounced in their place, Trailers drops.
func outwardTrailer(h http.Header) {
	announced := h["Trailer"]
	if len(announced) == 0 {
		return
	}
	var kept []string
	for _, line := range announced {
		for name := range strings.SplitSeq(line, ",") {
			if name = strings.Trim(name, " \t"); name != "" && mayTrail(name) {
				kept = append(kept, name)
			}
		}
	}
	if h["Trailer"] = kept; len(kept) == 0 {
		delete(h, "Trailer")
	}
}

// mayTrail reports whether a field may come after the body. Programs have
// fields of their own there (gRPC's metadata has any name). Fields that frame a
// message, control its response, or make a browser act must not (RFC 9110
// section 6.5.1): whoever merges trailers into the head would act on a field
// that was not made public.
func mayTrail(name string) bool {
	name = lower(name)
	for _, prefix := range []string{"access-control-", "content-", "cross-origin-", "proxy-", "sec-", "x-accel-", "x-forwarded-"} {
		if strings.HasPrefix(name, prefix) && name != "content-md5" && name != "content-digest" {
			return false
		}
	}
	return !slices.Contains([]string{
		"set-cookie", "set-cookie2", "cookie", "authorization", "www-authenticate", "authentication-info",
		"location", "refresh", "link", "alt-svc", "clear-site-data", "strict-transport-security",
		"referrer-policy", "permissions-policy", "feature-policy", "origin-agent-cluster", "service-worker-allowed", "sourcemap", "x-sourcemap",
		"nel", "report-to", "reporting-endpoints", "x-frame-options", "x-content-type-options", "x-robots-tag", "x-sendfile", "forwarded",
		"age", "cache-control", "date", "expires", "pragma", "retry-after", "vary", "warning",
		"connection", "expect", "host", "keep-alive", "max-forwards", "te", "trailer", "transfer-encoding", "upgrade",
	}, name)
}
