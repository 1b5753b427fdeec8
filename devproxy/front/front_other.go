//go:build !unix

package front

import (
	"context"
	"net"
)

// Shared does not exist here.
type Shared struct{}

// Join fails with ErrUnsupported.
func Join(context.Context, Options) (*Shared, error) { return nil, ErrUnsupported }

// Listeners returns none.
func (s *Shared) Listeners() (https, http []net.Listener) { return nil, nil }

// Add fails with ErrUnsupported.
func (s *Shared) Add(context.Context, Sockets) error { return ErrUnsupported }

// Register does nothing.
func (s *Shared) Register(context.Context, []Name) error { return nil }

// StepDown does nothing.
func (s *Shared) StepDown() {}

// Alone is false.
func (s *Shared) Alone() bool { return false }

// Close does nothing.
func (s *Shared) Close() error { return nil }
