package websocket

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

// clientFrame is a masked frame; first is its first byte.
func clientFrame(first byte, payload string) []byte {
	f := []byte{first}
	switch n := len(payload); {
	case n < 126:
		f = append(f, 0x80|byte(n))
	case n < 1<<16:
		f = binary.BigEndian.AppendUint16(append(f, 0x80|126), uint16(n))
	default:
		f = binary.BigEndian.AppendUint64(append(f, 0x80|127), uint64(n))
	}
	key := []byte{0x11, 0x22, 0x33, 0x44}
	f = append(f, key...)
	for i := range len(payload) {
		f = append(f, payload[i]^key[i%4])
	}
	return f
}

// messagesIn are the frames that a server reads, as "OPCODE:PAYLOAD". Each must
// be final, masked and without reserved bits.
func messagesIn(t *testing.T, wire []byte) []string {
	t.Helper()
	var got []string
	for len(wire) > 0 {
		n, ok := frameLen(wire)
		if !ok {
			t.Fatalf("half a frame at the end: % x", wire)
		}
		f := wire[:n]
		wire = wire[n:]
		if f[0]&0xf0 != 0x80 || f[1]&0x80 == 0 {
			t.Fatalf("the frame begins with % x", f[:2])
		}
		head := 2 + map[byte]int{126: 2, 127: 8}[f[1]&0x7f]
		key, payload := f[head:head+4], slices.Clone(f[head+4:])
		for i := range payload {
			payload[i] ^= key[i%4]
		}
		got = append(got, fmt.Sprintf("%x:%s", f[0]&0xf, payload))
	}
	return got
}

// by judges messages by their first letter.
func by(m Message) Verdict {
	return map[byte]Verdict{'p': Pass, 'd': Drop}[append(m.Data, 0)[0]]
}

const (
	text, binaryFrame, continuation, final = 0x1, 0x2, 0x0, 0x80
	closing, ping, pong                    = 0x88, 0x89, 0x8a
)

