package websocket

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"
)

// frame builds a WebSocket frame with size bytes of payload, its length
// written in the way that form says (RFC 6455 section 5.2).
func frame(form, size int, masked bool) []byte {
	f := []byte{0x82, byte(form)}
	switch form {
	case 126:
		f = binary.BigEndian.AppendUint16(f, uint16(size))
	case 127:
		f = binary.BigEndian.AppendUint64(f, uint64(size))
	default:
		f[1] = byte(size)
	}
	if masked {
		f[1] |= 0x80
		f = append(f, 1, 2, 3, 4)
	}
	return append(f, bytes.Repeat([]byte{0x88}, size)...)
}

func TestTheCloseFrameComesBetweenTwoFrames(t *testing.T) {
	last := CloseFrame(ServiceRestart, false)
	for _, masked := range []bool{false, true} {
		for _, whole := range [][]byte{frame(0, 0, masked), frame(0, 5, masked), frame(126, 300, masked), frame(127, 70000, masked)} {
			for _, cut := range []int{1, 2, 3, len(whole) - 1} {
				if cut < 1 || cut >= len(whole) {
					continue
				}
				var got bytes.Buffer
				w := NewWriter(&got)
				w.Write(whole)
				w.Write(whole[:cut])
				w.Arm(last)
				w.End()
				if got.Len() != len(whole)+cut {
					t.Fatalf("cut at %d: the close frame went out inside a frame", cut)
				}
				if _, err := w.Write(append(whole[cut:len(whole):len(whole)], whole...)); !errors.Is(err, ErrClosed) {
					t.Errorf("cut at %d: Write returned %v", cut, err)
				}
				if want := bytes.Join([][]byte{whole, whole, last}, nil); !bytes.Equal(got.Bytes(), want) {
					t.Errorf("cut at %d of %d: got %d bytes, want %d", cut, len(whole), got.Len(), len(want))
				}
			}
		}
	}
}

func TestTheCloseFrameIsTheLast(t *testing.T) {
	var got bytes.Buffer
	w := NewWriter(&got)
	w.End() // nothing is armed
	first, second := CloseFrame(GoingAway, false), CloseFrame(ServiceRestart, false)
	w.Arm(first)
	w.Arm(second)
	w.End()
	w.End()
	if !bytes.Equal(got.Bytes(), first) {
		t.Errorf("got % x at the end, want the first close frame once", got.Bytes())
	}
	if n, err := w.Write(frame(0, 1, false)); n != 0 || !errors.Is(err, ErrClosed) {
		t.Errorf("Write returned %d, %v", n, err)
	}
	if !bytes.Equal(got.Bytes(), first) {
		t.Errorf("got % x, want the first close frame once", got.Bytes())
	}
}

// TestNoFrameAfterArm: a Write that starts a frame ends the direction in its place.
func TestNoFrameAfterArm(t *testing.T) {
	for _, before := range [][]byte{nil, frame(0, 3, false)} {
		var got bytes.Buffer
		w := NewWriter(&got)
		if _, err := w.Write(before); err != nil {
			t.Fatal(err)
		}
		last := CloseFrame(GoingAway, false)
		w.Arm(last)
		for range 2 {
			if n, err := w.Write(frame(0, 1, false)); n != 0 || !errors.Is(err, ErrClosed) {
				t.Errorf("Write returned %d, %v", n, err)
			}
		}
		if want := append(before[:len(before):len(before)], last...); !bytes.Equal(got.Bytes(), want) {
			t.Errorf("got % x, want % x", got.Bytes(), want)
		}
	}
}

func TestWriterReturnsTheConnectionsError(t *testing.T) {
	w := NewWriter(failing{})
	if n, err := w.Write(frame(0, 1, false)); n != 0 || !errors.Is(err, errBroken) {
		t.Errorf("an open one: %d, %v", n, err)
	}
	w.Arm(CloseFrame(GoingAway, false))
	if n, err := w.Write(frame(0, 1, false)); n != 0 || !errors.Is(err, errBroken) {
		t.Errorf("with the close frame: %d, %v", n, err)
	}
	if n, err := w.Write(frame(0, 1, false)); n != 0 || !errors.Is(err, ErrClosed) {
		t.Errorf("after it: %d, %v", n, err)
	}
}

func TestCloseFramesAreMaskedTowardsServers(t *testing.T) {
	plain, masked := CloseFrame(1012, false), CloseFrame(1001, true)
	if !bytes.Equal(plain, []byte{0x88, 2, 0x03, 0xf4}) {
		t.Errorf("% x", plain)
	}
	code := uint16(masked[6]^masked[2])<<8 | uint16(masked[7]^masked[3])
	if masked[0] != 0x88 || masked[1] != 0x82 || len(masked) != 8 || code != 1001 {
		t.Errorf("% x", masked)
	}
}

// However the bytes are cut, boundaries are where a parser that has all of
// them finds them.
func FuzzFrameBoundaries(f *testing.F) {
	f.Add(append(frame(0, 3, true), frame(126, 200, false)...), 7)
	f.Add(frame(127, 10, true), 1)
	f.Fuzz(func(t *testing.T, stream []byte, step int) {
		step = max(1, step%100)
		want := map[int]bool{}
		for at := 0; ; {
			n, ok := frameLen(stream[at:])
			if !ok {
				break
			}
			at += n
			want[at] = true
		}
		var fr Boundaries
		for from := 0; from < len(stream); from += step {
			piece := stream[from:min(from+step, len(stream))]
			for at := 0; at < len(piece); {
				n := fr.Advance(piece[at:])
				if n <= 0 {
					t.Fatal("no progress")
				}
				at += n
				if end := from + at; fr.AtBoundary() != want[end] {
					t.Fatalf("boundary at %d: %v, want %v", end, fr.AtBoundary(), want[end])
				}
			}
		}
	})
}

// frameLen is the length of the frame that b begins with, if all of it is there.
func frameLen(b []byte) (int, bool) {
	if len(b) < 2 {
		return 0, false
	}
	head, size := 2, uint64(b[1]&0x7f)
	switch size {
	case 126:
		if head = 4; len(b) < head {
			return 0, false
		}
		size = uint64(binary.BigEndian.Uint16(b[2:]))
	case 127:
		if head = 10; len(b) < head {
			return 0, false
		}
		size = binary.BigEndian.Uint64(b[2:])
	}
	if b[1]&0x80 != 0 {
		head += 4
	}
	if len(b) < head || uint64(len(b)-head) < size {
		return 0, false
	}
	return head + int(size), true
}
