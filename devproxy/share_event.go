package devproxy

import (
	"errors"
	"reflect"

	"github.com/devproxy/devproxy/devproxy/control"
	"github.com/devproxy/devproxy/devproxy/failure"
	"github.com/devproxy/devproxy/hcl"
	"github.com/devproxy/devproxy/tunnel"
	"github.com/devproxy/devproxy/tunnel/agent"
)

// ShareEvent is something that happened to a share, with its state after that.
type ShareEvent struct {
	Kind          ShareEventKind
	Before, Share control.Share
	Added         []string // the hosts, of ShareAdded
}

// ShareEventKind says what happened.
type ShareEventKind int

// The kinds of ShareEvent.
const (
	// ShareBegun: devproxy connects to a relay.
	ShareBegun ShareEventKind = iota + 1
	// ShareShown: the link works, or its addresses have changed.
	ShareShown
	// ShareExtended: only the expiry of the link has changed.
	ShareExtended
	// ShareLost and ShareBack: the relay cannot be reached, and can be again.
	ShareLost
	ShareBack
	// ShareOver: nothing is shared any more; the state says why.
	ShareOver
	// ShareTrouble: a request was not carried out, as the share's Error says. The
	// rest is unchanged.
	ShareTrouble
	// ShareMoved: the relay cannot carry the link, as the share's Error says, and
	// the next one of the list is tried.
	ShareMoved
	// ShareAdded: hosts were added to the Proxyfile. They are not shared until the
	// user shares again.
	ShareAdded
	// ShareDomain: the state of the domain of the user's own has changed, and no address
	// with it.
	ShareDomain
)

// CompareShare returns what happened between two states of a share; false if that
// is not worth reporting.
func CompareShare(before, now control.Share) (ShareEvent, bool) {
	e := ShareEvent{Before: before, Share: now}
	switch {
	case IsShareOver(now.State):
		e.Kind = ShareOver
		return e, !IsShareOver(before.State) || before.Link != now.Link || now.State == control.ShareFailed && before.Error != now.Error
	case now.State == control.ShareConnecting:
		e.Kind = ShareBegun
		return e, before.Link != now.Link
	case now.State != control.ShareUp:
		e.Kind = ShareLost
		return e, before.State != now.State || before.Error != now.Error
	case !sameAddresses(before, now), before.State == control.ShareConnecting:
		// The addresses can be known before the state changes: a link that is
		// extended while it connects gets them with the relay's reply.
		e.Kind = ShareShown
	case before.State != control.ShareUp:
		e.Kind = ShareBack
	case !reflect.DeepEqual(before.Domain, now.Domain):
		e.Kind = ShareDomain
	default:
		e.Kind = ShareExtended
		return e, !before.Expires.Equal(now.Expires)
	}
	return e, true
}

// IsShareOver reports whether nothing is shared in this state.
func IsShareOver(state string) bool {
	switch state {
	case control.ShareConnecting, control.ShareUp, control.ShareResuming, control.ShareWaiting:
		return false
	}
	return true
}

// sameAddresses reports whether only state, expiry and domain differ.
func sameAddresses(a, b control.Share) bool {
	a.State, a.Error, a.Fix, a.Expires, a.Domain = b.State, b.Error, b.Fix, b.Expires, b.Domain
	return reflect.DeepEqual(a, b)
}

// MovedHost returns the host whose address has changed because a second one is
// shared now; empty if that did not happen.
func (e ShareEvent) MovedHost() string {
	if e.Before.Link == e.Share.Link && len(e.Before.Hosts) == 1 && len(e.Share.Hosts) > 1 && e.Before.URL != e.Share.URL {
		return e.Before.Hosts[0].Name
	}
	return ""
}

// MovedDomain returns the address that the first host had before, which no longer works,
// because it has got or lost the domain of the user's own; empty if that did not happen.
func (e ShareEvent) MovedDomain() string {
	if e.Before.Link != e.Share.Link || e.Before.URL == "" || isDomainUp(e.Before) == isDomainUp(e.Share) {
		return ""
	}
	return e.Before.Hosts[0].URL
}

func isDomainUp(sh control.Share) bool {
	return sh.Domain != nil && sh.Domain.State == control.DomainUp
}

// Explain returns the text of err for the user, and the command or edit that
// fixes it, which may be empty. Both are empty for nil.
func Explain(err error) (text, fix string) {
	if err == nil {
		return "", ""
	}
	if e, ok := errors.AsType[*failure.Error](err); ok {
		fix = e.Fix
	} else if e, ok := errors.AsType[*control.ShareError](err); ok {
		fix = e.Fix
	} else if e, ok := errors.AsType[*tunnel.NameError](err); ok {
		fix = e.Fix
	} else if e, ok := errors.AsType[*agent.Error](err); ok {
		fix = e.Fix
	} else if e, ok := errors.AsType[*hcl.FileError](err); ok {
		fix = e.Fix
	}
	return failure.Text(err), fix
}
