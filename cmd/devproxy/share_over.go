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
	return "is paused"
}
