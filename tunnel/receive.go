package tunnel

import (
	"cmp"
	"io"
	"slices"
	"sync"
	"time"
)

// receiver is the direction of a stream that this end reads: it puts the bytes of
// frames in order. A method that takes or frees bytes changes cost, which the stream
// then counts (see countLocked).
type receiver struct {
	canRead sync.Cond
	readBy  deadline
	waiting int // calls of Read that wait for bytes

	ready    []arrival // in order, to be read
	caughtUp uint64    // the offset up to which everything has come
	pieces   []piece   // beyond it, by offset
	held     int       // bytes in pieces
	cost     int       // of ready, pieces and owned
	owned    int       // what Hold has counted
	read     uint64    // the offset up to which everything was read
	final    uint64    // where the stream ends, once hasEnd
	hasEnd   bool

	granted   uint64    // the offset that the other end may send up to
	window    int       // how far that is kept ahead of read
	tuned     time.Time // when the window was last fitted to the rate of the bytes
	tunedFrom uint64    // the progress at that time

	reset       bool // the other end gave the stream up
	stopSent    bool // this end reads no more
	receiveOver bool // nothing more comes
}

// arrival is the unread rest of a frame's bytes. The whole frame is held, and costs
// something, until the last of them is read.
type arrival struct {
	data []byte
	cost int
}

// piece is a frame's bytes that came before bytes that are still missing.
type piece struct {
	at   uint64
	data []byte
}

func (p piece) end() uint64 { return p.at + uint64(len(p.data)) }

// Read reads the bytes that have come, in order. It returns io.EOF after the end that the other
// end wrote, and ErrReset when that gave the stream up.
func (st *Stream) Read(p []byte) (int, error) {
	st.session.mu.Lock()
	defer st.session.mu.Unlock()
	for {
		switch late := st.readBy.err(); {
		case st.closed:
			return 0, errClosedHere
		case len(p) == 0:
			return 0, nil
		case late != nil:
			return 0, late
		case st.reset:
			return 0, ErrReset
		case len(st.ready) > 0:
			n := st.consume(p)
			st.countLocked()
			st.grantLocked(st.caughtUp-st.read <= promptUnread)
			return n, nil
		case st.hasEnd && st.read == st.final:
			return 0, io.EOF
		case st.failed != nil:
			return 0, st.failed
		}
		st.open()
		st.waiting++
		st.canRead.Wait()
		st.waiting--
	}
}

// grantLocked lets the other end send more once a part of its credit is used. keepsUp is
// whether the reader waits for bytes, or has read nearly all that have come.
func (st *Stream) grantLocked(keepsUp bool) {
	if st.hasEnd || st.receiveOver || st.failed != nil {
		return
	}
	st.tuneLocked(keepsUp, time.Now())
	if upTo := st.read + uint64(st.window); upTo >= st.granted+uint64(st.grantStep()) {
		st.granted = upTo
		st.pushControl(kindCredit, upTo)
	}
}

// grantStep is how much more credit is worth a frame.
func (in *receiver) grantStep() int { return max(min(in.window, FirstCredit)/2, in.window/4) }

// windowTrips is how many round trips' worth of bytes a window is, at the rate of the
// last one. Credit takes one to arrive, bytes that TCP sends again hold up the rest for
// one or two, and meanwhile a sender that has just begun doubles its rate in each.
const windowTrips = 8

// promptUnread is the most that a read leaves of what has come when the reader keeps up,
// in bytes.
const promptUnread = 64 << 10

// tuneLocked widens the window to fit the rate at which bytes come, within the session's
// limit. It does so only for a reader that keeps up: one that has stopped would only
// have the tunnel carry more that no one reads. The window shrinks while the session's
// account is tight.
func (st *Stream) tuneLocked(keepsUp bool, now time.Time) {
	if st.usage.account.Tight() {
		st.setWindowLocked(min(st.window, tightWindow))
		return
	}
	progress := st.progress()
	came, took := int(progress)-int(st.tunedFrom), now.Sub(st.tuned)
	if rtt := st.sched.path.rtt; took > rtt {
		came = int(float64(came) * float64(rtt) / float64(took))
		st.tuned, st.tunedFrom = now, progress
	}
	want := min(windowTrips*came, MaxCredit, st.window+budgetBytes-st.usage.granted)
	if keepsUp && want > st.window {
		st.setWindowLocked(want)
	}
}

// progress counts the bytes that were read, and those that wait for others: the network
// holds these up, and not the reader.
func (in *receiver) progress() uint64 {
	if len(in.pieces) == 0 {
		return in.read
	}
	beyond := in.pieces[len(in.pieces)-1].end() - in.caughtUp
	return in.read + min(beyond, uint64(in.held)) // they may overlap
}

// setWindowLocked changes how far the stream's credit is kept ahead of the reader.
func (st *Stream) setWindowLocked(n int) {
	st.usage.granted += extra(n) - extra(st.window)
	st.window = n
}

// extra is how much a window counts in the session's growth.
func extra(window int) int { return max(window-FirstCredit, 0) }

