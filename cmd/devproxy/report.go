package main

import (
	"cmp"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/devproxy/devproxy/cmd/devproxy/keyboard"
	"github.com/devproxy/devproxy/devproxy"
	"github.com/devproxy/devproxy/devproxy/control"
	"github.com/devproxy/devproxy/devproxy/listen"
	"github.com/devproxy/devproxy/devproxy/plan"
	"github.com/devproxy/devproxy/hcl"
)

// reporter prints what happens while devproxy runs: to a program as events of --json,
// to a person as text. One goroutine calls its methods.
type reporter struct {
	*streams
	opts    upOptions
	source  source
	access  accessLog
	good    time.Time // when the Proxyfile that is served was read
	keys    bool      // keys are read
	asked   bool      // the command that allows port 443 was shown before
	serving bool      // in the `up` that shares, not in a `share` next to it
	ending  string    // how a person stops it; empty where that is said elsewhere
	lost    time.Time // since when the relay cannot be reached
}

// event is something that happened. Its JSON is part of the contract of --json.
type event interface{ print(r *reporter) }

func newReporter(s *streams, opts upOptions, src source) *reporter {
	return &reporter{
		streams: s, opts: opts, source: src, serving: true, ending: "Ctrl-C stops", keys: !opts.json && s.InTTY && s.OutTTY,
		access: accessLog{streams: s, verbose: opts.verbose, json: opts.json, quiet: opts.quiet},
	}
}

// emit prints an event.
func (r *reporter) emit(e event) {
	if r.opts.json {
		_ = r.json(e) // print errors are ignored
		return
	}
	r.access.flush()
	e.print(r)
}

// say prints a text of little weight for a person.
func (r *reporter) say(text string) {
	if !r.opts.json {
		r.note(text)
	}
}

// stopping says that requests are finished before the end.
func (r *reporter) stopping(requests int) {
	if !r.opts.json && requests > 0 {
		r.access.flush()
		r.line("finishing " + count(requests, "request") + when(r.ending != "", " (Ctrl-C again to stop now)"))
	}
}

// readyEvent: every listener accepts.
type readyEvent struct {
	Event string         `json:"event"`
	URLs  []string       `json:"urls"`
	HTTPS string         `json:"https"`
	HTTP  *string        `json:"http"`
	Hosts []control.Host `json:"hosts"`
	// Ports are the tcp and udp blocks.
	Ports []control.Port `json:"ports,omitempty"`
	// Worktree is the linked worktree whose hosts have moved.
	Worktree *control.Worktree `json:"worktree,omitempty"`
	// Diagnostics are the warnings of the file.
	Diagnostics hcl.Diagnostics `json:"diagnostics,omitempty"`

	save      devproxy.Save
	fallbacks []listen.Fallback
	older     int // the port of projects that run already, if another port was added to it
	// trusted reports whether the browsers accept the CA, which takes a moment. With
	// --json it is true, since no one is told.
	trusted func() bool
}

func (e readyEvent) print(r *reporter) {
	r.good = e.save.At
	r.diagnose(e.save)
	r.access.oneHost = len(e.Hosts) == 1
	printHosts(r.streams, e.Hosts)
	printPorts(r.streams, e.Ports)
	printWorktree(r.streams, e.Worktree)
	for _, f := range e.fallbacks {
		r.fallback(f)
	}
	if e.older != 0 {
		r.paragraph(fmt.Sprintf("Projects that already run answer here too; until you start them again, their addresses have port %d.", e.older))
	}
	if !e.trusted() {
		r.inlineCommand("Browsers will warn about this certificate until you run:", program()+" trust")
	}
	last := r.ending
	if r.keys {
		last = when(!r.opts.share, "s share · ") + "o open · q quit"
	}
	if r.source.name != "" {
		last = r.source.name + " is watched" + when(last != "", " · "+last)
	}
	if last != "" {
		r.note(last)
	}
}

