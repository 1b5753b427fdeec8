package message

import (
	"bytes"
	"math"
)

// parseField splits a field line of a head or a trailer section (RFC 9112 §5). The value
// is without the blanks around it.
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
		return refuse(400, "9112 §5.1", "a blank is between a field's name and its colon")
	}
	return refuse(400, "9110 §5.1", "a field's name has a character that is not allowed")
}

func badValue(c byte) *Refusal {
	if c == '\r' {
		return refuse(400, "9112 §2.2", "a CR is not followed by LF")
	}
	return refuse(400, "9110 §5.5", "a field's value has a control character")
}

// oneLength returns the first member of a list of equal lengths: "2, 2", which comes from
// two joined fields, is the length 2 (RFC 9112 §6.3). It overwrites the rest of value with
// blanks, so that every reader of the head sees one length. It returns any other value
// unchanged.
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

// parseLength reads a Content-Length: one value of only digits that fits an int64.
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

// parseCoding accepts the one transfer coding that every server supports. It refuses others
// with 501, and a list that cannot frame a request with 400.
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

// checkExpect accepts the one expectation that exists, and an empty list. Servers read any
// other text with "100-continue" in different ways.
func checkExpect(value []byte) *Refusal {
	if len(value) == 0 || equalFold(value, "100-continue") {
		return nil
	}
	return refuse(417, "9110 §10.1.1", "Expect is not 100-continue")
}
