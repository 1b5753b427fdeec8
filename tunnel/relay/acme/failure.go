package acme

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/mholt/acmez/v3/acme"
)

// Failure is why an authority has not issued a certificate.
type Failure struct {
	text, fix string
	cause     error
	refused   bool // the authority has answered
	limited   bool // its limit is reached
	final     bool // another attempt does not help
	users     bool // the fix is one for the owner of the domain, not for the relay's operator
	pauses    []time.Duration
}

// How long to wait after a first, second, … failure. The last one repeats.
var (
	// unreachable: nothing was asked of the authority yet, so no limit counts it.
	unreachable = []time.Duration{2 * time.Second, 4 * time.Second, 8 * time.Second, 15 * time.Second, 30 * time.Second, time.Minute}
	// refused: Let's Encrypt allows five failed validations of a name in an hour.
	refused = []time.Duration{time.Minute, 5 * time.Minute, 15 * time.Minute, 30 * time.Minute, time.Hour}
	// limited: Let's Encrypt gives a certificate back every few hours.
	limited = []time.Duration{time.Hour}
)

// Error says what failed and why, in lower case.
func (f *Failure) Error() string { return f.text }

// Unwrap returns the error of the order.
func (f *Failure) Unwrap() error { return f.cause }

// Fix says what to do about it.
func (f *Failure) Fix() string { return f.fix }

// outcome returns the failure's outcome for metrics.
func (f *Failure) outcome() string {
	switch {
	case f.limited:
		return "limited"
	case f.refused:
		return "refused"
	}
	return "failed"
}

// pause returns how long to wait after a number of earlier failures.
func (f *Failure) pause(earlier int) time.Duration { return f.pauses[min(earlier, len(f.pauses)-1)] }

// explain says why an order has failed, and what to do.
func explain(err error, o Options) *Failure {
	f := &Failure{cause: err, pauses: refused}
	var problem acme.Problem
	if errors.As(err, &problem) {
		f.refused = true
		f.explainProblem(problem, o)
		return f
	}
	var unknown x509.UnknownAuthorityError
	var network net.Error
	switch {
	case errors.As(err, &unknown):
		f.text = fmt.Sprintf("the certificate of the authority's own server %s is not trusted: %v", o.Authority, unknown)
		f.fix = "if the authority is your own, add its root to the system, or name it in $SSL_CERT_FILE"
		f.pauses = unreachable
	case errors.As(err, &network), errors.Is(err, context.DeadlineExceeded):
		f.text = fmt.Sprintf("the authority at %s can't be reached: %v", o.Authority, shortest(err))
		f.fix = "allow outgoing HTTPS from this server; to use another authority: --acme-ca URL"
		f.pauses = unreachable
	default:
		f.text = fmt.Sprintf("no certificate from %s: %v", o.Authority, err)
		f.fix = "make sure that --acme-ca is the URL of an ACME directory, and that the relay can write to its state folder"
	}
	return f
}

// explainProblem explains what the authority has said.
func (f *Failure) explainProblem(problem acme.Problem, o Options) {
	said := detail(problem)
	f.text = "the authority refuses: " + said
	switch problem.Type {
	case acme.ProblemTypeRateLimited:
		f.text = "the authority's limit is reached: " + said
		f.fix = "wait; the relay tries again every hour. To try without limits: --acme-staging"
		f.pauses, f.limited = limited, true
	case acme.ProblemTypeDNS, acme.ProblemTypeUnauthorized, acme.ProblemTypeIncorrectResponse, acme.ProblemTypeConnection:
		f.text = "the authority doesn't see the relay's DNS answers: " + said
		f.fix = "devproxy relay init " + o.Domain + " --check"
	case acme.ProblemTypeCAA:
		f.text = "a CAA record forbids this authority: " + said
		f.fix = "allow it in the CAA records of " + o.Domain + " and its parents"
	case acme.ProblemTypeRejectedIdentifier, acme.ProblemTypeUnsupportedIdentifier:
		f.fix, f.final = "use another domain: --domain; or another authority: --acme-ca URL", true
	case acme.ProblemTypeInvalidContact, acme.ProblemTypeUnsupportedContact:
		f.fix, f.final = "give an address that receives mail: --acme-email you@example.com", true
	case acme.ProblemTypeExternalAccountRequired:
		f.fix, f.final = "use an authority that needs no account: leave out --acme-ca; or give a certificate: --cert FILE --key FILE", true
	case acme.ProblemTypeServerInternal:
		f.fix, f.pauses = "wait; the relay tries again", unreachable
	default:
		f.fix = "devproxy relay init " + o.Domain + " --check"
		if problem.Status >= http.StatusInternalServerError {
			f.fix, f.pauses = "wait; the relay tries again", unreachable
		}
	}
}

// detail returns the authority's own words, the most exact ones.
func detail(problem acme.Problem) string {
	said := problem.Detail
	for _, sub := range problem.Subproblems {
		if sub.Detail != "" {
			said = sub.Detail
		}
	}
	return said
}

// shortest returns the error of the connection in the error of a request.
func shortest(err error) error {
	var op *net.OpError
	if errors.As(err, &op) {
		return op
	}
	return err
}
