package listen

import (
	"bytes"
	"context"
	"maps"
	"net/netip"
	"os"
	"os/user"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// probe has nothing to do on Linux: while any socket listens on the wildcard
// address, binding a specific one fails, SO_REUSEADDR or not.
func probe(context.Context, netip.AddrPort) error { return nil }

// findHolder names the holder as exactly as this user is allowed to see: the process
// if its descriptors can be read, else the user it runs as.
func findHolder(port uint16) Holder { return holderOf(tcp, port, listeningSockets()) }

// UDPHolder is the process that has a UDP port, as exactly as this user is allowed to see.
func UDPHolder(port uint16) Holder {
	return holderOf(udp, port, readSockets(isBound, "/proc/net/udp", "/proc/net/udp6"))
}

func holderOf(network string, port uint16, table []socketEntry) Holder {
	i := slices.IndexFunc(table, func(s socketEntry) bool { return s.port == port })
	if i < 0 {
		return newHolder(network, port, 0, "", "", "", "")
	}
	holder := userName(table[i].uid)
	pid := socketOwners()[table[i].file] // 0 for a process whose descriptors cannot be read
	return newHolder(network, port, pid, processName(pid), holder, processDir(pid), serviceOf(pid))
}

// ListeningProcesses are the processes listening on TCP whose descriptors can
// be read, which are the user's own, ordered by pid. It never fails: processes
// that the system does not show are left out.
func ListeningProcesses() []Process {
	owners := socketOwners()
	byPID := map[int]*Process{}
	for _, socket := range listeningSockets() {
		pid := owners[socket.file]
		if pid == 0 {
			continue
		}
		if byPID[pid] == nil {
			byPID[pid] = &Process{PID: pid, Name: processName(pid), Dir: processDir(pid)}
		}
		byPID[pid].Ports = append(byPID[pid].Ports, int(socket.port))
	}
	var processes []Process
	for _, pid := range slices.Sorted(maps.Keys(byPID)) {
		process := byPID[pid]
		slices.Sort(process.Ports)
		process.Ports = slices.Compact(process.Ports)
		processes = append(processes, *process)
	}
	return processes
}

// Twins are two processes of the user that listen on the same port, the first on IPv4
// and the second on IPv6; ok is false without such a pair, or when one process has both.
// It is a matter of chance which of the two a port alone means.
func Twins(port int) (four, six Process, ok bool) {
	sockets := map[bool]string{} // by whether it is of IPv6
	for _, socket := range listeningSockets() {
		if int(socket.port) == port {
			sockets[socket.six] = socket.file
		}
	}
	if len(sockets) < 2 {
		return Process{}, Process{}, false
	}
	owners := socketOwners()
	pids := [2]int{owners[sockets[false]], owners[sockets[true]]}
	if pids[0] == 0 || pids[1] == 0 || pids[0] == pids[1] {
		return Process{}, Process{}, false
	}
	of := func(pid int) Process {
		return Process{PID: pid, Name: processName(pid), Dir: processDir(pid), Ports: []int{port}}
	}
	four, six = of(pids[0]), of(pids[1])
	// Docker has a process for each; both lead to the same container.
	return four, six, four.Name != "docker-proxy" || six.Name != four.Name
}

// socketEntry is a row of /proc/net/tcp, tcp6, udp or udp6.
type socketEntry struct {
	port uint16
	six  bool // of IPv6
	uid  string
	file string // the link target of a descriptor of the socket
}

// stateListen is TCP_LISTEN as the kernel prints it.
const stateListen = "0A"

func isListening(state string) bool { return state == stateListen }

// isBound is for UDP, where a socket in any state has its port.
func isBound(string) bool { return true }

func listeningSockets() []socketEntry {
	return readSockets(isListening, "/proc/net/tcp", "/proc/net/tcp6")
}

// readSockets reads the sockets in the states that has reports.
func readSockets(has func(state string) bool, files ...string) []socketEntry {
	var table []socketEntry
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			continue // without IPv6 there is none for it
		}
		for line := range bytes.Lines(text) {
			if entry, ok := parseSocket(string(line), has); ok {
				table = append(table, entry)
			}
		}
	}
	return table
}

// parseSocket reads "sl local_address rem_address st tx:rx tr:tm retrnsmt uid
// timeout inode …", addresses in hexadecimal as ADDRESS:PORT.
func parseSocket(line string, has func(state string) bool) (socketEntry, bool) {
	fields := strings.Fields(line)
	if len(fields) < 10 || !has(fields[3]) {
		return socketEntry{}, false
	}
	addr, hex, _ := strings.Cut(fields[1], ":")
	port, err := strconv.ParseUint(hex, 16, 16)
	return socketEntry{port: uint16(port), six: len(addr) > len("0100007F"), uid: fields[7], file: "socket:[" + fields[9] + "]"}, err == nil
}

// socketOwners maps the targets of descriptors to pids, for every process whose
// descriptors can be read. A socket that a parent shares with children is the parent's.
func socketOwners() map[string]int {
	owners := map[string]int{}
	links, err := filepath.Glob("/proc/[0-9]*/fd/*")
	if err != nil {
		return owners
	}
	for _, link := range links {
		file, _ := os.Readlink(link)
		pid, _ := strconv.Atoi(strings.Split(link, "/")[2])
		if owners[file] == 0 || pid < owners[file] {
			owners[file] = pid
		}
	}
	return owners
}

func processName(pid int) string {
	name, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/comm")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(name))
}

func processDir(pid int) string {
	dir, err := os.Readlink("/proc/" + strconv.Itoa(pid) + "/cwd")
	if err != nil {
		return ""
	}
	return dir
}

func userName(uid string) string {
	u, err := user.LookupId(uid)
	if err != nil {
		return "user " + uid
	}
	return u.Username
}

// serviceOf is the name of the systemd service a process belongs to, by its
// control group (version 2). Services of a user's own manager are left
// out: they are not stopped with sudo.
func serviceOf(pid int) string {
	groups, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/cgroup")
	return serviceIn(string(groups))
}

// serviceIn reads "0::/system.slice/caddy.service" as "caddy". It is empty for
// control groups without a service.
func serviceIn(groups string) string {
	for line := range strings.Lines(groups) {
		group, system := strings.CutPrefix(strings.TrimSpace(line), "0::/system.slice/")
		if service, ok := strings.CutSuffix(path.Base(group), ".service"); ok && system {
			return service
		}
	}
	return ""
}
