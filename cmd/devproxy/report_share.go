package main

import (
	"bytes"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/mdp/qrterminal/v3"

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
		// Domain is that of the user's own, if the Proxyfile has one.
		Domain *control.Domain `json:"domain,omitempty"`
		// Callback are the URLs that OAuth providers send browsers back to.
		Callback []string `json:"callback,omitempty"`
		// Ports are the tcp and udp blocks.
		Ports []control.SharedPort `json:"ports,omitempty"`
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
	// domainEvent: the domain of the user's own has another state, and no address has
	// changed with it.
	domainEvent struct {
		Event  string          `json:"event"`
		Domain *control.Domain `json:"domain"` // null if the Proxyfile has none any more
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
	r.printShareEvent(e)
}

func shareJSON(e devproxy.ShareEvent) any {
	sh := e.Share
	switch e.Kind {
	case devproxy.ShareShown, devproxy.ShareExtended:
		hosts := make(map[string]string, len(sh.Hosts))
		for _, host := range sh.Hosts {
			hosts[host.Name] = host.URL
		}
		return sharedEvent{"shared", sh.URL, hosts, sh.Expires.UTC().Truncate(time.Second), sh.Relay, sh.Operator, sh.Cannot, sh.Notes, sh.Advisories, sh.Domain, sh.Callback, sh.Ports}
	case devproxy.ShareMoved:
		return relayEvent{"relay", sh.State, sh.Relay, e.Before.Relay, sh.Error, ""}
	case devproxy.ShareOver:
		return unsharedEvent{"unshared", sh.State, sh.Error, sh.Fix, sh.Again}
	case devproxy.ShareTrouble:
		return shareFailedEvent{"share_failed", sh.Error, sh.Fix}
	case devproxy.ShareDomain:
		return domainEvent{"domain", sh.Domain}
	case devproxy.ShareAdded:
		return notSharedEvent{"not_shared", e.Added, devproxy.ReasonAdded, "devproxy share"}
	}
	return relayEvent{"relay", sh.State, sh.Relay, "", sh.Error, sh.Fix}
}

// printShareEvent prints an event of the share for a person.
func (r *reporter) printShareEvent(e devproxy.ShareEvent) {
	sh := e.Share
	line := func(text string) { r.event(time.Now(), text) }
	switch e.Kind {
	case devproxy.ShareBegun:
		r.note("connecting to " + sh.Relay)
	case devproxy.ShareShown:
		if host := e.MovedHost(); host != "" {
			line("a second host moves the link of " + host + " to another address; " + e.Before.URL + " no longer works")
		}
		if old := e.MovedDomain(); old != "" {
			r.domainMoved(sh, old, line)
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
	case devproxy.ShareDomain:
		r.domainChanged(e, line)
	case devproxy.ShareAdded:
		for _, host := range e.Added {
			line(r.yellow(host+" is not shared") + ": it was " + devproxy.ReasonAdded + ". To share it: " + shareNow(r.keys))
		}
	}
}

func (r *reporter) shareOver(sh control.Share, line func(string)) {
	if sh.State == control.ShareFailed {
		line("nothing is shared now" + when(sh.Again, "; devproxy tries again and keeps serving this machine"))
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

// shareKeys is the last line of a share's block.
const shareKeys = "e extend by 1 h · n new link · x end link"

// printShare prints who may open a share and then its addresses, which stay in sight
// there. A QR code comes first if it fits above all of it and the below lines that
// the caller prints next.
func printShare(s *streams, sh control.Share, now time.Time, code bool, below int) {
	var text bytes.Buffer
	to := *s
	to.Out = &text
	for _, row := range shareRows(sh, now) {
		to.row(row[0], len("not shared"), row[1])
	}
	to.links(sh)
	if code {
		printQR(s, sh.URL, s.height(text.String())+below)
	}
	_, _ = text.WriteTo(s.Out) // print errors are ignored
}

// links prints the addresses with their hosts and blocks next to them, or below them if
// that is too wide.
func (s *streams) links(sh control.Share) {
	var urls, names []string
	for _, host := range sh.Links() {
		urls, names = append(urls, host.URL), append(names, host.Name)
	}
	for _, p := range sh.Ports {
		if p.Address != "" {
			urls, names = append(urls, p.Address), append(names, p.String()+", "+whoMayConnect(sh, p))
		}
	}
	wide := s.columns() > 0 && widest(urls)+3+widest(names) > s.columns()
	for i, url := range urls {
		shown, name := s.style("1;36", url), s.dim(names[i])
		if wide {
			fmt.Fprintf(s.Out, "%s\n  %s\n", shown, name)
			continue
		}
		filler := strings.TrimPrefix(pad(url, widest(urls)), url)
		fmt.Fprintf(s.Out, "%s%s   %s\n", shown, filler, name)
	}
}

// shareRows are the facts that the owner of a share must know: label and text.
func shareRows(sh control.Share, now time.Time) [][2]string {
	var rows [][2]string
	add := func(label string, texts ...string) {
		for _, text := range texts {
			if text != "" {
				rows = append(rows, [2]string{label, printable(text)})
			}
		}
	}
	add("access", whoMayVisit(sh)+", until "+untilText(sh.Expires, now))
	add("public", strings.Join(sh.Public, " "))
	add("paths", strings.Join(sh.Paths, " "))
	add("callback", sh.Callback...)
	add("hidden", "secrets and developer tools (devproxy explain --share PATH)")
	add("shown", strings.Join(sh.Show, " "))
	add("update", sh.Advisories...)
	switch {
	case sh.Operator != "":
		add("relay", sh.Relay+"; "+sh.Operator+" can read this traffic")
	case isLocalName(sh.Relay):
		add("relay", sh.Relay+"; the link works on this machine only")
	default:
		add("relay", sh.Relay+"; its operator can read this traffic")
	}
	add("domain", domainRows(sh)...)
	add("carries no", strings.Join(sh.Cannot, "; "))
	add("note", sh.Notes...)
	kept := each(sh.NotShared, func(host control.NotShared) string { return host.Name + " (" + host.Reason + ")" })
	for _, p := range sh.Ports {
		if p.Error != "" {
			kept = append(kept, p.String()+" ("+p.Error+when(p.Fix != "", "; "+p.Fix)+")")
		}
	}
	add("not shared", strings.Join(kept, ", "))
	return rows
}

func whoMayVisit(sh control.Share) string {
	public, named := slices.Contains(sh.Public, "/"), strings.Contains(sh.URL, "?")
	return "anyone" + when(!public || !named, " with the link") +
		when(sh.Password && !public, " and the password") +
		when(len(sh.Allow) > 0, ", only from "+addresses(sh.Allow))
}

// whoMayConnect says whose connections to a block are passed on.
func whoMayConnect(sh control.Share, p control.SharedPort) string {
	switch {
	case p.Public && len(sh.Allow) == 0:
		return "anyone can connect"
	case p.Public:
		return "from " + addresses(sh.Allow)
	}
	return "from " + addresses(p.Allow) + when(len(sh.Allow) > 0, ", and of these only "+addresses(sh.Allow))
}

// addresses lists ranges as a Proxyfile has them: that of one address is the address.
func addresses(ranges []string) string {
	return strings.Join(each(ranges, func(text string) string {
		if prefix, err := netip.ParsePrefix(text); err == nil && prefix.IsSingleIP() {
			return prefix.Addr().String()
		}
		return text
	}), ", ")
}

// printShareStatus prints the share that status found; nil prints nothing.
func printShareStatus(s *streams, sh *control.Share) {
	switch {
	case sh == nil:
	case sh.State == control.ShareUp:
		printShare(s, *sh, time.Now(), false, 0)
	case devproxy.IsShareOver(sh.State):
		fmt.Fprintf(s.Out, "not shared: the link %s\n", overText(*sh))
	default:
		fmt.Fprintf(s.Out, "shared through %s, %s\n", sh.Relay, s.yellow(sh.State))
	}
}

const (
	// qrMargin is the light border of a QR code in modules: ISO/IEC 18004 requires
	// four, phones need two.
	qrMargin = 2
	// qrIndent is the number of columns before a QR code.
	qrIndent = 2
)

// printQR prints link for the camera of a phone, two modules per character, if the
// whole code fits above the below lines that follow it and the line of the cursor.
// It prints nothing where a code would not help: without a terminal, without colours
// (on a light background it would be inverted), and for a link that only this machine
// can open.
func printQR(s *streams, link string, below int) {
	columns, rows := s.size()
	if !s.OutTTY || !s.Color || !reachable(link) {
		return
	}
	lines := qrLines(link)
	if utf8.RuneCountInString(lines[0])+qrIndent > columns || len(lines)+below+1 > rows {
		return
	}
	for _, line := range lines {
		// White on black, whatever the colours of the terminal are.
		fmt.Fprintf(s.Out, "%*s%s\n", qrIndent, "", s.style("97;40", line))
	}
}

// qrLines returns the lines of link's code.
func qrLines(link string) []string {
	var code bytes.Buffer
	qrterminal.GenerateWithConfig(denseLink(link), qrterminal.Config{
		Level: qrterminal.L, Writer: &code, HalfBlocks: true, QuietZone: qrMargin,
		BlackChar: qrterminal.BLACK_BLACK, BlackWhiteChar: qrterminal.BLACK_WHITE,
		WhiteChar: qrterminal.WHITE_WHITE, WhiteBlackChar: qrterminal.WHITE_BLACK,
	})
	return strings.Split(strings.TrimSuffix(code.String(), "\n"), "\n")
}

// denseLink returns link in capitals if it has only a host, in which case does not
// matter (RFC 3986 section 6.2.2.1). A QR code stores capitals in 5.5 bits and small
// letters in 8 (ISO/IEC 18004 section 7.4), so the code is smaller.
func denseLink(link string) string {
	at, err := url.Parse(link)
	if err != nil || at.Path != "" && at.Path != "/" || at.RawQuery != "" || at.Fragment != "" || at.User != nil {
		return link
	}
	return strings.ToUpper(strings.TrimSuffix(link, "/"))
}

// reachable reports whether another machine can open link.
func reachable(link string) bool {
	at, err := url.Parse(link)
	if err != nil || isLocalName(at.Host) {
		return false
	}
	ip, err := netip.ParseAddr(at.Hostname())
	return err != nil || !ip.IsLoopback()
}
