package tunnel

import (
	"fmt"
	"io"
	"slices"
	"sync"
	"time"
)

// receiver is the direction of a stream that this end reads.
type receiver struct {
	canRead sync.Cond
	readBy  deadline

	ready    []arrival // in order, to be read
	caughtUp uint64    // the offset up to which everything has come
	pieces   []piece   // beyond it, by offset
	held     int       // bytes in pieces
	cost     int       // of ready, pieces and owned, in the session's unread
	owned    int       // what Hold has counted
	read     uint64    // the offset up to which everything was read
	final    uint64    // where the stream ends, once hasFinal
	hasEnd   bool

	granted   uint64    // the offset that the other end may send up to
	window    int       // how far that is kept ahead of what was read
	grantedAt time.Time // when it was last moved

	reset       bool // the other end gave the stream up
	stopSent    bool // this end reads no more
	receiveOver bool // nothing more comes
}

// arrival is the unread rest of a frame's bytes. All of them are held, and cost
// something, until the last is read.
type arrival struct {
	data []byte
	cost int
}

// piece is what came before bytes that are still missing.
type piece struct {
	at   uint64
	data []byte
}

func (p piece) end() uint64 { return p.at + uint64(len(p.data)) }

// Read reads what has come, in order; io.EOF is the end that the other end
// wrote, ErrReset one that it did not reach.
func (st *Stream) Read(p []byte) (int, error) {
	st.session.mu.Lock()
	defer st.session.mu.Unlock()
	for {
		switch {
		case st.closed:
			return 0, errClosedHere
		case len(p) == 0:
			return 0, nil
		case st.readBy.err() != nil:
			return 0, st.readBy.err()
		case st.reset:
			return 0, ErrReset
		case len(st.ready) > 0:
			return st.consume(p), nil
		case st.hasEnd && st.read == st.final:
			return 0, io.EOF
		case st.failed != nil:
			return 0, st.failed
		}
		st.openNow()
		st.canRead.Wait()
	}
}

// consume hands on what is ready.
func (st *Stream) consume(p []byte) int {
	n := 0
	for len(st.ready) > 0 && n < len(p) {
		first := &st.ready[0]
		m := copy(p[n:], first.data)
		n += m
		if first.data = first.data[m:]; len(first.data) == 0 {
			st.charge(-first.cost)
			*first = arrival{}
			st.ready = st.ready[1:]
		}
	}
	if len(st.ready) == 0 {
		st.ready = nil
	}
	st.read += uint64(n)
	st.grant()
	return n
}

// grant lets the other end send on once half of what it may is used, and
// faster, within the session's growth, when that took few round trips. While the
// session's account is tight, credit shrinks instead.
func (st *Stream) grant() {
	if st.hasEnd || st.receiveOver || st.failed != nil || int(st.granted-st.read) > st.window/2 {
		return
	}
	now := time.Now()
	s := st.session
	switch {
	case s.account.Tight():
		st.setWindow(min(st.window, tightWindow))
	case now.Sub(st.grantedAt) < 4*s.path.rtt && st.window < MaxCredit && s.granted+st.window <= budgetBytes:
		st.setWindow(2 * st.window)
	}
	st.grantedAt = now
	if upTo := st.read + uint64(st.window); upTo > st.granted {
		st.granted = upTo
	} else {
		return
	}
	s.pushLocked(&item{stream: st, short: true, frame: wireFrame{kind: kindCredit, stream: st.id, number: st.granted}})
}

// takeData puts a frame's bytes where they belong.
func (st *Stream) takeData(f wireFrame) error {
	if err := st.checkData(f); err != nil {
		return err
	}
	end := f.number + uint64(len(f.data))
	if f.kind&flagFin != 0 {
		st.hasEnd, st.final = true, end
	}
	if f.kind&flagOpen != 0 && !st.known {
		st.known = true
		st.head = f.head
		st.base += len(f.head)
		st.session.holdLocked(len(f.head))
		st.announce()
	}
	if st.closed || st.stopSent || st.reset {
		freeData(f.data)
		st.receiveOver = st.receiveOver || st.hasEnd
		st.settle()
		return nil
	}
	return st.place(f)
}

