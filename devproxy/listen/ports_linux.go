package listen

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
)

// PortsOf are the TCP ports that processes listen on, ascending, each once. Processes
// whose descriptors cannot be read are left out.
func PortsOf(pids []int) []uint16 {
	files := map[string]bool{}
	for _, pid := range pids {
		links, err := filepath.Glob("/proc/" + strconv.Itoa(pid) + "/fd/*")
		if err != nil {
			continue
		}
		for _, link := range links {
			file, _ := os.Readlink(link) // it may have been closed
			files[file] = true
		}
	}
	var ports []uint16
	for _, socket := range listeningSockets() {
		if files[socket.file] {
			ports = append(ports, socket.port)
		}
	}
	slices.Sort(ports)
	return slices.Compact(ports)
}

// StrangerOn reports whether another user of this machine, who is not root, listens on
// a TCP port.
func StrangerOn(port uint16) bool {
	own := strconv.Itoa(os.Geteuid())
	return slices.ContainsFunc(listeningSockets(), func(s socketEntry) bool {
		return s.port == port && s.uid != own && s.uid != "0"
	})
}
