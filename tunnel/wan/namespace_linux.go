package wan

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

const (
	// namespaceDir is where ip(8) keeps named namespaces.
	namespaceDir = "/var/run/netns"
	// overlayDir holds, by namespace, the files that `ip netns exec` shows
	// instead of those in /etc.
	overlayDir = "/etc/netns"
	// device is the name of a namespace's TUN device inside it.
	device = "wan0"
	// burst is how many packets a device holds until they are read: a whole
	// window of a fast path sent at once, so that only the path loses packets.
	burst = 10000
)

// namespace is a network namespace of a link.
type namespace struct {
	ip         string // the ip(8) program
	name       string
	congestion string // of TCP on the path; empty for the machine's
}

// run runs ip(8).
func (ns namespace) run(ctx context.Context, args ...string) error {
	out, err := exec.CommandContext(ctx, ns.ip, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("ip %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}

// add makes the namespace, with its loopback up.
func (ns namespace) add(ctx context.Context) error {
	if err := ns.run(ctx, "netns", "add", ns.name); err != nil {
		return fmt.Errorf("%w: make a network namespace, which needs CAP_SYS_ADMIN: %w", ErrUnsupported, err)
	}
	return ns.run(ctx, "-n", ns.name, "link", "set", "lo", "up")
}

// remove removes the namespace and its files in overlayDir. Programs still in it
// keep it, without a name.
func (ns namespace) remove() error {
	err := ns.run(context.Background(), "netns", "del", ns.name)
	return errors.Join(err, os.RemoveAll(filepath.Join(overlayDir, ns.name)))
}

// connect moves the TUN device called tun here and raises it.
func (ns namespace) connect(ctx context.Context, tun string, addr netip.Addr) error {
	for _, step := range [][]string{
		{"link", "set", tun, "netns", ns.name, "name", device},
		{"-n", ns.name, "link", "set", device, "mtu", fmt.Sprint(mtu), "txqueuelen", fmt.Sprint(burst)},
	} {
		if err := ns.run(ctx, step...); err != nil {
			return err
		}
	}
	// Without IPv6 the kernel itself sends nothing on the path, so that a
	// seed loses the same packets each time.
	disable := func() error {
		return os.WriteFile("/proc/sys/net/ipv6/conf/"+device+"/disable_ipv6", []byte("1"), 0)
	}
	if err := ns.enter(disable); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := ns.run(ctx, "-n", ns.name, "link", "set", device, "up"); err != nil {
		return err
	}
	return ns.addAddr(ctx, addr)
}

// addAddr gives the device an address, and a route with the configured congestion
// control. The route's applies to every connection, while the namespace's own setting
// is limited to what the machine's administrator allows.
func (ns namespace) addAddr(ctx context.Context, addr netip.Addr) error {
	if err := ns.run(ctx, "-n", ns.name, "addr", "add", prefix(addr), "dev", device, "noprefixroute"); err != nil {
		return err
	}
	route := []string{"-n", ns.name, "route", "replace", Subnet().String(), "dev", device}
	if ns.congestion == "" {
		return ns.run(ctx, route...)
	}
	if err := ns.run(ctx, append(route, "congctl", ns.congestion)...); err != nil {
		return fmt.Errorf("this kernel may have no congestion control %q; try sudo modprobe tcp_%s: %w", ns.congestion, ns.congestion, err)
	}
	return nil
}

func (ns namespace) delAddr(ctx context.Context, addr netip.Addr) error {
	return ns.run(ctx, "-n", ns.name, "addr", "del", prefix(addr), "dev", device)
}

func prefix(addr netip.Addr) string { return netip.PrefixFrom(addr, Subnet().Bits()).String() }

// hosts makes names resolve for programs in the namespace.
func (ns namespace) hosts(names map[string]netip.Addr) error {
	dir := filepath.Join(overlayDir, ns.name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	text := "127.0.0.1 localhost\n::1 localhost\n"
	for _, name := range slices.Sorted(maps.Keys(names)) {
		text += names[name].String() + " " + name + "\n"
	}
	return os.WriteFile(filepath.Join(dir, "hosts"), []byte(text), 0o644)
}

// enter runs f on a thread in the namespace.
func (ns namespace) enter(f func() error) error {
	result := make(chan error)
	go func() {
		// Never unlocked: the thread ends with the goroutine, and nothing else
		// runs in the namespace.
		runtime.LockOSThread()
		result <- ns.enterLocked(f)
	}()
	return <-result
}

func (ns namespace) enterLocked(f func() error) error {
	file, err := os.Open(filepath.Join(namespaceDir, ns.name))
	if err != nil {
		return err
	}
	defer file.Close()
	if err := unix.Setns(int(file.Fd()), unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("enter the network namespace %s: %w", ns.name, err)
	}
	return f()
}

// sweep removes namespaces of processes that were killed.
func sweep(ctx context.Context, ip string) {
	entries, err := os.ReadDir(namespaceDir)
	if err != nil {
		return // no namespace was made yet
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

// abandoned reports whether name belongs to a link whose process has ended.
func abandoned(name string) bool {
	var pid int
	var link uint32
	var side rune
	if n, _ := fmt.Sscanf(name, "wan-%d-%08x-%c", &pid, &link, &side); n != 3 || pid <= 0 {
		return false
	}
	return errors.Is(unix.Kill(pid, 0), unix.ESRCH)
}

// supported checks the requirements before anything is made. It returns the ip(8)
// program, which is not on every user's PATH.
func supported() (ip string, err error) {
	if os.Geteuid() != 0 {
		return "", fmt.Errorf("%w: it needs root, to make network namespaces and TUN devices: run it with sudo, or in a container with CAP_NET_ADMIN, CAP_SYS_ADMIN and /dev/net/tun", ErrUnsupported)
	}
	if _, err := os.Stat("/dev/net/tun"); err != nil {
		return "", fmt.Errorf("%w: %w: try modprobe tun, or docker run --device /dev/net/tun", ErrUnsupported, err)
	}
	for _, name := range []string{"ip", "/usr/sbin/ip", "/sbin/ip"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("%w: ip is not installed: on Debian, apt install iproute2", ErrUnsupported)
}
