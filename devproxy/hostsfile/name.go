package hostsfile

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

const (
	// suffix is the domain that always means this machine (RFC 6761 section 6.3).
	suffix = "localhost"
	// The limits of RFC 1035 section 2.3.4, in characters.
	longestName, longestLabel = 253, 63
)

// NameError says why a name may not be in the hosts file.
type NameError struct {
	Name   string
	Reason string // continues "NAME "
}

func (e *NameError) Error() string { return fmt.Sprintf("%.80q %s", e.Name, e.Reason) }

// Check returns nil for a name that may be in the block: a host name in lower case below
// .localhost, or below one of domains, which the user trusts. A project cannot redirect
// other names, such as github.com. The error is a *NameError.
func Check(name string, domains []string) error {
	fault := faultOf(name)
	switch {
	case fault != "":
	case name == suffix:
		fault = "is in every hosts file already"
	case !below(name, suffix) && !slices.ContainsFunc(domains, func(domain string) bool { return name == domain || below(name, domain) }):
		fault = "is not below .localhost, nor below a domain that you trust (devproxy trust --domain)"
	}
	if fault != "" {
		return &NameError{name, fault}
	}
	return nil
}

func below(name, domain string) bool { return strings.HasSuffix(name, "."+domain) }

// faultOf says why a name is not a valid host name; empty if it is. Only letters a to z,
// digits, "-", "_" and dots can be in one, so none can break out of its line.
func faultOf(name string) string {
	if strings.HasPrefix(name, "*.") {
		return "is a wildcard, and a hosts file has no wildcards"
	}
	if len(name) > longestName {
		return "is longer than 253 characters"
	}
	if _, err := netip.ParseAddr(name); err == nil {
		return "is an address"
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > longestLabel || label[0] == '-' || label[len(label)-1] == '-' || strings.ContainsFunc(label, notInLabel) {
			return "is not a valid host name"
		}
	}
	return ""
}

func notInLabel(r rune) bool {
	return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '_'
}

// CheckUser returns nil for the id of a user that may be in the marks: a number, or a SID
// of Windows.
func CheckUser(user string) error {
	if user == "" || len(user) > 200 || strings.ContainsFunc(user, func(r rune) bool {
		return (r < '0' || r > '9') && r != 'S' && r != '-'
	}) {
		return fmt.Errorf("%.80q is not the id of a user", user)
	}
	return nil
}
