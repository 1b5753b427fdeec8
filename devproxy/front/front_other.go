//go:build !unix

package front

import (
	"context"
	"errors"
	"log/slog"
	"net"
)

// ErrUnsupported is the error of Join on systems whose processes do not pass sockets
// in the way this package does. Each project then has a port of its own.
var ErrUnsupported = errors.New("projects do not share a port on this system")

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

// Close does nothing.
func (s *Shared) Close() error { return nil }
