package agent

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"unicode"

	"github.com/devproxy/devproxy/tunnel"
	"github.com/devproxy/devproxy/tunnel/neterror"
)

// Error is the reason why an agent cannot share through its relay.
type Error struct {
	Reason Reason
	// Op and Addr are the operation that failed and its address: "connect to",
	// "t.example.com:443".
	Op, Addr string
	// Err is what happened; never nil.
	Err error
	// Fix is the next command or edit, on one or more lines; empty for none.
	Fix string
}

// Error returns one sentence, without the fix.
func (e *Error) Error() string { return fmt.Sprintf("cannot %s %s: %v", e.Op, e.Addr, e.Err) }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Ops of errors.
const (
	opShare = "share through"
	opTalk  = "talk to"
)

// Reason classifies the errors of an agent.
type Reason string

// The reasons.
const (
	ReasonRelay       Reason = "bad_relay"       // the relay's name or pin is invalid
	ReasonNoName      Reason = "no_such_name"    // the relay's name does not exist
	ReasonDNS         Reason = "dns"             // a name cannot be looked up
	ReasonRefused     Reason = "refused"         // nothing listens there
	ReasonBlocked     Reason = "blocked"         // no answer at all
	ReasonUnreachable Reason = "unreachable"     // no network, or no route to the relay's
	ReasonProxy       Reason = "proxy"           // the proxy cannot be used, or cannot reach the relay
	ReasonProxyAuth   Reason = "proxy_auth"      // the proxy requires other credentials
	ReasonProxyForbid Reason = "proxy_forbids"   // the proxy forbids connections to the relay
	ReasonInspected   Reason = "tls_inspected"   // something on the way decrypts TLS
	ReasonCertificate Reason = "bad_certificate" // the relay's certificate has another name, or has expired
	ReasonPin         Reason = "bad_pin"         // the relay's certificate is not the pinned one
	ReasonNotRelay    Reason = "not_a_relay"     // something else answers there
	ReasonVersion     Reason = "version"         // the relay has another version
	ReasonBroken      Reason = "broken"          // the connection broke off
	ReasonBusy        Reason = "busy"            // the relay refuses more for a while
	ReasonFailed      Reason = "failed"          // something failed at the relay
	ReasonUnknownKey  Reason = "unknown_key"     // the relay does not know this key
	ReasonRevoked     Reason = "revoked"         // the relay's operator has revoked the key
	ReasonBadToken    Reason = "bad_token"       // the enrolment token is not valid
	ReasonNameTaken   Reason = "name_taken"      // the name belongs to another key
	ReasonBadClaim    Reason = "bad_claim"       // the claim cannot be granted
	ReasonUnproven    Reason = "unproven"        // no DNS record proves that the claim's domain belongs to the key
	ReasonEnded       Reason = "ended"           // the link has ended for good
	ReasonReplaced    Reason = "replaced"        // another process uses this key
)

