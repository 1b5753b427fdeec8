package tunnel

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

var (
	modelSeed = flag.Uint64("tunnel.seed", 0, "the one run of TestModel to make; 0 makes tunnel.runs new ones")
	modelRuns = flag.Int("tunnel.runs", 400, "how many runs TestModel makes")
)

// TestModel sends random streams over a random network, breaks its lanes at
// random, and compares what comes with what was sent. Each run is small, and
// its clock stands still while no one computes.
func TestModel(t *testing.T) {
	if *modelSeed != 0 {
		modelRun(t, *modelSeed)
		return
	}
	first := rand.Uint64()>>1 | 1
	for seed := first; seed < first+uint64(*modelRuns); seed++ {
		modelRun(t, seed)
	}
}

func modelRun(t *testing.T, seed uint64) {
	synctest.Test(t, func(t *testing.T) {
		m := newModel(t, seed)
		m.run()
		if t.Failed() {
			t.Logf("again with -run TestModel -tunnel.seed=%d: %v", seed, m)
		}
	})
}

// model is one run: a network, a session, and what its streams shall do.
type model struct {
	t   *testing.T
	rng *rand.Rand
	*network

	latency, jitter time.Duration
	rate            int
	trouble         string        // what happens to lanes
	once            bool          // and never again
	spent           time.Duration // the most that a stream's ends sleep
	bytes           int
	logged          modelLog

	agent, relay *Session
	streams      []*modelStream
}

func (m *model) String() string {
	return fmt.Sprintf("latency %v+%v, rate %d, trouble %q, once %t, %d streams, %d bytes, %d dials, agent %+v, relay %+v\n%s",
		m.latency, m.jitter, m.rate, m.trouble, m.once, len(m.streams), m.bytes, m.dialled(), m.agent.Stats(), m.relay.Stats(), &m.logged)
}

func pick[T any](rng *rand.Rand, of ...T) T { return of[rng.IntN(len(of))] }

func newModel(t *testing.T, seed uint64) *model {
	rng := rand.New(rand.NewPCG(seed, 0))
	m := &model{t: t, rng: rng, network: &network{}}
	m.latency = pick(rng, 0, time.Millisecond, 15*time.Millisecond, 40*time.Millisecond, 150*time.Millisecond)
	m.jitter = pick(rng, 0, time.Millisecond, 100*time.Millisecond)
	m.rate = pick(rng, 0, 0, 100_000, 1_000_000)
	m.trouble = pick(rng, "", "kill", "close", "hold", "hold for good", "cut", "silent cut", "any")
	m.once = m.trouble != "any" && rng.IntN(3) > 0
	m.pipe = func() (near, far net.Conn) {
		var mu sync.Mutex
		lane := rand.New(rand.NewPCG(seed, uint64(m.dials)))
		base := m.latency + randUpTo(lane, m.jitter) // so lanes overtake each other
		return wirePair(func() time.Duration {
			mu.Lock()
			defer mu.Unlock()
			return base + randUpTo(lane, m.jitter/4)
		}, m.rate)
	}
	return m
}

func randUpTo(rng *rand.Rand, d time.Duration) time.Duration {
	return time.Duration(rng.Int64N(int64(d) + 1))
}

func (m *model) run() {
	m.log = slog.New(slog.NewTextHandler(&m.logged, &slog.HandlerOptions{Level: slog.LevelDebug}))
	m.agent, m.relay = m.sessions(m.t)
	start := time.Now()
	defer time.AfterFunc(10*time.Minute, func() {
		m.t.Error("it takes longer than 10 minutes")
		m.agent.Close(nil)
		m.relay.Close(nil)
	}).Stop()
	var group sync.WaitGroup
	for i := range 1 + m.rng.IntN(12) {
		st := newModelStream(m, i)
		m.streams = append(m.streams, st)
		m.bytes += len(st.ends[0].data) + len(st.ends[1].data)
		m.spent = max(m.spent, st.sleeps())
	}
	stop := make(chan struct{})
	var breaker sync.WaitGroup
	breaker.Go(func() { m.breakLanes(stop) })
	m.serve(&group)
	group.Wait()
	close(stop)
	breaker.Wait()
	m.checkTime(time.Since(start))
	for _, s := range []*Session{m.agent, m.relay} {
		if err := s.Err(); err != nil {
			m.t.Errorf("a session has ended: %v", err)
			return
		}
	}
	for _, st := range m.streams {
		st.check()
	}
	wantEmpty(m.t, m.agent, m.relay)
	m.checkLanes()
}

// checkTime: where nothing breaks, nothing waits for a timeout, and where
// something breaks once, for little more than that.
func (m *model) checkTime(took time.Duration) {
	if m.trouble != "" && !m.once {
		return
	}
	rtt := 2 * (m.latency + 2*m.jitter)
	most := m.spent + 2*time.Second + time.Duration(20+m.bytes/FirstCredit)*rtt
	if m.rate > 0 {
		most += 2 * time.Duration(m.bytes) * time.Second / time.Duration(m.rate)
	}
	switch m.trouble {
	case "cut":
		most += 10*time.Second + urgentBackoff
	case "silent cut":
		most += 8*time.Second + silence + 2*quickDial
	}
	if took > most {
		m.t.Errorf("it took %v; want at most %v", took, most)
	}
}

