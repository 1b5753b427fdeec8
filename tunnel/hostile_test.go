package tunnel

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// breach is what a peer says that ends a session.
type breach struct {
	frames []wireFrame
	raw    string
	opens  bool // after the session has opened a stream
	want   string
}

// breaches for a peer whose streams have the lowest bit given; mine is one of
// the session's.
func breaches(bit uint64) map[string]breach {
	st, mine := bit, 1-bit
	credit := firstCredit(st)
	beyond := fmt.Sprintf("which has credit up to %d", credit)
	data := func(at uint64, n int, flags kind) wireFrame {
		return wireFrame{kind: kindData | flags, stream: st, number: at, data: make([]byte, n)}
	}
	all := map[string]breach{
		"over credit":             {frames: []wireFrame{data(uint64(credit), 1, flagOpen)}, want: beyond},
		"over credit by far":      {frames: []wireFrame{data(1<<63-1, MaxData, flagOpen)}, want: beyond},
		"an end over credit":      {frames: []wireFrame{data(uint64(credit)+1, 0, flagFin)}, want: "credit"},
		"beyond the end":          {frames: []wireFrame{data(0, 10, flagOpen|flagFin), data(10, 1, 0)}, want: "which ends at 10"},
		"a second end":            {frames: []wireFrame{data(10, 0, flagOpen|flagFin), data(5, 0, flagFin)}, want: "which ends at 10"},
		"an end before bytes":     {frames: []wireFrame{data(0, 10, flagOpen), data(5, 0, flagFin)}, want: "before bytes that came"},
		"an end before a piece":   {frames: []wireFrame{data(20, 10, flagOpen), data(25, 0, flagFin)}, want: "before bytes that came"},
		"kind 0":                  {raw: "\x00", want: "unknown kind 0x00"},
		"kind 1":                  {raw: "\x01", want: "unknown kind 0x01"},
		"kind 0x0d":               {raw: "\x0d", want: "unknown kind 0x0d"},
		"kind 0x14":               {raw: "\x14", want: "unknown kind 0x14"},
		"kind 0xff":               {raw: "\xff", want: "unknown kind 0xff"},
		"a number too long":       {raw: "\x06\x80\x00", want: "shortest form"},
		"a number of 64 bits":     {raw: "\x06\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", want: "63 bits"},
		"a long head":             {raw: "\x12" + string(rune(st)) + "\x00\x81\x08", want: "head of 1025 bytes"},
		"long data":               {raw: "\x10" + string(rune(st)) + "\x00\xc1\x7f", want: "data of 16321 bytes"},
		"long last words":         {raw: "\x09\x01\x81\x02", want: "message of 257 bytes"},
		"an ack of the unsent":    {frames: []wireFrame{{kind: kindAck, lane: 1, number: 1000}}, want: "an acknowledgement of 1000 frames"},
		"a reset of the unopened": {frames: []wireFrame{{kind: kindReset, stream: mine}}, want: "which was never opened"},
		"a credit for the unopened": {
			frames: []wireFrame{{kind: kindCredit, stream: mine, number: 1}}, want: "which was never opened",
		},
		"an opening of ours": {
			frames: []wireFrame{{kind: kindData | flagOpen, stream: mine}}, opens: true, want: "not the other end's to open",
		},
		"too many streams": {frames: manyStreams(bit, 2*MaxStreams+1, 1), want: "more than 4096 streams"},
		"a stream far off": {frames: []wireFrame{{kind: kindStop, stream: 2*2*MaxStreams + bit}}, want: "more than 4096 streams"},
		"streams with holes": {
			frames: append(manyStreams(bit, 3, 1), wireFrame{kind: kindReset, stream: 1<<40 | bit}), want: "more than 4096 streams",
		},
		"overlapping pieces": {frames: pieces(st, 30, min(MaxData, credit-40), 1), want: "overlap or are too many"},
	}
	if credit > 2*maxPieces { // the credit of agents' streams does not reach so far
		all["too many pieces"] = breach{frames: pieces(st, maxPieces+1, 1, 2), want: "overlap or are too many"}
	}
	return all
}

func manyStreams(bit uint64, n int, step uint64) []wireFrame {
	frames := make([]wireFrame, n)
	for i := range frames {
		frames[i] = wireFrame{kind: kindStop, stream: uint64(i)*step<<1 | bit}
	}
	return frames
}

