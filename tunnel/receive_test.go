package tunnel

import (
	"bytes"
	"testing"
)

// TestReassembly: a receiver puts bytes in order that come in any frames, in any order
// and several times, and holds nothing once they are read.
func TestReassembly(t *testing.T) {
	for seed := range uint64(200) {
		rng := newRand(seed)
		want := modelBytes(seed, 2000)
		in := receiver{granted: uint64(len(want))}
		var frames []wireFrame
		for at := 0; at < len(want); {
			size := min(1+rng.IntN(200), len(want)-at)
			frames = append(frames, wireFrame{kind: kindData, stream: 1, number: uint64(at), data: want[at : at+size]})
			at += max(size-rng.IntN(50), 1)
		}
		frames = append(frames, frames[:len(frames)/2]...)
		frames = append(frames, wireFrame{kind: kindData | flagFin, stream: 1, number: uint64(len(want))})
		rng.Shuffle(len(frames), func(i, j int) { frames[i], frames[j] = frames[j], frames[i] })
		var got []byte
		for _, f := range frames {
			f.data = bytes.Clone(f.data)
			if err := in.noteEnd(f); err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
			if err := in.place(f); err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
			p := make([]byte, rng.IntN(300))
			got = append(got, p[:in.consume(p)]...)
		}
		rest := make([]byte, len(want))
		got = append(got, rest[:in.consume(rest)]...)
		if !bytes.Equal(got, want) || !in.hasEnd || in.final != in.read {
			t.Fatalf("seed %d: %d bytes, equal: %t, the end at %d", seed, len(got), bytes.Equal(got, want), in.final)
		}
		if in.cost != 0 || in.held != 0 || len(in.pieces)+len(in.ready) != 0 {
			t.Fatalf("seed %d: it holds %d bytes at a cost of %d", seed, in.held, in.cost)
		}
	}
}
