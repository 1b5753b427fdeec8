package main

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/mdp/qrterminal/v3"
)

// qrMargin is the light border of a QR code in modules: ISO/IEC 18004 asks for
// four, phones read two.
const qrMargin = 2

// printQR prints url for a phone's camera, two modules a character. A terminal
// that is too narrow, or none, gets nothing: a broken code helps nobody.
func printQR(s *streams, url string) {
	if !s.OutTTY {
		return
	}
	var code bytes.Buffer
	qrterminal.GenerateWithConfig(url, qrterminal.Config{
		Level: qrterminal.L, Writer: &code, HalfBlocks: true, QuietZone: qrMargin,
		BlackChar: qrterminal.BLACK_BLACK, BlackWhiteChar: qrterminal.BLACK_WHITE,
		WhiteChar: qrterminal.WHITE_WHITE, WhiteBlackChar: qrterminal.WHITE_BLACK,
	})
	first, _, _ := strings.Cut(code.String(), "\n")
	if utf8.RuneCountInString(first)+2 > s.Width {
		return
	}
	for line := range strings.Lines(code.String()) {
		// White on black, whatever the terminal's own colours are.
		fmt.Fprintf(s.Out, "  %s\n", s.style("97;40", strings.TrimSuffix(line, "\n")))
	}
}
