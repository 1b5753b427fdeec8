package provider

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// httpsPort is the port of https:// URLs that name none.
const httpsPort = 443

const (
	// maxName and maxLabel are RFC 1035 section 2.3.4, in bytes of text.
	maxName  = 253
	maxLabel = 63
)

// link is the public address of a share: https://NAME:PORT. The zero link means
// no address.
type link struct {
	name string // lower case
	port uint16
}

// String returns the link as a browser shows it.
func (l link) String() string { return "https://" + l.authority() }

// authority returns the name with its port, unless that is the default.
func (l link) authority() string {
	if l.port == httpsPort {
		return l.name
	}
	return net.JoinHostPort(l.name, strconv.Itoa(int(l.port)))
}

// parseLink reads https://NAME[:PORT], which a slash may follow and nothing
// else. It comes from other programs, and goes to a terminal and into header
// fields. The name must therefore be a host name of the public DNS with two
// labels or more, neither an address nor a name of this machine or network.
func parseLink(text string) (link, error) {
	const scheme = "https://"
	if !hasPrefixFold(text, scheme) {
		return link{}, errors.New("it does not begin with https://")
	}
	name, port, hasPort := strings.Cut(strings.TrimSuffix(text[len(scheme):], "/"), ":")
	name = lower(name)
	if err := checkName(name); err != nil {
		return link{}, err
	}
	if !hasPort {
		return link{name, httpsPort}, nil
	}
	n, err := parsePort(port)
	if err != nil {
		return link{}, err
	}
	return link{name, n}, nil
}

// parsePort reads a port, 1 to 65535.
func parsePort(text string) (uint16, error) {
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil || n == 0 || text[0] == '+' {
		return 0, fmt.Errorf("%q is not a port from 1 to 65535", text)
	}
	return uint16(n), nil
}

// localNames are the top-level domains whose names mean this machine or its
// network (RFC 6761 section 6, RFC 6762 section 3, RFC 8375, RFC 9476, and ICANN
// for internal), and those that never resolve.
var localNames = []string{"localhost", "local", "internal", "home.arpa", "invalid", "onion", "alt"}

// checkName refuses everything but the name of a public host, in lower case.
func checkName(name string) error {
	if !isHostName(name) || !strings.Contains(name, ".") {
		return fmt.Errorf("%q is not a public host name", name)
	}
	if last := name[strings.LastIndexByte(name, '.')+1:]; '0' <= last[0] && last[0] <= '9' {
		return fmt.Errorf("%q is an address, not a name", name) // WHATWG URL, "ends in a number"
	}
	if slices.ContainsFunc(localNames, func(local string) bool { return name == local || strings.HasSuffix(name, "."+local) }) {
		return fmt.Errorf("%q is a name of this machine or network", name)
	}
	return nil
}

// isHostName reports whether name consists of labels of a host (RFC 1123 section
// 2.1): lower case letters, digits and inner hyphens.
func isHostName(name string) bool {
	const characters = "abcdefghijklmnopqrstuvwxyz0123456789-"
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > maxLabel || label[0] == '-' || label[len(label)-1] == '-' || strings.Trim(label, characters) != "" {
			return false
		}
	}
	return len(name) <= maxName
}

// hasPrefixFold reports whether text begins with prefix in any case: the
// scheme of a URL has none (RFC 3986 section 3.1).
func hasPrefixFold(text, prefix string) bool {
	return len(text) >= len(prefix) && strings.EqualFold(text[:len(prefix)], prefix)
}

// lower makes ASCII letters lower case. Some others, such as the Kelvin sign, have an
// ASCII letter as their lower case, and are not allowed in a host's name.
func lower(text string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r - 'A' + 'a'
		}
		return r
	}, text)
}

// isHost reports whether text names a host to connect to: a host name, which may
// have only one label and contain underscores, or an IP address without a zone.
func isHost(text string) bool {
	if ip, err := netip.ParseAddr(text); err == nil {
		return ip.Zone() == ""
	}
	return isHostName(strings.ReplaceAll(lower(strings.TrimSuffix(text, ".")), "_", "x"))
}
