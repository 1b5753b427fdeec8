package ownership

import (
	"fmt"
	"slices"
	"strings"

	"golang.org/x/net/idna"
	"golang.org/x/net/publicsuffix"

	"github.com/devproxy/devproxy/tunnel"
)

// maxName is RFC 1035 section 2.3.4, in bytes of text.
const maxName = 253

// special are the names below which no DNS server of the internet has records (RFC 6761
// and its successors; .internal is ICANN's).
var special = []string{"alt", "arpa", "internal", "invalid", "local", "localhost", "onion", "test"}

// CheckName returns a *tunnel.NameError for a name that can't be a domain of a user's
// own at the relay of a domain. It must be written as in the DNS: in lower case, and in
// punycode.
func CheckName(name, relay string) error {
	reason, fix := faultOf(name, relay)
	if reason == "" {
		return nil
	}
	return &tunnel.NameError{Reason: fmt.Sprintf("the domain %.100q %s", name, reason), Fix: fix}
}

func faultOf(name, relay string) (reason, fix string) {
	const below = `choose a name below it, such as "demo.example.com"`
	ascii, err := idna.Lookup.ToASCII(name)
	convertible := err == nil && ascii != name && isName(ascii)
	last := name[strings.LastIndexByte(name, '.')+1:]
	public, _ := publicsuffix.PublicSuffix(name)
	switch {
	case strings.Contains(name, "*"):
		return "is a wildcard", "write one name"
	case convertible && strings.ToLower(name) != name:
		return "is not in lower case", fmt.Sprintf("write %q", ascii)
	case convertible:
		return "is not written as in the DNS", fmt.Sprintf("write %q", ascii)
	case err != nil || ascii != name || len(name) > maxName || !strings.Contains(name, ".") || !isName(name) || isNumber(last):
		return "is not a domain", `write letters a to z, digits, "-" and dots, as in "demo.example.com"`
	case within(name, relay):
		return "is the relay's own", "choose a name below a domain of yours, or use a plain name of the relay: name = \"shop\""
	case within(relay, name):
		return "is above the relay's own domain", below
	case slices.Contains(special, last):
		return "exists in no DNS of the internet", "choose a name below a domain that is registered to you"
	case public == name:
		return "is a public suffix: strangers own the names below it", below
	}
	return "", ""
}

// isName reports whether the labels of name have letters, digits and hyphens (RFC 952,
// 1123). idna allows more in some places.
func isName(name string) bool {
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' ||
			strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
			return false
		}
	}
	return true
}

// isNumber reports whether the last label of a name makes it an address (WHATWG URL,
// "ends in a number").
func isNumber(label string) bool {
	return strings.Trim(label, "0123456789") == "" || strings.HasPrefix(label, "0x")
}

// within reports whether name is domain or below it.
func within(name, domain string) bool { return name == domain || strings.HasSuffix(name, "."+domain) }
