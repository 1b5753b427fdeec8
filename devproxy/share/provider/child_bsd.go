//go:build unix && !linux

package provider

import "syscall"

// childAttributes make a process the leader of a group. These systems do not end
// it when this process is killed; cloudflared then ends with the next line that it
// logs, since its output is no longer read (SIGPIPE).
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true}
}
