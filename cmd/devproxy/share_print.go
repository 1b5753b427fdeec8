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

// links prints the addresses with their hosts next to them, or below them if that is
// too wide. The first is the link, which may have the secret.
func (s *streams) links(sh control.Share) {
	var urls, names []string
	for i, host := range sh.Hosts {
		if i == 0 {
			host.URL = sh.URL
		}
		urls, names = append(urls, host.URL), append(names, host.Name)
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
	add("carries no", strings.Join(sh.Cannot, "; "))
	add("note", sh.Notes...)
	kept := each(sh.NotShared, func(host control.NotShared) string { return host.Name + " (" + host.Reason + ")" })
	add("not shared", strings.Join(kept, ", "))
	return rows
}

func whoMayVisit(sh control.Share) string {
	public := slices.Contains(sh.Public, "/")
	who := "anyone"
	if named := strings.Contains(sh.URL, "?"); !public || !named {
		who += " with the link"
	}
	if sh.Password && !public {
		who += " and the password"
	}
	if len(sh.Allow) > 0 {
		who += " from " + strings.Join(sh.Allow, ", ")
	}
	return who
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
