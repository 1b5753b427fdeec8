// Package journal keeps the recent output of a running instance, so that other
// processes can read it: `devproxy logs`, and an `up` that attaches to another.
//
// A reader asks for lines by their number. It has no queue of its own, so that a
// slow one holds up nothing and costs nothing: it misses the lines that were dropped
// before it came back, and learns how many they were.
package journal

import (
	"bytes"
	"context"
	"io"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"
)

// Limits of a Journal. The oldest lines are dropped.
const (
	maxLines = 2000
	maxBytes = 1 << 20 // of all lines
	// maxLine is how much of a line is kept, in bytes.
	maxLine = 16 << 10
	// maxBatch is how many lines Read returns at once.
	maxBatch = 200
)

// Line is a line of output. Its JSON is stable: fields are added, never changed.
type Line struct {
	// Number counts all lines of a journal from 1.
	Number uint64    `json:"number,omitempty"`
	Time   time.Time `json:"time,omitzero"`
	// Service is the service that printed the line, or that it is about; empty for
	// devproxy itself.
	Service string `json:"service,omitempty"`
	// Text may have escape sequences for colours (ECMA-48 section 8.3.117).
	Text string `json:"text"`
	// Missed is how many lines before this one were dropped before the reader came
	// for them.
	Missed uint64 `json:"missed,omitempty"`
}

// Journal is safe for use by several goroutines.
type Journal struct {
	file io.Writer // gets every line without colours; nil for none
	done chan struct{}

	mu      sync.Mutex
	lines   []Line
	bytes   int           // of lines
	next    uint64        // the number of the next line
	changed chan struct{} // closed when a line is added and someone waits for one
	waiting bool
	closed  bool
}

// New returns a Journal that also writes every line to file, without colours. file
// may be nil. Errors of the file are ignored: the output goes on without it.
func New(file io.Writer) *Journal {
	return &Journal{file: file, done: make(chan struct{}), next: 1, changed: make(chan struct{})}
}

// NewWriter returns a writer that adds a line when it has ended.
func (j *Journal) NewWriter() *Writer { return &Writer{journal: j} }

// Writer adds lines to a Journal. Only one goroutine may use it.
type Writer struct {
	Service string // of the lines that are written; empty for devproxy itself

	journal *Journal
	rest    []byte // of a line that has not ended
}

// Write takes the next piece of output.
func (w *Writer) Write(p []byte) (int, error) {
	w.rest = append(w.rest, p...)
	for {
		line, rest, ended := bytes.Cut(w.rest, []byte("\n"))
		if !ended {
			w.rest = w.rest[:min(len(w.rest), maxLine)]
			return len(p), nil
		}
		w.journal.Add(w.Service, string(line))
		w.rest = rest
	}
}

// Add adds a line without its "\n".
func (j *Journal) Add(service, text string) {
	if len(text) > maxLine {
		text = strings.ToValidUTF8(text[:maxLine-len("…")], "") + "…"
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.closed {
		return
	}
	if j.file != nil {
		_, _ = io.WriteString(j.file, Plain(text)+"\n")
	}
	j.lines = append(j.lines, Line{Number: j.next, Time: time.Now(), Service: service, Text: text})
	j.next++
	j.bytes += len(text)
	drop := 0
	for ; len(j.lines)-drop > maxLines || j.bytes > maxBytes; drop++ {
		j.bytes -= len(j.lines[drop].Text)
	}
	clear(j.lines[:drop]) // append moves the rest now and then
	j.lines = j.lines[drop:]
	if j.waiting {
		close(j.changed)
		j.changed, j.waiting = make(chan struct{}), false
	}
}

// Close ends the journal: readers get what is left, and then io.EOF.
func (j *Journal) Close() {
	j.mu.Lock()
	defer j.mu.Unlock()
	if !j.closed {
		j.closed = true
		close(j.changed)
		close(j.done)
	}
}

// Done is closed by Close.
func (j *Journal) Done() <-chan struct{} { return j.done }

// Next returns the number of the next line.
func (j *Journal) Next() uint64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.next
}

// Read returns lines from a number on, at most 200. Zero means the oldest line that is
// kept. If there is none yet, it waits for one. The error is io.EOF after the last line
// of a closed journal, or that of ctx.
func (j *Journal) Read(ctx context.Context, from uint64) ([]Line, error) {
	for {
		lines, changed, closed := j.from(from)
		switch {
		case len(lines) > 0:
			return lines, nil
		case closed:
			return nil, io.EOF
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (j *Journal) from(number uint64) (lines []Line, changed <-chan struct{}, closed bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	oldest := j.next - uint64(len(j.lines))
	first := max(number, oldest)
	if first < j.next {
		start := int(first - oldest)
		lines = slices.Clone(j.lines[start:min(len(j.lines), start+maxBatch)])
		if number > 0 {
			lines[0].Missed = first - number
		}
	}
	j.waiting = true
	return lines, j.changed, j.closed
}

// Plain returns text without escape sequences for colours.
func Plain(text string) string {
	if !strings.Contains(text, "\x1b") {
		return text
	}
	var plain strings.Builder
	escape := false
	for _, r := range text {
		switch {
		case r == '\x1b':
			escape = true
		case !escape:
			plain.WriteRune(r)
		case unicode.IsLetter(r):
			escape = false
		}
	}
	return plain.String()
}
