//go:build unix

package keyboard

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// tick is how often the terminal is checked: for the end, for what a shell has
	// changed, and in the background whether the process is in the foreground again. A
	// shell's fg does not notify a running process.
	tick = 200 * time.Millisecond
	// suspendTimeout is how long a Ctrl-Z may take to stop the process. The kernel
	// does not stop a process whose shell could not continue it (POSIX: an orphaned
	// process group), so it continues after that.
	suspendTimeout = 200 * time.Millisecond
)

// keyboard reads a terminal only while the process is in its foreground. A read from
// the background would stop the process (SIGTTIN) and everything that it serves.
type keyboard struct {
	terminal      *os.File
	beforeSuspend func()
	typed         chan byte
	ctx           context.Context // ends with stop

	mu    sync.Mutex
	saved *unix.Termios // the terminal as the user has it; nil before the first grab
}

func readTerminal(terminal *os.File, beforeSuspend func()) (keys <-chan byte, stop func(), err error) {
	if _, err := unix.IoctlGetTermios(int(terminal.Fd()), getTermios); err != nil {
		return nil, nil, err
	}
	ctx, end := context.WithCancel(context.Background())
	k := &keyboard{terminal: terminal, beforeSuspend: beforeSuspend, typed: make(chan byte), ctx: ctx}
	go k.read()
	go k.watch()
	// The reader takes no more keys and ends within a tick. If its key was read by
	// another process, while this one was stopped, it waits for the next key and ends
	// with the process.
	return k.typed, sync.OnceFunc(func() {
		end()
		k.release()
	}), nil
}

// watch grabs the terminal as soon as the process continues after it was stopped: a key
// may follow within the tick.
func (k *keyboard) watch() {
	continued := make(chan os.Signal, 1)
	signal.Notify(continued, syscall.SIGCONT)
	defer signal.Stop(continued)
	for {
		select {
		case <-continued:
			if k.inForeground() {
				k.grab()
			}
		case <-k.ctx.Done():
			return
		}
	}
}

// read sends keys until stop is called, or the terminal was closed.
func (k *keyboard) read() {
	defer close(k.typed)
	var key [1]byte
	for {
		ready, err := k.wait()
		if err != nil || k.ctx.Err() != nil {
			return
		}
		if !ready || !k.inForeground() {
			continue
		}
		if n, err := k.terminal.Read(key[:]); n == 0 || err != nil {
			return
		}
		if k.suspends(key[0]) {
			k.suspend()
			continue
		}
		select {
		case k.typed <- key[0]:
		case <-k.ctx.Done():
			return
		}
	}
}

// wait returns when a key can be read, and after a tick.
func (k *keyboard) wait() (ready bool, err error) {
	timeout := unix.NsecToTimeval(tick.Nanoseconds())
	if !k.inForeground() {
		_, err = unix.Select(0, nil, nil, nil, &timeout)
		return false, ignoreInterrupt(err)
	}
	k.grab()
	var fds unix.FdSet
	fds.Set(int(k.terminal.Fd()))
	n, err := unix.Select(int(k.terminal.Fd())+1, &fds, nil, nil, &timeout)
	return n > 0, ignoreInterrupt(err)
}

func ignoreInterrupt(err error) error {
	if errors.Is(err, unix.EINTR) {
		return nil
	}
	return err
}

// suspends reports whether a key is the user's key to stop a process, Ctrl-Z.
func (k *keyboard) suspends(key byte) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.saved != nil && k.saved.Cc[unix.VSUSP] != noKey && k.saved.Cc[unix.VSUSP] == key
}

// suspend acts as the terminal would for Ctrl-Z: it stops the process group,
// but with the terminal as the user has it. A signal would come too late for
// that, and Go cannot remove its own handler of SIGTSTP.
func (k *keyboard) suspend() {
	k.release()
	k.beforeSuspend()
	continued := make(chan os.Signal, 1)
	signal.Notify(continued, syscall.SIGCONT)
	defer signal.Stop(continued)
	_ = unix.Kill(0, unix.SIGTSTP) // our own group
	select {
	case <-continued:
	case <-time.After(suspendTimeout):
	}
}

// inForeground reports whether this process gets the terminal's keys. A terminal that
// does not know has no job control.
func (k *keyboard) inForeground() bool {
	group, err := unix.IoctlGetInt(int(k.terminal.Fd()), unix.TIOCGPGRP)
	return err != nil || group == unix.Getpgrp()
}

// grab makes the terminal pass on each key at once and unechoed, Ctrl-Z too, while
// Ctrl-C still interrupts and output works as before (the raw mode of x/term would
// change both). It does nothing if the terminal is in this mode already, and after stop.
func (k *keyboard) grab() {
	k.mu.Lock()
	defer k.mu.Unlock()
	now, err := unix.IoctlGetTermios(int(k.terminal.Fd()), getTermios)
	if err != nil || k.ctx.Err() != nil || k.saved != nil && now.Lflag&(unix.ICANON|unix.ECHO) == 0 {
		return // after an error, reading fails too
	}
	k.saved = now
	changed := *now
	changed.Lflag &^= unix.ICANON | unix.ECHO
	changed.Cc[unix.VMIN], changed.Cc[unix.VTIME], changed.Cc[unix.VSUSP] = 1, 0, noKey
	_ = unix.IoctlSetTermios(int(k.terminal.Fd()), setTermios, &changed) // else keys count after Enter
}

// release restores the terminal.
func (k *keyboard) release() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.saved != nil && k.inForeground() {
		_ = unix.IoctlSetTermios(int(k.terminal.Fd()), setTermios, k.saved) // a closed terminal needs no restoring
	}
}
