// Package wan joins two network namespaces with an emulated wide-area path, so
// that programs with real kernel TCP and UDP meet delay, jitter, loss, a
// bandwidth limit, a cut cable and a changed address on one machine.
//
// Each namespace has one TUN device; packets are carried between the two in
// user space, which needs root and /dev/net/tun but no kernel qdisc, which many
// kernels lack. Namespaces have unique names, so that links of several
// tests and programs do not collide. It works on Linux only.
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
	// Loss is the percentage of packets that are lost each way, each independently.
	Loss float64
	// Rate is the bandwidth each way, in Mbit/s of IP packets; 0 is unlimited.
	Rate float64
	// Queue bounds how long a packet waits for the wire at Rate; one that
	// would wait longer is dropped. 0 is 100 ms.
	Queue time.Duration
	// Congestion is TCP's congestion control on the path, as in "cubic" or
	// "bbr", unless a program asks for another; empty keeps the machine's.
	Congestion string
	// Seed makes every run lose the same packets, counted from the first
	// in each direction; with 0, each run loses others.
	Seed uint64
	// Hosts are names that programs started by [Link.Command] resolve to an
	// address, in addition to localhost. No other name resolves there.
	Hosts map[string]netip.Addr
}

// ErrUnsupported is the error of [Open], wrapped, where links cannot be made:
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

// Subnet contains the addresses of both ends, and those that [Link.SetAddr] gives
// them later. It is reserved for benchmarks (RFC 2544 appendix C.2.2).
func Subnet() netip.Prefix { return netip.MustParsePrefix("198.18.0.0/24") }

// DefaultAddr returns the first address of a side: 198.18.0.1 or 198.18.0.2.
func DefaultAddr(s Side) netip.Addr { return netip.AddrFrom4([4]byte{198, 18, 0, byte(s) + 1}) }

// Stats counts packets that one end has sent.
type Stats struct {
	// Sent are all of them, except one whose fate is being decided.
	Sent uint64
	// Delivered are those that arrived, and DeliveredBytes their size.
	Delivered, DeliveredBytes uint64
	// Lost were lost at random, Dropped because the queue was full, and Cut
	// while the link was cut.
	Lost, Dropped, Cut uint64
}

// defaultQueue is the buffer of a typical home router: about one round trip.
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
