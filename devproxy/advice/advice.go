// Package advice knows what browsers make of the head of an answer behind
// devproxy: what they will refuse or leak, which is told to whoever wrote it;
// and what an upstream means only for itself, which is mended.
package advice

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
)

// maxQuoted bounds what is repeated of a cookie's name or domain, in bytes.
const maxQuoted = 64

// maxPair is how long a cookie's name and value may be together, in bytes (RFC
// 6265bis section 5.7).
const maxPair = 4096

// Of is what to tell of an answer of host: a sentence each, with what to write
// instead. It is nil for most.
func Of(h http.Header, host string) []string {
	var told []string
	for _, line := range h["Set-Cookie"] {
		if text := ofCookie(parseCookie(line), host); text != "" {
			told = append(told, text)
		}
	}
	if h.Get("Access-Control-Allow-Origin") == "*" && h.Get("Access-Control-Allow-Credentials") == "true" {
		told = append(told, `browsers refuse Access-Control-Allow-Origin: * with credentials: name the origin, or write cors = true in the route`)
	}
	return told
}

// ofCookie follows RFC 6265bis section 5.7, the storage model.
func ofCookie(c cookie, host string) string {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	refused := func(why, instead string) string {
		return fmt.Sprintf("browsers refuse the cookie %q: %s; %s", shortened(c.name), why, instead)
	}
	switch {
	case c.length == 0:
		return "browsers refuse a Set-Cookie that cannot be read: it has neither a name nor a value"
	case c.length > maxPair:
		return refused(fmt.Sprintf("name and value have %d bytes, and %d are the most", c.length, maxPair), "keep the rest on the server")
	case c.hasPrefix("__Host-") && (!c.secure || c.path != "/" || c.domain != ""):
		return refused("a name with __Host- needs Secure and Path=/, and no Domain", "add what is missing, or rename it")
	case c.hasPrefix("__Secure-") && !c.secure:
		return refused("a name with __Secure- needs Secure", "add it: devproxy serves HTTPS")
	case c.sameSiteNone && !c.secure:
		return refused("SameSite=None needs Secure", "add it: devproxy serves HTTPS")
	case c.domain == "" || c.domain == host:
		return ""
	case isTop(c.domain, host):
		return refused(fmt.Sprintf("Domain=%s is a top-level domain, whose hosts belong to anybody", shortened(c.domain)), "leave Domain out, or write Domain="+project(host))
	case !strings.HasSuffix(host, "."+c.domain):
		return refused(fmt.Sprintf("Domain=%s is not a parent of %s", shortened(c.domain), host), "leave Domain out, or write Domain="+project(host))
	}
	return ""
}

// isTop reports a domain of one label. Browsers take those that are on no list
// for public suffixes as well.
func isTop(domain, host string) bool {
	return domain == "localhost" || !strings.Contains(domain, ".") && strings.HasSuffix(host, "."+domain)
}

func shortened(text string) string { return text[:min(len(text), maxQuoted)] }

// project is the name below .localhost that all hosts of a project share.
func project(host string) string {
	name, ok := strings.CutSuffix(host, ".localhost")
	if !ok {
		return host
	}
	return name[strings.LastIndexByte(name, '.')+1:] + ".localhost"
}

// DropHSTS takes Strict-Transport-Security (RFC 6797) from an answer of a
// .localhost name: browsers would hold on to it for months, and for other
// projects of that name.
func DropHSTS(h http.Header, host string) {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		delete(h, "Strict-Transport-Security")
	}
}

// maxTold is how many sentences are remembered; when there are more, they are
// told once more.
const maxTold = 1000

// Once lets each sentence about a route pass a single time. The zero value is
// ready; it is safe for concurrent use.
type Once struct {
	mu   sync.Mutex
	told map[[2]string]struct{}
}

// New are those of the sentences that were not told of the route yet.
func (o *Once) New(route string, sentences []string) []string {
	if len(sentences) == 0 {
		return nil
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	var fresh []string
	for _, sentence := range sentences {
		key := [2]string{route, sentence}
		if _, told := o.told[key]; told {
			continue
		}
		if o.told == nil || len(o.told) >= maxTold {
			o.told = map[[2]string]struct{}{}
		}
		o.told[key] = struct{}{}
		fresh = append(fresh, sentence)
	}
	return fresh
}
