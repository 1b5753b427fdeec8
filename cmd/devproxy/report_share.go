package main

import (
	"time"

	"github.com/devproxy/devproxy/devproxy"
	"github.com/devproxy/devproxy/devproxy/control"
)

// The events of a share.
type (
	// sharedEvent: the link works, or its addresses or its expiry have changed.
	sharedEvent struct {
		Event   string            `json:"event"`
		URL     string            `json:"url"`
		Hosts   map[string]string `json:"hosts"`
		Expires time.Time         `json:"expires"`
		Relay   string            `json:"relay"`
		// Operator and Cannot describe a provider: who can read the traffic, and
		// which features it does not support.
		Operator string   `json:"operator,omitempty"`
		Cannot   []string `json:"cannot,omitempty"`
		Notes    []string `json:"notes,omitempty"`
		// Advisories are about dev servers with known holes.
		Advisories []string `json:"advisories,omitempty"`
	}
	// relayEvent: the relay is dialled, lost, back, or replaced by the next one.
	relayEvent struct {
		Event string `json:"event"`
		State string `json:"state"`
		Relay string `json:"relay"`
		From  string `json:"from,omitempty"` // the relay that it replaces
		Error string `json:"error,omitempty"`
		Fix   string `json:"fix,omitempty"`
	}
	// unsharedEvent: nothing is shared any more.
	unsharedEvent struct {
		Event  string `json:"event"`
		Reason string `json:"reason"`
		Error  string `json:"error,omitempty"`
		Fix    string `json:"fix,omitempty"`
		Again  bool   `json:"again,omitempty"` // devproxy tries again
	}
	// shareFailedEvent: a request for the share was not carried out.
	shareFailedEvent struct {
		Event string `json:"event"`
		Error string `json:"error"`
		Fix   string `json:"fix,omitempty"`
	}
	// notSharedEvent: a save added hosts, which are not shared.
	notSharedEvent struct {
		Event  string   `json:"event"`
		Hosts  []string `json:"hosts"`
		Reason string   `json:"reason"`
		Fix    string   `json:"fix"`
	}
)

// share prints an event of the share.
func (r *reporter) share(e devproxy.ShareEvent) {
	if r.opts.json {
		_ = r.json(shareJSON(e)) // print errors are ignored
		return
	}
	r.access.flush()
	r.printShare(e)
}

func shareJSON(e devproxy.ShareEvent) any {
	sh := e.Share
	switch e.Kind {
	case devproxy.ShareShown, devproxy.ShareExtended:
		hosts := make(map[string]string, len(sh.Hosts))
		for _, host := range sh.Hosts {
			hosts[host.Name] = host.URL
		}
		return sharedEvent{"shared", sh.URL, hosts, sh.Expires.UTC().Truncate(time.Second), sh.Relay, sh.Operator, sh.Cannot, sh.Notes, sh.Advisories}
	case devproxy.ShareMoved:
		return relayEvent{"relay", sh.State, sh.Relay, e.Before.Relay, sh.Error, ""}
	case devproxy.ShareOver:
		return unsharedEvent{"unshared", sh.State, sh.Error, sh.Fix, sh.Again}
	case devproxy.ShareTrouble:
		return shareFailedEvent{"share_failed", sh.Error, sh.Fix}
	case devproxy.ShareAdded:
		return notSharedEvent{"not_shared", e.Added, devproxy.ReasonAdded, "devproxy share"}
	}
	return relayEvent{"relay", sh.State, sh.Relay, "", sh.Error, sh.Fix}
}

// printShare prints an event of the share for a person.
func (r *reporter) printShare(e devproxy.ShareEvent) {
	sh := e.Share
	line := func(text string) { r.event(time.Now(), text) }
	switch e.Kind {
	case devproxy.ShareBegun:
		r.note("connecting to " + sh.Relay)
	case devproxy.ShareShown:
		if host := e.MovedHost(); host != "" {
			line("a second host moves the link of " + host + " to another address; " + e.Before.URL + " no longer works")
		}
		r.lost = time.Time{}
		printShare(r.streams, sh, time.Now(), true, 1)
		if r.keys {
			r.note(shareKeys)
		}
	case devproxy.ShareExtended:
		line("link open until " + untilText(sh.Expires, time.Now()))
	case devproxy.ShareLost:
		if r.lost.IsZero() {
			r.lost = time.Now()
		}
		if sh.State == control.ShareResuming {
			line("relay " + sh.Relay + " is " + r.yellow("away") + "; visitors wait")
			return
		}
		line("relay " + sh.Relay + " " + r.yellow("can't be reached") + "; still trying")
		r.shareProblem(sh)
	case devproxy.ShareBack:
		line("relay " + sh.Relay + " is " + r.green("back") + " after " + short(time.Since(r.lost)))
		r.lost = time.Time{}
	case devproxy.ShareOver:
		r.shareOver(sh, line)
	case devproxy.ShareTrouble:
		r.shareProblem(sh)
	case devproxy.ShareMoved:
		line("relay " + e.Before.Relay + " " + r.yellow("can't be used") + ", trying " + sh.Relay + " instead: " + sh.Error)
	case devproxy.ShareAdded:
		for _, host := range e.Added {
			line(r.yellow(host+" is not shared") + ": it was " + devproxy.ReasonAdded + ". To share it: " + shareNow(r.keys))
		}
	}
}

func (r *reporter) shareOver(sh control.Share, line func(string)) {
	if sh.State == control.ShareFailed {
		text := "nothing is shared now"
		if sh.Again {
			text += "; devproxy tries again and keeps serving this machine"
		}
		line(text)
		r.shareProblem(sh)
		return
	}
	again := "For a new one"
	if keepsLink(sh) {
		again = "To resume it"
	}
	line("the link " + overText(sh) + ". " + again + ": " + shareNow(r.keys && r.serving))
}

// shareNow says how to start a share here: with the key s if keys are read.
func shareNow(key bool) string {
	if key {
		return "press s"
	}
	return typed("devproxy share")
}

// shareProblem prints the error of a share as a verb's error is printed.
func (r *reporter) shareProblem(sh control.Share) {
	if sh.Error != "" {
		report(r.streams, failf(sh.Fix, "%s", sh.Error), false)
	}
}

// overText says what happened to a link that is not open, after "the link".
func overText(sh control.Share) string {
	switch {
	case sh.State == control.ShareExpired:
		return "has expired: it was open until " + sh.Expires.Local().Format("15:04")
	case sh.State == control.ShareEnded:
		return "has ended for good"
	case sh.State == control.ShareFailed:
		return "failed: " + sh.Error
	case keepsLink(sh):
		return "is paused"
	}
	return "has ended: " + sh.Relay + " gives a new one every time"
}

// keepsLink reports whether the next share has the same link. A provider gives a new
// one.
func keepsLink(sh control.Share) bool { return sh.State == control.ShareAsleep && sh.Operator == "" }
