package wan

import (
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"
)

// patience is how long a test waits for what ought to come.
const patience = 20 * time.Second

// port is free in a namespace that is ours alone.
const port = 7000

// pair is a UDP socket on each side, that of B connected to that of A.
type pair struct{ a, b *net.UDPConn }

func mustPair(t *testing.T, l *Link) (p pair) {
	t.Helper()
	at := net.UDPAddrFromAddrPort(netip.AddrPortFrom(l.Addr(A), port))
	err := errors.Join(
		l.Enter(A, func() (err error) { p.a, err = net.ListenUDP("udp4", at); return err }),
		l.Enter(B, func() (err error) { p.b, err = net.DialUDP("udp4", nil, at); return err }),
	)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.a.Close(); p.b.Close() })
	return p
}

// echo answers on a until the test ends.
func (p pair) echo(t *testing.T) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, mtu)
		for {
			n, from, err := p.a.ReadFromUDPAddrPort(buf)
			if err != nil {
				return
			}
			p.a.WriteToUDPAddrPort(buf[:n], from)
		}
	}()
	t.Cleanup(func() { p.a.Close(); <-done })
}

// ping is the round trip of one packet.
func (p pair) ping(wait time.Duration) (time.Duration, error) {
	start := time.Now()
	if err := p.b.SetReadDeadline(start.Add(wait)); err != nil {
		return 0, err
	}
	if _, err := p.b.Write([]byte("ping")); err != nil {
		return 0, err
	}
	_, err := p.b.Read(make([]byte, mtu))
	return time.Since(start), err
}

// until waits for a condition that packets under way will bring about.
func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !is(); time.Sleep(100 * time.Microsecond) {
		if time.Now().After(deadline) {
			t.Fatal("never came: " + what)
		}
	}
}

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	const rtt = 60 * time.Millisecond
	p := mustPair(t, mustOpen(t, Config{RTT: rtt, Rate: 100}))
	p.echo(t)
	best := patience
	for range 10 {
		took, err := p.ping(patience)
		if err != nil {
			t.Fatal(err)
		}
		if took < rtt {
			t.Errorf("a round trip took %v, less than %v", took, rtt)
		}
		best = min(best, took)
	}
	if best > rtt*3/2 {
		t.Errorf("the best of 10 round trips took %v, want %v", best, rtt)
	}
}

// TestLoss counts, on a real socket, what arrives of numbered packets, and
// compares with what the link says of itself.
func TestLoss(t *testing.T) {
	t.Parallel()
	const percent, bursts, perBurst = 5, 60, 50
	l := mustOpen(t, Config{RTT: 2 * time.Millisecond, Jitter: time.Millisecond, Loss: percent})
	p := mustPair(t, l)
	got, number, last := 0, uint32(0), uint32(0)
	for range bursts {
		for range perBurst {
			number++
			if _, err := p.b.Write(binary.BigEndian.AppendUint32(nil, number)); err != nil {
				t.Fatal(err)
			}
		}
		until(t, "the fate of every packet", func() bool {
			s := l.Stats(B)
			return s.Sent == uint64(number) && s.Lost+s.Delivered == s.Sent
		})
		for ; got < int(l.Stats(B).Delivered); got++ {
			last = readNext(t, p.a, last)
		}
	}
	if lost := int(number) - got; !binomial(lost, int(number), percent/100.0) {
		t.Errorf("%d of %d packets are lost, want %d %%", lost, number, percent)
	}
	if other := l.Stats(A); other != (Stats{}) {
		t.Errorf("side A has sent %+v, want nothing", other)
	}
}

// readNext reads a number that is greater than the last.
func readNext(t *testing.T, c *net.UDPConn, last uint32) uint32 {
	t.Helper()
	c.SetReadDeadline(time.Now().Add(patience))
	buf := make([]byte, mtu)
	n, err := c.Read(buf)
	if err != nil {
		t.Fatal(err)
	}
	number := binary.BigEndian.Uint32(buf[:n])
	if number <= last {
		t.Fatalf("packet %d came after packet %d", number, last)
	}
	return number
}

// TestRate fills the queue all the time, and takes the time of what arrives.
func TestRate(t *testing.T) {
	t.Parallel()
	const mbits, size, packets = 20, 1400, 500
	l := mustOpen(t, Config{RTT: 2 * time.Millisecond, Rate: mbits})
	p := mustPair(t, l)
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			default:
				// A sleep may take milliseconds on a busy machine: so many at once
				// fill the queue all the same.
				for range 32 {
					p.b.Write(make([]byte, size))
				}
				time.Sleep(time.Millisecond)
			}
		}
	}()
	defer func() { close(stop); <-stopped }()
	until(t, "a full queue", func() bool { return l.Stats(B).Dropped > 0 })
	start, before := time.Now(), l.Stats(B).DeliveredBytes
	until(t, "packets", func() bool { return l.Stats(B).DeliveredBytes >= before+packets*size })
	rate := float64(l.Stats(B).DeliveredBytes-before) * 8 / 1e6 / time.Since(start).Seconds()
	if rate > mbits*1.2 { // less is the machine's, when it is busy
		t.Errorf("the rate is %.1f Mbit/s, want at most %d", rate, mbits)
	}
}

func TestCut(t *testing.T) {
	t.Parallel()
	l := mustOpen(t, Config{RTT: time.Millisecond})
	p := mustPair(t, l)
	p.echo(t)
	if _, err := p.ping(patience); err != nil {
		t.Fatal(err)
	}
	l.Cut()
	if _, err := p.ping(100 * time.Millisecond); err == nil {
		t.Error("an answer through a cut link")
	}
	if s := l.Stats(B); s.Cut != 1 || s.Delivered != 1 {
		t.Errorf("%+v, want one packet delivered and one cut off", s)
	}
	l.Restore()
	if _, err := p.ping(patience); err != nil {
		t.Error(err)
	}
}

// TestCutTakesWhatIsUnderWay: a packet half-way does not survive its cable.
func TestCutTakesWhatIsUnderWay(t *testing.T) {
	t.Parallel()
	l := mustOpen(t, Config{RTT: 2 * time.Second})
	p := mustPair(t, l)
	if _, err := p.b.Write([]byte("too late")); err != nil {
		t.Fatal(err)
	}
	until(t, "the packet", func() bool { return l.Stats(B).Sent == 1 })
	l.Cut()
	until(t, "its end", func() bool { return l.Stats(B).Cut == 1 })
	if s := l.Stats(B); s.Delivered != 0 {
		t.Errorf("%+v, want nothing delivered", s)
	}
}

// TestCutAtTheStart: a packet sent into a cut link does not arrive when the
// link is there again.
func TestCutAtTheStart(t *testing.T) {
	t.Parallel()
	l := mustOpen(t, Config{RTT: 100 * time.Millisecond})
	p := mustPair(t, l)
	for i, cut := range []bool{true, false} {
		if cut {
			l.Cut()
		}
		if _, err := p.b.Write([]byte{byte(i)}); err != nil {
			t.Fatal(err)
		}
		until(t, "the packet", func() bool { return l.Stats(B).Sent == uint64(i+1) })
		l.Restore()
	}
	until(t, "both ends", func() bool { return l.Stats(B).Cut+l.Stats(B).Delivered == 2 })
	if s := l.Stats(B); s.Delivered != 1 {
		t.Errorf("%+v, want one delivered", s)
	}
}
