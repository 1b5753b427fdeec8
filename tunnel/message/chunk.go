package message

import (
	"bytes"
	"strconv"
)

// Limits of the lines around chunks.
const (
	maxChunkLine   = 1 << 10 // the size and its extensions, which are rarely used
	maxChunkDigits = 15      // hexadecimal digits, so that a size fits an int64
	maxTrailers    = 4 << 10 // all of them; as many as net/http accepts
)

func broken(section, reason string) *BodyError {
	return &BodyError{Reason: reason, Section: "RFC " + section}
}

// bodyLine finds a line of at most limit bytes with its CRLF, and returns it without
// that. n is the length with the CRLF; 0 while the line is incomplete.
func bodyLine(b []byte, limit int) (line []byte, n int, err *BodyError) {
	window := b[:min(len(b), limit)]
	end := bytes.IndexByte(window, '\n')
	switch {
	case end < 0 && len(b) >= limit:
		return nil, 0, broken("9112 §7.1", "a chunk's size line or the trailers are too long")
	case end < 0:
		return nil, 0, nil
	case end == 0 || b[end-1] != '\r':
		return nil, 0, broken("9112 §7.1", "a line ends in LF without CR")
	}
	return b[:end-1], end + 1, nil
}

// parseChunkSize reads "1a" or "1a;name=value". It ignores extensions; blanks are allowed
// only inside them.
func parseChunkSize(line []byte) (int64, *BodyError) {
	digits := 0
	for digits < len(line) && isHex(line[digits]) {
		digits++
	}
	switch rest := line[digits:]; {
	case digits == 0:
		return 0, broken("9112 §7.1", "a chunk's size is not a hexadecimal number")
	case digits > maxChunkDigits:
		return 0, broken("9112 §7.1", "a chunk's size is too large")
	case len(rest) > 0 && rest[0] != ';':
		return 0, broken("9112 §7.1", "a chunk's size is followed by something other than an extension")
	case indexControl(rest) >= 0:
		return 0, broken("9112 §7.1.1", "a chunk extension has a control character")
	}
	size, _ := strconv.ParseInt(string(line[:digits]), 16, 64) // so few digits fit
	return size, nil
}

// checkTrailer checks a trailer field. Fields that frame, route or authorise a message
// come too late there, and must not be merged into the head.
func checkTrailer(line []byte) *BodyError {
	name, _, refusal := parseField(line)
	if refusal != nil {
		return &BodyError{Reason: "in a trailer, " + refusal.Reason, Section: refusal.Section}
	}
	for _, forbidden := range [...]string{
		"content-length", "transfer-encoding", "host", "trailer", "connection", "upgrade", "te", "expect",
		"content-type", "content-encoding", "content-range", "authorization", "proxy-authorization", "cookie",
	} {
		if equalFold(name, forbidden) {
			return broken("9110 §6.5.1", "a trailer is named "+forbidden)
		}
	}
	return nil
}
