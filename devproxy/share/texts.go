package share

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/devproxy/devproxy/devproxy/rewrite"
)

// Upstream is where the whole of a shared host leads.
type Upstream struct {
	// Authority is the upstream's own address, with its port: "localhost:5173",
	// which means every loopback address.
	Authority string
	// Host is Host.Local of the host that leads there; empty if none does, or only in
	// part.
	Host string
	// Path is put before the paths of its URLs: a prefix that the route removes.
	Path string
}

// texts is what replaces the URLs in texts.
type texts struct {
	// local and public are the last labels of local and of public names.
	local, public map[string]bool
	upstreams     map[string][]Upstream // by Authority
	plain         string                // Options.PlainPort
	// mark identifies the names, in hexadecimal.
	mark string
}

// loopback is how Upstream.Authority spells loopback addresses.
const loopback = "localhost"

// loopbacks are the hosts that name this machine.
var loopbacks = []string{"localhost", "127.0.0.1", "[::1]", "0.0.0.0"}

func newTexts(n *names, opts *Options) *texts {
	t := &texts{plain: opts.PlainPort, local: map[string]bool{}, public: map[string]bool{}, upstreams: map[string][]Upstream{}}
	sum := sha256.New()
	for _, host := range n.hosts {
		t.local[lastLabel(host.local.name)] = true
		t.public[lastLabel(host.public.name)] = true
		fmt.Fprintln(sum, host.local, host.public)
	}
	for local, public := range n.toPublic { // with the aliases, whose order does not matter
		t.local[lastLabel(local.name)] = true
		t.public[lastLabel(public.name)] = true
	}
	for name := range n.notShared {
		t.local[lastLabel(name)] = true
	}
	for _, upstream := range opts.Upstreams {
		a, ok := parseAuthority(upstream.Authority, "")
		if !ok || a.port == "" {
			continue
		}
		hosts := []string{a.name}
		if a.name == loopback {
			hosts = loopbacks
		}
		for _, host := range hosts {
			t.local[lastLabel(host)] = true
		}
		t.upstreams[upstreamKey(a)] = append(t.upstreams[upstreamKey(a)], upstream)
		fmt.Fprintln(sum, upstream)
	}
	t.mark = hex.EncodeToString(sum.Sum(nil)[:4])
	return t
}

// lastLabel returns what rewrite.Names.Ends has of a name.
func lastLabel(name string) string { return name[strings.LastIndexByte(name, '.')+1:] }

// upstreamKey returns the same for all loopback addresses.
func upstreamKey(a authority) string {
	if slices.Contains(loopbacks, a.name) {
		a.name = loopback
	}
	return a.name + ":" + a.port
}

// RewritesBodies reports whether URLs in bodies are replaced.
func (s *Share) RewritesBodies() bool { return !s.opts.KeepBodies }

// Bodies returns how URLs in the responses to v become public. tell gets sentences
// for the project's developer, perhaps often the same.
func (s *Share) Bodies(v Visitor, tell func(string)) rewrite.Options {
	n := &s.seenBy(v).names
	from, _ := n.responder(v)
	return rewrite.Options{
		Names: &rewrite.Names{Ends: n.texts.local, Replace: func(scheme, host, port string) (rewrite.Target, bool) {
			target, ok := n.publicTarget(scheme, host, port, from.local)
			if !ok {
				n.tellUnreachable(host, port, tell)
			}
			return target, ok
		}},
		Policy: func(policy string) string {
			h := http.Header{"Content-Security-Policy": {policy}}
			urls := n.outwardURLs()
			urls.Header(h)
			return h.Get("Content-Security-Policy")
		},
		Mark: s.Mark(v),
		Tell: tell,
	}
}

// Mark returns a text that identifies the names that v sees: for the same project it
// changes with each of them. It is empty if bodies are not changed.
func (s *Share) Mark(v Visitor) string {
	if s.opts.KeepBodies {
		return ""
	}
	return s.names.texts.mark + s.seenBy(v).names.seen
}

// publicTarget returns what replaces the authority of a URL in a response of from. A
// URL without a port means the local host whatever port that is served at: apps are
// written for their address without devproxy's port, or with it.
func (n *names) publicTarget(scheme, host, port string, from authority) (target rewrite.Target, ok bool) {
	local := authority{host, cmp.Or(port, webSchemes[schemeOf(scheme)].port)}
	public, ok := n.public(local)
	plain := port != "" && port == n.texts.plain && (scheme == "http" || scheme == "ws")
	if !ok && (port == "" || plain) && len(n.hosts) > 0 {
		public, ok = n.public(authority{host, n.hosts[0].local.port})
	}
	if ok {
		return rewrite.Target{Authority: public.String()}, true
	}
	if port == "" {
		return target, false
	}
	return n.upstreamTarget(local, from)
}

// schemeOf returns a scheme as webSchemes has it.
func schemeOf(scheme string) string {
	if scheme == "" {
		return ""
	}
	return scheme + ":"
}

// upstreamTarget returns what replaces the upstream's own address: the host that leads
// there. If several do, that which the response comes from is preferred.
func (n *names) upstreamTarget(address, from authority) (target rewrite.Target, ok bool) {
	for _, upstream := range n.texts.upstreams[upstreamKey(address)] {
		local, _ := parseAuthority(upstream.Host, httpsPort)
		public, shared := n.public(local)
		if !shared || isWildcard(local) {
			continue
		}
		if !ok || local == from {
			target, ok = rewrite.Target{Authority: public.String(), Path: upstream.Path}, true
		}
	}
	return target, ok
}

// tellUnreachable reports a URL that leads to the project and that visitors can't
// reach.
func (n *names) tellUnreachable(host, port string, tell func(string)) {
	if n.notShared[host] {
		tell(fmt.Sprintf("a response contains https://%s, which visitors can't reach, since that host is not shared; to share it, remove share = false from it, or add it to hosts in the share block", host))
		return
	}
	if _, known := n.texts.upstreams[upstreamKey(authority{host, port})]; known && port != "" {
		tell(fmt.Sprintf("a response contains http://%s:%s, which visitors can't reach, since no shared host leads there as a whole; write a host for it: host \"api.%s\" { upstream = %s }", host, port, cmp.Or(n.localZone, "localhost"), port))
	}
}

// inwardTexts are the public names, which become local.
func (n *names) inwardTexts() *rewrite.Names {
	return &rewrite.Names{Ends: n.texts.public, Replace: func(scheme, host, port string) (rewrite.Target, bool) {
		if scheme == "http" || scheme == "ws" { // only encrypted URLs are public
			return rewrite.Target{}, false
		}
		local, ok := n.local(authority{host, cmp.Or(port, httpsPort)})
		return rewrite.Target{Authority: local.String()}, ok
	}}
}

// Inward makes the URLs in a request's body local, and its entity tags the project's,
// if r is what Admit returned. A body that no page of the share sends stays as it is.
func (s *Share) Inward(r *http.Request, v Visitor) (*rewrite.Request, error) {
	return rewrite.NewRequest(r, s.seenBy(v).names.inwardTexts(), s.Mark(v), v.Addr.Addr(), s.RewritesBodies())
}
