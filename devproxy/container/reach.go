package container

import (
	"cmp"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/devproxy/devproxy/devproxy/failure"
)

// maxPorts bounds the ports of one container.
const maxPorts = 100

// Reach returns the address where this machine reaches the port of c. Port 0 means the
// one that the label devproxy.port names; without the label, the only TCP port that is
// published, or else the only one that is exposed. The error says what to write.
func (c *Container) Reach(port uint16) (netip.AddrPort, error) {
	if c.State != Running {
		return netip.AddrPort{}, failure.Errorf("start it, such as with `docker start "+c.Name+"`", "container %s is not running: its state is %q", c.Name, c.State)
	}
	if port == 0 {
		var err error
		if port, err = c.port(); err != nil {
			return netip.AddrPort{}, err
		}
	}
	for _, p := range c.Ports {
		if p.Number == port && p.Published.IsValid() {
			return p.Published, nil
		}
	}
	if c.IP.IsValid() {
		return netip.AddrPortFrom(c.IP, port), nil
	}
	return netip.AddrPort{}, failure.Errorf(fmt.Sprintf("publish it: in compose.yaml `ports: [\"127.0.0.1::%d\"]`, or `docker run -p 127.0.0.1::%[1]d`", port),
		"port %d of container %s is not published, and this machine can't reach the container's own address", port, c.Name)
}

// port returns the port that c chooses.
func (c *Container) port() (uint16, error) {
	if c.Port != "" {
		port, err := strconv.ParseUint(c.Port, 10, 16)
		if err != nil || port == 0 {
			return 0, failure.Errorf("write the port inside the container, such as devproxy.port=8080",
				"the label devproxy.port of container %s is %q, which is not a port", c.Name, c.Port)
		}
		return uint16(port), nil
	}
	published := slices.DeleteFunc(slices.Clone(c.Ports), func(p Port) bool { return !p.Published.IsValid() })
	for _, choice := range [][]Port{published, c.Ports} {
		switch len(choice) {
		case 0:
		case 1:
			return choice[0].Number, nil
		default:
			return 0, failure.Errorf(fmt.Sprintf("add the label devproxy.port, such as devproxy.port=%d", choice[0].Number),
				"container %s has several TCP ports: %s", c.Name, numbers(choice))
		}
	}
	return 0, failure.Errorf("add the label devproxy.port with the port where its server listens, such as devproxy.port=8080",
		"container %s exposes and publishes no TCP port", c.Name)
}

func numbers(ports []Port) string {
	all := make([]string, len(ports))
	for i, p := range ports {
		all[i] = strconv.Itoa(int(p.Number))
	}
	return strings.Join(all, ", ")
}

// network is what decides where this machine reaches containers.
type network struct {
	own []netip.Addr // the machine's addresses
	// direct is true where containers can have networks that this machine is part of.
	direct bool
	// host is true where the host's network of a container is that of this machine.
	host bool
}

// localNetwork returns the machine's network as it is now. An engine that does not run as
// root has networks of its own, with the same addresses as those of another engine: it is
// rootless or in a virtual machine. Only rootless Podman uses the machine's own as the
// host's.
func localNetwork(byRoot, podman bool) network {
	linux := runtime.GOOS == "linux"
	n := network{direct: linux && byRoot, host: linux && (byRoot || podman)}
	all, err := net.InterfaceAddrs()
	if err != nil {
		return n // only published ports on loopback are reached
	}
	for _, addr := range all {
		if prefix, err := netip.ParsePrefix(addr.String()); err == nil {
			n.own = append(n.own, prefix.Addr())
		}
	}
	return n
}

// address returns the container's own address if this machine reaches it. This machine
// must be the gateway of the network: an address alone could be that of another machine
// of the user's network, as with rootless engines and those in virtual machines.
func (n network) address(c *apiContainer) netip.Addr {
	if n.host && c.HostConfig.NetworkMode == "host" {
		return netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	if !n.direct {
		return netip.Addr{}
	}
	var found []netip.Addr
	for _, net := range c.NetworkSettings.Networks {
		if net == nil {
			continue
		}
		for _, pair := range [][2]string{{net.IPAddress, net.Gateway}, {net.GlobalIPv6Address, net.IPv6Gateway}} {
			own, err1 := netip.ParseAddr(pair[0])
			gateway, err2 := netip.ParseAddr(pair[1])
			if err1 == nil && err2 == nil && isHost(own) && own.Is4() == gateway.Is4() && own != gateway && slices.Contains(n.own, gateway) && !slices.Contains(n.own, own) {
				found = append(found, own)
			}
		}
	}
	if len(found) == 0 {
		return netip.Addr{}
	}
	// Networks come from a map. IPv4 is less, so that it comes first.
	return slices.MinFunc(found, netip.Addr.Compare)
}

// isHost reports whether a is the address of one machine and needs no zone.
func isHost(a netip.Addr) bool {
	return a.Zone() == "" && !a.Is4In6() && !a.IsUnspecified() && !a.IsLoopback() && !a.IsMulticast() && !a.IsLinkLocalUnicast()
}

// ports returns the TCP ports that the container or its image exposes, or that are
// published.
func (n network) ports(c *apiContainer, image map[string]struct{}) []Port {
	byNumber := map[uint16]netip.AddrPort{}
	for _, exposed := range []map[string]struct{}{c.Config.ExposedPorts, image} {
		for name := range exposed {
			if number, ok := tcp(name); ok {
				byNumber[number] = netip.AddrPort{}
			}
		}
	}
	for name, bindings := range c.NetworkSettings.Ports {
		if number, ok := tcp(name); ok {
			byNumber[number] = n.published(bindings)
		}
	}
	ports := make([]Port, 0, len(byNumber))
	for number, at := range byNumber {
		ports = append(ports, Port{number, at})
	}
	slices.SortFunc(ports, func(a, b Port) int { return cmp.Compare(a.Number, b.Number) })
	return ports[:min(len(ports), maxPorts)]
}

// tcp returns the number of a port in Docker's notation, such as "8080/tcp".
func tcp(name string) (uint16, bool) {
	digits, protocol, found := strings.Cut(name, "/")
	number, err := strconv.ParseUint(digits, 10, 16)
	return uint16(number), err == nil && number > 0 && (!found || protocol == "tcp")
}

// published returns where this machine reaches a port with these bindings, an address
// of IPv4 first; invalid if it does not.
func (n network) published(bindings []apiBinding) netip.AddrPort {
	var best netip.AddrPort
	for _, b := range bindings {
		port, err := strconv.ParseUint(b.HostPort, 10, 16)
		if err != nil || port == 0 {
			continue
		}
		ip := netip.IPv4Unspecified() // Podman leaves it out
		if b.HostIP != "" {
			if ip, err = netip.ParseAddr(b.HostIP); err != nil {
				continue
			}
		}
		switch ip = ip.Unmap(); {
		case ip == netip.IPv4Unspecified():
			ip = netip.AddrFrom4([4]byte{127, 0, 0, 1})
		case ip == netip.IPv6Unspecified():
			ip = netip.IPv6Loopback()
		case !ip.IsLoopback() && !slices.Contains(n.own, ip):
			continue
		}
		if at := netip.AddrPortFrom(ip, uint16(port)); !best.IsValid() || at.Compare(best) < 0 {
			best = at
		}
	}
	return best
}