func TestFilter(t *testing.T) {
	long := "p" + strings.Repeat("x", MaxMessage-1)
	many := slices.Repeat([][]byte{clientFrame(continuation, "")}, 1000)
	tests := []struct {
		name    string
		frames  [][]byte
		tooLong Verdict
		want    []string
		code    uint16
	}{
		{name: "text passes", frames: [][]byte{clientFrame(final|text, "p1")}, want: []string{"1:p1"}},
		{name: "binary passes", frames: [][]byte{clientFrame(final|binaryFrame, "p1")}, want: []string{"2:p1"}},
		{name: "a dropped message leaves the others", frames: [][]byte{clientFrame(final|text, "p1"), clientFrame(final|text, "d"), clientFrame(final|text, "p2")}, want: []string{"1:p1", "1:p2"}},
		{name: "a refused message ends it", frames: [][]byte{clientFrame(final|text, "p1"), clientFrame(final|text, "r"), clientFrame(final|text, "p2")}, want: []string{"1:p1"}, code: PolicyViolation},
		{name: "an empty message is judged", frames: [][]byte{clientFrame(final|text, "")}, code: PolicyViolation},
		{name: "fragments are judged as one", frames: [][]byte{clientFrame(text, "p"), clientFrame(continuation, "a"), clientFrame(final|continuation, "b")}, want: []string{"1:pab"}},
		{name: "a verdict needs the whole message", frames: [][]byte{clientFrame(text, "p"), clientFrame(continuation, "a")}},
		{name: "a refused message in fragments", frames: [][]byte{clientFrame(text, ""), clientFrame(continuation, "r"), clientFrame(final|continuation, "p")}, code: PolicyViolation},
		{name: "empty fragments take no room", frames: append([][]byte{clientFrame(text, "p")}, append(many, clientFrame(final|continuation, "e"))...), want: []string{"1:pe"}},
		{name: "control frames between fragments", frames: [][]byte{clientFrame(text, "p"), clientFrame(ping, "1"), clientFrame(pong, "2"), clientFrame(final|continuation, "b")}, want: []string{"9:1", "a:2", "1:pb"}},
		{name: "a close frame passes", frames: [][]byte{clientFrame(closing, "\x03\xe8bye")}, want: []string{"8:\x03\xe8bye"}},
		{name: "the longest control frame", frames: [][]byte{clientFrame(ping, strings.Repeat("c", 125))}, want: []string{"9:" + strings.Repeat("c", 125)}},
		{name: "a longer control frame", frames: [][]byte{clientFrame(ping, strings.Repeat("c", 126))}, code: ProtocolError},
		{name: "a fragmented control frame", frames: [][]byte{clientFrame(ping&^final, "c")}, code: ProtocolError},
		{name: "the longest message", frames: [][]byte{clientFrame(final|text, long)}, want: []string{"1:" + long}},
		{name: "a longer message is refused", frames: [][]byte{clientFrame(final|text, long+"x")}, code: TooBig},
		{name: "a longer message is dropped", tooLong: Drop, frames: [][]byte{clientFrame(final|text, long+"x"), clientFrame(final|text, "p2")}, want: []string{"1:p2"}},
		{name: "the longest message in fragments", frames: [][]byte{clientFrame(text, long[:9]), clientFrame(final|continuation, long[9:])}, want: []string{"1:" + long}},
		{name: "a longer message in fragments is refused", frames: [][]byte{clientFrame(text, long), clientFrame(final|continuation, "x")}, code: TooBig},
		{name: "a longer message in fragments is dropped", tooLong: Drop, frames: [][]byte{clientFrame(text, long), clientFrame(continuation, "x"), clientFrame(final|continuation, "p"), clientFrame(final|text, "p2")}, want: []string{"1:p2"}},
		{name: "a message may not begin inside another", frames: [][]byte{clientFrame(text, "p"), clientFrame(final|text, "p")}, code: ProtocolError},
		{name: "a continuation of nothing", frames: [][]byte{clientFrame(final|continuation, "p")}, code: ProtocolError},
		{name: "a continuation after the end", frames: [][]byte{clientFrame(final|text, "p1"), clientFrame(final|continuation, "p")}, want: []string{"1:p1"}, code: ProtocolError},
		{name: "compressed (RSV1)", frames: [][]byte{clientFrame(final|0x40|text, "p")}, code: ProtocolError},
		{name: "RSV2", frames: [][]byte{clientFrame(final|0x20|text, "p")}, code: ProtocolError},
		{name: "RSV3", frames: [][]byte{clientFrame(final|0x10|text, "p")}, code: ProtocolError},
		{name: "an unknown data opcode", frames: [][]byte{clientFrame(final|0x3, "p")}, code: ProtocolError},
		{name: "an unknown control opcode", frames: [][]byte{clientFrame(final|0xb, "p")}, code: ProtocolError},
		{name: "unmasked", frames: [][]byte{{final | text, 1, 'p'}}, code: ProtocolError},
		{name: "unmasked ping", frames: [][]byte{{ping, 0}}, code: ProtocolError},
	}
	for _, test := range tests {
		wire := bytes.Join(test.frames, nil)
		for _, step := range []int{1, 2, 3, 7, 1000, len(wire)} {
			if step == 1 && len(wire) > 20000 {
				continue
			}
			t.Run(fmt.Sprintf("%s/%d", test.name, step), func(t *testing.T) {
				var out bytes.Buffer
				f := NewFilter(&out, Rules{Judge: by, TooLong: test.tooLong})
				var failed error
				for piece := range slices.Chunk(wire, step) {
					n, err := f.Write(piece)
					if err != nil {
						failed = err
						break
					}
					if n != len(piece) {
						t.Fatalf("Write took %d of %d bytes", n, len(piece))
					}
				}
				if got := messagesIn(t, out.Bytes()); !slices.Equal(got, test.want) {
					t.Errorf("the server gets %.200q, want %.200q", got, test.want)
				}
				var violation *ViolationError
				if errors.As(failed, &violation); test.code == 0 && failed != nil || test.code != 0 && (violation == nil || violation.Code != test.code || violation.Error() == "") {
					t.Errorf("ends with %v, want code %d", failed, test.code)
				}
				if test.code != 0 {
					before := out.Len()
					if _, err := f.Write(clientFrame(final|text, "p")); !errors.Is(err, failed) || out.Len() != before {
						t.Error("it goes on after a violation")
					}
				}
			})
		}
	}
}