// pieces are n frames of a size, each a step after the other, with a hole
// before the first.
func pieces(stream uint64, n, size, step int) []wireFrame {
	frames := make([]wireFrame, n)
	for i := range frames {
		frames[i] = wireFrame{kind: kindData, stream: stream, number: uint64(1 + i*step), data: make([]byte, size)}
	}
	return frames
}

// TestBreaches: an end that breaks the rules gets the reason, and the session
// has ended.
func TestBreaches(t *testing.T) {
	for plays, bit := range map[side]uint64{dials: 1, accepts: 0} {
		for name, b := range breaches(bit) {
			t.Run(fmt.Sprintf("%d/%s", bit, name), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					p := newPeer(t, plays)
					if b.opens {
						st, _ := p.session.Open(nil)
						st.Write([]byte("x"))
						p.sleep(time.Second)
					}
					p.send(b.frames...)
					io.WriteString(p.conn, b.raw)
					if broken := p.wantBroken(t); !strings.Contains(broken.Text, b.want) {
						t.Errorf("it says %q; want %q", broken.Text, b.want)
					}
				})
			})
		}
	}
}

// TestTolerated: what may happen when frames overtake each other, or is
// harmless, ends nothing.
func TestTolerated(t *testing.T) {
	over := []wireFrame{
		{kind: kindData | flagOpen | flagFin, stream: 1, data: []byte("all")},
		{kind: kindStop, stream: 1},
		{kind: kindStop, stream: 1},
		{kind: kindReset, stream: 1},
		{kind: kindData, stream: 1, data: []byte("all")},
		{kind: kindCredit, stream: 1, number: 5},
	}
	for name, frames := range map[string][]wireFrame{
		"an ack of a lane that is gone": {{kind: kindAck, lane: 77, number: 1 << 40}},
		"an old ack":                    {{kind: kindAck, lane: 1, number: 0}},
		"gone, twice":                   {{kind: kindGone, lane: 77}, {kind: kindGone, lane: 1 << 40}},
		"retire of none":                {{kind: kindRetire, lane: 77}},
		"lanes without end":             {{kind: kindLanes, number: 1 << 60}, {kind: kindLanes}},
		"a pong no one asked for":       {{kind: kindPong, number: 1}},
		"drain, twice":                  {{kind: kindData | flagOpen, stream: 3}, {kind: kindDrain}, {kind: kindDrain}},
		"less credit":                   {{kind: kindCredit, stream: 1, number: 1 << 40}, {kind: kindCredit, stream: 1, number: 1}},
		"frames of what is over":        over,
		"opened twice":                  {{kind: kindData | flagOpen, stream: 1, head: []byte("a")}, {kind: kindData | flagOpen, stream: 1, head: []byte("b")}},
		"nothing":                       {{kind: kindData, stream: 1, number: 100}, {kind: kindData, stream: 1, number: 50}},
		"pings":                         slicesRepeat(wireFrame{kind: kindPing, number: 9}, 1000),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPeer(t, dials)
				p.send(frames...)
				p.sleep(5 * time.Second)
				p.send(wireFrame{kind: kindData | flagOpen, stream: 9, head: []byte("last"), data: []byte("x")})
				for {
					st, err := p.session.Accept(t.Context())
					if err != nil {
						t.Fatalf("the session ended: %v", err)
					}
					if string(st.Head()) == "last" {
						return
					}
				}
			})
		})
	}
}

func slicesRepeat(f wireFrame, n int) []wireFrame {
	frames := make([]wireFrame, n)
	for i := range frames {
		frames[i] = f
	}
	return frames
}

