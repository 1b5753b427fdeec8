package wan

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"

	"golang.org/x/sys/unix"
)

// newNames are the names of a link's namespaces. They tell which process made
// them, so that those of a killed one are found by the next link.
func newNames() [2]string {
	link := fmt.Sprintf("wan-%d-%08x", os.Getpid(), rand.Uint32())
	return [2]string{link + "-a", link + "-b"}
}

// sweep removes namespaces of processes that were killed before they could.
func sweep(ctx context.Context, ip string) {
	entries, err := os.ReadDir(namespaceDir)
	if err != nil {
		return // there are none yet
	}
	for _, entry := range entries {
		if ctx.Err() != nil {
			return
		}
		if abandoned(entry.Name()) {
			// Another link may be removing it at this moment.
			_ = namespace{ip: ip, name: entry.Name()}.remove()
		}
	}
}

// abandoned reports whether name is of a link whose process is gone.
func abandoned(name string) bool {
	var pid int
	var link uint32
	var side rune
	if n, _ := fmt.Sscanf(name, "wan-%d-%08x-%c", &pid, &link, &side); n != 3 || pid <= 0 {
		return false
	}
	return errors.Is(unix.Kill(pid, 0), unix.ESRCH)
}

// findIP finds ip(8), which is not on every user's path.
func findIP() (string, error) {
	for _, name := range []string{"ip", "/usr/sbin/ip", "/sbin/ip"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("%w: ip is not installed: on Debian, apt install iproute2", ErrUnsupported)
}

// supported says what is missing here, before anything is made.
func supported() error {
	if os.Geteuid() != 0 {
		return fmt.Errorf("%w: it needs root, to make network namespaces and TUN devices: run it with sudo, or in a container with CAP_NET_ADMIN, CAP_SYS_ADMIN and /dev/net/tun", ErrUnsupported)
	}
	_, err := os.Stat("/dev/net/tun")
	if err != nil {
		return fmt.Errorf("%w: %w: try modprobe tun, or docker run --device /dev/net/tun", ErrUnsupported, err)
	}
	return nil
}
