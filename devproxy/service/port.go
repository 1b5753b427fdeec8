package service

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"

	"github.com/devproxy/devproxy/tunnel/neterror"
)

// firstPort and lastPort are the range of the ports that ChoosePort chooses from. It is
// below the ephemeral ports of Linux (32768 to 60999), macOS and Windows (from 49152),
// and below the node ports of Kubernetes (from 30000).
const (
	firstPort = 20000
	lastPort  = 29999
	portCount = lastPort - firstPort + 1
)

// avoidedPorts are those of the range that well-known programs use.
var avoidedPorts = []uint16{
	22000,               // Syncthing
	24678,               // Vite
	25565,               // Minecraft
	26257,               // CockroachDB
	27017, 27018, 27019, // MongoDB
}

// UsualPort is the port that ChoosePort returns as long as nothing else uses it.
func UsualPort(folder, name string) uint16 { return portAt(folder, name, 0) }

// portAt is a port of the sequence of a service.
func portAt(folder, name string, i int) uint16 {
	sum := sha256.Sum256([]byte(folder + "\x00" + name))
	first := int(binary.BigEndian.Uint32(sum[:]) % portCount)
	for ; ; i++ {
		// A prime step, so that the sequence has every port, and next to none that a
		// dev server would count up to.
		port := uint16(firstPort + (first+i*7919)%portCount)
		if !slices.Contains(avoidedPorts, port) {
			return port
		}
	}
}

// errNoPort says that every port of the range is in use.
var errNoPort = errors.New("every port from 20000 to 29999 is in use")

// ChoosePort returns a port for a service of a project that nothing listens on now: the
// same one each time, as long as it is free, else the next of a sequence that is always
// the same too. used are ports that other services of the project have. Ports that the
// system is set to use for outgoing connections come last.
func ChoosePort(folder, name string, used []uint16) (uint16, error) {
	return choosePort(folder, name, used, isFree)
}

// ChooseUDPPort is ChoosePort for a port of UDP.
func ChooseUDPPort(folder, name string, used []uint16) (uint16, error) {
	return choosePort(folder, name, used, isFreeUDP)
}

func choosePort(folder, name string, used []uint16, isFree func(uint16) bool) (uint16, error) {
	low, high := ephemeralPorts()
	for _, ephemeral := range []bool{false, true} {
		for i := range portCount {
			port := portAt(folder, name, i)
			if (low <= port && port <= high) == ephemeral && !slices.Contains(used, port) && isFree(port) {
				return port, nil
			}
		}
	}
	return 0, errNoPort
}

// isFree reports whether a service can listen on a port, on both addresses of loopback.
func isFree(port uint16) bool {
	if accepts(context.Background(), port) { // BSD and Windows let it be bound a second time
		return false
	}
	for _, host := range loopback {
		listener, err := net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(int(port))))
		if err == nil {
			listener.Close()
		} else if host == loopback[0] || neterror.Taken(err) { // there may be no ::1
			return false
		}
	}
	return true
}

// isFreeUDP reports whether a port of UDP is free on both addresses of loopback.
func isFreeUDP(port uint16) bool {
	for _, host := range loopback {
		socket, err := net.ListenPacket("udp", net.JoinHostPort(host, strconv.Itoa(int(port))))
		if err == nil {
			socket.Close()
		} else if host == loopback[0] || neterror.Taken(err) { // there may be no ::1
			return false
		}
	}
	return true
}

// ephemeralPorts is the range of ports for outgoing connections; none where the system has
// no file with it: the range of macOS and Windows begins above that of ChoosePort, unless
// it was changed.
func ephemeralPorts() (low, high uint16) {
	text, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range")
	if err != nil {
		return 0, 0
	}
	if _, err := fmt.Sscan(string(text), &low, &high); err != nil {
		return 0, 0
	}
	return low, high
}
