package wan

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Link is an emulated path between two namespaces. [Open] returns one. It is
// safe for concurrent use.
type Link struct {
	ends  [2]namespace
	pumps [2]*pump // by the side that sends
	cut   atomic.Bool

	undo   []func() error // what Close does, last first
	closed chan struct{}
	once   sync.Once
	wg     sync.WaitGroup

	mu    sync.Mutex
	addrs [2]netip.Addr
}

// Open makes the namespaces and starts to carry packets. When it fails nothing
// is left; its error wraps [ErrUnsupported] where no link can be made.
// It also removes the namespaces of killed processes.
func Open(ctx context.Context, c Config) (*Link, error) {
	ip, err := supported()
	if err := errors.Join(c.check(), err); err != nil {
		return nil, err
	}
	sweep(ctx, ip)
	l := &Link{closed: make(chan struct{}), addrs: [2]netip.Addr{DefaultAddr(A), DefaultAddr(B)}}
	// By the process ID, the next link finds the namespaces of a killed process.
	name := fmt.Sprintf("wan-%d-%08x", os.Getpid(), rand.Uint32())
	l.ends = [2]namespace{{ip, name + "-a", c.Congestion}, {ip, name + "-b", c.Congestion}}
	if err := l.open(ctx, c); err != nil {
		return nil, errors.Join(fmt.Errorf("make an emulated path: %w", err), l.Close())
	}
	return l, nil
}

func (l *Link) open(ctx context.Context, c Config) error {
	var tuns [2]*os.File
	for side, ns := range l.ends {
		var err error
		if tuns[side], err = l.openEnd(ctx, ns, l.addrs[side], c); err != nil {
			return err
		}
	}
	start := time.Now()
	for _, from := range []Side{A, B} {
		l.pumps[from] = &pump{
			in: tuns[from], out: tuns[1-from], shaper: newShaper(c, from), queue: make(chan packet, maxQueued),
			start: start, cut: &l.cut, closed: l.closed,
		}
		l.wg.Go(l.pumps[from].read)
		l.wg.Go(l.pumps[from].write)
	}
	return nil
}

// openEnd makes one namespace, and the device that leads out of it.
func (l *Link) openEnd(ctx context.Context, ns namespace, addr netip.Addr, c Config) (*os.File, error) {
	if err := ns.add(ctx); err != nil {
		return nil, err
	}
	l.undo = append(l.undo, ns.remove)
	if err := ns.hosts(c.Hosts); err != nil {
		return nil, err
	}
	tun, name, err := openTUN()
	if err != nil {
		return nil, err
	}
	l.undo = append(l.undo, tun.Close)
	return tun, ns.connect(ctx, name, addr)
}

// Close stops the packets and removes the namespaces. Programs in them continue
// without a network. A second Close does nothing.
func (l *Link) Close() error {
	var errs []error
	l.once.Do(func() {
		close(l.closed)
		for _, undo := range slices.Backward(l.undo) {
			errs = append(errs, undo())
		}
		l.wg.Wait()
	})
	return errors.Join(errs...)
}

// Cut loses every packet from now on, those under way too, until Restore.
func (l *Link) Cut() { l.cut.Store(true) }

// Restore ends a Cut.
func (l *Link) Restore() { l.cut.Store(false) }

// Addr returns a side's current address.
func (l *Link) Addr(s Side) netip.Addr {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.addrs[s]
}

// SetAddr gives a side another address of [Subnet], as when a laptop changes
// networks: the old one is removed, and connections from it no longer work.
func (l *Link) SetAddr(ctx context.Context, s Side, addr netip.Addr) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !Subnet().Contains(addr) || addr == l.addrs[A] || addr == l.addrs[B] {
		return fmt.Errorf("cannot give side %v the address %v: it must be an unused one of %v", s, addr, Subnet())
	}
	// In this order: with its first address a device loses all of that subnet.
	if err := l.ends[s].delAddr(ctx, l.addrs[s]); err != nil {
		return err
	}
	if err := l.ends[s].addAddr(ctx, addr); err != nil {
		return errors.Join(err, l.ends[s].addAddr(ctx, l.addrs[s]))
	}
	l.addrs[s] = addr
	return nil
}

// Stats returns the counts of the packets that a side has sent.
func (l *Link) Stats(from Side) Stats { return l.pumps[from].stats() }

// Namespace returns the name of a side's namespace, for `ip netns exec`.
func (l *Link) Namespace(s Side) string { return l.ends[s].name }

// Command is [exec.CommandContext] for a program in a side's namespace, where the
// names in [Config.Hosts] resolve.
func (l *Link) Command(ctx context.Context, s Side, name string, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, l.ends[s].ip, append([]string{"netns", "exec", l.ends[s].name, name}, args...)...)
}

// Enter runs f in a side's namespace and returns its error: sockets that f
// itself opens stay in it, but not those of goroutines that it starts.
// A net.Dialer stays on f's goroutine for an IP address.
func (l *Link) Enter(s Side, f func() error) error { return l.ends[s].enter(f) }
