package main

import "github.com/devproxy/devproxy/devproxy/control"

// overText is what became of a link that is not open, after "the link".
func overText(sh control.Share) string {
	switch sh.State {
	case control.ShareExpired:
		return "has ended: it was open until " + sh.Expires.Local().Format("15:04")
	case control.ShareEnded:
		return "has ended for good"
	case control.ShareFailed:
		return "failed: " + sh.Error
	}
	if lastsAsleep(sh) {
		return "is paused"
	}
	return "has ended: " + sh.Relay + " gives another every time"
}

// lastsAsleep reports whether the next share has the same link: a provider gives
// another.
func lastsAsleep(sh control.Share) bool { return sh.State == control.ShareAsleep && sh.Operator == "" }
