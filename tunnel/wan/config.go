package wan

import (
	"errors"
	"fmt"
	"net/netip"
	"time"
)

// Config describes a path. It is the same in both directions.
type Config struct {
	// RTT is the round trip of a small packet on an idle path.
	RTT time.Duration
	// Jitter is the largest extra delay each way. Packets stay in order.
	Jitter time.Duration
	// Loss is how many packets are lost each way, in percent; each alone.
	Loss float64
	// Rate is the bandwidth each way, in Mbit/s of IP packets; 0 is unlimited.
	Rate float64
	// Queue bounds how long a packet waits for the wire at Rate; one that
	// would wait longer is dropped. 0 is 100 ms.
	Queue time.Duration
	// Congestion is TCP's congestion control on the path, as in "cubic" or
	// "bbr", unless a program asks for another; empty keeps the machine's.
	Congestion string
	// Seed makes the same packets be lost in every run, counted from the first
	// in each direction; 0 is another choice each time.
	Seed uint64
	// Hosts are names that programs started by [Link.Command] resolve to an
	// address, beside localhost. No other name resolves there.
	Hosts map[string]netip.Addr
}

// ErrUnsupported is wrapped by the error of [Open] where links cannot be made:
// not Linux, not root, or without /dev/net/tun, network namespaces or ip(8).
var ErrUnsupported = errors.New("no emulated path here")

// Side is an end of a link.
type Side int

// The two ends.
const (
	A Side = iota
	B
)

func (s Side) String() string { return [...]string{"A", "B"}[s] }

// Subnet holds the addresses of both ends, and whatever [Link.SetAddr] gives
// them later. It is of those kept for benchmarks (RFC 2544 appendix C.2.2).
func Subnet() netip.Prefix { return netip.MustParsePrefix("198.18.0.0/24") }

// DefaultAddr is the address a side has at first: 198.18.0.1 and 198.18.0.2.
func DefaultAddr(s Side) netip.Addr { return netip.AddrFrom4([4]byte{198, 18, 0, byte(s) + 1}) }

// Stats counts packets that one end has sent.
type Stats struct {
	// Sent are all of them, but for the one whose fate is being decided.
	Sent uint64
	// Delivered are those that arrived, and DeliveredBytes their size.
	Delivered, DeliveredBytes uint64
	// Lost were lost by chance, Dropped because the queue was full, and Cut
	// while the link was cut.
	Lost, Dropped, Cut uint64
}

// defaultQueue is a router's buffer as found in homes: about one round trip.
const defaultQueue = 100 * time.Millisecond

func (c Config) check() error {
	switch {
	case c.RTT < 0 || c.Jitter < 0 || c.Queue < 0:
		return fmt.Errorf("the path's times are %v, %v and %v: none may be negative", c.RTT, c.Jitter, c.Queue)
	case !(c.Loss >= 0 && c.Loss <= 100): // NaN too
		return fmt.Errorf("the path's loss is %v: it is a percentage from 0 to 100", c.Loss)
	case !(c.Rate >= 0):
		return fmt.Errorf("the path's rate is %v: it is in Mbit/s, 0 for unlimited", c.Rate)
	}
	return nil
}
