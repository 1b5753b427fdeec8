// Package handover replaces a relay with a new process of the program on disk. The
// new process takes over the listening sockets, so that no connection is refused.
package handover

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// variable says in the environment of a new process which of its descriptors are
// which sockets: "dns-tcp-0=3,dns-udp-0=4,http=5,https=6,late=7,talk=8". talk is a socket on which the two
// processes agree, one line per step:
//
//	successor    state         it is ready to open the file of names and keys
//	predecessor  yours         and has closed it
//	successor    ready         it serves
//	             failed TEXT   it does not serve, and ends
//
// Processes of different versions talk to each other, so the words stay.
const variable = "DEVPROXY_RELAY_HANDOVER"

const (
	talkName = "talk"
	// Forwarded is the name of the socket on which the predecessor forwards its last
	// requests.
	Forwarded = "late"
	// timeout bounds all steps together.
	timeout = 30 * time.Second
)

// Sockets are the sockets of a relay, by name.
type Sockets struct {
	// Listeners are "https", "http", "admin", Forwarded, and names that begin with
	// StreamPrefix.
	Listeners map[string]net.Listener
	// Packets have names that begin with PacketPrefix.
	Packets map[string]net.PacketConn
}

// The names of sockets for DNS queries, followed by a number.
const (
	StreamPrefix = "dns-tcp-"
	PacketPrefix = "dns-udp-"
)

// State is what only one process may have: the relay's file of names and keys, its
// DNS answers, its orders of certificates.
type State interface {
	Suspend() error // gives it up
	Resume() error  // takes it again
}

// Predecessor is the process that this one replaces. Nil means that there is none.
type Predecessor struct {
	sockets Sockets
	talk    net.Conn
	lines   *bufio.Reader
}

// Sockets returns the sockets that were taken over; none without a predecessor.
func (p *Predecessor) Sockets() Sockets {
	if p == nil {
		return Sockets{}
	}
	return p.sockets
}

// TakeState waits until the predecessor has closed the file of names and keys.
func (p *Predecessor) TakeState() error {
	if p == nil {
		return nil
	}
	if _, err := fmt.Fprintln(p.talk, "state"); err != nil {
		return fmt.Errorf("cannot talk to the process to replace: %w", err)
	}
	line, err := p.lines.ReadString('\n')
	if err != nil || line != "yours\n" {
		return fmt.Errorf("the process to replace did not hand over its names and keys: %q, %w", line, err)
	}
	return nil
}

// Started sends the predecessor the result of starting, and returns err.
func (p *Predecessor) Started(err error) error {
	if p == nil {
		return err
	}
	defer p.talk.Close()
	text := "ready"
	if err != nil {
		text = "failed " + strings.ReplaceAll(err.Error(), "\n", " ")
	}
	if _, failed := fmt.Fprintln(p.talk, text); failed != nil && err == nil {
		return fmt.Errorf("cannot report to the process to replace that this one serves: %w", failed)
	}
	return err
}

// Successor is a process that has taken over.
type Successor struct {
	PID int
	dir string // of its socket for forwarded requests
}

// Dial connects to the socket for forwarded requests.
func (s *Successor) Dial(ctx context.Context) (net.Conn, error) {
	return new(net.Dialer).DialContext(ctx, "unix", socketIn(s.dir))
}

// Close removes the socket for forwarded requests.
func (s *Successor) Close() error { return os.RemoveAll(s.dir) }

func socketIn(dir string) string { return filepath.Join(dir, Forwarded) }

// handOver takes a started successor through the steps.
func handOver(talk net.Conn, state State) error {
	if err := talk.SetDeadline(time.Now().Add(timeout)); err != nil {
		return err
	}
	lines := bufio.NewReader(talk)
	if err := expect(lines, "state"); err != nil {
		return err
	}
	if err := state.Suspend(); err != nil {
		return err
	}
	if _, err := fmt.Fprintln(talk, "yours"); err != nil {
		return err
	}
	return expect(lines, "ready")
}

// expect reads the successor's next word.
func expect(lines *bufio.Reader, word string) error {
	line, err := lines.ReadString('\n')
	line = strings.TrimSuffix(line, "\n")
	why, failed := strings.CutPrefix(line, "failed ")
	switch {
	case failed:
		return errors.New(why)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Errorf("it did not serve within %v", timeout)
	case err != nil:
		return fmt.Errorf("it ended before it served, and says why on standard error: %w", err)
	case line != word:
		return fmt.Errorf("it said %q instead of %q: is it the same program?", line, word)
	}
	return nil
}
