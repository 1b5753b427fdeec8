package message

import "encoding/binary"

// The classes of bytes that RFC 9110 and RFC 3986 allow, as bit sets: one for the bytes
// below 64, one for those from 64 to 127.
const (
	digitsLow    = (1<<10 - 1) << '0'
	lettersHigh  = (1<<26-1)<<('A'-64) | (1<<26-1)<<('a'-64)
	tokenLow     = digitsLow | 1<<'!' | 1<<'#' | 1<<'$' | 1<<'%' | 1<<'&' | 1<<'\'' | 1<<'*' | 1<<'+' | 1<<'-' | 1<<'.'
	tokenHigh    = lettersHigh | 1<<('^'-64) | 1<<('_'-64) | 1<<('`'-64) | 1<<('|'-64) | 1<<('~'-64)
	hostNameLow  = digitsLow | 1<<'-' | 1<<'.'
	hostNameHigh = lettersHigh | 1<<('_'-64)
)

func in(low, high uint64, c byte) bool {
	if c < 64 {
		return low>>c&1 == 1
	}
	return high>>(c-64)&1 == 1 // 0 from 128 on
}

// isToken reports whether b is a token (RFC 9110 §5.6.2).
func isToken(b []byte) bool {
	for _, c := range b {
		if !in(tokenLow, tokenHigh, c) {
			return false
		}
	}
	return len(b) > 0
}

func isDigit(c byte) bool { return c-'0' < 10 }

func isHex(c byte) bool { return isDigit(c) || (c|0x20)-'a' < 6 }

func isBlank(c byte) bool { return c == ' ' || c == '\t' }

// isControl reports whether c is a CTL other than HTAB, which field values may have.
func isControl(c byte) bool { return c < ' ' && c != '\t' || c == 0x7f }

// indexControl is the index of the first control character in b, -1 if it has none.
// Values are most of a head, so it checks eight bytes at once: apart from the high bit,
// a byte below 0x20 borrows when 0x20 is subtracted from it, and 0x7f becomes zero when
// it is flipped.
func indexControl(b []byte) int {
	const each, high = 0x0101010101010101, 0x8080808080808080
	i := 0
	for ; i+8 <= len(b); i += 8 {
		x := binary.LittleEndian.Uint64(b[i:])
		y := x ^ each*0x7f
		if ((x-each*' ')&^x|(y-each)&^y)&high != 0 {
			break // perhaps only a tab
		}
	}
	for ; i < len(b); i++ {
		if isControl(b[i]) {
			return i
		}
	}
	return -1
}

// equalFold compares b with an ASCII text in lower case. Unicode folding would take a
// Kelvin sign for a k.
func equalFold(b []byte, lower string) bool {
	if len(b) != len(lower) {
		return false
	}
	for i, c := range b {
		if c-'A' < 26 {
			c |= 0x20
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}

func trimBlanks(b []byte) []byte {
	for len(b) > 0 && isBlank(b[0]) {
		b = b[1:]
	}
	for len(b) > 0 && isBlank(b[len(b)-1]) {
		b = b[:len(b)-1]
	}
	return b
}
