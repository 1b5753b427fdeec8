package tunnel

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"io"
	"iter"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/devproxy/devproxy/tunnel/budget"
)

// greedy is a reader that remembers the most that it was asked for at once:
// no one asks for what it has not allocated.
type greedy struct {
	bytes.Reader
	most int
}

func (g *greedy) Read(p []byte) (int, error) {
	g.most = max(g.most, len(p))
	return g.Reader.Read(p)
}

func newGreedy(b []byte) *greedy { return &greedy{Reader: *bytes.NewReader(b)} }

// FuzzFrame: what is read as a frame is the one form of that frame.
func FuzzFrame(f *testing.F) {
	for _, frame := range goldenFrames() {
		f.Add(frame.append(nil))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		from := newGreedy(b)
		r := bufio.NewReaderSize(from, readBuffer)
		for at := 0; ; {
			frame, err := readFrame(r)
			if from.most > MaxData {
				t.Fatalf("%d bytes were asked for at once", from.most)
			}
			if err != nil {
				wantReadError(t, err)
				return
			}
			again := frame.append(nil)
			if !bytes.HasPrefix(b[at:], again) {
				t.Fatalf("%x is read as %+v, which is written as %x", b[at:], frame, again)
			}
			if len(again) > len(frame.data)+len(frame.head)+overhead {
				t.Fatalf("%+v has more than %d bytes in addition to its data", frame, overhead)
			}
			at += len(again)
		}
	})
}

// wantReadError: an end, or a breach that says what it is.
func wantReadError(t *testing.T, err error) {
	t.Helper()
	var broken *ProtocolError
	var refusal *Refusal
	if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.As(err, &broken) && !errors.As(err, &refusal) {
		t.Errorf("the error is %v", err)
	}
}

// FuzzHello: a hello is accepted only in its one form, and proved for this
// connection.
func FuzzHello(f *testing.F) {
	f.Add(helloOf("agent", sessionID{}, []byte("hello"), bindingHere))
	f.Add(helloOf("agent", sessionID{1}, nil, bindingThere))
	f.Add(helloOf("agent", sessionID{1}, make([]byte, 300), bindingHere)[:100])
	f.Fuzz(func(t *testing.T, b []byte) {
		from := newGreedy(b)
		h, err := readHello(from, bindingHere)
		if from.most > MaxPayload+ed25519.SignatureSize {
			t.Errorf("%d bytes were asked for at once", from.most)
		}
		if err != nil {
			wantReadError(t, err)
			return
		}
		if again := helloOf("agent", h.session, h.payload, bindingHere); h.key.Equal(keyOf("agent").Public()) && !bytes.HasPrefix(b, again) {
			t.Errorf("%x is read as %+v, which is written as %x", b, h, again)
		}
		if other, err := readHello(bytes.NewReader(b), bindingThere); err == nil {
			t.Errorf("it holds on another connection too: %+v", other)
		}
	})
}

// FuzzWelcome: a welcome is read only in its one form.
func FuzzWelcome(f *testing.F) {
	f.Add((&welcome{session: sessionID{1}, lane: 2, payload: []byte("answer")}).encode())
	f.Add((&welcome{refusal: &Refusal{CodeBusy, "later"}}).encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		from := newGreedy(b)
		w, err := readWelcome(from)
		if from.most > MaxPayload {
			t.Errorf("%d bytes were asked for at once", from.most)
		}
		if err != nil {
			wantReadError(t, err)
			return
		}
		if again := w.encode(); !bytes.HasPrefix(b, again) {
			t.Errorf("%x is read as %+v, which is written as %x", b, w, again)
		}
	})
}

// FuzzSessionHostile feeds a session, at work at either end, whatever comes.
// It may end, for what breaks the protocol alone. It must not panic, hang, or hold
// more than its bounds; it counts what it holds, exactly, and nothing at the end.
// A stream that is opened afterwards works as if nothing had been.
func FuzzSessionHostile(f *testing.F) {
	var all []byte
	for _, frame := range goldenFrames() {
		b := frame.append(nil)
		f.Add(true, b)
		f.Add(false, b)
		if frame.kind != kindClose {
			all = append(all, b...)
		}
	}
	f.Add(true, all)
	f.Add(false, all)
	for plays, bit := range map[side]uint64{dials: 1, accepts: 0} {
		for _, b := range breaches(bit) {
			if len(b.frames) < 10 {
				raw := []byte(b.raw)
				for _, frame := range b.frames {
					raw = frame.append(raw)
				}
				f.Add(bool(plays), raw)
			}
		}
	}
	f.Fuzz(func(t *testing.T, plays bool, b []byte) {
		synctest.Test(t, func(t *testing.T) {
			memory := budget.New(budget.Limits{Total: fuzzMemory})
			p := newPeerIn(t, side(plays), memory)
			p.forget = true
			work(p.session)
			whole, working := framesOf(b)
			for len(b) > 0 {
				n := min(len(b), 200)
				if _, err := p.conn.Write(b[:n]); err != nil {
					break
				}
				b = b[n:]
				p.sleep(100 * time.Millisecond)
			}
			p.sleep(time.Second)
			wantBounds(t, p.session)
			if used := memory.Used(); used > fuzzMemory {
				t.Errorf("it holds %d bytes; want at most %d", used, fuzzMemory)
			}
			if whole {
				wantAlive(t, p, working)
			}
			p.sleep(time.Minute) // whatever was begun times out
			p.session.Close(nil)
			synctest.Wait()
			wantNothingHeld(t, memory)
		})
	})
}

