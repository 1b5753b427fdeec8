package listen

import (
	"errors"
	"fmt"
	"io/fs"

	"golang.org/x/sys/unix"
)

const (
	// portSetting is the lowest port that processes without CAP_NET_BIND_SERVICE may
	// listen on (ip-sysctl.rst of the kernel).
	portSetting     = "net.ipv4.ip_unprivileged_port_start"
	portSettingFile = "/proc/sys/net/ipv4/ip_unprivileged_port_start"
	// portSettingConf has the setting applied when the machine starts (sysctl.d(5)).
	portSettingConf = "/etc/sysctl.d/50-devproxy.conf"
)

// permissionSteps let everyone listen on ports from 80 (or port, if lower) upwards:
// after a restart, and now. The second applies that one file; --system would reset what
// else was changed since the machine started.
func permissionSteps(port uint16) []Step {
	return []Step{
		{Args: []string{"tee", portSettingConf}, Input: settingFor(port) + "\n"},
		{Args: []string{"sysctl", "-p", portSettingConf}},
	}
}

func settingFor(port uint16) string { return fmt.Sprintf("%s=%d", portSetting, min(port, defaultHTTP)) }

// permissionFix returns the command that lets this user bind a port; without one, why
// there is none and what to do.
func permissionFix(port uint16) (fix, obstacle string) {
	var place unix.Statfs_t
	err := unix.Statfs(portSettingFile, &place)
	if obstacle := obstacleOf(port, err, place.Flags&unix.ST_RDONLY != 0); obstacle != "" {
		return "", obstacle
	}
	return shellLine(permissionSteps(port)), ""
}

// obstacleOf says why the setting cannot be changed from here; empty if it can. missing is
// the error of looking for its file, and readOnly is of where that is.
func obstacleOf(port uint16, missing error, readOnly bool) string {
	switch {
	case errors.Is(missing, fs.ErrNotExist):
		return "this kernel has no setting for it; in WSL, use WSL 2"
	case readOnly:
		return "/proc/sys is read-only here, as in most containers: start the container with --sysctl " + settingFor(port)
	}
	return ""
}
