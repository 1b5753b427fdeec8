// Package inspect hands exchanges on as they end, as to the access lines of the
// terminal.
//
// A record has no header and no body, so no secret is kept.
package inspect

import (
	"strings"
	"time"
)

// maxTarget bounds a method, target, host or error in a record, in bytes. Clients
// choose them.
const maxTarget = 512

// Exchange is one request with its response. The zero value of a field means
// that it is unknown or did not happen.
type Exchange struct {
	Start    time.Time
	Duration time.Duration // until the last byte of the response

	Method, Host, Target string
	Status               int // 499: the client left before the response

	Generation uint64 // of the plan it was answered by
	Route      string // where the route is written: "Proxyfile:14"
	Upstream   string // the member that responded: ":3000"
	Page       string // which of devproxy's own pages was shown: "waiting page"
	Error      string // why the exchange failed

	Held     time.Duration // how long it waited for an upstream
	Resent   int           // how often it was sent again
	Upgrade  bool          // the connection was upgraded, 101
	Cached   bool          // devproxy's cache answered; no upstream was waited for
	Fallback bool          // no member answered, and a fallback did
	// Advice are sentences on what browsers will refuse or leak in the response,
	// each once for each route.
	Advice []string

	Share   string // the share that a visitor came through; empty: local
	Visitor string // the visitor's address, if known: "203.0.113.7"
	// Hidden names the thing that the share hid from the visitor: "Rails mail
	// previews". Show is the entry of `share { show = […] }` that shows it;
	// empty if none does.
	Hidden, Show string
}

// Recorder receives exchanges as they end. Its capacity is how many may be unread:
// while it is full, exchanges are dropped, and no request waits.
type Recorder chan Exchange

// Record sends an exchange that ended. It never blocks.
func (r Recorder) Record(x Exchange) {
	x.Method, x.Host, x.Target, x.Error, x.Show = clip(x.Method), clip(x.Host), clip(x.Target), clip(x.Error), clip(x.Show)
	select {
	case r <- x:
	default:
	}
}

// clip cuts a text that is too long to keep. The copy frees the rest.
func clip(text string) string {
	if len(text) <= maxTarget {
		return text
	}
	return strings.ToValidUTF8(text[:maxTarget], "") + "…"
}
