package provider

import "syscall"

// childAttributes make a process the leader of a group that the kernel kills when
// this process ends for any reason.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