func TestFilterTellsTextFromBinary(t *testing.T) {
	var got []bool
	f := NewFilter(&bytes.Buffer{}, Rules{Judge: func(m Message) Verdict {
		got = append(got, m.Binary)
		return Pass
	}})
	for _, opcode := range []byte{text, binaryFrame} {
		if _, err := f.Write(clientFrame(final|opcode, "x")); err != nil {
			t.Fatal(err)
		}
	}
	if !slices.Equal(got, []bool{false, true}) {
		t.Errorf("binary: %v", got)
	}
}

// A length is written in the shortest form, as RFC 6455 section 5.2 wants it.
func TestFilterWritesTheShortestLength(t *testing.T) {
	for size, form := range map[int]byte{0: 0, 125: 125, 126: 126, 0xffff: 126, 0x10000: 127} {
		var out bytes.Buffer
		f := NewFilter(&out, Rules{Judge: func(Message) Verdict { return Pass }})
		if _, err := f.Write(clientFrame(final|text, strings.Repeat("x", size))); err != nil {
			t.Fatal(err)
		}
		if got := out.Bytes()[1]; got != 0x80|form {
			t.Errorf("%d bytes: the second byte is %#x, want %#x", size, got, 0x80|form)
		}
	}
}

// A message must not reach a server under the client's masking key: the bytes on
// the wire would be of the client's choice (RFC 6455 section 10.3).
func TestFilterMasksWithItsOwnKey(t *testing.T) {
	sent := clientFrame(final|text, "p-long-enough")
	keys := map[string]bool{}
	for range 8 {
		var out bytes.Buffer
		if _, err := NewFilter(&out, Rules{Judge: by}).Write(sent); err != nil {
			t.Fatal(err)
		}
		keys[string(out.Bytes()[2:6])] = true
	}
	if len(keys) < 7 || keys["\x11\x22\x33\x44"] { // by chance: once in 500 million runs
		t.Errorf("8 messages were masked with %d keys: %x", len(keys), slices.Collect(maps.Keys(keys)))
	}
}

type failing struct{}

var errBroken = errors.New("broken pipe")

func (failing) Write([]byte) (int, error) { return 0, errBroken }

func TestFilterReturnsTheWritersError(t *testing.T) {
	f := NewFilter(failing{}, Rules{Judge: by})
	if _, err := f.Write(clientFrame(final|text, "d")); err != nil {
		t.Fatalf("nothing is written, and yet: %v", err)
	}
	if _, err := f.Write(append(clientFrame(final|text, "p"), clientFrame(final|text, "r")...)); !errors.Is(err, errBroken) {
		t.Errorf("%v, want the writer's error", err)
	}
}

// TestFilterHoldsABound: what a client sends without an end takes no more
// memory than one message.
func TestFilterHoldsABound(t *testing.T) {
	for _, tooLong := range []Verdict{Refuse, Drop} {
		f := NewFilter(&bytes.Buffer{}, Rules{Judge: by, TooLong: tooLong})
		head := []byte{text, 0x80 | 127, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 2, 3, 4}
		_, err := f.Write(head)
		for range 100 {
			if err == nil {
				_, err = f.Write(make([]byte, 32<<10))
			}
		}
		if cap(f.message) > 2*MaxMessage {
			t.Errorf("holds %d bytes", cap(f.message))
		}
		if (err == nil) != (tooLong == Drop) {
			t.Errorf("verdict %d: %v", tooLong, err)
		}
	}
}

// Whatever the bytes and their pieces, a server reads whole, final frames, and
// only messages that were judged.
func FuzzFilter(f *testing.F) {
	f.Add(append(clientFrame(text, "p"), clientFrame(final|continuation, "q")...), 3)
	f.Add(append(clientFrame(final|text, "r"), clientFrame(ping, "q")...), 1)
	f.Fuzz(func(t *testing.T, wire []byte, step int) {
		step = max(1, step%100)
		var out bytes.Buffer
		passed := map[string]bool{}
		filter := NewFilter(&out, Rules{Judge: func(m Message) Verdict {
			v := by(m)
			if v == Pass {
				passed[string(m.Data)] = true
			}
			return v
		}, TooLong: Drop})
		for piece := range slices.Chunk(wire, step) {
			if _, err := filter.Write(piece); err != nil {
				break
			}
		}
		for _, message := range messagesIn(t, out.Bytes()) {
			opcode, data, _ := strings.Cut(message, ":")
			if opcode < "8" && !passed[data] {
				t.Errorf("%q was not passed", message)
			}
		}
	})
}
