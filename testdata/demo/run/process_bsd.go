//go:build unix && !linux

package main

import "syscall"

// dieWithUs does nothing here: only Linux knows how. It has not been tried.
func dieWithUs() *syscall.SysProcAttr { return &syscall.SysProcAttr{} }
