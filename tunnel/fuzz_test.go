package tunnel

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"
)

// greedy is a reader that remembers the most that it was asked for at once:
// nobody asks for what it has not allocated.
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
				t.Fatalf("%+v has more than %d bytes beside its data", frame, overhead)
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
// It may end, and must not panic, hang, or hold more than its bounds.
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
			p := newPeer(t, side(plays))
			p.forget = true
			work(p.session)
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
			p.sleep(time.Minute) // whatever was begun times out
			p.session.Close(nil)
		})
	})
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
	for _, l := range s.lanes {
		answers = max(answers, len(l.answers))
	}
	for name, c := range map[string]struct{ is, most int }{
		"streams": {len(s.streams), 2*MaxStreams + 3}, "unread": {s.unread, ownMemory}, "kept": {s.kept, keptBytes},
		"runs": {len(s.over.runs), 2*MaxStreams + 1}, "accepts": {len(s.accepts), MaxStreams}, "granted": {s.granted, budgetBytes},
		"lanes": {len(s.lanes), maxJoined}, "answers": {answers, maxAnswers},
	} {
		if c.is > c.most || c.is < 0 {
			t.Errorf("%s: %d; want at most %d", name, c.is, c.most)
		}
	}
	wantCounted(t, s)
}
