//go:build unix

package handover

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// firstFile is the first descriptor after the standard streams.
const firstFile = 3

// Inherit takes over the sockets of a predecessor; nil if there is none.
func Inherit() (*Predecessor, error) {
	text := os.Getenv(variable)
	if text == "" {
		return nil, nil
	}
	if err := os.Unsetenv(variable); err != nil {
		return nil, err
	}
	p := &Predecessor{sockets: Sockets{Listeners: map[string]net.Listener{}, Packets: map[string]net.PacketConn{}}}
	for part := range strings.SplitSeq(text, ",") {
		name, number, _ := strings.Cut(part, "=")
		fd, err := strconv.Atoi(number)
		if err != nil || fd < firstFile {
			return nil, fmt.Errorf("%s is %q, which a relay does not write", variable, text)
		}
		syscall.CloseOnExec(fd)
		if err := p.take(name, os.NewFile(uintptr(fd), name)); err != nil {
			return nil, fmt.Errorf("cannot take over the socket %q: %w", part, err)
		}
	}
	if p.talk == nil || p.sockets.Listeners["https"] == nil {
		return nil, fmt.Errorf("%s is %q, where sockets are missing", variable, text)
	}
	return p, nil
}

func (p *Predecessor) take(name string, f *os.File) (err error) {
	defer f.Close()
	stream := strings.HasPrefix(name, StreamPrefix) || slices.Contains([]string{"https", "http", "admin", Forwarded}, name)
	switch {
	case name == talkName:
		if p.talk, err = net.FileConn(f); err != nil {
			return err
		}
		p.lines = bufio.NewReader(p.talk)
		return p.talk.SetDeadline(time.Now().Add(timeout))
	case stream:
		p.sockets.Listeners[name], err = net.FileListener(f)
		return err
	case strings.HasPrefix(name, PacketPrefix):
		p.sockets.Packets[name], err = net.FilePacketConn(f)
		return err
	}
	return errors.New("no socket has this name")
}

// Start starts the program again, as it is on disk now, and returns once that
// process serves. After an error this process continues as before.
func Start(ctx context.Context, sockets Sockets, state State) (*Successor, error) {
	dir, err := os.MkdirTemp("", "devproxy-relay-") // mode 0700
	if err != nil {
		return nil, fmt.Errorf("cannot make a folder for a socket: %w", err)
	}
	cmd, talk, err := command(dir, sockets)
	if err == nil {
		err = agree(ctx, cmd, talk, state)
	}
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	successor := &Successor{PID: cmd.Process.Pid, dir: dir}
	_ = cmd.Process.Release() // this process does not wait for it
	return successor, nil
}

// command starts the process. talk is our end.
func command(dir string, sockets Sockets) (_ *exec.Cmd, talk net.Conn, err error) {
	forwarded, err := net.ListenUnix("unix", &net.UnixAddr{Name: socketIn(dir), Net: "unix"})
	if err != nil {
		return nil, nil, err
	}
	forwarded.SetUnlinkOnClose(false)
	defer forwarded.Close() // the successor has a copy
	all := map[string]any{Forwarded: forwarded}
	for name, ln := range sockets.Listeners {
		if name != Forwarded { // that of an earlier handover
			all[name] = ln
		}
	}
	for name, conn := range sockets.Packets {
		all[name] = conn
	}
	near, far, err := socketPair()
	if err != nil {
		return nil, nil, err
	}
	defer far.Close()
	defer func() {
		if err != nil {
			near.Close()
		}
	}()
	program, err := os.Executable()
	if err != nil {
		return nil, nil, fmt.Errorf("cannot find this program: %w", err)
	}
	cmd := exec.Command(program)
	cmd.Args = os.Args // with the name that it was started by
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	var parts []string
	pass := func(name string, f *os.File) {
		parts = append(parts, name+"="+strconv.Itoa(firstFile+len(cmd.ExtraFiles)))
		cmd.ExtraFiles = append(cmd.ExtraFiles, f)
	}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		f, err := copySocket(name, all[name])
		if err != nil {
			return nil, nil, fmt.Errorf("cannot start %s: %w", program, err)
		}
		defer f.Close()
		pass(name, f)
	}
	pass(talkName, far)
	cmd.Env = append(os.Environ(), variable+"="+strings.Join(parts, ","))
	if err := cmd.Start(); err != nil {
		return nil, nil, fmt.Errorf("cannot start %s: %w", program, err)
	}
	return cmd, near, nil
}

// copySocket returns a descriptor of a socket. The File method of net's sockets
// returns one too, but using that makes the socket block, in this process as well:
// then an Accept that waits cannot be ended.
func copySocket(name string, socket any) (*os.File, error) {
	raw, err := socket.(syscall.Conn).SyscallConn()
	if err != nil {
		return nil, err
	}
	var fd int
	var failed error
	err = raw.Control(func(socket uintptr) { fd, failed = unix.FcntlInt(socket, unix.F_DUPFD_CLOEXEC, 0) })
	if err = cmp.Or(err, failed); err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), name), nil
}

// socketPair returns a connection: our end, and the file of the other one.
func socketPair() (near net.Conn, far *os.File, err error) {
	syscall.ForkLock.RLock() // keeps the pair from other programs that start meanwhile
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err == nil {
		syscall.CloseOnExec(fds[0])
		syscall.CloseOnExec(fds[1])
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return nil, nil, fmt.Errorf("cannot make a pair of sockets: %w", err)
	}
	mine := os.NewFile(uintptr(fds[0]), talkName)
	defer mine.Close()
	far = os.NewFile(uintptr(fds[1]), talkName)
	near, err = net.FileConn(mine)
	if err != nil {
		far.Close()
	}
	return near, far, err
}

// agree hands over to the process. After an error the process has ended, and
// the state is open here again.
func agree(ctx context.Context, cmd *exec.Cmd, talk net.Conn, state State) error {
	defer talk.Close()
	defer context.AfterFunc(ctx, func() { talk.Close() })()
	err := handOver(talk, state)
	if err == nil {
		return nil
	}
	_ = cmd.Process.Kill() // it may have ended already
	_ = cmd.Wait()         // its message is in err, or on standard error
	return errors.Join(err, state.Resume())
}
