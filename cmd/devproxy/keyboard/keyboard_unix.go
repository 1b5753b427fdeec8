//go:build unix

package keyboard

import (
	"errors"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// suspendTimeout is how long a Ctrl-Z may take to stop the process. The kernel
	// does not stop a process whose shell could not continue it (POSIX: an orphaned
	// process group), so it goes on after that.
	suspendTimeout = 200 * time.Millisecond
	// backgroundTick is how often a process in the background checks whether it is in
	// the foreground again: a shell's fg does not notify a running process.
	backgroundTick = 500 * time.Millisecond
)

// keyboard reads a terminal only while the process is in its foreground. A read from
// the background would stop the process (SIGTTIN) and everything that it serves.
type keyboard struct {
	terminal *os.File
	typed    chan byte
	// A byte in the pipe ends the wait for a key, since something else happened.
	wake, waker *os.File
	continued   chan os.Signal
	stopping    chan struct{}
	finished    sync.WaitGroup

	mu sync.Mutex // of what follows
	// saved is the terminal as the user has it; nil before the first grab. grabbed
	// says that it is in our mode now.
	saved   *unix.Termios
	grabbed bool
}

func readTerminal(terminal *os.File) (keys <-chan byte, stop func(), err error) {
	if _, err := unix.IoctlGetTermios(int(terminal.Fd()), getTermios); err != nil {
		return nil, nil, err
	}
	k := &keyboard{terminal: terminal, typed: make(chan byte), continued: make(chan os.Signal, 1), stopping: make(chan struct{})}
	if k.wake, k.waker, err = os.Pipe(); err != nil {
		return nil, nil, err
	}
	signal.Notify(k.continued, syscall.SIGCONT)
	k.finished.Go(k.watch)
	k.finished.Go(k.read)
	return k.typed, sync.OnceFunc(k.stop), nil
}

func (k *keyboard) stop() {
	signal.Stop(k.continued)
	close(k.stopping)
	k.waker.Close()
	k.join()
	k.release()
}

// join waits for the goroutines. A reader whose key was read by another process,
// while this one was stopped, waits for the next key and ends with the process.
func (k *keyboard) join() {
	done := make(chan struct{})
	go func() {
		defer close(done)
		k.finished.Wait()
		k.wake.Close()
	}()
	select {
	case <-done:
	case <-time.After(suspendTimeout):
	}
}

// watch grabs the terminal again when the process continues after it was stopped, and
// wakes the reader.
func (k *keyboard) watch() {
	for {
		select {
		case <-k.continued:
			k.lost() // the shell may have changed it
			if k.inForeground() {
				k.grab()
			}
			if _, err := k.waker.Write([]byte{0}); err != nil {
				return
			}
		case <-k.stopping:
			return
		}
	}
}

// read sends keys until stop is called, or the terminal is gone.
func (k *keyboard) read() {
	defer close(k.typed)
	var key [1]byte
	for {
		woken, ready, err := k.wait()
		switch {
		case err != nil:
			return
		case woken:
			if _, err := k.wake.Read(key[:]); err != nil {
				return // stop was called
			}
		case ready && k.inForeground():
			if n, err := k.terminal.Read(key[:]); n == 0 || err != nil {
				return
			}
			if k.suspends(key[0]) {
				k.suspend()
				continue
			}
			select {
			case k.typed <- key[0]:
			case <-k.stopping:
				return
			}
		}
	}
}

// wait returns when a key can be read, or something else happened. In the background
// it returns now and then with neither.
func (k *keyboard) wait() (woken, ready bool, err error) {
	var fds unix.FdSet
	var timeout *unix.Timeval
	fds.Set(int(k.wake.Fd()))
	if k.inForeground() {
		k.grab()
		fds.Set(int(k.terminal.Fd()))
	} else {
		k.lost() // it is the shell's now
		tick := unix.NsecToTimeval(backgroundTick.Nanoseconds())
		timeout = &tick
	}
	_, err = unix.Select(max(int(k.wake.Fd()), int(k.terminal.Fd()))+1, &fds, nil, nil, timeout)
	if errors.Is(err, unix.EINTR) {
		return false, false, nil
	}
	return fds.IsSet(int(k.wake.Fd())), fds.IsSet(int(k.terminal.Fd())), err
}

// suspends reports whether a key is the user's key to stop a process, Ctrl-Z.
func (k *keyboard) suspends(key byte) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.saved != nil && k.saved.Cc[unix.VSUSP] != noKey && k.saved.Cc[unix.VSUSP] == key
}

// suspend does what the terminal would do for Ctrl-Z: it stops the process group, but
// with the terminal as the user has it. A signal would come too late for that, and Go
// cannot remove its own handler of SIGTSTP.
func (k *keyboard) suspend() {
	k.release()
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
// change both).
func (k *keyboard) grab() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.grabbed {
		return
	}
	now, err := unix.IoctlGetTermios(int(k.terminal.Fd()), getTermios)
	if err != nil {
		return // it is gone, and reading fails
	}
	if k.saved == nil || now.Lflag&(unix.ICANON|unix.ECHO) != 0 { // else it is in our mode still
		k.saved = now
	}
	changed := *k.saved
	changed.Lflag &^= unix.ICANON | unix.ECHO
	changed.Cc[unix.VMIN], changed.Cc[unix.VTIME], changed.Cc[unix.VSUSP] = 1, 0, noKey
	k.grabbed = unix.IoctlSetTermios(int(k.terminal.Fd()), setTermios, &changed) == nil
}

// lost records that others may have changed the terminal.
func (k *keyboard) lost() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.grabbed = false
}

// release restores the terminal.
func (k *keyboard) release() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.grabbed && k.inForeground() {
		_ = unix.IoctlSetTermios(int(k.terminal.Fd()), setTermios, k.saved) // a terminal that is gone needs no restoring
	}
	k.grabbed = false
}