// fuzzMemory is the budget of a session that is fed: enough for what work writes,
// and little enough to be reached.
const fuzzMemory = 1 << 20

// probe is the number of the stream that wantAlive opens, without its lowest bit.
const probe = 5000

// framesOf reports whether b is frames from end to end, and whether they leave a
// lane and a probe to work with.
func framesOf(b []byte) (whole, working bool) {
	working = true
	for r := bufio.NewReaderSize(bytes.NewReader(b), readBuffer); ; {
		f, err := readFrame(r)
		if err != nil {
			return errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF), working
		}
		switch {
		case f.kind == kindRetire, f.kind == kindGone, f.kind == kindClose, f.stream>>1 == probe:
			working = false
		}
	}
}

// wantAlive opens a stream at a session that was fed, and wants it echoed: the
// session has ended for a breach, or it works.
func wantAlive(t *testing.T, p *peer, working bool) {
	t.Helper()
	err := p.session.Err()
	var broken *ProtocolError
	var refused *Refusal
	switch {
	case errors.As(err, &broken), errors.As(err, &refused) && refused.Code == CodeBusy, !working:
		return
	case err != nil && !errors.Is(err, ErrDrained):
		t.Errorf("the session ended: %v", err)
		return
	case err != nil:
		return
	}
	p.mu.Lock()
	p.forget = false
	p.mu.Unlock()
	id := uint64(probe)<<1 | 1 ^ p.session.table.side
	p.send(wireFrame{kind: kindData | flagOpen | flagFin, stream: id, head: []byte("probe"), data: []byte("ping")})
	p.sleep(5 * time.Second)
	if err := p.session.Err(); errors.As(err, &broken) {
		return // the number was too far from those that were used
	}
	var echoed []byte
	ended := false
	for f := range p.framesOn(id) {
		if f.kind.isData() && int(f.number) == len(echoed) {
			echoed = append(echoed, f.data...)
			ended = ended || f.kind&flagFin != 0
		}
	}
	if string(echoed) != "ping" || !ended {
		t.Errorf("a new stream is answered with %q, ended %t; want \"ping\"", echoed, ended)
	}
}

// framesOn are the frames of a stream that came, once each.
func (p *peer) framesOn(id uint64) iter.Seq[wireFrame] {
	p.mu.Lock()
	got := slices.Clone(p.got)
	p.mu.Unlock()
	return func(yield func(wireFrame) bool) {
		for _, f := range got {
			if f.kind.counted() && f.stream == id && !yield(f) {
				return
			}
		}
	}
}

// work has a session answer the streams of the other end, and open some.
func work(s *Session) {
	go func() {
		for {
			st, err := s.Accept(context.Background())
			if err != nil {
				return
			}
			go func() {
				_, _ = io.Copy(struct{ io.Writer }{st}, struct{ io.Reader }{st})
				st.Close()
			}()
		}
	}()
	for i := range 3 {
		go func() {
			st, err := s.Open([]byte("head"))
			if err != nil {
				return
			}
			_, _ = st.Write(make([]byte, 1000<<(4*i)))
			st.CloseWrite()
			_, _ = io.Copy(io.Discard, struct{ io.Reader }{st})
			st.Close()
		}()
	}
}

// wantBounds holds a session to its limits, and its account to what it holds.
func wantBounds(t *testing.T, s *Session) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	answers := 0
	for _, l := range s.sched.lanes {
		answers = max(answers, len(l.answers))
	}
	for name, c := range map[string]struct{ is, most int }{
		"streams": {len(s.table.open), 2*MaxStreams + 3}, "unread": {s.usage.unread, ownMemory}, "kept": {s.usage.kept, keptBytes},
		"runs": {len(s.table.over.runs), 2*MaxStreams + 1}, "accepts": {len(s.table.queue), MaxStreams}, "granted": {s.usage.granted, budgetBytes},
		"lanes": {len(s.sched.lanes), maxJoined}, "answers": {answers, maxAnswers},
	} {
		if c.is > c.most || c.is < 0 {
			t.Errorf("%s: %d; want at most %d", name, c.is, c.most)
		}
	}
	wantCounted(t, s)
}
