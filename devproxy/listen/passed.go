package listen

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
)

// ErrPassed is the error of an address next to sockets that systemd passed.
var ErrPassed = errors.New("systemd passed sockets to this process, and the flags or the Proxyfile name a port as well")

// The names of sockets that systemd passes (FileDescriptorName= of systemd.socket(5)).
const (
	passedHTTPS = "https"
	passedHTTP  = "http"
	passedFront = "front"
)

// Passed are the listening sockets that systemd or systemd-socket-activate passed to this
// process (sd_listen_fds(3)). They stay open as long as the process runs: a Set uses
// duplicates. Nil has none.
type Passed struct {
	https, http []*os.File
	front       *os.File // nil: the front makes its socket
}

// files are the sockets of both protocols.
func (p *Passed) files() (https, http []*os.File) {
	if p == nil {
		return nil, nil
	}
	return p.https, p.http
}

func (p *Passed) frontSocket() *os.File {
	if p == nil {
		return nil
	}
	return p.front
}

// passedSocket is one of them, with its name and the address that it listens on.
type passedSocket struct {
	name string
	file *os.File
	addr net.Addr
}

// sortPassed finds out what each socket is for. A socket with one of the three names is
// for that. If none has such a name, a unix socket is the front's, the first port is that
// of HTTPS unless it is 80, and every other port is of plain HTTP. frontPath is where
// projects look for the front.
func sortPassed(all []passedSocket, frontPath string) (*Passed, error) {
	named := slices.ContainsFunc(all, func(s passedSocket) bool {
		return s.name == passedHTTPS || s.name == passedHTTP || s.name == passedFront
	})
	p, httpsPort := &Passed{}, 0
	for _, s := range all {
		name := s.name
		switch at := s.addr.(type) {
		case *net.UnixAddr:
			if at.Name != filepath.Clean(frontPath) {
				return nil, fmt.Errorf("systemd passed the socket %s, but projects look for the front at %s: name that in ListenStream=", at.Name, frontPath)
			}
			if !named {
				name = passedFront
			}
		case *net.TCPAddr:
			if !at.IP.IsLoopback() {
				return nil, fmt.Errorf("systemd passed the socket %s, which others could reach, and devproxy serves this machine only: write ListenStream=127.0.0.1:%d and ListenStream=[::1]:%[2]d", at, at.Port)
			}
			if !named && httpsPort == 0 && at.Port != defaultHTTP {
				httpsPort = at.Port
			}
			if !named {
				name = passedHTTP
				if at.Port == httpsPort {
					name = passedHTTPS
				}
			}
		}
		if err := p.add(name, s); err != nil {
			return nil, err
		}
	}
	return p, nil
}

func (p *Passed) add(name string, s passedSocket) error {
	_, isTCP := s.addr.(*net.TCPAddr)
	switch {
	case name == passedHTTPS && isTCP:
		p.https = append(p.https, s.file)
	case name == passedHTTP && isTCP:
		p.http = append(p.http, s.file)
	case name == passedFront && !isTCP && p.front == nil:
		p.front = s.file
	default:
		return fmt.Errorf("systemd passed the socket %s with the name %q: use %s or %s for TCP, and %s for the one unix socket, in FileDescriptorName=",
			s.addr, name, passedHTTPS, passedHTTP, passedFront)
	}
	return nil
}

// duplicates are listeners of the files, which stay open.
func duplicates(files []*os.File) ([]net.Listener, error) {
	var all []net.Listener
	for _, f := range files {
		l, err := net.FileListener(f)
		if err != nil {
			closeAll(all)
			return nil, fmt.Errorf("cannot use the socket that systemd passed: %w", err)
		}
		all = append(all, l)
	}
	return all, nil
}
