package check

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/devproxy/devproxy/devproxy/control"
)

// records looks DNS records up: *net.Resolver does.
type records interface {
	LookupCNAME(ctx context.Context, name string) (string, error)
	LookupTXT(ctx context.Context, name string) ([]string, error)
}

// domain checks whether the domain of the user's own is in use, and its DNS record.
func (r *run) domain(ctx context.Context) {
	d := r.Share.Domain
	if d == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, stepTimeout)
	defer cancel()
	r.about = d.Name
	defer func() { r.about = "" }()
	record := fmt.Sprintf(`make the DNS record %s CNAME %s, or, where a CNAME can't be: _devproxy.%s TXT "%s", and A and AAAA to the relay`, d.Name, d.Target, d.Name, d.Target)
	proven, leads := r.proof(ctx, d)
	if leads == "" {
		leads = "no record of it names this key"
	}
	switch {
	case d.State == control.DomainRefused:
		r.fault("domain", d.Fix, "%s", d.Error)
	case d.State == control.DomainAsking:
		r.unknown("domain", "devproxy share --check, in a moment", "the relay has not answered yet")
	case d.State == control.DomainUnproven && proven:
		r.unknown("domain", "devproxy share, which asks the relay again", "DNS: the record is there; the relay has not seen it on all servers of the zone")
	case d.State == control.DomainUnproven:
		r.fault("domain", record, "DNS: %s", leads)
	case proven:
		r.fine("domain", "it is the address of %s, and its record names this key", d.Host)
	default:
		r.warning("domain", record, "DNS: %s; the relay takes the domain from this share within a day", leads)
	}
}

// proof reports whether this machine's resolver has a record of the domain that names the
// key, as the relay's package ownership reads them; leads says what it has instead.
func (r *run) proof(ctx context.Context, d *control.Domain) (proven bool, leads string) {
	lookup := cmp.Or[records](r.records, net.DefaultResolver)
	alias, err := lookup.LookupCNAME(ctx, d.Name)
	alias = strings.ToLower(strings.TrimSuffix(alias, "."))
	if err == nil && alias == d.Target {
		return true, ""
	}
	texts, _ := lookup.LookupTXT(ctx, "_devproxy."+d.Name)
	switch {
	case slices.Contains(texts, d.Target):
		return true, ""
	case err == nil && alias != "" && alias != d.Name:
		leads = "it leads to " + alias
	}
	return false, leads
}
