package tunnel

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

const (
	// MaxDatagram is the longest datagram, in bytes: the longest UDP payload over IPv4.
	MaxDatagram = 65507
	// lengthBytes is the size of the length before a datagram.
	lengthBytes = 2
	// datagramQueue is how many bytes of a stream's datagrams may wait for a lane. Further
	// datagrams are dropped, as a network does. The longest one fits.
	datagramQueue = MaxDatagram + lengthBytes
	// datagramBuffer is the buffer of a DatagramReader. Datagrams of most protocols fit.
	datagramBuffer = 2 << 10
)

// appendDatagram appends the wire form of a datagram: its length as two bytes, the higher
// first, and its bytes.
func appendDatagram(b, datagram []byte) []byte {
	return append(binary.BigEndian.AppendUint16(b, uint16(len(datagram))), datagram...)
}

// WriteDatagram writes a datagram as a whole or, while the stream is backed up, not at all.
// It does not wait. sent is false for a datagram that was dropped, which is not an error.
// Other methods that write must not run at the same time.
func (st *Stream) WriteDatagram(datagram []byte) (sent bool, err error) {
	if len(datagram) > MaxDatagram {
		return false, nil
	}
	framed := appendDatagram(make([]byte, 0, lengthBytes+len(datagram)), datagram)
	st.session.mu.Lock()
	defer st.session.mu.Unlock()
	if st.usage.account.Over() {
		st.enforceLocked()
	}
	if err := st.writeErrLocked(); err != nil {
		return false, err
	}
	if !st.takesDatagram(len(framed)) {
		return false, nil
	}
	for len(framed) > 0 {
		n := min(len(framed), MaxData)
		st.enqueue(framed[:n])
		framed = framed[n:]
	}
	return true, nil
}

// takesDatagram reports whether n bytes may be taken at once.
func (out *sender) takesDatagram(n int) bool {
	return uint64(n) <= out.credit-out.offset && out.queued+n <= datagramQueue && out.usage.kept+n <= keptBytes
}

// DatagramReader reads the datagrams of a stream. Create one with NewDatagramReader.
type DatagramReader struct {
	stream io.Reader
	from   *bufio.Reader // reads stream
	last   []byte        // of the last datagram
}

// NewDatagramReader returns a reader of the datagrams that WriteDatagram writes at the
// other end. The buffer of a long one is counted with the Hold of a Stream.
func NewDatagramReader(from io.Reader) *DatagramReader {
	return &DatagramReader{stream: from, from: bufio.NewReaderSize(from, datagramBuffer)}
}

// Next returns the next datagram, which may be empty. It is valid until the next call. The
// error is io.EOF after the last one.
func (d *DatagramReader) Next() ([]byte, error) {
	length, err := d.from.Peek(lengthBytes)
	if errors.Is(err, io.EOF) && len(length) > 0 {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return nil, err
	}
	n := int(binary.BigEndian.Uint16(length))
	if n > MaxDatagram {
		return nil, fmt.Errorf("a datagram of %d bytes came through the tunnel, and the longest has %d", n, MaxDatagram)
	}
	_, _ = d.from.Discard(lengthBytes)                           // it was peeked
	if n > cap(d.last) || cap(d.last) > max(n, datagramBuffer) { // few need the memory of a long one
		before := max(cap(d.last), datagramBuffer)
		d.last = make([]byte, max(n, datagramBuffer))
		if st, ok := d.stream.(interface{ Hold(n int) }); ok {
			st.Hold(len(d.last) - before)
		}
	}
	d.last = d.last[:n]
	if _, err := io.ReadFull(d.from, d.last); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	return d.last, nil
}
