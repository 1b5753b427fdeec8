package main

import "syscall"

// dieWithUs has the kernel stop a child when we are killed.
func dieWithUs() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
}