// checkLanes: no lane is given up for a silence that it did not fall into.
func (m *model) checkLanes() {
	switch m.trouble {
	case "", "kill", "close", "cut":
		if strings.Contains(m.logged.String(), "no answer") {
			m.t.Error("a lane that works was given up")
		}
	}
}

// serve opens and accepts the streams, and has both ends of each at work.
func (m *model) serve(group *sync.WaitGroup) {
	for _, to := range []*Session{m.agent, m.relay} {
		n := 0
		for _, st := range m.streams {
			if st.to == to {
				n++
			}
		}
		group.Go(func() {
			for range n {
				st, err := to.Accept(context.Background())
				if err != nil {
					m.t.Errorf("accept: %v", err)
					return
				}
				m.streams[st.Head()[0]].ends[1].start(st, group)
			}
		})
	}
	for i, st := range m.streams {
		near, err := st.from.Open([]byte{byte(i)})
		if err != nil {
			m.t.Errorf("open: %v", err)
			return
		}
		st.ends[0].start(near, group)
	}
}

// modelStream is what both ends of a stream shall do.
type modelStream struct {
	from, to *Session
	ends     [2]*modelEnd
}

// modelEnd is what one end shall do, and what it did.
type modelEnd struct {
	m      *model
	name   string
	other  *modelEnd
	seed   uint64
	data   []byte // that it writes
	reset  bool   // gives up after them
	stopAt int    // reads no more, and closes, after so many bytes; -1 reads all
	pause  time.Duration

	mu        sync.Mutex
	written   int
	writeErr  error
	readBytes int
	readErr   error
}

func newModelStream(m *model, i int) *modelStream {
	st := &modelStream{from: m.agent, to: m.relay}
	if m.rng.IntN(2) == 0 {
		st.from, st.to = m.relay, m.agent
	}
	for e := range st.ends {
		size := pick(m.rng, 0, 1, 3000, 3000, 3000, 3000, 3000, 60_000, 60_000, 60_000, 600_000)
		seed := m.rng.Uint64()
		st.ends[e] = &modelEnd{
			m: m, name: fmt.Sprintf("stream %d, end %d", i, e), seed: seed, data: modelBytes(seed, m.rng.IntN(size+1)),
			reset:  m.rng.IntN(12) == 0,
			stopAt: pick(m.rng, -1, -1, -1, -1, -1, -1, m.rng.IntN(20_000)),
			pause:  pick(m.rng, 0, 0, time.Millisecond, 50*time.Millisecond),
		}
	}
	// A stream that says nothing at all is never seen.
	st.ends[0].other, st.ends[1].other = st.ends[1], st.ends[0]
	if len(st.ends[0].data) == 0 {
		st.ends[0].data = []byte("x")
	}
	st.ends[0].reset = false
	return st
}

// modelBytes differ at every offset, and from those of every other seed.
func modelBytes(seed uint64, n int) []byte {
	var key [32]byte
	binary.LittleEndian.PutUint64(key[:], seed)
	b := make([]byte, n)
	rand.NewChaCha8(key).Read(b)
	return b
}

// steps bounds how many pieces a message is written or read in.
const steps = 20

func (st *modelStream) sleeps() time.Duration {
	return 2 * steps * (st.ends[0].pause + st.ends[1].pause)
}

// start writes and reads as it shall.
func (e *modelEnd) start(st *Stream, group *sync.WaitGroup) {
	rng := rand.New(rand.NewPCG(e.seed, 1))
	write := cuts(rng, len(e.data))
	read := cuts(rng, len(e.other.data))
	var both sync.WaitGroup
	both.Add(2)
	group.Go(func() { defer both.Done(); e.write(st, write) })
	group.Go(func() { defer both.Done(); e.read(st, read) })
	group.Go(func() { both.Wait(); st.Close() })
}

// cuts is how to cut n bytes into a few random pieces.
func cuts(rng *rand.Rand, n int) []int {
	var sizes []int
	for n > 0 && len(sizes) < steps-1 {
		size := 1 + rng.IntN(n)
		sizes = append(sizes, size)
		n -= size
	}
	if n > 0 {
		sizes = append(sizes, n)
	}
	return sizes
}

func (e *modelEnd) write(st *Stream, sizes []int) {
	from := 0
	for _, size := range sizes {
		time.Sleep(e.pause)
		n, err := st.Write(e.data[from : from+size])
		from += n
		if err != nil {
			e.note(func() { e.written, e.writeErr = from, err })
			return
		}
	}
	e.note(func() { e.written = from })
	if e.reset {
		st.Reset()
	} else if err := st.CloseWrite(); err != nil {
		e.m.t.Errorf("%s: CloseWrite: %v", e.name, err)
	}
}

