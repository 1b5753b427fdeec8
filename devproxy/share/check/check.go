// Package check opens a share as a visitor does, and finds out what works: from the
// outside in, first the name, the address and the certificate, then the way through the
// relay, then the project's own pages. It changes nothing.
//
// The way through the relay is proved by probes that devproxy itself answers, so that
// nothing is asked of the project: package control describes them. Their token is known
// to the running devproxy and to this check alone.
//
// Limits: Timeout for everything, stepTimeout for each step, uploadTimeout for the upload;
// maxHosts hosts, maxAddrs addresses of each, maxRedirects redirects and maxPage bytes of
// each page.
package check

import (
	"context"
	"crypto/x509"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/devproxy/devproxy/devproxy/control"
	"github.com/devproxy/devproxy/devproxy/doctor"
	"github.com/devproxy/devproxy/devproxy/plan"
)

const (
	// Timeout bounds the check. The token of the probes lives a little longer.
	Timeout = 110 * time.Second
	// stepTimeout bounds every step but the upload, uploadTimeout that.
	stepTimeout   = 15 * time.Second
	uploadTimeout = time.Minute
	// maxHosts bounds the hosts that are looked at, maxAddrs the addresses of each.
	maxHosts = 20
	maxAddrs = 8
	// maxRedirects is how many a page may make, as in browsers.
	maxRedirects = 20
	// maxPage is how much of a page is read, in bytes.
	maxPage = 1 << 20
)

// The groups of findings, and where what they name is.
const (
	groupName  = "name"  // the name, the address, the certificate
	groupRelay = "relay" // the way from there to devproxy
	groupApp   = "app"   // the project
)

// Subject is what is checked.
type Subject struct {
	// Share is the share with the token of the check.
	Share control.Share
	// Hosts are the project's.
	Hosts []control.Host
	// Roots verify the relay's certificate; nil means the system's.
	Roots *x509.CertPool
	// Local is a client for the project's local hosts; nil leaves out what is compared
	// with them.
	Local *http.Client
	// Upload is the size of the upload, in bytes: control.MaxProbeUpload.
	Upload int64

	records records // nil is this machine's resolver
}

// run is a check that is running.
type run struct {
	*Subject
	visitor *visitor
	report  func(doctor.Finding)
	group   string // of the findings
	about   string // the host that they are about; empty for all
}

// Run checks the share and reports the findings in order, at most Timeout long.
func Run(ctx context.Context, s *Subject, report func(doctor.Finding)) {
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	r := &run{Subject: s, report: report, visitor: newVisitor(s.Roots, s.Share.Check, proxyOf)}
	defer r.visitor.close()
	r.group = groupName
	r.domain(ctx)
	hosts := r.hosts(ctx)
	if len(hosts) == 0 {
		return
	}
	r.group = groupRelay
	if hosts = r.reached(ctx, hosts); len(hosts) > 0 {
		r.path(ctx, hosts[0])
	}
	r.about = ""
	r.callback(ctx)
	r.ports()
	r.limits()
	r.group = groupApp
	r.pages(ctx, hosts)
}

// host is a shared host.
type host struct {
	local string   // "shop.localhost"
	open  string   // the address to open, with the link's secret if it has one
	url   *url.URL // its origin
	wild  bool     // a wildcard; url has a label for it
}

// wildLabel replaces the "*" of a wildcard host.
const wildLabel = "devproxy-check"

// sharedHosts returns the hosts of the share.
func (s *Subject) sharedHosts() (hosts []host) {
	for _, h := range s.Share.Links() {
		wild := strings.Contains(h.URL, "*")
		u, err := url.Parse(strings.Replace(h.URL, "*", wildLabel, 1))
		if err != nil || u.Host == "" || len(hosts) == maxHosts {
			continue
		}
		hosts = append(hosts, host{h.Name, u.String(), &url.URL{Scheme: u.Scheme, Host: u.Host}, wild})
	}
	return hosts
}

// at returns the URL of a probe.
func (h host) at(probe string) string {
	return h.url.String() + plan.OwnPaths + control.ProbePath + probe
}

func (r *run) say(state doctor.State, check, detail, fix string) {
	if r.about != "" {
		detail = r.about + ": " + detail
	}
	r.report(doctor.Finding{Group: r.group, Check: check, State: state, Detail: detail, Fix: fix})
}

func (r *run) fine(check, detail string, args ...any) {
	r.say(doctor.Fine, check, fmt.Sprintf(detail, args...), "")
}

func (r *run) fault(check, fix, detail string, args ...any) {
	r.say(doctor.Fault, check, fmt.Sprintf(detail, args...), fix)
}

func (r *run) warning(check, fix, detail string, args ...any) {
	r.say(doctor.Warning, check, fmt.Sprintf(detail, args...), fix)
}

func (r *run) unknown(check, fix, detail string, args ...any) {
	r.say(doctor.Unknown, check, fmt.Sprintf(detail, args...), fix)
}

// limits says what the provider of the share does not support.
func (r *run) limits() {
	if len(r.Share.Cannot) > 0 {
		r.warning("limits", "devproxy relay --help, for a relay of your own without them", "%s does not support %s", r.Share.Relay, strings.Join(r.Share.Cannot, "; "))
	}
}

// shared reports whether a host of a URL is one of the share's.
func shared(hosts []host, authority string) bool {
	return slices.ContainsFunc(hosts, func(h host) bool { return strings.EqualFold(h.url.Host, authority) })
}

// rounded is a duration for people.
func rounded(d time.Duration) time.Duration {
	if d < time.Second {
		return d.Round(time.Millisecond)
	}
	return d.Round(100 * time.Millisecond)
}
