package main

import (
	"time"

	"github.com/devproxy/devproxy/devproxy/control"
)

// shareText tells a person what becomes of a share.
type shareText struct {
	streams *streams
	keys    bool      // keys are read
	serving bool      // and s is one of them: `up` goes on without a share
	lost    time.Time // since when the relay is away
}

func (t *shareText) tell(e shareEvent) {
	switch e.kind {
	case shareBegun:
		t.note("connecting to " + e.share.Relay)
	case shareShown:
		t.shown(e)
	case shareLater:
		t.line("link open until " + untilText(e.share.Expires, time.Now()))
	case shareLost:
		t.away(e)
	case shareBack:
		t.line("relay " + e.share.Relay + " is " + t.streams.green("back") + " after " + short(time.Since(t.lost)))
		t.lost = time.Time{}
	case shareOver:
		t.over(e.share)
	case shareTrouble:
		t.problem(e.share)
	case shareMoved:
		t.line("relay " + e.before.Relay + " " + t.streams.yellow("cannot be used") + ", trying " + e.share.Relay + " in its place: " + e.share.Error)
	case shareAdded:
		t.added(e.added)
	}
}

// added tells of hosts that a save has added and that are not shared.
func (t *shareText) added(hosts []string) {
	how := t.shareNow(t.keys)
	for _, host := range hosts {
		t.line(t.streams.yellow(host+" is not shared") + ": it was " + reasonAdded + ". To share it: " + how)
	}
}

func (t *shareText) shown(e shareEvent) {
	if host := e.moved(); host != "" {
		t.line("a second host moves the link of " + host + " to another address: " + e.before.URL + " works no more")
	}
	t.lost = time.Time{}
	printShare(t.streams, e.share, time.Now(), true, 1)
	if t.keys {
		t.note(shareKeys)
	}
}

// away tells why the relay is not there; what visitors meet depends on whether
// the session can be resumed.
func (t *shareText) away(e shareEvent) {
	if t.lost.IsZero() {
		t.lost = time.Now()
	}
	if e.share.State == control.ShareResuming {
		t.line("relay " + e.share.Relay + " is " + t.streams.yellow("away") + "; visitors wait")
		return
	}
	t.line("relay " + e.share.Relay + " " + t.streams.yellow("cannot be reached") + "; it is tried again")
	t.problem(e.share)
}

func (t *shareText) over(sh control.Share) {
	if sh.State == control.ShareFailed {
		text := "nothing is shared now"
		if sh.Again {
			text += "; devproxy tries again, and goes on serving this machine"
		}
		t.line(text)
		t.problem(sh)
		return
	}
	again := "For a new one"
	if lastsAsleep(sh) {
		again = "To resume it"
	}
	t.line("the link " + overText(sh) + ". " + again + ": " + t.shareNow(t.keys && t.serving))
}

// shareNow is what shares what is served here: the key where it is read.
func (t *shareText) shareNow(key bool) string {
	if key {
		return "press s"
	}
	return typed("devproxy share")
}

// problem prints what is wrong with its fix, as a verb's failure is printed.
func (t *shareText) problem(sh control.Share) {
	if sh.Error != "" {
		report(t.streams, failf(sh.Fix, "%s", sh.Error), false)
	}
}

func (t *shareText) line(text string) {
	t.streams.event(time.Now(), text)
}

func (t *shareText) note(text string) { t.streams.note(text) }
