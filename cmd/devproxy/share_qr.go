package main

import (
	"bytes"
	"fmt"
	"net/netip"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/mdp/qrterminal/v3"
)

const (
	// qrMargin is the light border of a QR code in modules: ISO/IEC 18004 asks for
	// four, phones read two.
	qrMargin = 2
	// qrIndent is the number of columns before a QR code.
	qrIndent = 2
)

// printQR prints link for a phone's camera, two modules a character, when the
// whole code fits above the below lines that follow it and the cursor's own. It
// prints nothing where a code would not help: without a terminal, without colours
// (on a light background it would be inverted), and for a link that only this
// machine can open.
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
		// White on black, whatever the terminal's own colours are.
		fmt.Fprintf(s.Out, "%*s%s\n", qrIndent, "", s.style("97;40", line))
	}
}

// qrLines are the lines of link's code.
func qrLines(link string) []string {
	var code bytes.Buffer
	qrterminal.GenerateWithConfig(denseLink(link), qrterminal.Config{
		Level: qrterminal.L, Writer: &code, HalfBlocks: true, QuietZone: qrMargin,
		BlackChar: qrterminal.BLACK_BLACK, BlackWhiteChar: qrterminal.BLACK_WHITE,
		WhiteChar: qrterminal.WHITE_WHITE, WhiteBlackChar: qrterminal.WHITE_BLACK,
	})
	return strings.Split(strings.TrimSuffix(code.String(), "\n"), "\n")
}

// denseLink is link in capitals when only its host counts, which has no case
// (RFC 3986 section 6.2.2.1): a QR code stores capitals in 5.5 bits and small
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
