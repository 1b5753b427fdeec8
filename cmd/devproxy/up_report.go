package main

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/devproxy/devproxy/devproxy"
	"github.com/devproxy/devproxy/devproxy/control"
	"github.com/devproxy/devproxy/devproxy/inspect"
	"github.com/devproxy/devproxy/devproxy/listen"
	"github.com/devproxy/devproxy/devproxy/plan"
	"github.com/devproxy/devproxy/hcl"
)

// banner is what `up` says once it serves.
type banner struct {
	status    control.Status
	fallbacks []listen.Fallback
	first     devproxy.Save
	// trusted asks whether the browsers accept the CA: it takes a moment.
	trusted func() bool
}

// upReport tells what `up` does: upText to a person, upJSON to a program. Its
// methods are called by one goroutine.
type upReport interface {
	ready(banner)
	applied(save devproxy.Save)
	// rejected tells of mistakes; still says that an older plan is served.
	rejected(save devproxy.Save, still bool)
	// consent tells of effects that need consent.
	consent(effects []*plan.Effect, when consentWhen)
	state(change devproxy.StateChange)
	exchange(x inspect.Exchange)
	// idle is called now and then, for lines that wait for more.
	idle()
	note(text string)
	share(event shareEvent)
	stopping(requests int)
	// stopped is the end; share is how the share stood last.
	stopped(requests, sockets int, share control.Share)
	// keys are what a person types; nil without a terminal.
	keys() (keys <-chan byte, restore func())
}

// consentWhen says what is served while consent is needed.
type consentWhen string

const (
	consentBefore  consentWhen = "nothing"  // nothing is served yet
	consentStill   consentWhen = "previous" // the plan before
	consentPartial consentWhen = "partial"  // the rest
)

func newUpReport(s *streams, opts upOptions, src source) upReport {
	if opts.json {
		return &upJSON{streams: s}
	}
	return &upText{
		streams: s, opts: opts, source: src, access: accessLog{streams: s, verbose: opts.verbose},
		shares: shareText{streams: s, keys: s.InTTY && s.OutTTY, serving: true},
	}
}

// upJSON prints the events of the command line's contract.
type upJSON struct {
	streams *streams
	hidden  hiddenLog
}

func (j *upJSON) print(event any) {
	if text, err := json.Marshal(event); err == nil { // our own types
		fmt.Fprintf(j.streams.Out, "%s\n", text)
	}
}

func (j *upJSON) ready(b banner) {
	status := b.status
	j.print(struct {
		Event string         `json:"event"`
		URLs  []string       `json:"urls"`
		HTTPS string         `json:"https"`
		HTTP  *string        `json:"http"`
		Hosts []control.Host `json:"hosts"`
		// Diagnostics are the warnings of the file.
		Diagnostics hcl.Diagnostics `json:"diagnostics,omitempty"`
	}{"ready", status.URLs, status.HTTPS, status.HTTP, status.Hosts, b.first.Diagnostics})
}

func (j *upJSON) applied(save devproxy.Save) {
	changes := save.Applied.Changes
	j.print(struct {
		Event      string   `json:"event"`
		Generation uint64   `json:"generation"`
		Added      []string `json:"added"`
		Removed    []string `json:"removed"`
		Changed    []string `json:"changed"`
		Kept       int      `json:"kept_connections"`
		Dropped    int      `json:"dropped_connections"`
		Took       int64    `json:"took_ms"`
	}{"applied", save.Applied.Generation,
		append(labels(changes.Added), changes.AddedNames...), append(labels(changes.Removed), changes.RemovedNames...),
		changedLabels(changes.Changed), save.Applied.Kept, save.Applied.Dropped, save.Took.Milliseconds()})
}

// labels name routes by host and path.
func labels(routes []*plan.Route) []string {
	names := make([]string, len(routes))
	for i, r := range routes {
		names[i] = r.Host.Name + r.Label()
	}
	return names
}

func changedLabels(changes []plan.Change) []string {
	routes := make([]*plan.Route, len(changes))
	for i, c := range changes {
		routes[i] = c.New
	}
	return labels(routes)
}

