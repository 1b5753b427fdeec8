package hcl

import (
	"net/netip"
	"regexp"
	"strings"
)

const (
	// maxName and maxLabel are the longest name and label in text form (RFC
	// 1035 section 2.3.4).
	maxName  = 253
	maxLabel = 63
)

const suffix = ".localhost"

var labelPattern = regexp.MustCompile(`^[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?$`)

// name checks the name of a host, or with wildcard false of a domain, and
// gives it in lower case; empty when it cannot be one.
func (d *decoder) name(text string, at Range, wildcard bool) string {
	name := strings.ToLower(text)
	write := func(name string) string { return quotef("write %s", name) }
	base, isWildcard := strings.CutPrefix(name, "*.")
	switch _, notIP := netip.ParseAddr(strings.Trim(name, "[]")); {
	case strings.Contains(name, "://"):
		_, rest, _ := strings.Cut(name, "://")
		rest, _, _ = strings.Cut(rest, "/")
		rest, _, _ = strings.Cut(rest, ":")
		d.errorf(at, write(rest), "a name has no scheme")
	case notIP == nil:
		d.errorf(at, `write one like "shop.localhost"`, "%q is an address, not a name", text)
	case strings.Contains(name, "/"):
		before, _, _ := strings.Cut(name, "/")
		d.errorf(at, write(before)+`, and inside of it route "/PATH"`, "a name has no path")
	case strings.Contains(name, ":"):
		before, _, _ := strings.Cut(name, ":")
		d.errorf(at, write(before)+"; ports stand in listen", "a name has no port")
	case strings.HasSuffix(name, "."):
		d.errorf(at, write(strings.TrimRight(name, ".")), `a name does not end with "."`)
	case isWildcard && !wildcard:
		d.errorf(at, write(base), "a domain has no wildcard")
	case strings.Contains(base, "*"):
		d.errorf(at, `write one like "*.tenant.shop.localhost"`, `"*." stands at the beginning, for one label`)
	case len(name) > maxName:
		d.errorf(at, "", "a name has at most %d characters", maxName)
	case !d.labels(base, text, at):
	case base != "localhost" && !strings.HasSuffix(base, suffix):
		d.errorf(at, write(underLocalhost(name))+"; another suffix needs devproxy trust --domain, which is not built yet", "%q is not under .localhost", text)
	default:
		return name
	}
	return ""
}

// labels checks the parts between the dots.
func (d *decoder) labels(base, text string, at Range) bool {
	for label := range strings.SplitSeq(base, ".") {
		switch {
		case label == "":
			d.errorf(at, `write one like "shop.localhost"`, "%q has an empty part", text)
			return false
		case len(label) > maxLabel:
			d.errorf(at, "", "the part of a name between two dots has at most %d characters", maxLabel)
			return false
		case strings.ContainsFunc(label, func(r rune) bool { return r >= 0x80 }):
			d.errorf(at, "write its xn-- form, as the browser's address bar gives it when copied", "%q is not ASCII", text)
			return false
		case !labelPattern.MatchString(label):
			d.errorf(at, `write letters, digits and "-"`, "%q is no name", text)
			return false
		}
	}
	return true
}

// underLocalhost is name as it would be under .localhost: "shop.test" and
// "shop" are "shop.localhost", "app.example.com" is "app.example.localhost".
func underLocalhost(name string) string {
	if i := strings.LastIndexByte(name, '.'); i > 0 && name[:i] != "*" {
		name = name[:i]
	}
	return name + suffix
}

// commonParent is the longest name that all hosts are or hang under.
func commonParent(hosts []*Host) string {
	var common []string
	for _, h := range hosts {
		if h.Name.Value == "" {
			continue
		}
		labels := strings.Split(strings.TrimPrefix(h.Name.Value, "*."), ".")
		if common == nil {
			common = labels
			continue
		}
		n := 0
		for n < len(common) && n < len(labels) && common[len(common)-1-n] == labels[len(labels)-1-n] {
			n++
		}
		common = common[len(common)-n:]
	}
	return strings.Join(common, ".")
}