// fallback says why another port is used. Plain HTTP without a port is not worth a
// line unless it was requested.
func (r *reporter) fallback(f listen.Fallback) {
	switch {
	case f.Got == 0:
	case f.Reason == listen.Permission && f.Fix != "" && !r.asked:
		r.command(f.String()+". To allow it permanently:", f.Fix)
	case f.Reason == listen.Taken && f.Holder.Stops:
		r.inlineCommand(f.String()+". To stop it:", f.Fix)
	case f.Fix != "" && f.Reason != listen.Permission:
		r.inlineCommand(f.String()+". To see it:", f.Fix)
	default:
		r.paragraph(f.String())
	}
}

func (r *reporter) diagnose(save devproxy.Save) {
	if save.File != nil {
		_ = save.Diagnostics.Write(r.Err, save.File.Sources, r.Color) // print errors are ignored
	}
}

// appliedEvent: a save changed something.
type appliedEvent struct {
	Event      string   `json:"event"`
	Generation uint64   `json:"generation"`
	Added      []string `json:"added"`
	Removed    []string `json:"removed"`
	Changed    []string `json:"changed"`
	Kept       int      `json:"kept_connections"`
	Dropped    int      `json:"dropped_connections"`
	Took       int64    `json:"took_ms"`

	save  devproxy.Save
	moved bool // every host of the worktree has another name
}

func newApplied(save devproxy.Save) appliedEvent {
	changes := save.Applied.Changes
	changed := each(changes.Changed, func(c plan.Change) *plan.Route { return c.New })
	moved := each(changes.ChangedPorts, func(c plan.PortChange) *plan.Port { return c.New })
	return appliedEvent{
		"applied", save.Applied.Generation,
		append(append(labels(changes.Added), portNames(changes.AddedPorts)...), changes.AddedNames...),
		append(append(labels(changes.Removed), portNames(changes.RemovedPorts)...), changes.RemovedNames...),
		append(labels(changed), portNames(moved)...), save.Applied.Kept, save.Applied.Dropped, save.Took.Milliseconds(), save, false,
	}
}

// portNames name ports by their blocks.
func portNames(ports []*plan.Port) []string { return each(ports, (*plan.Port).String) }

// labels name routes by host and path.
func labels(routes []*plan.Route) []string {
	return each(routes, func(r *plan.Route) string { return r.Host.Name + r.Label() })
}

func (e appliedEvent) print(r *reporter) {
	r.good = e.save.At
	r.diagnose(e.save)
	what := cmp.Or(e.save.Applied.Changes.String(), "nothing changed")
	if e.moved {
		what = "the hosts of this worktree have moved"
	}
	text := r.green("applied") + when(e.save.Took >= noticeable, " in "+short(e.save.Took)) + ": " + what
	var sockets []string
	if e.Kept > 0 {
		sockets = append(sockets, count(e.Kept, "socket")+" kept")
	}
	if e.Dropped > 0 {
		sockets = append(sockets, count(e.Dropped, "socket")+" closed")
	}
	r.event(e.save.At, text+when(len(sockets) > 0, " · "+strings.Join(sockets, ", ")))
}

// noticeable is the duration from which a person would call something slow.
const noticeable = 100 * time.Millisecond

// rejectedEvent: a save has mistakes.
type rejectedEvent struct {
	Event       string          `json:"event"`
	Error       string          `json:"error,omitempty"`
	Diagnostics hcl.Diagnostics `json:"diagnostics"`

	save  devproxy.Save
	still bool // an older plan is served
}

func newRejected(save devproxy.Save, still bool) rejectedEvent {
	e := rejectedEvent{"rejected", "", save.Diagnostics, save, still}
	if e.Diagnostics == nil {
		e.Diagnostics = hcl.Diagnostics{}
	}
	if save.Err != nil {
		e.Error = save.Err.Error()
	}
	return e
}

func (e rejectedEvent) print(r *reporter) {
	r.diagnose(e.save)
	report(r.streams, e.save.Err, false)
	if !e.still {
		return
	}
	problem := count(countErrors(e.Diagnostics), "error")
	if e.save.Err != nil {
		problem = filepath.Base(r.source.name) + " cannot be used"
	}
	r.line(fmt.Sprintf("%s; still serving the %s of %s", problem, r.source.name, clock(r.good)))
}

