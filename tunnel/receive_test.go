package tunnel

import (
	"bytes"
	"testing"
	"testing/synctest"
	"time"

	"github.com/devproxy/devproxy/tunnel/budget"
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

// TestWindow: the window follows the rate at which bytes come, also while the first of
// them is missing, but not while no one reads.
func TestWindow(t *testing.T) {
	const frame = 16_000
	for name, c := range map[string]struct {
		missing int // the frame that does not come: -1 for none
		gap     time.Duration
		reads   bool // and so keeps up
		waits   bool // for the first byte
		wide    bool
	}{
		"they are read":                    {missing: -1, reads: true, wide: true},
		"the first one is missing":         {waits: true, wide: true},
		"no one reads":                     {missing: -1},
		"no one reads, and one is missing": {missing: 6},
		"they come slowly":                 {missing: -1, reads: true, gap: time.Second},
		"slowly, one is missing":           {waits: true, gap: time.Second},
		"the account is tight":             {missing: -1, reads: true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := scheduled(t, 2)
				if name == "the account is tight" {
					s.usage.account = budget.New(budget.Limits{Key: 1000}).Open(budget.Owner{Key: "k"}, func() bool { return true })
					s.usage.account.Add(900)
				}
				st := s.addStreamLocked(0)
				if c.waits {
					st.waiting++
				}
				for i := range FirstCredit / frame {
					if i == c.missing {
						continue
					}
					f := wireFrame{kind: kindData, stream: st.id, number: uint64(i * frame), data: make([]byte, frame)}
					if err := st.takeDataLocked(f); err != nil {
						t.Fatal(err)
					}
					if c.reads {
						st.Read(make([]byte, frame))
					}
					time.Sleep(c.gap)
				}
				if wide := st.window >= 4*FirstCredit; wide != c.wide {
					t.Errorf("the window is %d", st.window)
				}
				if granted := int(st.granted - st.read); granted > st.window || c.wide && granted < st.window/2 {
					t.Errorf("the credit is %d, with a window of %d", granted, st.window)
				}
			})
		})
	}
}
