package service

import (
	"slices"
	"strings"
	"sync"
)

const (
	// maxLine bounds a line, in bytes without colours. The rest of a longer one is the
	// next line.
	maxLine = 8 << 10
	// maxColors bounds the colour sequences of a line, in bytes. Those beyond are left
	// out.
	maxColors = 8 << 10
	// maxTail is how many lines of a service's output are kept.
	maxTail = 20
)

// Line is a line that a service has printed, without what could control a terminal.
// Control characters are removed and bytes that are not UTF-8 replaced (U+FFFD).
type Line struct {
	Text string // without colours
	// Colored is Text with the sequences that set colours and styles (SGR, ECMA-48
	// section 8.3.117). A style may still be set at its end.
	Colored string
}

// output receives what a command prints.
type output struct {
	name    string
	tail    *tail
	each    func(name string, line Line) // may be nil
	lines   lineReader
	pattern string        // of a line that makes it ready; "" for none
	matched chan struct{} // closed at the first such line
	done    bool          // matched is closed
}

func newOutput(spec Spec, t *tail, each func(string, Line)) *output {
	return &output{name: spec.Name, tail: t, each: each, pattern: spec.Ready.Log, matched: make(chan struct{})}
}

// Write takes the next piece of output. Only one goroutine may call it.
func (o *output) Write(p []byte) (int, error) {
	o.lines.feed(p, o.line)
	return len(p), nil
}

// close ends the last line. Nothing may be written later.
func (o *output) close() { o.lines.end(o.line) }

func (o *output) line(line Line) {
	o.tail.add(line.Text)
	if o.each != nil {
		o.each(o.name, line)
	}
	if !o.done && o.pattern != "" && contains(line.Text, o.pattern) {
		o.done = true
		close(o.matched)
	}
}

// contains reports whether text contains pattern. A "*" in pattern matches any text.
func contains(text, pattern string) bool {
	for part := range strings.SplitSeq(pattern, "*") {
		_, rest, found := strings.Cut(text, part)
		if !found {
			return false
		}
		text = rest
	}
	return true
}

// tail keeps the last lines of a service.
type tail struct {
	mu    sync.Mutex
	lines []string
}

func (t *tail) add(line string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.lines) == maxTail {
		t.lines = slices.Delete(t.lines, 0, 1)
	}
	t.lines = append(t.lines, line)
}

func (t *tail) all() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.lines)
}
