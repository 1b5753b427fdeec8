// Package websocket reads and writes WebSocket frames (RFC 6455) in the bytes of an upgraded
// connection. It does no handshake: it follows frame boundaries, ends a direction with a
// close frame, and filters the messages of a client.
package websocket

import (
	"crypto/rand"
	"encoding/binary"
)

// Close codes (RFC 6455 section 7.4.1 and the IANA registry).
const (
	GoingAway       uint16 = 1001 // the other end goes away
	ProtocolError   uint16 = 1002 // the frames violate RFC 6455
	PolicyViolation uint16 = 1008 // the message is not allowed
	TooBig          uint16 = 1009 // the message is longer than allowed
	ServiceRestart  uint16 = 1012 // connect again
)

// Opcodes (RFC 6455 section 5.2).
const (
	opContinuation = 0x0
	opText         = 0x1
	opBinary       = 0x2
	opClose        = 0x8
	opPing         = 0x9
	opPong         = 0xa
)

// Bits of the first two bytes of a frame.
const (
	finBit    = 0x80
	rsvBits   = 0x70
	opcodeSet = 0x0f
	maskBit   = 0x80
	lengthSet = 0x7f
)

// maxControl is the longest payload of a control frame, in bytes (RFC 6455
// section 5.5).
const maxControl = 125

// CloseFrame returns a close frame with a code and without a reason (RFC 6455 section 5.5.1).
// Frames to a server must be masked (section 5.3).
func CloseFrame(code uint16, masked bool) []byte {
	payload := binary.BigEndian.AppendUint16(nil, code)
	if masked {
		return appendMasked(nil, opClose, payload)
	}
	return append([]byte{finBit | opClose, byte(len(payload))}, payload...)
}

// appendMasked appends an unfragmented frame with a masked payload.
func appendMasked(to []byte, opcode byte, payload []byte) []byte {
	to = append(to, finBit|opcode)
	switch n := len(payload); {
	case n <= maxControl:
		to = append(to, maskBit|byte(n))
	case n <= 0xffff:
		to = binary.BigEndian.AppendUint16(append(to, maskBit|126), uint16(n))
	default:
		to = binary.BigEndian.AppendUint64(append(to, maskBit|127), uint64(n))
	}
	var key [4]byte
	_, _ = rand.Read(key[:]) // never fails (crypto/rand)
	to = append(to, key[:]...)
	start := len(to)
	to = append(to, payload...)
	mask(to[start:], key[:])
	return to
}

// mask masks a payload or unmasks it.
func mask(payload, key []byte) {
	for i := range payload {
		payload[i] ^= key[i%4]
	}
}

// Boundaries follows the boundaries of frames (RFC 6455 section 5.2) in a stream of bytes.
// The zero value is at the start of a frame.
type Boundaries struct {
	head [14]byte // of the frame that is arriving
	have int      // bytes of it
	left uint64   // bytes of payload still to come
}

// AtBoundary reports whether the bytes so far end with a complete frame.
func (b *Boundaries) AtBoundary() bool { return b.have == 0 && b.left == 0 }

// Advance reads the bytes up to the end of the current frame, or all of p, and returns how
// many those are.
func (b *Boundaries) Advance(p []byte) int {
	taken := 0
	if b.left == 0 {
		var whole bool
		if taken, whole = b.takeHead(p); !whole {
			return taken
		}
	}
	n := min(b.left, uint64(len(p)-taken))
	b.left -= n
	return taken + int(n)
}

// takeHead reads bytes of the head of a frame, and reports whether it is complete.
// Then left is the length of the payload.
func (b *Boundaries) takeHead(p []byte) (taken int, whole bool) {
	for taken < len(p) {
		b.head[b.have] = p[taken]
		b.have++
		taken++
		if b.have == b.headLen() {
			b.have, b.left = 0, b.payloadLen()
			return taken, true
		}
	}
	return taken, false
}

// headLen is the length of the head. Before the second byte arrives it is that of the last
// head, which is more than 1, too.
func (b *Boundaries) headLen() int {
	n := 2 + b.lengthLen()
	if b.masked() {
		n += 4
	}
	return n
}

// lengthLen is the number of bytes of the extended payload length.
func (b *Boundaries) lengthLen() int {
	switch b.head[1] & lengthSet {
	case 126:
		return 2
	case 127:
		return 8
	}
	return 0
}

func (b *Boundaries) payloadLen() uint64 {
	switch short := b.head[1] & lengthSet; short {
	case 126:
		return uint64(binary.BigEndian.Uint16(b.head[2:]))
	case 127:
		return binary.BigEndian.Uint64(b.head[2:])
	default:
		return uint64(short)
	}
}

func (b *Boundaries) opcode() byte { return b.head[0] & opcodeSet }

func (b *Boundaries) final() bool { return b.head[0]&finBit != 0 }

func (b *Boundaries) masked() bool { return b.head[1]&maskBit != 0 }

// key is the masking key of a masked frame.
func (b *Boundaries) key() []byte {
	at := 2 + b.lengthLen()
	return b.head[at : at+4]
}
