package handover

import (
	"context"
	"errors"
	"net"
)

// Inherit returns nil: Windows has no SIGHUP and hands over no sockets.
func Inherit() (*Predecessor, error) { return nil, nil }

// Start is not supported.
func Start(context.Context, map[string]net.Listener, State) (*Successor, error) {
	return nil, errors.ErrUnsupported
}
