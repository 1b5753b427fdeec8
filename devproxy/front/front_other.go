//go:build !unix

package front

import (
	"context"
	"log/slog"
	"net"
)

// Sockets are listening sockets.
type Sockets struct {
	HTTPS, HTTP []*net.TCPListener
}

// Options configure Join.
type Options struct {
	Dir  string
	Bind func(context.Context) (Sockets, error)
	Lost func(error)
	Log  *slog.Logger
}

// Shared does not exist here.
type Shared struct{}

// Join fails with ErrUnsupported.
func Join(context.Context, Options) (*Shared, error) { return nil, ErrUnsupported }

// Listeners returns none.
func (s *Shared) Listeners() (https, http []net.Listener) { return nil, nil }

// Register does nothing.
func (s *Shared) Register(context.Context, []Name) error { return nil }

// StepDown does nothing.
func (s *Shared) StepDown() {}

// Alone is false.
func (s *Shared) Alone() bool { return false }

// Close does nothing.
func (s *Shared) Close() error { return nil }
