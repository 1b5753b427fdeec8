package listen

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/devproxy/devproxy/devproxy/programs"
)

// namespace is how a network namespace of its own is prepared for an ordinary
// user in it.
type namespace struct {
	Sysctls map[string]string
	Taken   []string // addresses that root listens on
	List    bool     // also list processes
	// HTTPS and HTTP are the configured addresses; empty for the default ports.
	HTTPS, HTTP string
}

const namespaceVariable = "DEVPROXY_LISTEN_TEST_NAMESPACE"

// openInNamespace runs as root in a new namespace, prepares it, becomes an
// ordinary user and opens the ports.
func openInNamespace() (any, error) {
	var ns namespace
	if err := json.Unmarshal([]byte(os.Getenv(namespaceVariable)), &ns); err != nil {
		return nil, err
	}
	for name, value := range ns.Sysctls {
		if err := os.WriteFile("/proc/sys/"+strings.ReplaceAll(name, ".", "/"), []byte(value), 0o644); err != nil {
			return nil, err
		}
	}
	if err := raiseLoopback(); err != nil {
		return nil, err
	}
	for _, at := range ns.Taken {
		if _, err := net.Listen("tcp", at); err != nil {
			return nil, err
		}
	}
	const nobody = 65534
	if err := syscall.Setresgid(nobody, nobody, nobody); err != nil {
		return nil, err
	}
	if err := syscall.Setresuid(nobody, nobody, nobody); err != nil {
		return nil, err
	}
	result, err := openPorts(ns.HTTPS, ns.HTTP)
	if o, ok := result.(opening); ok && ns.List {
		o.Processes = ListeningProcesses()
		return o, err
	}
	return result, err
}

// raiseLoopback is "ip link set lo up".
func raiseLoopback() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	request, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	request.SetUint16(unix.IFF_UP)
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, request)
}

// inNamespace gives what an ordinary user gets in such a namespace.
func inNamespace(t *testing.T, ns namespace) opening {
	t.Helper()
	needRoot(t)
	text, err := json.Marshal(ns)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), roleVariable+"=namespace", namespaceVariable+"="+string(text))
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	var o opening
	runJSON(t, cmd, &o)
	return o
}

func needRoot(t *testing.T) {
	t.Helper()
	if os.Getuid() != 0 {
		if os.Getenv("CI") == "true" {
			t.Fatal("needs root to make network namespaces")
		}
		t.Skip("needs root to make network namespaces")
	}
}

