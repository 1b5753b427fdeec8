//go:build unix

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
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

// replace starts a successor and retires; false when this process goes on.
func (run *relayRun) replace(ctx context.Context, again <-chan os.Signal) (done bool, err error) {
	successor, err := run.startSuccessor(ctx)
	if err != nil {
		run.print.notHandedOver(err)
		return false, nil
	}
	run.print.handedOver(successor.pid)
	run.notify("MAINPID=" + strconv.Itoa(successor.pid))
	defer os.RemoveAll(filepath.Dir(successor.late))
	run.admin.Close() // the successor answers there
	retiring, cancel := context.WithTimeout(context.WithoutCancel(ctx), relayRetire)
	defer cancel()
	dial := func(ctx context.Context) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", successor.late)
	}
	run.drain(cancel, again, func() { run.relay.Retire(retiring, dial) })
	run.finish(again)
	return true, nil
}

// successor is a process that has taken over.
type successor struct {
	pid  int
	late string // the path of its socket for late requests
}

// startSuccessor runs the program anew, as it is on the disk now, and returns
// when it serves. Otherwise nothing has changed.
func (run *relayRun) startSuccessor(ctx context.Context) (successor, error) {
	dir, err := os.MkdirTemp("", "devproxy-relay-") // mode 0700
	if err != nil {
		return successor{}, fmt.Errorf("cannot make a folder for a socket: %w", err)
	}
	next := successor{late: filepath.Join(dir, "late")}
	cmd, talk, err := run.successorCommand(next.late)
	if err == nil {
		next.pid = cmd.Process.Pid
		err = run.agree(ctx, cmd, talk)
	}
	if err != nil {
		return successor{}, errors.Join(err, os.RemoveAll(dir))
	}
	return next, nil
}

// successorCommand starts the process. talk is our end.
func (run *relayRun) successorCommand(latePath string) (*exec.Cmd, net.Conn, error) {
	late, err := net.ListenUnix("unix", &net.UnixAddr{Name: latePath, Net: "unix"})
	if err != nil {
		return nil, nil, err
	}
	late.SetUnlinkOnClose(false)
	defer late.Close() // the successor has its own
	near, far, err := socketPair()
	if err != nil {
		return nil, nil, err
	}
	defer far.Close()
	program, err := os.Executable()
	if err != nil {
		near.Close()
		return nil, nil, fmt.Errorf("cannot find this program: %w", err)
	}
	cmd := exec.Command(program)
	cmd.Args = os.Args // with the name that it was started by
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	files, names, err := run.handedFiles(late, far)
	defer closeFiles(files)
	if err == nil {
		cmd.ExtraFiles, cmd.Env = files, append(os.Environ(), handoverVariable+"="+names)
		err = cmd.Start()
	}
	if err != nil {
		near.Close()
		return nil, nil, fmt.Errorf("cannot start %s: %w", program, err)
	}
	return cmd, near, nil
}

// handedFiles are the descriptors of a successor, and what names them. The
// last, talk, is the caller's to close.
func (run *relayRun) handedFiles(late *net.UnixListener, talk *os.File) (files []*os.File, names string, err error) {
	var parts []string
	for _, one := range []struct {
		name string
		ln   net.Listener
	}{{"https", run.sockets.https}, {"http", run.sockets.http}, {"admin", run.sockets.admin}, {"late", late}} {
		if one.ln == nil {
			continue
		}
		f, err := copySocket(one.ln)
		if err != nil {
			return files, "", err
		}
		parts = append(parts, one.name+"="+strconv.Itoa(3+len(files)))
		files = append(files, f)
	}
	parts = append(parts, "talk="+strconv.Itoa(3+len(files)))
	return append(files, talk), strings.Join(parts, ","), nil
}

// copySocket is a descriptor of ln's socket. The File method of net's listeners
// gives one too, but using that makes the socket block, in this process as
// well: then an Accept that waits cannot be ended.
func copySocket(ln net.Listener) (*os.File, error) {
	raw, err := ln.(syscall.Conn).SyscallConn()
	if err != nil {
		return nil, err
	}
	var fd int
	var failed error
	if err := raw.Control(func(socket uintptr) { fd, failed = unix.FcntlInt(socket, unix.F_DUPFD_CLOEXEC, 0) }); err != nil {
		return nil, err
	}
	if failed != nil {
		return nil, failed
	}
	return os.NewFile(uintptr(fd), ln.Addr().String()), nil
}

func closeFiles(files []*os.File) {
	for _, f := range files {
		f.Close() // copies of sockets
	}
}

// socketPair is a connection: our end, and the file of the other one.
func socketPair() (near net.Conn, far *os.File, err error) {
	fds, err := pairCloseOnExec()
	if err != nil {
		return nil, nil, fmt.Errorf("cannot make a pair of sockets: %w", err)
	}
	mine := os.NewFile(uintptr(fds[0]), "talk")
	defer mine.Close()
	far = os.NewFile(uintptr(fds[1]), "talk")
	near, err = net.FileConn(mine)
	if err != nil {
		far.Close()
	}
	return near, far, err
}

// pairCloseOnExec keeps the pair from any other program that starts meanwhile.
func pairCloseOnExec() ([2]int, error) {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err == nil {
		syscall.CloseOnExec(fds[0])
		syscall.CloseOnExec(fds[1])
	}
	return fds, err
}

// agree takes the successor through the steps. When it fails the process is
// gone, and the registry ours again.
func (run *relayRun) agree(ctx context.Context, cmd *exec.Cmd, talk net.Conn) error {
	defer talk.Close()
	defer context.AfterFunc(ctx, func() { talk.Close() })()
	err := run.steps(talk)
	if err == nil {
		return cmd.Process.Release()
	}
	_ = cmd.Process.Kill() // it may be gone by itself
	_ = cmd.Wait()         // what it has said is in err, or on standard error
	return errors.Join(err, run.state.Resume())
}

func (run *relayRun) steps(talk net.Conn) error {
	if err := talk.SetDeadline(time.Now().Add(handoverTimeout)); err != nil {
		return err
	}
	lines := bufio.NewReader(talk)
	if err := expect(lines, "state"); err != nil {
		return err
	}
	if err := run.state.Suspend(); err != nil {
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
		return fmt.Errorf("it did not serve within %v", handoverTimeout)
	case err != nil:
		return fmt.Errorf("it ended before it served; it says why on standard error: %w", err)
	case line != word:
		return fmt.Errorf("it said %q where %q was due: is it the same program?", line, word)
	}
	return nil
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
