package agent

import (
	"errors"
	"fmt"
)

// Error is what keeps an agent from its relay.
type Error struct {
	Reason Reason
	// Op and Addr are what was tried, and with what: "connect to",
	// "t.example.com:443".
	Op, Addr string
	// Err is what happened; never nil.
	Err error
	// Fix is the next command or edit, in one line or more; empty when there is
	// none to suggest.
	Fix string
}

// Error is one sentence, without the fix.
func (e *Error) Error() string { return fmt.Sprintf("cannot %s %s: %v", e.Op, e.Addr, e.Err) }

// Unwrap is the cause.
func (e *Error) Unwrap() error { return e.Err }

// Reason tells the errors of an agent apart.
type Reason string

// The reasons.
const (
	ReasonRelay       Reason = "bad_relay"       // the relay's name or pin cannot be meant
	ReasonNoName      Reason = "no_such_name"    // the relay's name does not exist
	ReasonDNS         Reason = "dns"             // a name cannot be looked up
	ReasonRefused     Reason = "refused"         // nothing listens there
	ReasonBlocked     Reason = "blocked"         // no answer at all
	ReasonUnreachable Reason = "unreachable"     // no network, or no way to the relay's
	ReasonProxy       Reason = "proxy"           // the proxy cannot be used, or cannot reach the relay
	ReasonProxyAuth   Reason = "proxy_auth"      // the proxy wants other credentials
	ReasonProxyForbid Reason = "proxy_forbids"   // the proxy does not let the relay be reached
	ReasonInspected   Reason = "tls_inspected"   // something between decrypts TLS
	ReasonCertificate Reason = "bad_certificate" // the relay's certificate is of another name, or out of date
	ReasonPin         Reason = "bad_pin"         // the relay's certificate is not the pinned one
	ReasonNotRelay    Reason = "not_a_relay"     // something else answers there
	ReasonVersion     Reason = "version"         // the relay speaks another version
	ReasonBroken      Reason = "broken"          // the connection broke off
	ReasonBusy        Reason = "busy"            // the relay wants to be left alone for a while
	ReasonFailed      Reason = "failed"          // something failed at the relay
	ReasonUnknownKey  Reason = "unknown_key"     // the relay does not know this key
	ReasonRevoked     Reason = "revoked"         // the relay's owner has revoked the key
	ReasonBadToken    Reason = "bad_token"       // the enrolment token is not valid
	ReasonNameTaken   Reason = "name_taken"      // the name belongs to another key
	ReasonBadClaim    Reason = "bad_claim"       // what is claimed cannot be granted
	ReasonEnded       Reason = "ended"           // the link has ended for good
	ReasonReplaced    Reason = "replaced"        // another process uses this key
)

// isFatal reports whether trying again is no use. A relay that cannot be found,
// or is none, is a wrong name only while nothing was connected before, on a
// machine that has a network: a laptop that moves finds it again.
func (a *Agent) isFatal(err error) bool {
	var e *Error
	if !errors.As(err, &e) {
		return true // a defect of ours
	}
	switch e.Reason {
	case ReasonRelay, ReasonVersion, ReasonUnknownKey, ReasonRevoked, ReasonBadToken, ReasonNameTaken, ReasonBadClaim, ReasonEnded, ReasonReplaced:
		return true
	case ReasonNoName, ReasonNotRelay, ReasonPin:
		a.mu.Lock()
		defer a.mu.Unlock()
		return !a.held && len(a.machine.addresses()) > 0
	}
	return false
}

// asError is err for a State.
func asError(err error) *Error {
	var e *Error
	errors.As(err, &e)
	return e
}
