package provider

import (
	"strings"
	"sync"
)

// sessionText is what the streams of a session have said so far.
type sessionText struct {
	mu    sync.Mutex
	size  int
	found bool // an address was announced
	json  bool // … in JSON, which goes on to announce
	said  string
}

// take reports whether the next n bytes are looked at. Until an address is found
// that is the first maxText; then it is JSON's alone.
func (t *sessionText) take(n int) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.found {
		return t.json
	}
	t.size += n
	return t.size <= maxText
}

// line is what a line announces.
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

// last is the last line with something in it, for a terminal.
func (t *sessionText) last() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return printable(t.said)
}
