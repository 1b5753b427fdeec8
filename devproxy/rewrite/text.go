package rewrite

import (
	"bytes"
	"encoding/binary"
	"io"
	"math/bits"
	"strings"
	"sync"
)

const (
	// maxHost is the longest name of a host, RFC 1035 section 2.3.4, and its dot.
	maxHost = 254
	// maxPort is the longest port in digits.
	maxPort = 5
	// maxBefore is how much is looked at before two slashes: a scheme, a colon
	// that is encoded twice, and an escape.
	maxBefore = len("https") + len("%253A") + len("%3D")
	// maxMatch bounds what is held back until the next piece: colon, slashes, host,
	// colon, port, and the escape after it.
	maxMatch = len("%253A") + 2*len(`\\u002f`) + maxHost + len("%253A") + maxPort + len("%253A")
)

// Text replaces the URLs in a text that is written to it, and writes the result
// to the next writer. It holds back what may be the beginning of a URL, at most
// maxMatch bytes, until the next Write or Close. Wherever the text is cut into
// pieces, the result is the same.
type Text struct {
	names *Names
	to    io.Writer
	*buffers
	// context is the end of what was looked at and written, for what precedes a URL.
	context [maxBefore]byte
	known   int // of context, at its end
	// replaced is how many URLs were replaced.
	replaced int
}

// buffers are those of a Text.
type buffers struct {
	buf []byte // what is held back
	out []byte // what replaces a URL
}

// pool keeps buffers. It is safe for concurrent use.
var pool = sync.Pool{New: func() any { return new(buffers) }}

// maxPooled is the size of the largest buffers that are kept, in bytes.
const maxPooled = 128 << 10

// NewText returns a Text that writes to to. Close it, also after an error.
func NewText(names *Names, to io.Writer) *Text {
	return &Text{names: names, to: to, buffers: pool.Get().(*buffers)}
}

// String returns text with its URLs replaced.
func (n *Names) String(text string) string {
	if !strings.ContainsAny(text, anchors) {
		return text
	}
	var out strings.Builder
	t := Text{names: n, to: &out, buffers: &buffers{}}
	_, _ = t.rewrite([]byte(text), true) // a Builder does not fail
	return out.String()
}

// Write implements io.Writer.
func (t *Text) Write(p []byte) (int, error) {
	b := p
	if len(t.buf) > 0 {
		t.buf = append(t.buf, p...)
		b = t.buf
	}
	done, err := t.rewrite(b, false)
	if err != nil {
		return 0, err
	}
	t.remember(b[:done])
	t.buf = append(t.buf[:0], b[done:]...)
	return len(p), nil
}

// remember keeps the end of what was written.
func (t *Text) remember(written []byte) {
	n := min(len(written), maxBefore)
	copy(t.context[:], t.context[n:])
	copy(t.context[maxBefore-n:], written[len(written)-n:])
	t.known = min(t.known+n, maxBefore)
}

// lookBack returns what precedes b[at], at least maxBefore bytes unless the text begins
// there. room is used for it where b has too few.
func (t *Text) lookBack(b []byte, at int, room *[2 * maxBefore]byte) []byte {
	if at >= maxBefore || t.known == 0 {
		return b[max(at-maxBefore, 0):at]
	}
	joined := append(room[:0], t.context[maxBefore-t.known:]...)
	return append(joined, b[:at]...)
}

// Close writes what was held back. It does not close the next writer.
func (t *Text) Close() error {
	_, err := t.rewrite(t.buf, true)
	t.Free()
	return err
}

// put writes text, as it is if verbatim is set.
func (t *Text) put(text []byte, verbatim bool) error {
	if verbatim {
		return t.pass(text)
	}
	_, err := t.Write(text)
	return err
}

// pass writes text as it is. URLs end before it and do not continue after it.
func (t *Text) pass(text []byte) error {
	if _, err := t.rewrite(t.buf, true); err != nil {
		return err
	}
	t.buf, t.known = t.buf[:0], 0
	if len(text) == 0 {
		return nil
	}
	_, err := t.to.Write(text)
	return err
}

// Free gives up what was held back. Nothing is written after it.
func (t *Text) Free() {
	t.free()
	t.buffers = nil
}

// free puts b back into the pool. A nil b is not there any more.
func (b *buffers) free() {
	if b != nil && cap(b.buf)+cap(b.out) <= maxPooled {
		b.buf, b.out = b.buf[:0], b.out[:0]
		pool.Put(b)
	}
}

