package provider

import (
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"unicode"
)

// announcement is the public address that a line of a server's text announces.
// The zero value means none.
type announcement struct {
	link    link   // where visitors get through
	refused string // why they do not, in the server's words; printable
}

// announced reads one line without control characters.
func announced(line string) announcement {
	line = strings.TrimSpace(line)
	if strings.HasPrefix(line, "{") {
		var event serverEvent
		if json.Unmarshal([]byte(line), &event) == nil {
			return event.announced()
		}
	}
	return announcement{link: linkIn(line)}
}

// serverEvent is a line of localhost.run with "--output json"
// (https://localhost.run/docs/cli). Both forms have been seen: the older has
// "event":"tcpip-forward" with the name in "address", the newer is a CloudEvent of
// the type "v1.tcpip_forward.register.accepted" with the line that people get in
// "data". The newer comes again when a free name changes.
type serverEvent struct {
	Event     string `json:"event"`
	AuthzCode string `json:"authz_code"`
	Address   string `json:"address"`
	Message   string `json:"message"`

	Type string `json:"type"`
	Data string `json:"data"`
}

func (e serverEvent) announced() announcement {
	result, isNewer := strings.CutPrefix(e.Type, "v1.tcpip_forward.register.")
	switch {
	case e.Event == "tcpip-forward" && e.AuthzCode == "OK":
		found, _ := parseLink("https://" + e.Address)
		return announcement{link: found}
	case e.Event == "tcpip-forward":
		return announcement{refused: refusal(e.Message)}
	case isNewer && result == "accepted":
		for line := range strings.Lines(e.Data) {
			if found := linkIn(strings.TrimSpace(line)); found != (link{}) {
				return announcement{link: found}
			}
		}
	case isNewer:
		return announcement{refused: refusal(e.Data)}
	}
	return announcement{}
}

// refusal returns the first line of a server's message, never empty.
func refusal(text string) string {
	first, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	if first = printable(first); first == "" {
		return "it gave no reason"
	}
	return first
}

// spellings are the words right before the public address:
//
//	HTTPS: https://flb.tuns.sh
//		sish, sshmuxer/httphandler.go; http:// is another line
//	x.lhr.life tunneled with tls termination, https://x.lhr.life
//		localhost.run
//	Forwarding HTTP traffic from https://x.serveo.net
//		serveo
//
// Nothing before it, and nothing after, is pinggy without a terminal. Any other
// address is one of the pages that servers show their users.
var spellings = []string{"https", "tunneled with tls termination", "forwarding http traffic from", "your url is", "public url", "tunnel url"}

// linkIn returns the public address that a line announces, or the zero link.
func linkIn(line string) link {
	before, rest, found := strings.Cut(line, "https://")
	if !found {
		return link{}
	}
	address, after, _ := strings.Cut(rest, " ")
	before = strings.ToLower(strings.TrimRight(before, " :,"))
	if before == "" && after != "" {
		return link{}
	}
	isSpelling := func(spelling string) bool { return before == spelling || strings.HasSuffix(before, " "+spelling) }
	if before != "" && !slices.ContainsFunc(spellings, isSpelling) {
		return link{}
	}
	public, _ := parseLink("https://" + address)
	return public
}

// maxQuoted bounds how much of a server's text is quoted, in runes.
const maxQuoted = 160

// printable returns another program's text for a terminal: one short line of printable
// characters.
func printable(text string) string {
	runes := []rune(strings.TrimSpace(text))
	if len(runes) > maxQuoted {
		runes = append(runes[:maxQuoted], '…')
	}
	for i, r := range runes {
		if !unicode.IsPrint(r) {
			runes[i] = '?'
		}
	}
	return string(runes)
}

// maxText is how much of a server's text is read in search of the public
// address, in bytes.
const maxText = 64 << 10

// sessionText follows the text of all streams of a session.
type sessionText struct {
	mu    sync.Mutex
	size  int
	found bool // an address was announced
	json  bool // … in JSON, in which others may follow
	said  string
}

// take reports whether the next n bytes are looked at. Until an address is found
// those are the first maxText; then they are JSON's alone.
func (t *sessionText) take(n int) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.found {
		return t.json
	}
	t.size += n
	return t.size <= maxText
}

// line returns the announcement of a line.
func (t *sessionText) line(line string) announcement {
	t.mu.Lock()
	defer t.mu.Unlock()
	isJSON := strings.HasPrefix(strings.TrimSpace(line), "{")
	if t.found && (!isJSON || !t.json) {
		return announcement{}
	}
	says := announced(line)
	switch {
	case says.refused != "":
		t.said = says.refused
	case strings.TrimSpace(line) != "":
		t.said = line
	}
	if says.link != (link{}) {
		t.found, t.json = true, isJSON
	}
	return says
}

// last returns the last line that is not empty, for a terminal.
func (t *sessionText) last() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return printable(t.said)
}

// maxLine bounds a line, in bytes without control sequences; a longer one is left
// out. JSON with a QR code takes some 15 KB.
const maxLine = 64 << 10

// textLines cuts a server's terminal output, which arrives in pieces of any
// size, into lines without control characters and sequences (ECMA-48 section
// 5). A line that has not ended does not count: its last word may be half of a
// name.
type textLines struct {
	line  []byte
	over  bool // the line is longer than maxLine
	state textState
}

type textState byte

const (
	textPlain        textState = iota
	textEscape                 // after ESC
	textControl                // a control sequence: ESC [ …
	textString                 // a control string: ESC ] … up to BEL or ESC \
	textStringEscape           // ESC in a control string
)

// feed takes the next bytes, and calls each for every line that ends in them.
func (t *textLines) feed(text []byte, each func(line string)) {
	for _, c := range text {
		if c == '\n' || c == '\r' { // it ends an unfinished sequence too
			t.end(each)
			t.state = textPlain
			continue
		}
		state := t.state
		t.state = state.next(c)
		switch {
		case state == textPlain && t.state == textPlain:
			t.add(c)
		case state == textControl && t.state == textPlain && c != 'm':
			// A control sequence that is not a colour moves the cursor or erases:
			// the text after it is somewhere else on the screen.
			t.end(each)
		}
	}
}

// next returns the state after a character that does not end a line.
func (s textState) next(c byte) textState {
	isEscape := c == 0x1b
	switch s {
	case textEscape:
		switch {
		case c == '[':
			return textControl
		case c == ']' || c == 'P' || c == 'X' || c == '^' || c == '_':
			return textString
		case isEscape || 0x20 <= c && c <= 0x2f: // intermediate bytes
			return textEscape
		}
	case textControl:
		if !isEscape && (c < 0x40 || c > 0x7e) {
			return textControl
		}
	case textString, textStringEscape:
		switch {
		case isEscape:
			return textStringEscape
		case c != 0x07 && (s != textStringEscape || c != '\\'):
			return textString
		}
	}
	if isEscape {
		return textEscape
	}
	return textPlain
}

// add adds a character to the line, unless it is a control character.
func (t *textLines) add(c byte) {
	if c == '\t' {
		c = ' '
	}
	if c < 0x20 || c == 0x7f {
		return
	}
	if t.over = t.over || len(t.line) == maxLine; !t.over {
		t.line = append(t.line, c)
	}
}

func (t *textLines) end(each func(line string)) {
	line, over := string(t.line), t.over
	t.line, t.over = t.line[:0], false
	if line != "" && !over {
		each(line)
	}
}
