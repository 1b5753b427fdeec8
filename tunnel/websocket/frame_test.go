package websocket

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// Boundaries are where a reference finds them that is told the lengths.
func TestBoundariesOfEveryLength(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		var wire bytes.Buffer
		ends := map[int]bool{0: true}
		for range 5 {
			size := []int{0, 1, 125, 126, 127, 65535, 65536}[random.IntN(7)]
			form := size
			if size > 125 {
				form = 126 + random.IntN(2)
			}
			if size > 65535 {
				form = 127
			}
			wire.Write(frame(form, size, random.IntN(2) == 1))
			ends[wire.Len()] = true
		}
		var f Boundaries
		for at, bytes := 0, wire.Bytes(); at < len(bytes); {
			n := min(1+random.IntN(40000), len(bytes)-at)
			taken := f.Advance(bytes[at : at+n])
			for i := at + 1; i < at+taken; i++ {
				if ends[i] {
					t.Fatalf("a frame ends at %d, inside of %d to %d", i, at, at+taken)
				}
			}
			at += taken
			if f.AtBoundary() != ends[at] || taken < n && !ends[at] {
				t.Fatalf("at %d: boundary %v, want %v", at, f.AtBoundary(), ends[at])
			}
		}
	}
}
