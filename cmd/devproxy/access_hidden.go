package main

import (
	"fmt"
	"time"

	"github.com/devproxy/devproxy/devproxy/inspect"
)

const (
	// maxHiddenLines is how many hidden requests are told one by one while `up`
	// runs: a visitor chooses what to ask for.
	maxHiddenLines = 100
	// hiddenEvery is how often the others are told, by their number.
	hiddenEvery = 10 * time.Second
)

// hiddenLog folds what a share hid: each rule is told once, with what opens it,
// and repeats are counted.
type hiddenLog struct {
	told    map[hiddenRule]bool
	more    int       // requests that were not told
	counted time.Time // when the first of them came
}

type hiddenRule struct{ hidden, show string }

// first reports whether x is to be told by itself; otherwise it is counted.
func (h *hiddenLog) first(x inspect.Exchange) bool {
	rule := hiddenRule{x.Hidden, x.Show}
	if !h.told[rule] && len(h.told) < maxHiddenLines {
		if h.told == nil {
			h.told = map[hiddenRule]bool{}
		}
		h.told[rule] = true
		return true
	}
	if h.more == 0 {
		h.counted = x.Start
	}
	h.more++
	return false
}

// due is how many requests were counted, once it is time to tell of them.
func (h *hiddenLog) due(now time.Time) int {
	if h.more == 0 || now.Sub(h.counted) < hiddenEvery {
		return 0
	}
	return h.rest()
}

// rest is how many requests were counted and not told yet.
func (h *hiddenLog) rest() int {
	more := h.more
	h.more = 0
	return more
}

// addHidden prints what a share hid from a visitor.
func (a *accessLog) addHidden(x inspect.Exchange) {
	if !a.verbose && !a.hidden.first(x) {
		return
	}
	a.flush()
	fmt.Fprintln(a.streams.Err, a.line(x))
	why := x.Hidden
	if x.Route != "" {
		why += " (" + x.Route + ")"
	}
	if x.Show != "" {
		why += "; to show it: " + showAttribute(x.Show)
	}
	fmt.Fprintln(a.streams.Err, a.streams.dim("          "+printable(why)))
}

func (a *accessLog) countHidden(more int) {
	if more > 0 {
		fmt.Fprintln(a.streams.Err, a.streams.dim(fmt.Sprintf("          + %s  visitor", count(more, "hidden request"))))
	}
}

// hiddenEvent is what `up --json` prints of a hidden request, and of Count
// others that came since.
type hiddenEvent struct {
	Event   string `json:"event"` // "hidden"
	Host    string `json:"host,omitempty"`
	Target  string `json:"target,omitempty"`
	Reason  string `json:"reason,omitempty"`
	Show    string `json:"show,omitempty"` // the entry of share.show that opens it
	Visitor string `json:"visitor,omitempty"`
	Count   int    `json:"count"`
}

func (j *upJSON) exchange(x inspect.Exchange) {
	if x.Hidden != "" && j.hidden.first(x) {
		j.print(hiddenEvent{"hidden", x.Host, x.Target, x.Hidden, x.Show, x.Visitor, 1})
	}
}

func (j *upJSON) idle() { j.countHidden(j.hidden.due(time.Now())) }

func (j *upJSON) countHidden(more int) {
	if more > 0 {
		j.print(hiddenEvent{Event: "hidden", Count: more})
	}
}
