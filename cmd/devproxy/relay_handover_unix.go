//go:build unix

package main

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/term"
)

// handoverVariable tells a relay that it was started to replace another one:
// which of its descriptors are which sockets. "https=3,http=4,talk=5"; talk is
// a socket on which the two processes agree, a line a step:
//
//	successor    state         it is ready to open the file of names and keys
//	predecessor  yours         and has closed it
//	successor    ready         it serves
//	             failed TEXT   or it does not, and ends
const handoverVariable = "DEVPROXY_RELAY_HANDOVER"

// handoverTimeout bounds all of it.
const handoverTimeout = 30 * time.Second

const hangup = syscall.SIGHUP

func relaySignals() []os.Signal {
	return []os.Signal{os.Interrupt, syscall.SIGTERM, hangup}
}

// hungUp reports whether a SIGHUP means that the terminal is gone, and not
// that somebody wants a new process.
func (run *relayRun) hungUp() bool {
	return run.print.InTTY && !term.IsTerminal(int(os.Stdin.Fd()))
}

func isTaken(err error) bool { return errors.Is(err, syscall.EADDRINUSE) }

func isForbidden(err error) bool { return errors.Is(err, os.ErrPermission) }

// handover is what a process got from the one that it replaces; nil when it
// replaces none.
type handover struct {
	listeners relaySockets
	talk      net.Conn
	lines     *bufio.Reader
}

// inherit takes over what $DEVPROXY_RELAY_HANDOVER names.
func inherit() (*handover, error) {
	text := os.Getenv(handoverVariable)
	if text == "" {
		return nil, nil
	}
	if err := os.Unsetenv(handoverVariable); err != nil {
		return nil, err
	}
	var h handover
	for part := range strings.SplitSeq(text, ",") {
		name, number, _ := strings.Cut(part, "=")
		fd, err := strconv.Atoi(number)
		if err != nil || fd < 3 {
			return nil, fmt.Errorf("%s is %q, which is not what a relay writes", handoverVariable, text)
		}
		syscall.CloseOnExec(fd)
		if err := h.take(name, os.NewFile(uintptr(fd), name)); err != nil {
			return nil, fmt.Errorf("cannot take over the socket %q: %w", part, err)
		}
	}
	if h.talk == nil || h.listeners.https == nil {
		return nil, fmt.Errorf("%s is %q, which names too little", handoverVariable, text)
	}
	return &h, nil
}

func (h *handover) take(name string, f *os.File) error {
	defer f.Close()
	if name == "talk" {
		c, err := net.FileConn(f)
		if err != nil {
			return err
		}
		h.talk, h.lines = c, bufio.NewReader(c)
		return c.SetDeadline(time.Now().Add(handoverTimeout))
	}
	to := map[string]*net.Listener{"https": &h.listeners.https, "http": &h.listeners.http, "admin": &h.listeners.admin, "late": &h.listeners.late}[name]
	if to == nil {
		return errors.New("no socket has this name")
	}
	ln, err := net.FileListener(f)
	*to = ln
	return err
}

// sockets are the inherited ones; nil without a predecessor.
func (h *handover) sockets() *relaySockets {
	if h == nil {
		return nil
	}
	return &h.listeners
}

// takeState waits until the predecessor has closed the file of names and keys.
func (h *handover) takeState() error {
	if h == nil {
		return nil
	}
	if _, err := fmt.Fprintln(h.talk, "state"); err != nil {
		return fmt.Errorf("cannot talk to the process to replace: %w", err)
	}
	line, err := h.lines.ReadString('\n')
	if err != nil || line != "yours\n" {
		return fmt.Errorf("the process to replace did not hand its names and keys over: %q, %w", line, err)
	}
	return nil
}

// started tells the predecessor how starting ended, and returns err.
func (h *handover) started(err error) error {
	if h == nil {
		return err
	}
	defer h.talk.Close()
	text := "ready"
	if err != nil {
		text = "failed " + strings.ReplaceAll(err.Error(), "\n", " ")
	}
	if _, said := fmt.Fprintln(h.talk, text); said != nil && err == nil {
		return fmt.Errorf("cannot tell the process to replace that this one serves: %w", said)
	}
	return err
}

// notify tells systemd what changes (sd_notify(3)), when it asked to be told:
// otherwise the end of the first process would be the end of the service.
func (run *relayRun) notify(state string) {
	path := os.Getenv("NOTIFY_SOCKET")
	if path == "" {
		return
	}
	c, err := net.Dial("unixgram", path)
	if err == nil {
		_, err = c.Write([]byte(state))
		c.Close()
	}
	if err != nil {
		run.log.Warn("systemd not told", "state", state, "error", err)
	}
}
