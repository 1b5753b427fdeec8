package wan

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// mtu is Ethernet's, which most paths have.
const mtu = 1500

// openTUN makes a TUN device in this namespace, under a name that the kernel
// chooses so that links made at once do not collide. It goes with the file.
func openTUN() (file *os.File, name string, err error) {
	const path = "/dev/net/tun"
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, "", fmt.Errorf("%w: open %s: %w", ErrUnsupported, path, err)
	}
	request, err := unix.NewIfreq("wan%d")
	if err == nil {
		request.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
		err = unix.IoctlIfreq(fd, unix.TUNSETIFF, request)
	}
	if err != nil {
		unix.Close(fd)
		return nil, "", fmt.Errorf("%w: make a TUN device, which needs CAP_NET_ADMIN: %w", ErrUnsupported, err)
	}
	return os.NewFile(uintptr(fd), path), request.Name(), nil
}

// alarm is a clock that wakes its one goroutine at the microsecond: Go's own
// timers may be a millisecond late when nothing else runs, which is twelve
// kilobytes at 100 Mbit/s.
type alarm struct{ file *os.File }

func newAlarm() (*alarm, error) {
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_CLOEXEC|unix.TFD_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("make a timer: %w", err)
	}
	return &alarm{os.NewFile(uintptr(fd), "timerfd")}, nil
}

// sleep returns after nanoseconds, more than 0, or with an error once the alarm is closed.
func (a *alarm) sleep(nanoseconds int64) error {
	raw, err := a.file.SyscallConn()
	if err != nil {
		return err
	}
	var setErr error
	err = raw.Control(func(fd uintptr) {
		setErr = unix.TimerfdSettime(int(fd), 0, &unix.ItimerSpec{Value: unix.NsecToTimespec(nanoseconds)}, nil)
	})
	if err != nil {
		return err
	}
	if setErr != nil {
		return setErr
	}
	var expirations [8]byte
	_, err = a.file.Read(expirations[:])
	return err
}
