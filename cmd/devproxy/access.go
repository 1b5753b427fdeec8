package main

import (
	"fmt"
	"net/http"
	"path"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/devproxy/devproxy/devproxy/inspect"
)

const (
	// foldEvery is how often a folded line is looked at, and foldAfter how
	// long after its last asset it is printed.
	foldEvery = 200 * time.Millisecond
	foldAfter = 500 * time.Millisecond
)

// accessLog prints a line for each exchange. Successful scripts, styles,
// images and fonts are folded into one line, so that the address stays in
// sight.
type accessLog struct {
	streams *streams
	verbose bool // fold nothing
	oneHost bool // there is no need to name it

	folded      int
	visitors    bool      // the folded assets were visitors'
	first, last time.Time // of the folded assets: the first's start, the last's end

	hidden hiddenLog
}

func (a *accessLog) add(x inspect.Exchange) {
	if x.Hidden != "" {
		a.addHidden(x)
		return
	}
	if !a.verbose && isAsset(x) {
		if visitor := x.Share != ""; visitor != a.visitors {
			a.flush()
			a.visitors = visitor
		}
		if a.folded == 0 {
			a.first = x.Start
		}
		a.folded++
		a.last = x.Start.Add(x.Duration)
		return
	}
	a.flush()
	fmt.Fprintln(a.streams.Err, a.line(x))
	for _, text := range x.Advice {
		fmt.Fprintln(a.streams.Err, a.streams.yellow("          "+printable(text)))
	}
}

// flush prints the folded assets, if there are any.
func (a *accessLog) flush() {
	if a.folded == 0 {
		return
	}
	text := fmt.Sprintf("          + %s, %s", count(a.folded, "asset"), short(a.last.Sub(a.first)))
	if a.visitors {
		text += "  visitor"
	}
	fmt.Fprintln(a.streams.Err, a.streams.dim(text))
	a.folded = 0
}

// flushQuiet prints them once no more have come for a while.
func (a *accessLog) flushQuiet(now time.Time) {
	if a.folded > 0 && now.Sub(a.last) >= foldAfter {
		a.flush()
	}
	a.countHidden(a.hidden.due(now))
}

// line is one exchange. What came through a share is marked as a visitor's.
func (a *accessLog) line(x inspect.Exchange) string {
	line := a.outcome(x)
	if x.Share != "" {
		line += a.streams.style("35", strings.TrimRight("  visitor "+x.Visitor, " "))
	}
	return line
}

func (a *accessLog) outcome(x inspect.Exchange) string {
	s := a.streams
	host := ""
	if !a.oneHost {
		host = hostOf(x.Host)
	}
	columns, _ := s.size()
	room, padded := targetRoom(columns)
	line := fmt.Sprintf("%s  %-4s %s", s.dim(clock(x.Start)), x.Method, pad(fitTarget(printable(host), printable(x.Target), room), padded))
	place := ""
	if x.Route != "" {
		place = " (" + x.Route + ")"
	}
	switch {
	case x.Hidden != "":
		return line + "   " + s.yellow("hidden") // addHidden says why
	case x.Page != "":
		return line + "   " + s.yellow(x.Page) + place
	case x.Status == 499:
		return line + "   " + s.dim("visitor left after "+short(x.Duration))
	case x.Error != "":
		return line + "   " + s.red(fmt.Sprint(x.Status)) + "  " + printable(x.Error) + place
	case x.Upgrade:
		return line + "   " + s.dim("socket closed after "+short(x.Duration))
	}
	line += "   " + a.status(x.Status) + "  " + s.dim(short(x.Duration))
	if x.Cached {
		line += s.dim("  cached")
	}
	if x.Fallback {
		line += s.yellow("  fallback " + x.Upstream)
	}
	if x.Held >= time.Second {
		line += s.dim("  held " + short(x.Held))
	}
	if x.Resent > 0 {
		line += s.dim(fmt.Sprintf("  sent %d times", x.Resent+1))
	}
	return line
}

const (
	// aroundTarget are the columns of an access line around its target, with an
	// outcome and its place in the Proxyfile; outcomeOnly without that place.
	aroundTarget = 45
	outcomeOnly  = 30
	// fullTarget is the width of the column of targets where there is room.
	fullTarget = 32
	// leastTarget is how much of a target is shown on the narrowest terminal.
	leastTarget = 10
)

// targetRoom is how wide a target may be on a terminal, 0 for any width, and to
// what width a shorter one is padded.
func targetRoom(columns int) (room, padded int) {
	if columns == 0 {
		return 0, fullTarget
	}
	room = max(columns-aroundTarget, min(columns-outcomeOnly, 2*leastTarget), leastTarget)
	return room, min(room, fullTarget)
}

// fitTarget is host and target in at most room columns; 0 is any number. Of a
// host that is too long the beginning is left out, of a target the end: the path
// is what tells requests apart.
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

func (a *accessLog) status(status int) string {
	text := fmt.Sprint(status)
	switch {
	case status >= 500:
		return a.streams.red(text)
	case status >= 400:
		return a.streams.yellow(text)
	}
	return text
}

// assetEndings are file names that a page asks for by itself.
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

// printable keeps a visitor from writing to the terminal.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '\uFFFD'
	}, text)
}
