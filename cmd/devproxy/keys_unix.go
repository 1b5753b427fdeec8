//go:build unix

package main

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
	// stopPatience is how long a Ctrl-Z may take to stop the process. The kernel
	// does not stop one whose shell could not continue it (POSIX: an orphaned
	// process group), so it goes on after that.
	stopPatience = 200 * time.Millisecond
	// backgroundTick is how often a process in the background looks whether it
	// is in the foreground again: a shell's fg tells a running one nothing.
	backgroundTick = 500 * time.Millisecond
)

// keyboard reads single keys of a terminal. It reads only while the process is in
// the terminal's foreground: a read from the background would stop the process
// (SIGTTIN), and with it everything it serves.
type keyboard struct {
	terminal *os.File
	typed    chan byte
	// wake ends the wait for a key: a byte in the pipe says that something else
	// happened.
	wake, waker *os.File
	continued   chan os.Signal
	stopping    chan struct{}
	finished    sync.WaitGroup

	mu sync.Mutex // of what follows
	// saved is the terminal as the user has it; nil before the first grab. grabbed
	// says that it is ours now.
	saved   *unix.Termios
	grabbed bool
}

func terminalKeys(terminal *os.File) (keys <-chan byte, stop func(), err error) {
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
	var once sync.Once
	return k.typed, func() {
		once.Do(func() {
			signal.Stop(k.continued)
			close(k.stopping)
			k.waker.Close()
			k.join()
			k.release()
		})
	}, nil
}

// join waits for the goroutines. A reader whose key another process took, while
// this one was stopped, waits for the next one and ends with the process.
func (k *keyboard) join() {
	done := make(chan struct{})
	go func() {
		defer close(done)
		k.finished.Wait()
		k.wake.Close()
	}()
	select {
	case <-done:
	case <-time.After(stopPatience):
	}
}

// watch takes the terminal again when the process was stopped and goes on, and
// wakes the reader.
func (k *keyboard) watch() {
	for {
		select {
		case <-k.continued:
			k.lost() // the shell may have changed it meanwhile
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

// read sends what is typed until stop, or until the terminal is gone.
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
				return // stop
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

// wait returns when a key can be read, or there is something else to do. In the
// background it returns now and then with neither.
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

// suspends reports whether a key is the user's for stopping a process, Ctrl-Z.
func (k *keyboard) suspends(key byte) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.saved != nil && k.saved.Cc[unix.VSUSP] != noKey && k.saved.Cc[unix.VSUSP] == key
}

// suspend does what the terminal would do for Ctrl-Z: it stops the process group,
// but with the terminal as the user has it. A signal would come too late for that,
// and Go cannot take its own handler of SIGTSTP away again.
func (k *keyboard) suspend() {
	k.release()
	continued := make(chan os.Signal, 1)
	signal.Notify(continued, syscall.SIGCONT)
	defer signal.Stop(continued)
	_ = unix.Kill(0, unix.SIGTSTP) // our own group
	select {
	case <-continued:
	case <-time.After(stopPatience):
	}
}

// inForeground reports whether the terminal's keys are for this process. A
// terminal that cannot say so is one without job control.
func (k *keyboard) inForeground() bool {
	group, err := unix.IoctlGetInt(int(k.terminal.Fd()), unix.TIOCGPGRP)
	return err != nil || group == unix.Getpgrp()
}

// grab makes the terminal hand over each key at once and unechoed, Ctrl-Z too,
// while Ctrl-C still interrupts and output still works as before (x/term's raw
// mode would take both away).
func (k *keyboard) grab() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.grabbed {
		return
	}
	now, err := unix.IoctlGetTermios(int(k.terminal.Fd()), getTermios)
	if err != nil {
		return // it is gone, and reading tells
	}
	if k.saved == nil || now.Lflag&(unix.ICANON|unix.ECHO) != 0 { // else it is as we left it
		k.saved = now
	}
	changed := *k.saved
	changed.Lflag &^= unix.ICANON | unix.ECHO
	changed.Cc[unix.VMIN], changed.Cc[unix.VTIME], changed.Cc[unix.VSUSP] = 1, 0, noKey
	k.grabbed = unix.IoctlSetTermios(int(k.terminal.Fd()), setTermios, &changed) == nil
}

// lost notes that the terminal may be as others have left it.
func (k *keyboard) lost() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.grabbed = false
}

// release gives the terminal back.
func (k *keyboard) release() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.grabbed && k.inForeground() {
		_ = unix.IoctlSetTermios(int(k.terminal.Fd()), setTermios, k.saved) // nobody to tell
	}
	k.grabbed = false
}
