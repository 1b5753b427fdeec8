package main

import (
	"fmt"
	"net/http"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/devproxy/devproxy/devproxy/inspect"
)

const (
	// foldEvery is how often a folded line is looked at, and foldAfter how long after
	// its last asset it is printed.
	foldEvery = 200 * time.Millisecond
	foldAfter = 500 * time.Millisecond
	// maxHiddenLines is how many hidden requests are printed one by one while `up`
	// runs: visitors choose what they request.
	maxHiddenLines = 100
	// hiddenEvery is how often the number of the others is printed.
	hiddenEvery = 10 * time.Second
)

// accessLog prints a line for each exchange. Successful scripts, styles, images
// and fonts are folded into one line, so that the address stays in sight. With
// --json it prints only hidden requests.
type accessLog struct {
	*streams
	verbose, quiet, json bool
	oneHost              bool // its name is left out

	folded      int
	visitors    bool      // the folded assets were visitors'
	first, last time.Time // the start of the first folded asset, the end of the last

	hidden hiddenLog
}

func (a *accessLog) add(x inspect.Exchange) {
	switch {
	case a.json:
		if x.Hidden != "" && a.hidden.first(x) {
			_ = a.streams.json(hiddenEvent{"hidden", x.Host, x.Target, x.Hidden, x.Show, x.Visitor, 1})
		}
	case a.quiet:
	case x.Hidden != "":
		a.addHidden(x)
	case !a.verbose && isAsset(x):
		a.fold(x)
	default:
		a.flush()
		fmt.Fprintln(a.Err, a.line(x))
		for _, text := range x.Advice {
			a.below(a.yellow(printable(text)))
		}
	}
}

// below prints a text below a line, in the column of the method.
func (a *accessLog) below(text string) { fmt.Fprintln(a.Err, "          "+text) }

func (a *accessLog) fold(x inspect.Exchange) {
	if visitor := x.Share != ""; visitor != a.visitors {
		a.flush()
		a.visitors = visitor
	}
	if a.folded == 0 {
		a.first = x.Start
	}
	a.folded++
	a.last = x.Start.Add(x.Duration)
}

// flush prints the folded assets, if there are any.
func (a *accessLog) flush() {
	if a.folded == 0 {
		return
	}
	text := fmt.Sprintf("+ %s, %s", count(a.folded, "asset"), short(a.last.Sub(a.first)))
	a.below(a.dim(text + when(a.visitors, "  visitor")))
	a.folded = 0
}

// flushQuiet prints them once no more have come for a while.
func (a *accessLog) flushQuiet(now time.Time) {
	if a.folded > 0 && now.Sub(a.last) >= foldAfter {
		a.flush()
	}
	a.countHidden(a.hidden.due(now))
}

// line describes an exchange. Exchanges that came through a share are marked.
func (a *accessLog) line(x inspect.Exchange) string {
	host := when(!a.oneHost, hostOf(x.Host))
	room, padded := targetRoom(a.columns())
	target := pad(fitTarget(printable(host), printable(x.Target), room), padded)
	visitor := a.style("35", strings.TrimRight("  visitor "+x.Visitor, " "))
	return fmt.Sprintf("%s  %-4s %s   %s", a.dim(clock(x.Start)), x.Method, target, a.outcome(x)) + when(x.Share != "", visitor)
}

func (a *accessLog) outcome(x inspect.Exchange) string {
	place := when(x.Route != "", " ("+x.Route+")")
	switch {
	case x.Hidden != "":
		return a.yellow("hidden") // addHidden says why
	case x.Page != "":
		return a.yellow(x.Page) + place
	case x.Status == 499:
		return a.dim("visitor left after " + short(x.Duration))
	case x.Error != "":
		return a.red(fmt.Sprint(x.Status)) + "  " + printable(x.Error) + place
	case x.Upgrade:
		return a.dim("socket closed after " + short(x.Duration))
	}
	return a.status(x.Status) + "  " + a.dim(short(x.Duration)) +
		when(x.Cached, a.dim("  cached")) +
		when(x.Fallback, a.yellow("  fallback "+x.Upstream)) +
		when(x.Held >= time.Second, a.dim("  held "+short(x.Held))) +
		when(x.Resent > 0, a.dim(fmt.Sprintf("  sent %d times", x.Resent+1)))
}

func (a *accessLog) status(status int) string {
	text := fmt.Sprint(status)
	switch {
	case status >= 500:
		return a.red(text)
	case status >= 400:
		return a.yellow(text)
	}
	return text
}

