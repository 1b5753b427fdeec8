package main

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/devproxy/devproxy/devproxy/control"
)

// shareKeys is the last line of a share's block.
const shareKeys = "e extend by 1 h · n new link · x end link"

// printShare prints who may open a share and its addresses: the addresses last, as
// that is what stays in sight. With a code for a phone, if it fits above all of
// it and the below lines that the caller prints next.
func printShare(s *streams, sh control.Share, now time.Time, code bool, below int) {
	var text bytes.Buffer
	to := *s
	to.Out = &text
	for _, row := range shareRows(sh, now) {
		to.row(row[0], len("not shared"), row[1])
	}
	to.links(shareURLs(sh), sh.Hosts)
	if code {
		printQR(s, sh.URL, s.height(text.String())+below)
	}
	_, _ = text.WriteTo(s.Out) // as with every print
}

// links prints the addresses with the hosts that they lead to, next to them or,
// where that is too wide, below them.
func (s *streams) links(urls []string, hosts []control.SharedHost) {
	width, names := 0, 0
	for i, url := range urls {
		width, names = max(width, utf8.RuneCountInString(url)), max(names, utf8.RuneCountInString(hosts[i].Name))
	}
	columns, _ := s.size()
	for i, url := range urls {
		shown := s.style("1;36", url)
		if columns > 0 && width+3+names > columns {
			fmt.Fprintf(s.Out, "%s\n  %s\n", shown, s.dim(hosts[i].Name))
			continue
		}
		filler := strings.TrimPrefix(pad(url, width), url)
		fmt.Fprintf(s.Out, "%s%s   %s\n", shown, filler, s.dim(hosts[i].Name))
	}
}

// shareURLs are the addresses to open, in the order of the hosts. The first is
// the link, which may carry the secret.
func shareURLs(sh control.Share) []string {
	urls := make([]string, len(sh.Hosts))
	for i, host := range sh.Hosts {
		urls[i] = host.URL
	}
	if len(urls) > 0 {
		urls[0] = sh.URL
	}
	return urls
}

// shareRows are what a share's owner must know, label and text.
func shareRows(sh control.Share, now time.Time) [][2]string {
	var rows [][2]string
	add := func(label, text string) {
		if text != "" {
			rows = append(rows, [2]string{label, text})
		}
	}
	kept := make([]string, len(sh.NotShared))
	for i, host := range sh.NotShared {
		kept[i] = fmt.Sprintf("%s (%s)", host.Name, host.Reason)
	}
	add("access", whoMayVisit(sh)+", until "+untilText(sh.Expires, now))
	add("public", strings.Join(sh.Public, " "))
	add("paths", strings.Join(sh.Paths, " "))
	add("hidden", "secrets and developer tools (devproxy explain --share PATH)")
	add("shown", strings.Join(sh.Show, " "))
	for _, text := range sh.Advisories {
		add("update", printable(text))
	}
	switch {
	case sh.Operator != "":
		add("relay", sh.Relay+"; "+sh.Operator+" can read this traffic")
	case isLocalName(sh.Relay):
		add("relay", sh.Relay+"; the link works on this machine only")
	default:
		add("relay", sh.Relay+"; its operator can read this traffic")
	}
	add("carries no", strings.Join(sh.Cannot, "; "))
	for _, text := range sh.Notes {
		add("note", printable(text))
	}
	add("not shared", strings.Join(kept, ", "))
	return rows
}

func whoMayVisit(sh control.Share) string {
	open := slices.Contains(sh.Public, "/")
	who := "anyone"
	if named := strings.Contains(sh.URL, "?"); !open || !named {
		who += " with the link"
	}
	if sh.Password && !open {
		who += " and the password"
	}
	if len(sh.Allow) > 0 {
		who += " from " + strings.Join(sh.Allow, ", ")
	}
	return who
}

// untilText is "23:04 (8 h)", with the day when that is another.
func untilText(until, now time.Time) string {
	until = until.Local()
	text := until.Format("15:04")
	if day := until.Format("2 January"); day != now.Local().Format("2 January") {
		text += ", " + day
	}
	return text + " (" + lasting(until.Sub(now)) + ")"
}

// lasting is a time to come as people say it: "8 h", "1 h 30 min", "30 days".
func lasting(d time.Duration) string {
	minutes := int(d.Round(time.Minute) / time.Minute)
	switch hours := minutes / 60; {
	case d < time.Minute:
		return short(max(d, 0))
	case minutes < 60:
		return fmt.Sprintf("%d min", minutes)
	case hours >= 72:
		return count((hours+12)/24, "day")
	case minutes%60 == 0:
		return fmt.Sprintf("%d h", hours)
	default:
		return fmt.Sprintf("%d h %d min", hours, minutes%60)
	}
}

// printShareStatus tells of the share that status found; nil prints nothing.
func printShareStatus(s *streams, sh *control.Share) {
	switch {
	case sh == nil:
	case sh.State == control.ShareUp:
		printShare(s, *sh, time.Now(), false, 0)
	case isOver(sh.State):
		fmt.Fprintf(s.Out, "not shared: the link %s\n", overText(*sh))
	default:
		fmt.Fprintf(s.Out, "shared through %s, %s\n", sh.Relay, s.yellow(sh.State))
	}
}