func (j *upJSON) rejected(save devproxy.Save, _ bool) {
	event := struct {
		Event       string          `json:"event"`
		Error       string          `json:"error,omitempty"`
		Diagnostics hcl.Diagnostics `json:"diagnostics"`
	}{"rejected", "", save.Diagnostics}
	if event.Diagnostics == nil {
		event.Diagnostics = hcl.Diagnostics{}
	}
	if save.Err != nil {
		event.Error = save.Err.Error()
	}
	j.print(event)
}

func (j *upJSON) consent(effects []*plan.Effect, when consentWhen) {
	j.print(struct {
		Event   string       `json:"event"`
		Effects []effectJSON `json:"effects"`
		Serving consentWhen  `json:"serving"`
		Fix     string       `json:"fix"`
	}{"consent_needed", effectsJSON(effects, noneAllowed), when, allowCommand})
}

func (j *upJSON) share(e shareEvent) { shareJSON{j.streams}.tell(e) }

func (j *upJSON) stopped(requests, sockets int, share control.Share) {
	j.countHidden(j.hidden.rest())
	if share.State == control.ShareAsleep {
		j.share(shareEvent{kind: shareOver, share: share})
	}
	j.print(struct {
		Event    string `json:"event"`
		Requests int    `json:"requests"`
		Sockets  int    `json:"sockets"`
	}{"stopped", requests, sockets})
}

func (j *upJSON) state(change devproxy.StateChange) {
	state := devproxy.StateWaiting
	switch {
	case change.Up:
		state = devproxy.StateUp
	case change.Member != "":
		state = devproxy.StateUnhealthy
	}
	j.print(struct {
		Event    string `json:"event"`
		Upstream string `json:"upstream"`
		Member   string `json:"member,omitempty"`
		State    string `json:"state"`
		Detail   string `json:"detail,omitempty"`
	}{"state", change.Upstream, change.Member, state, change.Detail})
}

func (*upJSON) note(string)                 {}
func (*upJSON) stopping(int)                {}
func (*upJSON) keys() (<-chan byte, func()) { return nil, func() {} }

// upText prints what a person reads.
type upText struct {
	streams *streams
	opts    upOptions
	source  source
	access  accessLog
	shares  shareText
	good    time.Time // when the plan that is served was read
}

func (t *upText) ready(b banner) {
	t.good = b.first.At
	t.diagnose(b.first)
	t.access.oneHost = len(b.status.Hosts) == 1
	printHosts(t.streams, b.status.Hosts)
	for _, f := range b.fallbacks {
		t.fallback(f)
	}
	if !b.trusted() {
		t.streams.inlineCommand("Browsers will warn about this certificate until you run:", program()+" trust")
	}
	keys := ""
	if t.streams.InTTY && t.streams.OutTTY {
		keys = "o open · q quit"
		if !t.opts.share {
			keys = "s share · " + keys
		}
	}
	switch {
	case t.source.name != "" && keys != "":
		t.note(t.source.name + " is watched · " + keys)
	case t.source.name != "":
		t.note(t.source.name + " is watched · Ctrl-C stops")
	default:
		t.note(firstOf(keys, "Ctrl-C stops"))
	}
}

// fallback tells why a port is another. That plain HTTP has none is worth a
// line only when it was asked for.
func (t *upText) fallback(f listen.Fallback) {
	if f.Got == 0 {
		return
	}
	switch {
	case f.Reason == listen.Permission && f.Fix != "":
		t.streams.command(f.String()+". To allow it permanently:", f.Fix)
	case f.Reason == listen.Taken && f.Holder.PID != 0:
		t.streams.inlineCommand(f.String()+". To stop it:", f.Fix)
	case f.Fix != "":
		t.streams.inlineCommand(f.String()+". To see it:", f.Fix)
	default:
		t.streams.paragraph(f.String())
	}
}

func (t *upText) diagnose(save devproxy.Save) {
	if save.File == nil {
		return
	}
	_ = save.Diagnostics.Write(t.streams.Err, save.File.Sources, t.streams.Color) // as with every print
}

func (t *upText) rejected(save devproxy.Save, still bool) {
	t.access.flush()
	t.diagnose(save)
	if save.Err != nil {
		report(t.streams, save.Err, false)
	}
	if !still {
		return
	}
	problem := count(errorsIn(save.Diagnostics), "error")
	if save.Err != nil {
		problem = filepath.Base(t.source.name) + " cannot be used"
	}
	fmt.Fprintf(t.streams.Err, "%s; still serving the %s of %s\n", problem, t.source.name, clock(t.good))
}