// consentEvent: the Proxyfile needs consent.
type consentEvent struct {
	Event   string       `json:"event"`
	Effects []effectJSON `json:"effects"`
	Serving serving      `json:"serving"`
	Fix     string       `json:"fix"`

	effects []*plan.Effect
}

// serving says which plan is served while consent is needed.
type serving string

const (
	servingNothing  serving = "nothing"
	servingPrevious serving = "previous" // the plan before
	servingPartial  serving = "partial"  // the rest
)

func newConsentEvent(effects []*plan.Effect, now serving) consentEvent {
	return consentEvent{"consent_needed", effectsJSON(effects, nil), now, allowCommand, effects}
}

func (e consentEvent) print(r *reporter) {
	r.listEffects(r.Err, e.effects, nil)
	switch e.Serving {
	case servingPrevious:
		r.line(fmt.Sprintf("this save is not served until you run %s; still serving the %s of %s", allowCommand, r.source.name, clock(r.good)))
	case servingPartial:
		r.line("nothing in this list is served until you run " + allowCommand)
	}
}

// stateEvent: an upstream or one of its members came up or went away.
type stateEvent struct {
	Event    string `json:"event"`
	Upstream string `json:"upstream"`
	Member   string `json:"member,omitempty"`
	State    string `json:"state"`
	Detail   string `json:"detail,omitempty"`

	after time.Duration
}

func newState(change devproxy.StateChange) stateEvent {
	state := control.StateWaiting
	switch {
	case change.Up:
		state = control.StateUp
	case change.Member != "":
		state = control.StateUnhealthy
	}
	return stateEvent{"state", change.Upstream, change.Member, state, change.Detail, change.After}
}

func (e stateEvent) print(r *reporter) {
	up, text := e.State == control.StateUp, ""
	switch {
	case e.Member != "" && up:
		text = e.Member + " is " + r.green("healthy again")
	case e.Member != "":
		text = e.Member + " became " + r.yellow("unhealthy")
	case up:
		text = e.Upstream + " is " + r.green("up")
	default:
		text = e.Upstream + " is " + r.yellow("waiting")
	}
	r.event(time.Now(), text+when(!up, ": "+e.Detail)+when(up && e.after > 0, " after "+short(e.after)))
}

// stoppedEvent is the last one.
type stoppedEvent struct {
	Event    string `json:"event"`
	Requests int    `json:"requests"`
	Sockets  int    `json:"sockets"`

	share     control.Share // its last state
	relayEnds bool          // its relay ends too
}

// stopped prints the last event.
func (r *reporter) stopped(requests, sockets int, share control.Share, relayEnds bool) {
	r.access.flush()
	r.access.countHidden(r.access.hidden.rest())
	if r.opts.json && share.State == control.ShareAsleep {
		r.share(devproxy.ShareEvent{Kind: devproxy.ShareOver, Share: share})
	}
	r.emit(stoppedEvent{"stopped", requests, sockets, share, relayEnds})
}

func (e stoppedEvent) print(r *reporter) {
	var parts []string
	if e.Requests > 0 || e.Sockets > 0 {
		parts = append(parts, count(e.Requests, "request")+" finished", count(e.Sockets, "socket")+" closed")
	}
	switch {
	case e.share.State != control.ShareAsleep:
	case keepsLink(e.share) && !e.relayEnds:
		parts = append(parts, "the link is paused and stays the same")
	default:
		parts = append(parts, "the link has ended")
	}
	r.line("stopped" + when(len(parts) > 0, ": "+strings.Join(parts, ", ")))
}

// readKeys reads the keys that a person presses. keys is nil if none are read.
// beforeSuspend is called when Ctrl-Z is about to stop the process.
func (r *reporter) readKeys(beforeSuspend func()) (keys <-chan byte, stop func()) {
	if !r.keys {
		return nil, func() {}
	}
	return keyboard.Read(r.In, beforeSuspend)
}
