package forward

import (
	"os"
	"runtime"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// userSignal has HAProxy read its configuration again.
const userSignal = syscall.SIGUSR2

// pinProcess keeps this process, and the children it starts, on one core.
func pinProcess(cpu int) error {
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return err
	}
	for _, task := range tasks {
		if tid, err := strconv.Atoi(task.Name()); err == nil {
			if err := pin(tid, cpu); err != nil {
				return err
			}
		}
	}
	return nil
}

// onCPU calls f on a thread that is kept on one core. Children that f starts
// stay there.
func onCPU[T any](cpu int, f func() (T, error)) (T, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var zero T
	var before unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		return zero, err
	}
	if err := pin(0, cpu); err != nil {
		return zero, err
	}
	defer func() { _ = unix.SchedSetaffinity(0, &before) }()
	return f()
}

func pin(tid, cpu int) error {
	var set unix.CPUSet
	set.Set(cpu)
	return unix.SchedSetaffinity(tid, &set)
}
