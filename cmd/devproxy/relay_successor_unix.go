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
)

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