// isFatal reports whether trying again cannot help. A relay that is not found, or
// something else in its place, means a wrong name only before the first session, on a
// machine that has a network: a laptop that moves finds its relay again.
func (a *Agent) isFatal(err error) bool {
	e := asError(err)
	if e == nil {
		return true // a bug
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

// asError returns the *Error in err; nil for none.
func asError(err error) *Error {
	e, _ := errors.AsType[*Error](err)
	return e
}

func isReason(err error, reason Reason) bool {
	e := asError(err)
	return e != nil && e.Reason == reason
}

// unreached explains why the relay cannot be reached.
func (t target) unreached(err error) error {
	e := unreached(t.host, t.address(), err)
	switch {
	case e.Reason == ReasonNoName, e.Reason == ReasonDNS:
		e.Fix = "check the name, and this machine's DNS: nslookup " + t.host
	case e.Reason == ReasonRefused && isLocal(t.host):
		e.Fix = "start one in another terminal: devproxy relay --dev --listen 127.0.0.1:" + t.port
	case e.Reason == ReasonRefused:
		e.Fix = "check the port, and whether the relay runs"
	case e.Reason == ReasonBlocked:
		e.Fix = fmt.Sprintf("port %s seems blocked; set HTTPS_PROXY if this network needs a proxy", t.port)
	default:
		e.Fix = "check this machine's network"
	}
	return e
}

// unreached explains a dial that failed. The caller adds the fix.
func unreached(host, address string, err error) *Error {
	e := &Error{Reason: ReasonUnreachable, Op: "connect to", Addr: address, Err: err}
	text := ""
	dns, isDNS := errors.AsType[*net.DNSError](err)
	switch {
	case isDNS && dns.IsNotFound:
		e.Reason, text = ReasonNoName, "no such name"
	case isDNS:
		e.Reason, text = ReasonDNS, dns.Err
	case isTimeout(err):
		e.Reason, text = ReasonBlocked, fmt.Sprintf("no answer within %v", connectTimeout)
	case neterror.Refused(err):
		e.Reason, text = ReasonRefused, "nothing listens there"
	case neterror.Unreachable(err), neterror.HostUnreachable(err):
		text = "no route from this network"
	}
	if isDNS {
		e.Op, e.Addr = "look up", host
	}
	if text != "" {
		e.Err = reworded{text, err}
	}
	return e
}

func isTimeout(err error) bool {
	slow, ok := errors.AsType[net.Error](err)
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) || ok && slow.Timeout()
}

// reworded is an error with another text, which keeps its cause.
type reworded struct {
	text  string
	cause error
}

func (r reworded) Error() string { return r.text }
func (r reworded) Unwrap() error { return r.cause }

// plainly rewords an error that only says that a connection ended.
func plainly(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || neterror.Broken(err) {
		return reworded{"the other end closed the connection", err}
	}
	return err
}

// notRelay returns the error of a server that answers and is something else.
func (t target) notRelay(err error) *Error {
	return &Error{
		Reason: ReasonNotRelay, Op: opShare, Addr: t.String(), Err: fmt.Errorf("the server there is not a devproxy relay: %w", err),
		Fix: "check the name; on your own server: devproxy relay --domain " + t.host +
			"\na proxy in front of a relay must pass TLS through, as agents can't connect where TLS ends on the way",
	}
}

// tryAgainFix is the fix for errors that devproxy retries.
const tryAgainFix = "devproxy tries again; if it keeps failing, check the relay's log"

// broken returns the error of a connection that broke off.
func (t target) broken(op string, err error) *Error {
	return &Error{Reason: ReasonBroken, Op: op, Addr: t.String(), Err: err, Fix: tryAgainFix}
}

// ended explains why no session could be opened, or why it ended.
func (t target) ended(err error, key ed25519.PrivateKey) error {
	if known := asError(err); known != nil {
		return known
	}
	refusal, isRefusal := errors.AsType[*tunnel.Refusal](err)
	protocol, isProtocol := errors.AsType[*tunnel.ProtocolError](err)
	switch {
	case errors.Is(err, tunnel.ErrReplaced):
		return t.refused(&tunnel.Refusal{Code: tunnel.CodeReplaced}, key)
	case errors.Is(err, tunnel.ErrClosed):
		return t.broken(opTalk, errors.New("it closed the session"))
	case isRefusal:
		return t.refused(refusal, key)
	case isProtocol:
		return t.refused(&tunnel.Refusal{Code: tunnel.CodeFailed, Message: protocol.Error()}, key)
	}
	return t.broken(opTalk, err)
}

// refused explains a relay's refusal.
func (t target) refused(r *tunnel.Refusal, key ed25519.PrivateKey) *Error {
	said := printable(r.Message)
	e := func(reason Reason, text, fix string) *Error {
		return &Error{Reason: reason, Op: opShare, Addr: t.String(), Err: reworded{text, r}, Fix: fix}
	}
	switch r.Code {
	case tunnel.CodeBadHello:
		return e(ReasonVersion, said, "run the same version of devproxy here and on the relay: devproxy version")
	case tunnel.CodeBadProof:
		return e(ReasonInspected, "something on the way decrypts TLS", t.inspectedFix()+
			"\nif it is a proxy in front of the relay, have its operator pass TLS through: only visitors can connect where TLS ends on the way")
	case tunnel.CodeReplaced:
		return e(ReasonReplaced, `another "devproxy up --share" uses this folder's key`, "stop that one (devproxy down, where it runs), then share again")
	case tunnel.CodeBusy:
		return e(ReasonBusy, "it is busy: "+said, "devproxy tries again")
	case tunnel.CodeUnknownKey:
		return e(ReasonUnknownKey, "it does not know this folder's key", fmt.Sprintf(
			"devproxy relay login %s --token TOKEN\nor have its operator add this line to its authorized_keys:\n%s", t, AuthorizedKey(key.Public().(ed25519.PublicKey))))
	case tunnel.CodeRevoked:
		return e(ReasonRevoked, "its operator has revoked this folder's key", "contact the operator")
	case tunnel.CodeBadToken:
		return e(ReasonBadToken, "the enrolment token is not valid, or no longer", fmt.Sprintf("with a token from its operator:\ndevproxy relay login %s --token TOKEN", t))
	case tunnel.CodeNameTaken:
		return e(ReasonNameTaken, said, "choose another, share { name = \"…\" }, or leave it out for a link that no one can guess\n"+
			"if it is your own, of another machine or of this folder before it was renamed or cloned again:\n"+
			"to give it up, there: devproxy relay release NAME\n"+
			"to share it from both places, with one key: devproxy share --key FILE")
	case tunnel.CodeBadClaim:
		return e(ReasonBadClaim, said, "change the share block; if it is right, run the same version of devproxy here and on the relay")
	case tunnel.CodeUnproven:
		return e(ReasonUnproven, said, "make that DNS record, then share again")
	case tunnel.CodeEnded:
		return e(ReasonEnded, "this link has ended for good", "devproxy share, for a new one")
	}
	return e(ReasonFailed, said, tryAgainFix)
}

// AuthorizedKey returns the line of a relay's authorized_keys that admits the owner
// of key, without a comment.
func AuthorizedKey(key ed25519.PublicKey) string {
	return "devproxy-ed25519 " + base64.StdEncoding.EncodeToString(key)
}

// printable returns another program's message as one line that a terminal can show.
func printable(said string) string {
	said = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, said)
	if said == "" {
		return "it does not say why"
	}
	return said
}
