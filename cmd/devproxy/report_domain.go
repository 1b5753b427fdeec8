package main

import (
	"fmt"
	"strings"

	"github.com/devproxy/devproxy/devproxy"
	"github.com/devproxy/devproxy/devproxy/control"
)

// domainMoved says that the first host of a share now has the domain of the user's own, or
// has lost it. old is the address that it had before.
func (r *reporter) domainMoved(sh control.Share, old string, line func(string)) {
	if d := sh.Domain; d != nil && d.State == control.DomainUp {
		line(r.green(d.Name+" is in use") + "; " + old + " no longer works")
		return
	}
	line(r.yellow(old + " no longer works"))
}

// domainChanged says what has changed about the domain of a share whose addresses are the
// same.
func (r *reporter) domainChanged(e devproxy.ShareEvent, line func(string)) {
	if e.Share.Domain == nil && e.Before.Domain != nil {
		line(e.Before.Domain.Name + " is no longer in the share block")
	}
	for _, row := range domainRows(e.Share) {
		line(row)
	}
}

// domainRows say why the domain of a share is not in use yet, and what to do about it.
func domainRows(sh control.Share) []string {
	d := sh.Domain
	if d == nil {
		return nil
	}
	switch d.State {
	case control.DomainUnproven:
		return []string{
			fmt.Sprintf("in use as soon as this DNS record exists: %s CNAME %s", d.Name, d.Target),
			fmt.Sprintf(`without a CNAME (top of a zone, or behind a proxy): _devproxy.%s TXT "%s", and A and AAAA to the relay`, d.Name, d.Target),
		}
	case control.DomainRefused:
		text := d.Name + " is not in use yet: " + d.Error
		if d.Fix != "" {
			text += "; " + strings.ReplaceAll(d.Fix, "\n", "; ")
		}
		return []string{text}
	}
	return nil
}