// runJSON runs a role and reads what it prints.
func runJSON(t *testing.T, cmd *exec.Cmd, result any) {
	t.Helper()
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(out, result); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

// TestNamedPortIsNotReplaced requests ports that may not be bound, or are
// taken: nothing is used instead, and the error has the fix.
func TestNamedPortIsNotReplaced(t *testing.T) {
	for name, test := range map[string]struct {
		ns   namespace
		want opening
	}{
		"HTTPS": {namespace{HTTPS: ":443"},
			opening{Error: "cannot listen on 127.0.0.1:443: this machine does not allow it", Fix: fixFor(443)}},
		"HTTP": {namespace{HTTPS: ":0", HTTP: "[::1]:80"},
			opening{Error: "cannot listen on [::1]:80: this machine does not allow it", Fix: fixFor(80)}},
		"below 80": {namespace{HTTPS: ":79"},
			opening{Error: "cannot listen on 127.0.0.1:79: this machine does not allow it", Fix: fixFor(79)}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, inNamespace(t, test.ns)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestDefaultPortsWithoutPermission(t *testing.T) {
	o := inNamespace(t, namespace{})
	want := opening{
		HTTPS: []string{"127.0.0.1:8443", "[::1]:8443"},
		Fallbacks: []Fallback{
			{Wanted: 443, Got: 8443, Reason: Permission, Fix: fixFor(443)},
			{Wanted: 80, Reason: Permission, Fix: fixFor(80)},
		},
		Texts: []string{"Using port 8443: this machine does not allow 443", "Using no port 80: this machine does not allow 80"},
	}
	if diff := cmp.Diff(want, o); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	path := programs.Here()
	command := "echo net.ipv4.ip_unprivileged_port_start=80 | " + path.RootLine("tee", "/etc/sysctl.d/50-devproxy.conf") + " && " + path.RootLine("sysctl", "-p", "/etc/sysctl.d/50-devproxy.conf")
	if o.Fallbacks[0].Fix != command {
		t.Errorf("the fix is %q", o.Fallbacks[0].Fix)
	}
}

// TestTheFixGivesDefaultPorts applies the setting of the fix.
func TestTheFixGivesDefaultPorts(t *testing.T) {
	_, setting, _ := strings.Cut(fixFor(443), "echo ")
	setting, _, _ = strings.Cut(setting, " |")
	name, value, _ := strings.Cut(setting, "=")
	o := inNamespace(t, namespace{Sysctls: map[string]string{name: value}})
	want := opening{HTTPS: []string{"127.0.0.1:443", "[::1]:443"}, HTTP: []string{"127.0.0.1:80", "[::1]:80"}}
	if diff := cmp.Diff(want, o); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestDefaultPortsWithoutIPv6(t *testing.T) {
	o := inNamespace(t, namespace{Sysctls: map[string]string{
		"net.ipv6.conf.all.disable_ipv6":      "1",
		"net.ipv6.conf.default.disable_ipv6":  "1",
		"net.ipv6.conf.lo.disable_ipv6":       "1",
		"net.ipv4.ip_unprivileged_port_start": "80",
	}})
	want := opening{HTTPS: []string{"127.0.0.1:443"}, HTTP: []string{"127.0.0.1:80"}}
	if diff := cmp.Diff(want, o); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// TestDefaultPortsTaken has root listen: the user is told which user it is,
// and the command that shows more. It is ::1 alone, or everything, or 8443 too.
func TestDefaultPortsTaken(t *testing.T) {
	free := map[string]string{"net.ipv4.ip_unprivileged_port_start": "80"}
	for _, test := range []struct {
		taken []string
		got   int
	}{
		{[]string{"[::1]:443"}, 8443},
		{[]string{"0.0.0.0:443"}, 8443},
		{[]string{"[::]:443", "[::1]:8443", "0.0.0.0:8444"}, 8445},
	} {
		t.Run(fmt.Sprint(test.taken), func(t *testing.T) {
			o := inNamespace(t, namespace{Sysctls: free, Taken: test.taken})
			want := []string{fmt.Sprintf("127.0.0.1:%d", test.got), fmt.Sprintf("[::1]:%d", test.got)}
			if diff := cmp.Diff(want, o.HTTPS); diff != "" || len(o.Fallbacks) != 1 {
				t.Fatalf("fallbacks %v, HTTPS -want +got:\n%s", o.Fallbacks, diff)
			}
			f := o.Fallbacks[0]
			if f.Got != test.got || f.Reason != Taken || f.Holder.User != "root" {
				t.Errorf("fallback %+v, holder %+v", f, f.Holder)
			}
			// Another port than 8443 has its own reason.
			if next := f.Next; (next != nil) != (test.got != 8443) || next != nil && (next.User != "root" || !strings.HasSuffix(f.String(), " on 8443")) {
				t.Errorf("%s: %+v has 8443", f, next)
			}
			if len(o.HTTP) != 2 {
				t.Errorf("HTTP %v, want port 80", o.HTTP)
			}
		})
	}
}

// TestAllFallbacksTaken: the last of the ports that are tried is taken, and when
// it is not free either there is an error.
func TestAllFallbacksTaken(t *testing.T) {
	const last = fallbackHTTPS + fallbackTries - 1
	var taken []string
	for port := fallbackHTTPS; port < last; port++ {
		taken = append(taken, fmt.Sprintf("127.0.0.1:%d", port))
	}
	o := inNamespace(t, namespace{Taken: taken})
	if want := []string{fmt.Sprintf("127.0.0.1:%d", last), fmt.Sprintf("[::1]:%d", last)}; !slices.Equal(o.HTTPS, want) {
		t.Errorf("HTTPS %v, want %v; %s", o.HTTPS, want, o.Error)
	}
	o = inNamespace(t, namespace{Taken: append(taken, fmt.Sprintf("127.0.0.1:%d", last))})
	if want := fmt.Sprintf("no port from %d to %d is free, and cannot listen on 127.0.0.1:443: this machine does not allow it", fallbackHTTPS, last); o.Error != want || o.Fix != fixFor(443) {
		t.Errorf("%q, fix %q\nwant %q", o.Error, o.Fix, want)
	}
}

// TestFreePortIsLookedFor: Linux picks one of two ports here, of which one is
// taken on ::1. The other is found, and where none is free the search ends.
func TestFreePortIsLookedFor(t *testing.T) {
	ns := namespace{HTTPS: ":0", HTTP: "127.0.0.1:0", Sysctls: map[string]string{"net.ipv4.ip_local_port_range": "40000 40007"}, Taken: []string{"[::1]:40001"}}
	for range 8 {
		if o := inNamespace(t, ns); len(o.HTTPS) != 2 {
			t.Errorf("HTTPS %v, %s", o.HTTPS, o.Error)
		}
	}
	for port := range 8 {
		if port != 1 {
			ns.Taken = append(ns.Taken, fmt.Sprintf("[::1]:4000%d", port))
		}
	}
	if o := inNamespace(t, ns); !strings.HasPrefix(o.Error, "cannot listen on [::1]:4000") || !strings.HasSuffix(o.Error, "is using it") {
		t.Errorf("with no port free: %+v", o)
	}
}

// TestAnAddressThatIsAbsent: asked for by itself it is an error, at once; on a
// machine without IPv6 both loopbacks are the one that is there.
func TestAnAddressThatIsAbsent(t *testing.T) {
	ns := namespace{HTTPS: "[::1]:0", HTTP: ":0", Sysctls: map[string]string{
		"net.ipv6.conf.all.disable_ipv6": "1", "net.ipv6.conf.default.disable_ipv6": "1", "net.ipv6.conf.lo.disable_ipv6": "1",
	}}
	if o := inNamespace(t, ns); !strings.HasPrefix(o.Error, "cannot listen on [::1]:0: ") || o.Fix != "" {
		t.Errorf("%+v", o)
	}
	ns.HTTPS = "127.0.0.1:0"
	if o := inNamespace(t, ns); len(o.HTTPS) != 1 || len(o.HTTP) != 1 {
		t.Errorf("%+v", o)
	}
}

// TestOthersProcessesAreNotListed: of a socket whose process may not be known
// no process is named.
func TestOthersProcessesAreNotListed(t *testing.T) {
	o := inNamespace(t, namespace{List: true, HTTPS: ":0", HTTP: "127.0.0.1:0", Taken: []string{"127.0.0.1:9999"}})
	for _, p := range o.Processes {
		if p.PID == 0 {
			t.Errorf("a process without a pid: %+v", p)
		}
	}
	if len(o.HTTPS) != 2 {
		t.Errorf("%+v", o)
	}
}

// fixFor is the command of a machine that can be changed.
func fixFor(port uint16) string { return shellLine(permissionSteps(port)) }
