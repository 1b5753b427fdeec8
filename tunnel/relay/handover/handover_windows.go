package handover

import (
	"context"
	"errors"
)

// Inherit returns nil: Windows has no SIGHUP and hands over no sockets.
func Inherit() (*Predecessor, error) { return nil, nil }

// Start is not supported.
func Start(context.Context, Sockets, State) (*Successor, error) {
	return nil, errors.ErrUnsupported
}
