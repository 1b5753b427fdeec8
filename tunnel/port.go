package tunnel

import "strings"

// The networks of a Port, which are also the schemes of its visitors.
const (
	TCP = "tcp"
	UDP = "udp"
)

const (
	// MaxPorts is how many ports one share may have.
	MaxPorts = 8
	// maxPortName bounds the name of a port, in bytes.
	maxPortName = 63
)

// Port is a shared port. Visitors reach it at a port of the relay's domain, the same as
// long as the relay keeps it for the key.
type Port struct {
	// Network is TCP or UDP.
	Network string `json:"network"`
	// Name is that of the tcp or udp block: "postgres".
	Name string `json:"name"`
}

func (p Port) String() string { return p.Network + " " + p.Name }

// CheckPorts returns an error for ports that cannot be claimed together. It is a
// *NameError.
func CheckPorts(ports []Port) error {
	if len(ports) > MaxPorts {
		return nameErrorf("remove some from tcp and udp in the share block", "a share can have at most %d ports, not %d", MaxPorts, len(ports))
	}
	seen := map[Port]bool{}
	for _, p := range ports {
		switch {
		case p.Network != TCP && p.Network != UDP:
			return nameErrorf(updateFix, "the network %.20q of a port is neither tcp nor udp", p.Network)
		case !isPortName(p.Name):
			return nameErrorf(`write at most 63 letters, digits, "-" and "_", and a letter or "_" first`, "the name %.80q of a port is not valid", p.Name)
		case seen[p]:
			return nameErrorf("name it once", "the port %q is claimed twice", p)
		}
		seen[p] = true
	}
	return nil
}

// isPortName reports whether s is a name of a block in a Proxyfile.
func isPortName(s string) bool {
	const capitals = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	return s != "" && len(s) <= maxPortName && !strings.ContainsRune("0123456789-", rune(s[0])) &&
		consistsOf(s, lettersAndDigits+capitals+"-_")
}
