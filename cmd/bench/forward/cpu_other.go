//go:build !linux

package forward

import (
	"errors"
	"syscall"
)

const userSignal = syscall.Signal(0)

func pinProcess(int) error { return errors.New("this benchmark needs Linux") }

func onCPU[T any](_ int, f func() (T, error)) (T, error) { return f() }
