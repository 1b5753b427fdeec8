package agent

import (
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"unicode"

	"github.com/devproxy/devproxy/tunnel"
)

// AuthorizedKey is the line of a relay's authorized_keys that admits the owner
// of key, without a comment.
func AuthorizedKey(key ed25519.PublicKey) string {
	return "devproxy-ed25519 " + base64.StdEncoding.EncodeToString(key)
}

// ended explains why there is no session, or none any more.
func (t target) ended(err error, key ed25519.PrivateKey) error {
	var known *Error
	var refusal *tunnel.Refusal
	var protocol *tunnel.ProtocolError
	switch {
	case errors.As(err, &known):
		return known
	case errors.Is(err, tunnel.ErrReplaced):
		return t.refused(&tunnel.Refusal{Code: tunnel.CodeReplaced}, key)
	case errors.Is(err, tunnel.ErrClosed):
		return t.broken("talk to", errors.New("it closed the session"))
	case errors.As(err, &refusal):
		return t.refused(refusal, key)
	case errors.As(err, &protocol):
		return t.refused(&tunnel.Refusal{Code: tunnel.CodeFailed, Message: protocol.Error()}, key)
	}
	return t.broken("talk to", err)
}

// broken is a connection that went away.
func (t target) broken(op string, err error) *Error {
	return &Error{Reason: ReasonBroken, Op: op, Addr: t.String(), Err: err, Fix: "it is tried again; if that lasts, look at the relay's log"}
}

// refused explains a relay's no.
func (t target) refused(r *tunnel.Refusal, key ed25519.PrivateKey) *Error {
	said := printable(r.Message)
	e := func(reason Reason, text, fix string) *Error {
		return &Error{Reason: reason, Op: "share through", Addr: t.String(), Err: explained{text, r}, Fix: fix}
	}
	switch r.Code {
	case tunnel.CodeBadHello:
		return e(ReasonVersion, said, "run the same version of devproxy here and on the relay: devproxy version")
	case tunnel.CodeBadProof:
		return e(ReasonInspected, "something between decrypts TLS", t.inspectedFix()+
			"\nif it is a proxy in front of the relay, have its operator pass TLS through: only visitors may come where TLS ends on the way")
	case tunnel.CodeReplaced:
		return e(ReasonReplaced, `another "devproxy up --share" uses this folder's key`, "stop that one (devproxy down, where it runs), then share again")
	case tunnel.CodeBusy:
		return e(ReasonBusy, "it is busy: "+said, "it is tried again")
	case tunnel.CodeUnknownKey:
		return e(ReasonUnknownKey, "it does not know this folder's key", fmt.Sprintf(
			"devproxy relay login %s --token TOKEN\nor have whoever runs it add this line to its authorized_keys:\n%s", t, AuthorizedKey(key.Public().(ed25519.PublicKey))))
	case tunnel.CodeRevoked:
		return e(ReasonRevoked, "whoever runs it has revoked this folder's key", "ask them")
	case tunnel.CodeBadToken:
		return e(ReasonBadToken, "the enrolment token is not valid (any more)", fmt.Sprintf("devproxy relay login %s --token TOKEN, with the one its operator gives you", t))
	case tunnel.CodeNameTaken:
		return e(ReasonNameTaken, said, "choose another, share { name = \"…\" }, or leave it out for a link that nobody can guess\n"+
			"if it is your own, of another machine or of this folder before it was renamed or cloned again:\n"+
			"to give it up, there: devproxy relay release NAME\n"+
			"to share it from both places, with one key: devproxy share --key FILE")
	case tunnel.CodeBadClaim:
		return e(ReasonBadClaim, said, "change the share block; if it is right, run the same version of devproxy here and on the relay")
	case tunnel.CodeEnded:
		return e(ReasonEnded, "this link has ended for good", "devproxy share, for a new one")
	}
	return e(ReasonFailed, said, "it is tried again; if that lasts, look at the relay's log")
}

// inspectedFix is what helps against a proxy that decrypts.
func (t target) inspectedFix() string {
	return fmt.Sprintf("have whoever runs this network leave %s out of TLS inspection, or share from another network", t.host)
}

// explained is a refusal in our words.
type explained struct {
	text    string
	refusal *tunnel.Refusal
}

func (e explained) Error() string { return e.text }
func (e explained) Unwrap() error { return e.refusal }

// printable is what a stranger says, in one line that a terminal can show.
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
