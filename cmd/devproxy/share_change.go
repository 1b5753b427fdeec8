package main

import (
	"reflect"

	"github.com/devproxy/devproxy/devproxy/control"
)

// shareEvent is something that happened to a share, and how it stands now.
type shareEvent struct {
	kind          shareEventKind
	before, share control.Share
	added         []string // of shareAdded: the hosts
}

type shareEventKind int

// The kinds of shareEvent.
const (
	// shareBegun: a relay is being connected to.
	shareBegun shareEventKind = iota + 1
	// shareShown: the link works, or its addresses are others now.
	shareShown
	// shareLater: only the link's end is another.
	shareLater
	// shareLost and shareBack: the relay is away, and there again.
	shareLost
	shareBack
	// shareOver: nothing is shared any more; the state says why.
	shareOver
	// shareTrouble: something was not done, as the share's Error says; the rest
	// is as it was.
	shareTrouble
	// shareMoved: the relay cannot carry the link, as the share's Error says; the
	// next of the list is tried.
	shareMoved
	// shareAdded: hosts were added to the Proxyfile, and are not shared until the
	// user asks for it.
	shareAdded
)

// shareChange is what happened between two looks at a share; false when that
// is nothing to tell.
func shareChange(before, now control.Share) (shareEvent, bool) {
	e := shareEvent{before: before, share: now}
	switch {
	case isOver(now.State):
		e.kind = shareOver
		return e, !isOver(before.State) || before.Link != now.Link || now.State == control.ShareFailed && before.Error != now.Error
	case now.State == control.ShareConnecting:
		e.kind = shareBegun
		return e, before.Link != now.Link
	case now.State != control.ShareUp:
		e.kind = shareLost
		return e, before.State != now.State || before.Error != now.Error
	case !sameAddresses(before, now), before.State == control.ShareConnecting:
		// The addresses can be known before the state is: a link that is extended
		// while it connects gets them with the answer.
		e.kind = shareShown
	case before.State != control.ShareUp:
		e.kind = shareBack
	default:
		e.kind = shareLater
		return e, !before.Expires.Equal(now.Expires)
	}
	return e, true
}

// isOver reports whether nothing is shared in this state.
func isOver(state string) bool {
	switch state {
	case control.ShareConnecting, control.ShareUp, control.ShareResuming, control.ShareWaiting:
		return false
	}
	return true
}

// sameAddresses reports whether nothing differs but the state and the end.
func sameAddresses(a, b control.Share) bool {
	a.State, a.Error, a.Fix, a.Expires = b.State, b.Error, b.Fix, b.Expires
	return reflect.DeepEqual(a, b)
}

// moved is the host whose address is another because a second one is shared;
// empty when that is not what happened.
func (e shareEvent) moved() string {
	if e.before.Link == e.share.Link && len(e.before.Hosts) == 1 && len(e.share.Hosts) > 1 && e.before.URL != e.share.URL {
		return e.before.Hosts[0].Name
	}
	return ""
}