// TestOverlaps: another end may cut a stream into frames as it likes, also
// differently when it sends again.
func TestOverlaps(t *testing.T) {
	for seed := range uint64(50) {
		synctest.Test(t, func(t *testing.T) {
			p := newPeer(t, dials)
			want := modelBytes(seed, 3000)
			rng := newRand(seed)
			var frames []wireFrame
			for at := 0; at < len(want); at += 1 + rng.IntN(100) {
				from := max(at-rng.IntN(300), 0)
				to := min(at+100+rng.IntN(300), len(want))
				frames = append(frames, wireFrame{kind: kindData, stream: 1, number: uint64(from), data: want[from:to]})
			}
			rng.Shuffle(len(frames), func(i, j int) { frames[i], frames[j] = frames[j], frames[i] })
			end := wireFrame{kind: kindData | flagOpen | flagFin, stream: 1, number: uint64(len(want))}
			p.send(append(frames, end)...)
			st := accept(t, p.session)
			if got, err := io.ReadAll(st); err != nil || !bytes.Equal(got, want) {
				t.Errorf("seed %d: %d bytes, equal %t, %v", seed, len(got), bytes.Equal(got, want), err)
			}
			p.session.mu.Lock()
			defer p.session.mu.Unlock()
			if p.session.usage.unread != 0 {
				t.Errorf("%d bytes are still counted as unread", p.session.usage.unread)
			}
		})
	}
}

// TestKeptBound: credit without end, and hardly an acknowledgement, do not
// make a session keep more than its share.
func TestKeptBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(t, dials)
		p.mute = true
		const streams = 12
		for range streams {
			st, err := p.session.Open(nil)
			if err != nil {
				t.Fatal(err)
			}
			p.send(wireFrame{kind: kindCredit, stream: st.id, number: 1 << 50})
			go st.Write(make([]byte, 16<<20))
		}
		const frames = 3
		for i := range uint64(frames) {
			p.sleep(5 * time.Second)
			p.send(wireFrame{kind: kindAck, lane: 1, number: i + 1})
		}
		p.sleep(5 * time.Second)
		p.session.mu.Lock()
		kept, most := p.session.usage.kept, keptBytes+streams*shortBytes
		p.session.mu.Unlock()
		if kept < keptBytes || kept > most {
			t.Errorf("it keeps %d bytes; want %d to %d", kept, keptBytes, most)
		}
		// The rest continues as it is acknowledged.
		p.mu.Lock()
		p.mute = false
		p.send(wireFrame{kind: kindAck, lane: 1, number: p.counted})
		p.mu.Unlock()
		p.sleep(time.Minute)
		if sent := p.session.Stats().Sent; sent != streams*16<<20 {
			t.Errorf("%d bytes were sent", sent)
		}
	})
}

// readAll closes what can be accepted, and counts by head what was reset.
func readAll(t *testing.T, s *Session) map[string]int {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	reset := map[string]int{}
	for {
		st, err := s.Accept(ctx)
		if err != nil {
			break
		}
		if _, err := st.Read(make([]byte, 1)); errors.Is(err, ErrReset) {
			reset[string(st.Head())]++
		}
		st.Close()
	}
	if err := s.Err(); err != nil {
		t.Fatal(err)
	}
	return reset
}

// TestAcceptBound: where no one accepts, streams that come and go do not pile up.
func TestAcceptBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(t, dials)
		for i := range uint64(3 * MaxStreams) {
			id := i<<1 | 1
			p.send(wireFrame{kind: kindData | flagOpen | flagFin, stream: id}, wireFrame{kind: kindStop, stream: id})
			if i%1000 == 0 {
				p.sleep(100 * time.Millisecond)
			}
		}
		p.sleep(time.Second)
		if err := p.session.Err(); err != nil {
			t.Fatal(err)
		}
		p.session.mu.Lock()
		waiting, open := len(p.session.table.queue), len(p.session.table.open)
		p.session.mu.Unlock()
		if waiting != MaxStreams || open != 0 {
			t.Errorf("%d wait, %d are open; want %d, 0", waiting, open, MaxStreams)
		}
	})
}

// TestCutFrames: a frame that the end of its lane cuts off is none.
func TestCutFrames(t *testing.T) {
	whole := (&wireFrame{kind: kindData | flagOpen, stream: 1, head: []byte("h"), data: []byte("data")}).append(nil)
	for n := 1; n < len(whole); n++ {
		synctest.Test(t, func(t *testing.T) {
			p := newPeer(t, dials)
			p.conn.Write(whole[:n])
			p.conn.Close()
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			if st, err := p.session.Accept(ctx); err == nil {
				t.Errorf("the first %d bytes of a frame opened stream %d", n, st.id)
			}
			if n := p.session.Stats().Lanes; n != 0 {
				t.Errorf("%d lanes are left", n)
			}
		})
	}
}
