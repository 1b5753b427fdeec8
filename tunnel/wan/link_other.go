//go:build !linux

package wan

import (
	"context"
	"fmt"
	"net/netip"
	"os/exec"
	"runtime"
)

// Link is an emulated path, which needs Linux.
type Link struct{}

// Open fails with [ErrUnsupported].
func Open(_ context.Context, c Config) (*Link, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	return nil, fmt.Errorf("%w: it needs Linux's network namespaces, and this is %s: run it in a Linux machine or container", ErrUnsupported, runtime.GOOS)
}

// Close does nothing.
func (*Link) Close() error { return nil }

// Cut does nothing.
func (*Link) Cut() {}

// Restore does nothing.
func (*Link) Restore() {}

// Addr returns the zero address.
func (*Link) Addr(Side) netip.Addr { return netip.Addr{} }

// SetAddr fails with [ErrUnsupported].
func (*Link) SetAddr(context.Context, Side, netip.Addr) error { return ErrUnsupported }

// Stats returns zero.
func (*Link) Stats(Side) Stats { return Stats{} }

// Namespace returns "".
func (*Link) Namespace(Side) string { return "" }

// Command is [exec.CommandContext].
func (*Link) Command(ctx context.Context, _ Side, name string, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, name, args...)
}

// Enter fails with [ErrUnsupported].
func (*Link) Enter(Side, func() error) error { return ErrUnsupported }