func (st *Stream) checkData(f wireFrame) error {
	end := f.number + uint64(len(f.data))
	switch {
	case end > st.granted:
		return &ProtocolError{fmt.Sprintf("bytes up to %d of stream %d, which has credit up to %d", end, st.id, st.granted)}
	case st.hasEnd && (end > st.final || f.kind&flagFin != 0 && end != st.final):
		return &ProtocolError{fmt.Sprintf("bytes up to %d of stream %d, which ends at %d", end, st.id, st.final)}
	case f.kind&flagFin != 0 && (end < st.caughtUp || len(st.pieces) > 0 && end < st.pieces[len(st.pieces)-1].end()):
		return &ProtocolError{fmt.Sprintf("an end of stream %d at %d, before bytes that came", st.id, end)}
	case f.kind&flagOpen != 0 && st.id&1 == st.session.sideBit():
		return &ProtocolError{fmt.Sprintf("an opening of stream %d, which is not the other end's to open", st.id)}
	}
	return nil
}

// announce hands a stream that was opened to Accept. Where nobody accepts, it
// is reset: ends of streams come without bound.
func (st *Stream) announce() {
	s := st.session
	switch {
	case st.reset:
	case len(s.accepts) >= MaxStreams:
		st.shed()
	default:
		st.queuedUp = true
		s.accepts = append(s.accepts, st)
		s.accept.Signal()
	}
}

// place orders a frame's bytes by their offset.
func (st *Stream) place(f wireFrame) error {
	p := piece{f.number, f.data}
	switch {
	case p.end() <= st.caughtUp:
		freeData(f.data) // came before, or nothing but an end
	case p.at <= st.caughtUp:
		st.advance(p)
		st.fillHoles()
	default:
		if err := st.hold(p); err != nil {
			return err
		}
	}
	if st.hasEnd && st.caughtUp == st.final {
		st.receiveOver = true
		st.settle()
	} else {
		st.canRead.Broadcast()
	}
	return nil
}

// advance makes a piece that begins at, or before, what is missing ready.
func (st *Stream) advance(p piece) {
	data := p.data[st.caughtUp-p.at:]
	if len(data) == 0 {
		return
	}
	st.caughtUp += uint64(len(data))
	st.session.stats.Received += uint64(len(data))
	c := arrival{data, len(p.data) + pieceCost}
	st.ready = append(st.ready, c)
	st.charge(c.cost)
}

// fillHoles makes ready what waited for the bytes that came.
func (st *Stream) fillHoles() {
	n := 0
	for n < len(st.pieces) && st.pieces[n].at <= st.caughtUp {
		p := st.pieces[n]
		st.held -= len(p.data)
		st.charge(-len(p.data) - pieceCost)
		if p.end() > st.caughtUp {
			st.advance(p)
		} else {
			freeData(p.data)
		}
		n++
	}
	st.pieces = slices.Delete(st.pieces, 0, n)
}

// hold keeps a piece until what is before it comes.
func (st *Stream) hold(p piece) error {
	i, again := slices.BinarySearchFunc(st.pieces, p, func(a, b piece) int {
		switch {
		case a.at < b.at:
			return -1
		case a.at > b.at:
			return 1
		}
		return 0
	})
	if len(p.data) == 0 || again && len(st.pieces[i].data) >= len(p.data) {
		freeData(p.data)
		return nil
	}
	if st.held += len(p.data); st.held > int(st.granted-st.caughtUp)+MaxData || len(st.pieces) >= maxPieces {
		return &ProtocolError{fmt.Sprintf("pieces of stream %d that overlap or are too many", st.id)}
	}
	st.pieces = slices.Insert(st.pieces, i, p)
	st.charge(len(p.data) + pieceCost)
	return nil
}

// takeReset is told that the other end gave the stream up.
func (st *Stream) takeReset() {
	if !st.receiveOver {
		st.reset = true
		st.dropReceived()
	}
	st.receiveOver = true
	if !st.known {
		// Nobody will ever see it: this direction ends too.
		st.abandon()
	}
	st.settle()
}

// stopReading tells the other end that nobody reads any more.
func (st *Stream) stopReading() {
	st.readBy.clear()
	st.dropReceived()
	if st.receiveOver || st.stopSent {
		return
	}
	st.stopSent = true
	st.session.pushLocked(&item{stream: st, short: true, frame: wireFrame{kind: kindStop, stream: st.id}})
	if st.hasEnd {
		st.receiveOver = true
	}
}

// dropReceived forgets what nobody will read.
func (st *Stream) dropReceived() {
	for _, p := range st.pieces {
		freeData(p.data)
	}
	st.ready, st.pieces, st.held = nil, nil, 0
	st.charge(st.owned - st.cost)
}