const (
	// aroundTarget is the number of columns of a line around its target, with an
	// outcome and its place in the Proxyfile; outcomeOnly is without that place.
	aroundTarget = 45
	outcomeOnly  = 30
	// fullTarget is the width of the column of targets where there is room.
	fullTarget = 32
	// leastTarget is how much of a target is shown on the narrowest terminal.
	leastTarget = 10
)

// targetRoom returns how wide a target may be on a terminal, 0 for any width, and to
// what width a shorter one is padded.
func targetRoom(columns int) (room, padded int) {
	if columns == 0 {
		return 0, fullTarget
	}
	room = max(columns-aroundTarget, min(columns-outcomeOnly, 2*leastTarget), leastTarget)
	return room, min(room, fullTarget)
}

// fitTarget returns host and target in at most room columns; 0 is any number. It
// shortens a host at its beginning and a target at its end, since requests differ in
// the path.
func fitTarget(host, target string, room int) string {
	h, t := []rune(host), []rune(target)
	if room == 0 || len(h)+len(t) <= room {
		return host + target
	}
	if left := max(room-len(t), room/2); len(h) > left {
		h = append([]rune{'…'}, h[len(h)-left+1:]...)
	}
	if left := room - len(h); len(t) > left {
		t = append(t[:left-1], '…')
	}
	return string(h) + string(t)
}

// assetEndings are the endings of files that a page loads automatically.
var assetEndings = []string{
	".js", ".mjs", ".ts", ".tsx", ".jsx", ".vue", ".svelte", ".map", ".wasm",
	".css", ".scss", ".sass", ".less",
	".png", ".jpg", ".jpeg", ".gif", ".svg", ".webp", ".avif", ".ico",
	".woff", ".woff2", ".ttf", ".otf",
}

func isAsset(x inspect.Exchange) bool {
	if x.Method != http.MethodGet || x.Status >= 400 || x.Upgrade || x.Page != "" || len(x.Advice) > 0 {
		return false
	}
	name, _, _ := strings.Cut(x.Target, "?")
	return strings.HasPrefix(name, "/@") || slices.Contains(assetEndings, strings.ToLower(path.Ext(name)))
}

// hiddenEvent is a request that a share hid, or Count others that came after it.
type hiddenEvent struct {
	Event   string `json:"event"`
	Host    string `json:"host,omitempty"`
	Target  string `json:"target,omitempty"`
	Reason  string `json:"reason,omitempty"`
	Show    string `json:"show,omitempty"` // the entry of share.show that shows it
	Visitor string `json:"visitor,omitempty"`
	Count   int    `json:"count"`
}

// addHidden prints a request that a share hid, why, and what shows it.
func (a *accessLog) addHidden(x inspect.Exchange) {
	if !a.verbose && !a.hidden.first(x) {
		return
	}
	a.flush()
	fmt.Fprintln(a.Err, a.line(x))
	why := x.Hidden + when(x.Route != "", " ("+x.Route+")") + when(x.Show != "", "; to show it: "+showAttribute(x.Show))
	a.below(a.dim(printable(why)))
}

func (a *accessLog) countHidden(more int) {
	switch {
	case more == 0:
	case a.json:
		_ = a.streams.json(hiddenEvent{Event: "hidden", Count: more})
	default:
		a.below(a.dim(fmt.Sprintf("+ %s  visitor", count(more, "hidden request"))))
	}
}

// hiddenLog folds requests that a share hid: the first one for each rule is printed,
// and the others are counted.
type hiddenLog struct {
	printed map[hiddenRule]bool
	more    int       // requests that were not printed
	counted time.Time // when the first of them came
}

type hiddenRule struct{ hidden, show string }

// first reports whether x is to be printed. Otherwise it is counted.
func (h *hiddenLog) first(x inspect.Exchange) bool {
	rule := hiddenRule{x.Hidden, x.Show}
	if !h.printed[rule] && len(h.printed) < maxHiddenLines {
		if h.printed == nil {
			h.printed = map[hiddenRule]bool{}
		}
		h.printed[rule] = true
		return true
	}
	if h.more == 0 {
		h.counted = x.Start
	}
	h.more++
	return false
}

// due returns how many requests were counted, once it is time to print that.
func (h *hiddenLog) due(now time.Time) int {
	if h.more == 0 || now.Sub(h.counted) < hiddenEvery {
		return 0
	}
	return h.rest()
}

// rest returns how many requests were counted and not printed.
func (h *hiddenLog) rest() int {
	more := h.more
	h.more = 0
	return more
}