func (e *modelEnd) read(st *Stream, sizes []int) {
	got := 0
	for {
		size := 1000
		if len(sizes) > 0 {
			time.Sleep(e.pause)
			size, sizes = sizes[0], sizes[1:]
		}
		b := make([]byte, size)
		n, err := io.ReadFull(st, b)
		if errors.Is(err, io.ErrUnexpectedEOF) {
			err = io.EOF
		}
		if want := e.other.data[got:]; n > len(want) || !bytes.Equal(b[:n], want[:n]) {
			e.m.t.Errorf("%s: other bytes than were written, within %d from %d", e.name, n, got)
		}
		got += n
		if err != nil {
			e.note(func() { e.readBytes, e.readErr = got, err })
			return
		}
		if e.stopAt >= 0 && got >= e.stopAt {
			st.Close()
			e.note(func() { e.readBytes, e.readErr = got, net.ErrClosed })
			return
		}
	}
}

func (e *modelEnd) note(change func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	change()
}

// check compares what came at each end with what the other did.
func (st *modelStream) check() {
	for _, e := range st.ends {
		e.check()
		e.checkErrors()
	}
}

// early is whether an end may have been done with the stream before its time.
func (e *modelEnd) early() bool { return e.reset || e.stopAt >= 0 }

func (e *modelEnd) check() {
	t, sent := e.m.t, e.other.written
	switch {
	case e.readBytes > sent:
		t.Errorf("%s: read %d bytes, more than the %d written", e.name, e.readBytes, sent)
	case errors.Is(e.readErr, io.EOF) && e.readBytes != sent:
		t.Errorf("%s: the end after %d bytes; %d were written", e.name, e.readBytes, sent)
	}
	if e.early() || e.other.early() {
		return
	}
	if !errors.Is(e.readErr, io.EOF) || e.readBytes != len(e.other.data) || e.writeErr != nil || e.written != len(e.data) {
		t.Errorf("%s: read %d of %d bytes, %v; wrote %d of %d, %v", e.name, e.readBytes, len(e.other.data), e.readErr, e.written, len(e.data), e.writeErr)
	}
}

// checkErrors: each error has its cause.
func (e *modelEnd) checkErrors() {
	for _, c := range []struct {
		err, is error
		cause   bool
	}{
		{e.readErr, ErrReset, e.other.reset},
		{e.readErr, net.ErrClosed, e.early()},
		{e.writeErr, ErrStopped, e.other.early()},
		{e.writeErr, net.ErrClosed, e.early()},
	} {
		if errors.Is(c.err, c.is) && !c.cause {
			e.m.t.Errorf("%s: %v without a cause", e.name, c.err)
		}
	}
	for _, err := range []error{e.readErr, e.writeErr} {
		if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, ErrReset) && !errors.Is(err, ErrStopped) && !errors.Is(err, net.ErrClosed) {
			e.m.t.Errorf("%s: %v", e.name, err)
		}
	}
}

// breakLanes makes the run's trouble until stop, and leaves a working network.
func (m *model) breakLanes(stop <-chan struct{}) {
	rng := rand.New(rand.NewPCG(m.rng.Uint64(), 2))
	defer m.repair()
	for {
		pause := randUpTo(rng, pick(rng, 100*time.Millisecond, time.Second, 5*time.Second))
		select {
		case <-stop:
			return
		case <-time.After(pause):
		}
		trouble := m.trouble
		if m.once {
			m.makeTrouble(rng, trouble)
			return
		}
		if trouble == "any" {
			trouble = pick(rng, "kill", "close", "hold", "hold for good", "cut", "silent cut")
		}
		if m.makeTrouble(rng, trouble) {
			time.Sleep(5 * time.Second)
		}
	}
}

// makeTrouble reports whether the whole network was in it.
func (m *model) makeTrouble(rng *rand.Rand, trouble string) bool {
	conn := m.anyConn(rng)
	switch trouble {
	case "kill":
		conn.kill()
	case "close":
		conn.Close()
	case "hold":
		conn.hold(true)
		time.AfterFunc(randUpTo(rng, 10*time.Second), func() { conn.hold(false) })
	case "hold for good":
		conn.hold(true)
	case "cut":
		m.cut()
		time.Sleep(randUpTo(rng, 10*time.Second))
		m.repair()
		return true
	case "silent cut":
		m.holdAll()
		time.Sleep(randUpTo(rng, 8*time.Second))
		m.repair()
		return true
	}
	return false
}

func (m *model) anyConn(rng *rand.Rand) *wireConn {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.conns) == 0 {
		near, _ := wirePair(always(0), 0)
		return near
	}
	return m.conns[rng.IntN(len(m.conns))].(*wireConn)
}

// modelLog is the log of a run, shown when it fails.
type modelLog struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *modelLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func (l *modelLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}
