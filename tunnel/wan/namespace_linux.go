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
	// device is what a namespace's TUN device is called there.
	device = "wan0"
	// burst is how many packets a device holds until we read them: a whole
	// window of a fast path sent at once, so that only the path loses packets.
	burst = 10000
)

// namespace is a network namespace that we made.
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

// remove removes it, and what Open put beside it. Programs still in it keep it,
// without a name.
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
	// Without IPv6 the kernel sends nothing of its own on the path, so that a
	// seed loses the same packets each time.
	if err := ns.sysctl("net/ipv6/conf/"+device+"/disable_ipv6", "1"); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := ns.run(ctx, "-n", ns.name, "link", "set", device, "up"); err != nil {
		return err
	}
	return ns.addAddr(ctx, addr)
}

// addAddr gives the device an address, and a route with the congestion control
// that is asked for. The route's is taken for every connection, while the
// namespace's own setting is open to what the machine's administrator allows.
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

// sysctl writes a file below /proc/sys, as it is in the namespace.
func (ns namespace) sysctl(file, value string) error {
	return ns.enter(func() error {
		if err := os.WriteFile("/proc/sys/"+file, []byte(value), 0); err != nil {
			return fmt.Errorf("write %q: %w", value, err)
		}
		return nil
	})
}

// hosts makes names known to programs in the namespace.
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
		// gets to run in the namespace.
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
