package message

import (
	"bytes"
	"math"
)

// parseField takes a field line apart (RFC 9112 §5). It holds for heads and
// trailers. The value comes without the blanks around it.
func parseField(line []byte) (name, value []byte, refusal *Refusal) {
	if isBlank(line[0]) {
		return nil, nil, refuse(400, "9112 §5.2", "a field line begins with a blank (line folding)")
	}
	name, value, ok := bytes.Cut(line, []byte(":"))
	if !ok {
		return nil, nil, refuse(400, "9112 §5", "a field line has no colon")
	}
	if !isToken(name) {
		return nil, nil, badName(name)
	}
	value = trimBlanks(value)
	if i := indexControl(value); i >= 0 {
		return nil, nil, badValue(value[i])
	}
	return name, value, nil
}

func badName(name []byte) *Refusal {
	switch {
	case len(name) == 0:
		return refuse(400, "9112 §5", "a field has no name")
	case isBlank(name[len(name)-1]):
		return refuse(400, "9112 §5.1", "a blank stands between a field's name and its colon")
	}
	return refuse(400, "9110 §5.1", "a field's name holds a character that names may not")
}

func badValue(c byte) *Refusal {
	if c == '\r' {
		return refuse(400, "9112 §2.2", "a CR stands without its LF")
	}
	return refuse(400, "9110 §5.5", "a field's value holds a control character")
}

// oneLength is the first member of a list of equal lengths: "2, 2", which says
// that somebody joined two fields, is the length 2 (RFC 9112 §6.3). The rest of
// value is overwritten with blanks, so that every reader of the head takes it for
// one. Any other value is returned as it is.
func oneLength(value []byte) []byte {
	first, _, list := bytes.Cut(value, []byte(","))
	if !list {
		return value
	}
	first = trimBlanks(first)
	for member := range bytes.SplitSeq(value, []byte(",")) {
		if !bytes.Equal(trimBlanks(member), first) {
			return value
		}
	}
	for i := len(first); i < len(value); i++ {
		value[i] = ' '
	}
	return first
}

// parseLength reads a Content-Length: digits and nothing else, one value, and
// no more than an int64 holds.
func parseLength(value []byte) (int64, *Refusal) {
	var n int64
	for _, c := range value {
		if !isDigit(c) {
			return 0, refuse(400, "9112 §6.3", "Content-Length is not one decimal number")
		}
		digit := int64(c - '0')
		if n > (math.MaxInt64-digit)/10 {
			return 0, refuse(400, "9110 §8.6", "Content-Length is too large")
		}
		n = n*10 + digit
	}
	if len(value) == 0 {
		return 0, refuse(400, "9112 §6.3", "Content-Length is empty")
	}
	return n, nil
}

// parseCoding accepts the one transfer coding that every server knows. The
// refusals tell a coding we do not have (501) from a list that cannot frame a
// request (400).
func parseCoding(value []byte) *Refusal {
	if equalFold(value, "chunked") {
		return nil
	}
	chunked, last := 0, false
	for coding := range bytes.SplitSeq(value, []byte(",")) {
		coding = trimBlanks(coding)
		if last = equalFold(coding, "chunked"); last {
			chunked++
		} else if len(coding) == 0 {
			return refuse(400, "9112 §6.1", "Transfer-Encoding has an empty member")
		}
	}
	switch {
	case chunked > 1:
		return refuse(400, "9112 §6.1", "Transfer-Encoding names chunked more than once")
	case chunked == 1 && !last:
		return refuse(400, "9112 §6.3", "chunked is not the last transfer coding")
	}
	return refuse(501, "9112 §6.1", "Transfer-Encoding names a coding other than chunked")
}

// checkExpect accepts the one expectation that exists, and an empty list. Any
// other text that holds "100-continue" is read differently by different
// servers.
func checkExpect(value []byte) *Refusal {
	if len(value) == 0 || equalFold(value, "100-continue") {
		return nil
	}
	return refuse(417, "9110 §10.1.1", "Expect is not 100-continue")
}