// anchors are the bytes with which spellings of a slash begin.
const anchors = `/\%&`

// rewrite writes as much of b as is decided, and returns how much that is; at the end
// it is all of it.
func (t *Text) rewrite(b []byte, end bool) (done int, err error) {
	var room [2 * maxBefore]byte
	next := search{b: b}
	for i := 0; ; {
		at := next.anchor(i)
		if at < 0 {
			break
		}
		if t.names.isOther(b[at:]) {
			i = at + 1
			continue
		}
		m, result := t.names.match(b, at, t.lookBack(b, at, &room), end)
		if result == more {
			m.start = max(m.start, done) // the colon before it was held back with it
			return m.start, t.write(b[done:m.start])
		}
		if result == no {
			i = at + 1
			continue
		}
		if err := t.write(b[done:m.start]); err != nil {
			return done, err
		}
		t.out = m.append(t.out[:0], b)
		if err := t.write(t.out); err != nil {
			return done, err
		}
		t.replaced++
		done, i = m.end, m.end
	}
	until := len(b)
	if !end {
		until = max(until-colonAtEnd(t.lookBack(b, until, &room)), done)
	}
	return until, t.write(b[done:until])
}

// write writes a part of the result.
func (t *Text) write(part []byte) error {
	if len(part) == 0 {
		return nil
	}
	_, err := t.to.Write(part)
	return err
}

// colonAtEnd returns the length of a colon after a scheme that may change, or of
// its beginning, at the end of b.
func colonAtEnd(b []byte) int {
	for _, spelled := range [...]string{":", "%", "%2", "%3", "%25", "%3a", "%253", "%253a"} {
		if hasSuffixFold(b, spelled) && len(b) > len(spelled) && strings.IndexByte("psPS", b[len(b)-len(spelled)-1]) >= 0 {
			return len(spelled)
		}
	}
	return 0
}

// search finds the next of several bytes. Each is searched with IndexByte, which
// compares many bytes at once, and only when the last place was passed.
type search struct {
	b    []byte
	from [len(anchors)]int // the next place of each, plus one; -1 for none
}

// anchor returns the first place from i on where a slash may begin, or -1.
func (s *search) anchor(i int) int {
	first := -1
	for k := range s.from {
		if s.from[k] < 0 {
			continue
		}
		if s.from[k] <= i {
			at := s.find(anchors[k], i)
			if at < 0 {
				s.from[k] = -1
				continue
			}
			s.from[k] = at + 1
		}
		if at := s.from[k] - 1; first < 0 || at < first {
			first = at
		}
	}
	return first
}

// find returns the first place from i on of a byte that begins a slash, with
// another byte after it that fits. It returns the last place too.
func (s *search) find(c byte, i int) int {
	if c == '/' { // of which there are many
		return twoSlashes(s.b, i)
	}
	for {
		at := bytes.IndexByte(s.b[i:], c)
		if at < 0 {
			return -1
		}
		at += i
		if at+1 == len(s.b) || fits(c, s.b[at+1]) {
			return at
		}
		i = at + 1
	}
}

// twoSlashes returns the first place from i on of two slashes, or that of a slash at
// the end; -1 for none. It compares eight bytes at once.
func twoSlashes(b []byte, i int) int {
	const ones = 0x0101010101010101
	const slashes, highs = '/' * ones, 0x80 * ones
	for ; i+8 <= len(b); i += 7 { // the last byte is the next eight's first
		x := binary.LittleEndian.Uint64(b[i:]) ^ slashes
		is := ^((x&^highs + (highs - ones)) | x) & highs // the high bit of each byte that is a slash
		if pair := is & (is >> 8); pair != 0 {
			return i + bits.TrailingZeros64(pair)/8
		}
	}
	for ; i < len(b); i++ {
		if b[i] == '/' && (i+1 == len(b) || b[i+1] == '/') {
			return i
		}
	}
	return -1
}

// fits reports whether next can follow the first byte of a slash.
func fits(c, next byte) bool {
	switch c {
	case '/':
		return next == '/'
	case '\\':
		return next == '/' || next == '\\' || next == 'u' || next == 'x' || next == 'U' || next == 'X'
	case '%':
		return next == '2'
	}
	return next == '#'
}
