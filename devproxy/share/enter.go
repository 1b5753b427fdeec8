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
)

// Hosts without a common zone have a cookie of the gate each, which no response of
// another host can set. Who passes the gate at one of them is led through the
// others by redirects, and back. A host that the redirects leave out, such as one
// of a wildcard, sends a visitor without a cookie to the first host, which knows
// whether the visitor has passed.

// enterPath takes a pass and sets the cookie of the gate. It exists in this
// spelling alone.
const enterPath = plan.OwnPaths + "enter"

const (
	// maxTour is how many hosts one tour leads through: browsers follow 20
	// redirects, and the project may send some of its own.
	maxTour = 10
	// passLife is how long a pass is valid: it is used at once.
	passLife = time.Minute
)

// The parameters of enterPath: a pass has the first four, and a host that asks the
// first one for a pass sends the others.
const (
	passTo    = "to"   // a public URL to go on to
	passLeft  = "left" // how many hosts are still to be visited, this one included
	passEnd   = "end"  // when the pass expires, in seconds since 1970
	passSign  = "sign" // over the host and all of the above
	enterHost = "host" // the public authority of the host that asks
	enterPage = "page" // path and query that were asked for there
)

// tour are the public names that a tour leads through, in the order of
// Options.Hosts, with the port that the visitor came by.
func (s *Share) tour() []authority {
	var hosts []authority
	for _, host := range s.table.hosts {
		if !isWildcard(host.public) && len(hosts) < maxTour {
			hosts = append(hosts, s.table.shown(host.public))
		}
	}
	return hosts
}

// admitted is where a visitor goes who has just passed the gate at q's host, on the
// way to a public URL: through the other hosts first. A long URL, which might not fit
// into another, is not carried around.
func (s *Share) admitted(q *query, to string) string {
	hosts := s.tour()
	if !s.gate.together || len(hosts) == 0 || len(to) > maxTarget {
		return to
	}
	here, _ := parseAuthority(q.visitor.Host, httpsPort)
	at, left := slices.Index(hosts, here), len(hosts)
	if at >= 0 {
		left--
	}
	return s.pass(hosts, at+1, left, to, time.Now())
}

// pass is the URL that lets a visitor in at hosts[at] and the left-1 hosts after it;
// for none left it is to itself.
func (s *Share) pass(hosts []authority, at, left int, to string, now time.Time) string {
	if left <= 0 {
		return to
	}
	host := hosts[at%len(hosts)]
	values := url.Values{passTo: {to}, passLeft: {strconv.Itoa(left)}, passEnd: {strconv.FormatInt(now.Add(passLife).Unix(), 10)}}
	values.Set(passSign, s.signPass(host, values))
	return "https://" + host.String() + enterPath + "?" + values.Encode()
}

func (s *Share) signPass(host authority, values url.Values) string {
	parts := []string{s.gate.cookie.scope, "enter", host.String(), values.Get(passLeft), values.Get(passEnd), values.Get(passTo)}
	return sign(s.gate.cookie.key, strings.Join(parts, "\x00"))
}

// enter answers enterPath.
func (s *Share) enter(q *query) *reply {
	if !isRead(q.r) || !opensLink(q.r) {
		return plainReply(http.StatusNotFound, "There is no such page here.")
	}
	values, now := q.r.URL.Query(), time.Now()
	if values.Has(enterHost) {
		return s.givePass(q, values, now)
	}
	here, _ := parseAuthority(q.visitor.Host, httpsPort)
	left, err := strconv.Atoi(values.Get(passLeft))
	_, own := s.table.publicOrigin(originOf(values.Get(passTo)))
	if err != nil || !own || !isFuture(values.Get(passEnd), now) || !hmac.Equal([]byte(values.Get(passSign)), []byte(s.signPass(here, values))) {
		return plainReply(http.StatusForbidden, "This address has expired.", "Open the link again.")
	}
	hosts := s.tour()
	answer := redirect(http.StatusSeeOther, s.pass(hosts, slices.Index(hosts, here)+1, min(left-1, len(hosts)), values.Get(passTo), now))
	answer.cookies = []*http.Cookie{s.gate.cookie.make(now)}
	return answer
}

// originOf is the origin of a URL, as text.
func originOf(text string) string {
	ref, _ := cutReference(text)
	return ref.scheme + "//" + ref.authority
}

// givePass answers, at the first host, another host of the share that has a visitor
// without a cookie.
func (s *Share) givePass(q *query, values url.Values, now time.Time) *reply {
	host, ok := parseAuthority(values.Get(enterHost), httpsPort)
	if _, own := s.table.local(host); !ok || !own {
		return plainReply(http.StatusNotFound, "There is no such page here.")
	}
	if !s.gate.cookie.in(q.r.Header, now) {
		return s.refuse(q)
	}
	to := "https://" + host.String() + localTarget(values.Get(enterPage))
	return redirect(http.StatusSeeOther, s.pass([]authority{host}, 0, 1, to, now))
}

// askFirst sends a person whom q's host does not know to the first host; nil where
// that does not help.
func (s *Share) askFirst(q *query) *reply {
	hosts := s.tour()
	if !s.gate.together || len(hosts) == 0 || !navigates(q.r) || !isRead(q.r) {
		return nil
	}
	here, _ := parseAuthority(q.visitor.Host, httpsPort)
	if here == hosts[0] {
		return nil
	}
	values := url.Values{enterHost: {here.String()}, enterPage: {localTarget(target(q.r))}}
	return redirect(http.StatusSeeOther, "https://"+hosts[0].String()+enterPath+"?"+values.Encode())
}
