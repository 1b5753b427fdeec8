package share

import (
	"crypto/hmac"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/devproxy/devproxy/devproxy/plan"
	"github.com/devproxy/devproxy/tunnel/page"
)

// Hosts without a common zone each have their own cookie of the gate, which no
// response of another host can set. A visitor that passes the gate at one host is
// redirected through the others, and back. A host that the redirects leave out, such
// as one of a wildcard, sends a visitor without a cookie to the first host, which
// knows whether the visitor has passed.

// enterPath takes a pass and sets the cookie of the gate. It exists in this spelling
// alone.
const enterPath = plan.OwnPaths + "enter"

const (
	// maxTour is how many hosts the redirects lead through: browsers follow 20, and the
	// project may send some too.
	maxTour = 10
	// passLife is how long a pass is valid: it is used at once.
	passLife = time.Minute
)

// The parameters of enterPath. A pass has the first four; a host that requests a
// pass from the first host sends the others.
const (
	passTo    = "to"   // the public URL to go to
	passLeft  = "left" // how many hosts are left, this one included
	passEnd   = "end"  // when the pass expires, in seconds since 1970
	passSign  = "sign" // over the host and all of the above
	enterHost = "host" // the public authority of the host that requests a pass
	enterPage = "page" // path and query of the request there
)

// tour returns the public names that the redirects lead through, in the order of
// Options.Hosts, with the port that the visitor used.
func (n *names) tour() []authority {
	var hosts []authority
	for _, host := range n.hosts {
		if !isWildcard(host.public) && len(hosts) < maxTour {
			hosts = append(hosts, n.shown(host.public))
		}
	}
	return hosts
}

// afterGate returns where a visitor goes that has just passed the gate, on the way to
// a public URL: through the other hosts first. A long URL, which might not fit into
// another one, is not carried through them.
func (q *request) afterGate(to string) string {
	hosts := q.share.names.tour()
	if !q.share.gate.together || len(hosts) == 0 || len(to) > maxTarget {
		return to
	}
	at, left := slices.Index(hosts, q.publicHost()), len(hosts)
	if at >= 0 {
		left--
	}
	return q.share.gate.pass(hosts, at+1, left, to, time.Now())
}

// pass returns the URL that lets a visitor in at hosts[at] and the left-1 hosts after
// it. When none is left, it is to.
func (g *gate) pass(hosts []authority, at, left int, to string, now time.Time) string {
	if left <= 0 {
		return to
	}
	host := hosts[at%len(hosts)]
	values := url.Values{passTo: {to}, passLeft: {strconv.Itoa(left)}, passEnd: {strconv.FormatInt(now.Add(passLife).Unix(), 10)}}
	values.Set(passSign, g.signPass(host, values))
	return "https://" + host.String() + enterPath + "?" + values.Encode()
}

func (g *gate) signPass(host authority, values url.Values) string {
	parts := []string{g.cookie.scope, "enter", host.String(), values.Get(passLeft), values.Get(passEnd), values.Get(passTo)}
	return sign(g.cookie.key, strings.Join(parts, "\x00"))
}

// enter answers enterPath.
func (q *request) enter() *reply {
	if !opensLink(q.r) {
		return noSuchPage()
	}
	gate, names := &q.share.gate, &q.share.names
	values, now := q.r.URL.Query(), time.Now()
	if values.Has(enterHost) {
		return q.givePass(values, now)
	}
	here := q.publicHost()
	left, err := strconv.Atoi(values.Get(passLeft))
	to, _ := cutReference(values.Get(passTo))
	_, own := names.publicOrigin(to.origin())
	if err != nil || !own || !isFuture(values.Get(passEnd), now) || !hmac.Equal([]byte(values.Get(passSign)), []byte(gate.signPass(here, values))) {
		return plainReply(http.StatusForbidden, "This address has expired.", "Open the link again.")
	}
	hosts := names.tour()
	next := gate.pass(hosts, slices.Index(hosts, here)+1, min(left-1, len(hosts)), values.Get(passTo), now)
	return redirect(http.StatusSeeOther, next).setting(gate.cookie.make(now))
}

// givePass answers, at the first host, another host of the share with a visitor that
// has no cookie.
func (q *request) givePass(values url.Values, now time.Time) *reply {
	host, ok := parseAuthority(values.Get(enterHost), httpsPort)
	if _, own := q.share.names.local(host); !ok || !own {
		return noSuchPage()
	}
	if !q.share.gate.cookie.in(q.r.Header, now) {
		return q.refuse()
	}
	to := "https://" + host.String() + localTarget(values.Get(enterPage))
	return redirect(http.StatusSeeOther, q.share.gate.pass([]authority{host}, 0, 1, to, now))
}

// askFirstHost sends a person without a cookie to the first host; nil where that does
// not help.
func (q *request) askFirstHost() *reply {
	hosts := q.share.names.tour()
	if !q.share.gate.together || len(hosts) == 0 || !page.Navigates(q.r) || !isRead(q.r) {
		return nil
	}
	here := q.publicHost()
	if here == hosts[0] {
		return nil
	}
	values := url.Values{enterHost: {here.String()}, enterPage: {localTarget(target(q.r))}}
	return redirect(http.StatusSeeOther, "https://"+hosts[0].String()+enterPath+"?"+values.Encode())
}