// takeDataLocked acts on a data frame of the stream.
func (st *Stream) takeDataLocked(f wireFrame) error {
	if f.kind&flagOpen != 0 && st.session.table.isOurs(st.id) {
		return protocolErrorf("an opening of stream %d, which is not the other end's to open", st.id)
	}
	if err := st.noteEnd(f); err != nil {
		return err
	}
	if f.kind&flagOpen != 0 && !st.known {
		st.known = true
		st.setHeadLocked(f.head)
		st.session.announceLocked(st)
	}
	if st.closed || st.stopSent || st.reset {
		freeData(f.data)
		st.receiveOver = st.receiveOver || st.hasEnd
		st.updateLocked()
		return nil
	}
	if err := st.place(f); err != nil {
		return err
	}
	st.grantLocked(st.waiting > 0)
	st.countLocked()
	if st.hasEnd && st.caughtUp == st.final {
		st.receiveOver = true
		st.updateLocked()
	} else {
		st.canRead.Broadcast()
	}
	return nil
}

// takeResetLocked notes that the other end gave the stream up.
func (st *Stream) takeResetLocked() {
	if !st.receiveOver {
		st.reset = true
		st.dropReceivedLocked()
	}
	st.receiveOver = true
	if !st.known {
		st.abandon() // no one will ever see it: this direction ends too
	}
	st.updateLocked()
}

// stopReadingLocked tells the other end that this one reads no more.
func (st *Stream) stopReadingLocked() {
	st.readBy.clear()
	st.dropReceivedLocked()
	if st.receiveOver || st.stopSent {
		return
	}
	st.stopSent = true
	st.pushControl(kindStop, 0)
	st.receiveOver = st.hasEnd
}

// dropReceivedLocked drops bytes that no one will read.
func (st *Stream) dropReceivedLocked() {
	for _, p := range st.pieces {
		freeData(p.data)
	}
	st.ready, st.pieces, st.held, st.cost = nil, nil, 0, st.owned
	st.countLocked()
}

// noteEnd notes the end that a data frame may bring. It refuses an end that
// exceeds the credit or contradicts earlier frames.
func (in *receiver) noteEnd(f wireFrame) error {
	end, isEnd := f.number+uint64(len(f.data)), f.kind&flagFin != 0
	switch {
	case end > in.granted:
		return protocolErrorf("bytes up to %d of stream %d, which has credit up to %d", end, f.stream, in.granted)
	case in.hasEnd && (end > in.final || isEnd && end != in.final):
		return protocolErrorf("bytes up to %d of stream %d, which ends at %d", end, f.stream, in.final)
	case isEnd && (end < in.caughtUp || len(in.pieces) > 0 && end < in.pieces[len(in.pieces)-1].end()):
		return protocolErrorf("an end of stream %d at %d, before bytes that came", f.stream, end)
	case isEnd:
		in.hasEnd, in.final = true, end
	}
	return nil
}

// place puts a frame's bytes where they belong.
func (in *receiver) place(f wireFrame) error {
	p := piece{f.number, f.data}
	switch {
	case p.end() <= in.caughtUp:
		freeData(f.data) // came before, or has no bytes
	case p.at <= in.caughtUp:
		in.advance(p)
		in.fillGap()
	default:
		return in.keep(p, f.stream)
	}
	return nil
}

// advance makes a piece ready that begins at, or before, the first missing byte.
func (in *receiver) advance(p piece) {
	data := p.data[in.caughtUp-p.at:]
	in.caughtUp += uint64(len(data))
	a := arrival{data, len(p.data) + pieceCost}
	in.ready = append(in.ready, a)
	in.cost += a.cost
}

// fillGap makes the pieces ready that waited for bytes that have come.
func (in *receiver) fillGap() {
	n := 0
	for ; n < len(in.pieces) && in.pieces[n].at <= in.caughtUp; n++ {
		p := in.pieces[n]
		in.held -= len(p.data)
		in.cost -= len(p.data) + pieceCost
		if p.end() > in.caughtUp {
			in.advance(p)
		} else {
			freeData(p.data)
		}
	}
	in.pieces = slices.Delete(in.pieces, 0, n)
}

// keep holds a piece until the bytes before it come.
func (in *receiver) keep(p piece, stream uint64) error {
	i, again := slices.BinarySearchFunc(in.pieces, p, func(a, b piece) int { return cmp.Compare(a.at, b.at) })
	if len(p.data) == 0 || again && len(in.pieces[i].data) >= len(p.data) {
		freeData(p.data)
		return nil
	}
	if in.held += len(p.data); in.held > int(in.granted-in.caughtUp)+MaxData || len(in.pieces) >= maxPieces {
		return protocolErrorf("pieces of stream %d that overlap or are too many", stream)
	}
	in.pieces = slices.Insert(in.pieces, i, p)
	in.cost += len(p.data) + pieceCost
	return nil
}

// consume copies ready bytes to p.
func (in *receiver) consume(p []byte) int {
	n := 0
	for len(in.ready) > 0 && n < len(p) {
		first := &in.ready[0]
		m := copy(p[n:], first.data)
		n += m
		if first.data = first.data[m:]; len(first.data) == 0 {
			in.cost -= first.cost
			pop(&in.ready)
		}
	}
	freeEmpty(&in.ready)
	in.read += uint64(n)
	return n
}
