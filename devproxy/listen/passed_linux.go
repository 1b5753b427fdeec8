package listen

import (
	"errors"
	"fmt"
	"net"
	"os"

	"github.com/coreos/go-systemd/v22/activation"
	"golang.org/x/sys/unix"

	"github.com/devproxy/devproxy/devproxy/front"
)

// Inherit takes over the sockets that systemd passed to this process, and removes their
// variables from the environment, so that child processes have neither. It returns nil
// without any, even when they are for another process (LISTEN_PID). Sockets that others
// could reach, and connections, are refused. runtime is the user's runtime directory.
func Inherit(runtime string) (*Passed, error) {
	var all []passedSocket
	for _, f := range activation.Files(true) {
		addr, err := listeningAddress(f)
		if err != nil {
			return nil, fmt.Errorf("cannot use the descriptor %d that systemd passed: %w", f.Fd(), err)
		}
		all = append(all, passedSocket{f.Name(), f, addr})
	}
	if len(all) == 0 {
		return nil, nil
	}
	return sortPassed(all, front.SocketPath(runtime))
}

func listeningAddress(f *os.File) (net.Addr, error) {
	listening, err := unix.GetsockoptInt(int(f.Fd()), unix.SOL_SOCKET, unix.SO_ACCEPTCONN)
	if err != nil {
		return nil, fmt.Errorf("it is not a socket: %w", err)
	}
	if listening == 0 {
		return nil, errors.New("it does not listen: use ListenStream= and leave out Accept=yes")
	}
	l, err := net.FileListener(f)
	if err != nil {
		return nil, err
	}
	defer l.Close()
	return l.Addr(), nil
}
