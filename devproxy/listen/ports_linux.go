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