func (t *upText) consent(effects []*plan.Effect, when consentWhen) {
	t.access.flush()
	fmt.Fprintln(t.streams.Err, effectsTitle)
	listEffects(t.streams.Err, effects, noMark)
	switch when {
	case consentStill:
		fmt.Fprintf(t.streams.Err, "this save is not served until you run %s; still serving the %s of %s\n", allowCommand, t.source.name, clock(t.good))
	case consentPartial:
		fmt.Fprintf(t.streams.Err, "these routes are not served until you run %s\n", allowCommand)
	}
}

func errorsIn(ds hcl.Diagnostics) int {
	n := 0
	for _, d := range ds {
		if d.Severity == hcl.Error {
			n++
		}
	}
	return n
}

func (t *upText) applied(save devproxy.Save) {
	t.access.flush()
	t.good = save.At
	t.diagnose(save)
	t.streams.stamped(save.At, " ", t.streams.green("applied")+appliedText(save))
}

// appliedText is what a save changed, after "applied": how long it took if that
// can be noticed, and what became of the open sockets if there were any.
func appliedText(save devproxy.Save) string {
	text := ""
	if save.Took >= noticeable {
		text = " in " + short(save.Took)
	}
	text += ": " + firstOf(save.Applied.Changes.String(), "nothing changed")
	var sockets []string
	if kept := save.Applied.Kept; kept > 0 {
		sockets = append(sockets, count(kept, "socket")+" kept")
	}
	if dropped := save.Applied.Dropped; dropped > 0 {
		sockets = append(sockets, count(dropped, "socket")+" closed")
	}
	if len(sockets) > 0 {
		text += " · " + strings.Join(sockets, ", ")
	}
	return text
}

// noticeable is how long something takes that a person would call slow.
const noticeable = 100 * time.Millisecond

func (t *upText) state(change devproxy.StateChange) {
	t.access.flush()
	after := ""
	if change.Up && change.After > 0 {
		after = " after " + short(change.After)
	}
	text := ""
	switch {
	case change.Member != "" && change.Up:
		text = change.Member + " is " + t.streams.green("healthy again") + after
	case change.Member != "":
		text = change.Member + " became " + t.streams.yellow("unhealthy") + ": " + change.Detail
	case change.Up:
		text = change.Upstream + " is " + t.streams.green("up") + after
	default:
		text = change.Upstream + " is " + t.streams.yellow("waiting") + ": " + change.Detail
	}
	t.streams.event(time.Now(), text)
}

func (t *upText) exchange(x inspect.Exchange) {
	if !t.opts.quiet {
		t.access.add(x)
	}
}

func (t *upText) idle() { t.access.flushQuiet(time.Now()) }

func (t *upText) note(text string) { t.streams.note(text) }

func (t *upText) stopping(requests int) {
	t.access.flush()
	if requests > 0 {
		fmt.Fprintf(t.streams.Err, "finishing %s (Ctrl-C again to stop now)\n", count(requests, "request"))
	}
}

func (t *upText) share(e shareEvent) {
	t.access.flush()
	t.shares.tell(e)
}

func (t *upText) stopped(requests, sockets int, share control.Share) {
	t.access.flush()
	t.access.countHidden(t.access.hidden.rest())
	var parts []string
	if requests > 0 || sockets > 0 {
		parts = append(parts, count(requests, "request")+" finished", count(sockets, "socket")+" closed")
	}
	if share.State == control.ShareAsleep {
		text := "the link has ended"
		if lastsAsleep(share) {
			text = "the link is paused and stays the same"
		}
		parts = append(parts, text)
	}
	text := "stopped"
	if len(parts) > 0 {
		text += ": " + strings.Join(parts, ", ")
	}
	fmt.Fprintln(t.streams.Err, text)
}

func (t *upText) keys() (<-chan byte, func()) {
	if !t.streams.InTTY || !t.streams.OutTTY {
		return nil, func() {}
	}
	return readKeys(t.streams.In)
}

// count is "1 error", "2 errors".
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// clock is a time of day.
func clock(at time.Time) string { return at.Format("15:04:05") }

// short is a duration as people say it: "340 ms", "1.6 s", "29 s", "3 min".
func short(d time.Duration) string {
	switch {
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < 10*time.Second:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d < 2*time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	default:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	}
}
