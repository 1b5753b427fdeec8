package hcl

import (
	"slices"
	"strings"
)

// isShared reports whether name, written as text, is a host that can be
// shared. What is wrong with a host itself has been said where it is written.
func (d *decoder) isShared(name Name, text string) bool {
	for _, h := range d.file.Hosts {
		if h.Name.Value == name.Value {
			return d.mayShare(h, name)
		}
		if slices.ContainsFunc(h.Aliases, func(alias Name) bool { return alias.Value == name.Value }) {
			d.errorf(name.Range, quotef("write %s: aliases have no public names", h.Name.Value), "%q is an alias", text)
			return false
		}
	}
	if !slices.Contains(d.scope.hostNames, name.Value) {
		d.errorf(name.Range, d.meantHost(name.Value), "no host is named %q", text)
	}
	return false
}

func (d *decoder) mayShare(h *Host, name Name) bool {
	if h.Share == nil || *h.Share {
		return true
	}
	d.errorf(name.Range, "remove one of the two; the host is at "+place(h.Range), "host %q has share = false", name.Value)
	return false
}

// meantHost is what was probably meant by the unknown host name.
func (d *decoder) meantHost(name string) string {
	_, parent, _ := strings.Cut(name, ".")
	for _, probable := range []string{"*." + parent, name + "." + d.file.Domain} {
		if slices.Contains(d.scope.hostNames, probable) {
			return quotef("write %s", probable)
		}
	}
	return didYouMean(name, d.scope.hostNames, "hosts: "+strings.Join(d.scope.hostNames, ", "))
}
