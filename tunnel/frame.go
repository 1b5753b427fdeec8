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

// isData reports whether k is a data frame, whatever its flags.
func (k kind) isData() bool { return k&^(flagFin|flagOpen) == kindData }

// counted reports whether a frame of this kind is acknowledged. The others
// answer or repeat by themselves.
func (k kind) counted() bool {
	switch k {
	case kindAck, kindPing, kindPong, kindClose:
		return false
	}
	return true
}

// wireFrame is one frame as it is on the wire. Which fields count depends on
// the kind.
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
	switch {
	case f.kind.isData():
		b = binary.AppendUvarint(b, f.stream)
		b = binary.AppendUvarint(b, f.number)
		if f.kind&flagOpen != 0 {
			b = appendBytes(b, f.head)
		}
		return appendBytes(b, f.data)
	case f.kind == kindReset || f.kind == kindStop:
		return binary.AppendUvarint(b, f.stream)
	case f.kind == kindCredit:
		b = binary.AppendUvarint(b, f.stream)
		return binary.AppendUvarint(b, f.number)
	case f.kind == kindAck:
		b = binary.AppendUvarint(b, f.lane)
		return binary.AppendUvarint(b, f.number)
	case f.kind == kindPing || f.kind == kindPong || f.kind == kindLanes:
		return binary.AppendUvarint(b, f.number)
	case f.kind == kindRetire || f.kind == kindGone:
		return binary.AppendUvarint(b, f.lane)
	case f.kind == kindClose:
		b = binary.AppendUvarint(b, f.number)
		return appendBytes(b, f.data)
	}
	return b // kindDrain
}

func appendBytes(b, data []byte) []byte {
	b = binary.AppendUvarint(b, uint64(len(data)))
	return append(b, data...)
}

// readFrame reads one frame. Every length is checked before anything of that
// length is allocated. A *ProtocolError says what was wrong; other errors are
// the connection's.
func readFrame(r *bufio.Reader) (f wireFrame, err error) {
	first, err := r.ReadByte()
	if err != nil {
		return f, err
	}
	d := decoder{r: r}
	f.kind = kind(first)
	switch {
	case f.kind.isData():
		f.stream, f.number = d.uvarint(), d.uvarint()
		if f.kind&flagOpen != 0 {
			f.head = d.bytes("head", MaxHead)
		}
		f.data = d.bytes("data", MaxData)
	case f.kind == kindReset || f.kind == kindStop:
		f.stream = d.uvarint()
	case f.kind == kindCredit:
		f.stream, f.number = d.uvarint(), d.uvarint()
	case f.kind == kindAck:
		f.lane, f.number = d.uvarint(), d.uvarint()
	case f.kind == kindPing || f.kind == kindPong || f.kind == kindLanes:
		f.number = d.uvarint()
	case f.kind == kindRetire || f.kind == kindGone:
		f.lane = d.uvarint()
	case f.kind == kindClose:
		f.number = d.uvarint()
		f.data = d.bytes("message", maxMessage)
	case f.kind == kindDrain:
	default:
		d.err = &ProtocolError{fmt.Sprintf("a frame of unknown kind 0x%02x", first)}
	}
	return f, d.err
}

// decoder reads the fields of a frame and keeps the first error.
type decoder struct {
	r   *bufio.Reader
	err error
}

func (d *decoder) fail(err error) {
	if d.err == nil {
		d.err = err
	}
}

// uvarint reads an unsigned LEB128 number of at most 63 bits in its shortest
// form: sums of two such numbers do not overflow, and every frame has one form.
func (d *decoder) uvarint() uint64 {
	if d.err != nil {
		return 0
	}
	var n uint64
	for shift := 0; ; shift += 7 {
		b, err := d.r.ReadByte()
		if err != nil {
			d.fail(unexpected(err))
			return 0
		}
		if shift == 63 || shift > 0 && b == 0 {
			d.fail(&ProtocolError{"a number that is not in its shortest form of at most 63 bits"})
			return 0
		}
		n |= uint64(b&0x7f) << shift
		if b < 0x80 {
			return n
		}
	}
}

func (d *decoder) bytes(what string, most int) []byte {
	n := d.uvarint()
	if d.err != nil || n == 0 {
		return nil
	}
	if n > uint64(most) {
		d.fail(&ProtocolError{fmt.Sprintf("%s of %d bytes; at most %d are allowed", what, n, most)})
		return nil
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(d.r, b); err != nil {
		d.fail(unexpected(err))
		return nil
	}
	return b
}

// unexpected is the end of a connection within a frame.
func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
