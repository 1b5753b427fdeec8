package acme

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/mholt/acmez/v3/acme"

	"github.com/devproxy/devproxy/tunnel"
)

// maxSaid is how much of the authority's own words is passed on, in bytes: what an agent is
// told has 256.
const maxSaid = 60

// explain says why an order of a certificate has failed, and what to do.
func (m *Manager) explain(err error, subject string) *Failure {
	if m.kindOf(subject) == domainKind.label {
		return explainDomain(err, m.opts, subject)
	}
	return explain(err, m.opts)
}

// explainDomain is explain for a domain of a user's own. What its owner can fix is told to
// its agent, and the rest is the operator's.
func explainDomain(err error, o Options, domain string) *Failure {
	if refused, ok := errors.AsType[*tunnel.Refusal](err); ok {
		f := &Failure{text: refused.Message, cause: err, pauses: unreachable}
		if refused.Code == tunnel.CodeUnproven {
			f.pauses = []time.Duration{0} // the next claim is refused until the record is there
		}
		return f
	}
	f := explain(err, o)
	f.final = false // for the relay
	var problem acme.Problem
	if !errors.As(err, &problem) {
		return f
	}
	said := shorten(detail(problem), maxSaid)
	switch {
	case problem.Type == acme.ProblemTypeCAA:
		f.text, f.users = fmt.Sprintf("CAA records of %s or above forbid the authority", domain), true
		f.fix = fmt.Sprintf("add %s CAA 0 issue %q", domain, cmp.Or(o.Issuer, "(the authority's name)"))
	case problem.Type == acme.ProblemTypeDNS:
		f.text, f.users = "the authority can't look up "+domain+": "+said, true
		f.fix = "check its DNS records"
	case problem.Type == acme.ProblemTypeRejectedIdentifier, problem.Type == acme.ProblemTypeUnsupportedIdentifier:
		f.text, f.users, f.pauses = "the authority issues nothing for this domain: "+said, true, limited
		f.fix = "use another domain"
	case isUnseen(err):
		f.explainUnseen(detail(problem), o, domain)
	}
	return f
}

// explainUnseen explains that the authority has not reached this relay at a domain.
func (f *Failure) explainUnseen(said string, o Options, domain string) {
	word, rest, _ := strings.Cut(said, ": ")
	at, err := netip.ParseAddr(word)
	said, rest = shorten(said, maxSaid), shorten(rest, maxSaid)
	f.users = true
	switch at = at.Unmap(); {
	case err != nil:
		f.text = "the authority doesn't reach this relay at " + domain + ": " + said
		f.fix = "let it lead here, on port 443"
	case slices.Contains(o.Addresses, at):
		f.text, f.users = fmt.Sprintf("the authority doesn't reach this relay at its address %s: %s", at, rest), false
		f.fix = "let everyone reach the relay's ports 443 and 80"
	case at.Is6():
		f.text = fmt.Sprintf("its AAAA record leads the authority to %s, not here: %s", at, rest)
		f.fix = "remove that record"
	default:
		f.text = fmt.Sprintf("it leads the authority to %s, not here: %s", at, rest)
		f.fix = "let it lead here, or pass /.well-known/acme-challenge/ on"
	}
}

// isUnseen reports whether an authority has not got the answer to a challenge. It may get
// that to one of another type.
func isUnseen(err error) bool {
	var problem acme.Problem
	return errors.As(err, &problem) && slices.Contains([]string{acme.ProblemTypeConnection, acme.ProblemTypeDNS,
		acme.ProblemTypeIncorrectResponse, acme.ProblemTypeTLS, acme.ProblemTypeUnauthorized}, problem.Type)
}

// shorten cuts a text to n bytes, at a space if there is one.
func shorten(text string, n int) string {
	text = strings.ToValidUTF8(text, "?")
	if len(text) <= n {
		return text
	}
	text = strings.ToValidUTF8(text[:n], "")
	if at := strings.LastIndexByte(text, ' '); at > n/2 {
		text = text[:at]
	}
	return text + "…"
}
