package tunnel

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// kind is the first byte of a frame (spec.md, "Frames").
type kind byte

const (
	kindReset  kind = 0x02
	kindStop   kind = 0x03
	kindCredit kind = 0x04
	kindAck    kind = 0x05
	kindPing   kind = 0x06
	kindPong   kind = 0x07
	kindDrain  kind = 0x08
	kindClose  kind = 0x09
	kindLanes  kind = 0x0a
	kindRetire kind = 0x0b
	kindGone   kind = 0x0c
	kindData   kind = 0x10 // with flagFin and flagOpen

	flagFin  kind = 0x01
	flagOpen kind = 0x02
)

// isData reports whether k is a data frame, with any flags.
func (k kind) isData() bool { return k&^(flagFin|flagOpen) == kindData }

// counted reports whether frames of this kind are acknowledged. The others are
// answers, or are sent again anyway.
func (k kind) counted() bool {
	return k != kindAck && k != kindPing && k != kindPong && k != kindClose
}

// layout returns the fields of a frame of kind k, in their order on the wire: s for
// the stream, l for the lane, n for the number, h for the head, d for data and m
// for a message, which is in the field data.
func (k kind) layout() (fields string, known bool) {
	switch k {
	case kindData, kindData | flagFin:
		return "snd", true
	case kindData | flagOpen, kindData | flagOpen | flagFin:
		return "snhd", true
	case kindReset, kindStop:
		return "s", true
	case kindCredit:
		return "sn", true
	case kindAck:
		return "ln", true
	case kindPing, kindPong, kindLanes:
		return "n", true
	case kindRetire, kindGone:
		return "l", true
	case kindClose:
		return "nm", true
	case kindDrain:
		return "", true
	}
	return "", false
}

// wireFrame is one frame as it is on the wire. Its kind determines which fields it
// has.
type wireFrame struct {
	kind   kind
	stream uint64 // data, reset, stop, credit
	number uint64 // data: offset; credit: the offset that may be sent up to; ack: count; ping, pong: nonce; lanes: how many; close: code
	lane   uint64 // ack, retire, gone
	head   []byte // data with flagOpen
	data   []byte // data: bytes; close: message
}

// append appends f in its wire form.
func (f *wireFrame) append(b []byte) []byte {
	b = append(b, byte(f.kind))
	fields, _ := f.kind.layout()
	for _, field := range []byte(fields) {
		switch field {
		case 's':
			b = binary.AppendUvarint(b, f.stream)
		case 'l':
			b = binary.AppendUvarint(b, f.lane)
		case 'n':
			b = binary.AppendUvarint(b, f.number)
		case 'h':
			b = appendBytes(b, f.head)
		default:
			b = appendBytes(b, f.data)
		}
	}
	return b
}

func appendBytes(b, data []byte) []byte {
	b = binary.AppendUvarint(b, uint64(len(data)))
	return append(b, data...)
}

// readFrame reads one frame. It checks every length before it allocates that much.
// A *ProtocolError describes a frame that is not allowed; other errors are the
// connection's.
func readFrame(r *bufio.Reader) (f wireFrame, err error) {
	first, err := r.ReadByte()
	if err != nil {
		return f, err
	}
	f.kind = kind(first)
	fields, known := f.kind.layout()
	if !known {
		return f, &ProtocolError{fmt.Sprintf("a frame of unknown kind 0x%02x", first)}
	}
	d := decoder{fieldReader{r: r}, r}
	for _, field := range []byte(fields) {
		switch field {
		case 's':
			f.stream = d.uvarint()
		case 'l':
			f.lane = d.uvarint()
		case 'n':
			f.number = d.uvarint()
		case 'h':
			f.head = d.bytes("head", MaxHead)
		case 'd':
			f.data = d.bytes("data", MaxData)
		case 'm':
			f.data = d.bytes("message", maxMessage)
		}
	}
	return f, d.err
}

// decoder reads the fields of a frame. After its first error it reads nothing.
type decoder struct {
	fieldReader
	r *bufio.Reader
}

// uvarint reads an unsigned LEB128 number of at most 63 bits in its shortest
// form: sums of two such numbers do not overflow, and every frame has one form.
func (d *decoder) uvarint() (n uint64) {
	for shift := 0; d.err == nil; shift += 7 {
		b, err := d.r.ReadByte()
		switch {
		case err != nil:
			d.err = unexpected(err)
		case shift == 63 || shift > 0 && b == 0:
			d.err = &ProtocolError{"a number that is not in its shortest form of at most 63 bits"}
		case b < 0x80:
			return n | uint64(b)<<shift
		}
		n |= uint64(b&0x7f) << shift
	}
	return 0
}

func (d *decoder) bytes(what string, most int) []byte {
	n := d.uvarint()
	if n > uint64(most) {
		d.err = &ProtocolError{fmt.Sprintf("%s of %d bytes; at most %d are allowed", what, n, most)}
	}
	if n == 0 {
		return nil
	}
	return d.fieldReader.bytes(int(n))
}

// unexpected returns io.ErrUnexpectedEOF for the end of a connection inside a frame.
func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
