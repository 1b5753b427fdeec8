package check

import (
	"context"
	"net"
	"testing"

	"github.com/devproxy/devproxy/devproxy/control"
	"github.com/devproxy/devproxy/devproxy/doctor"
)

// fakeRecords are records by name.
type fakeRecords map[string]string

// LookupCNAME implements records.
func (f fakeRecords) LookupCNAME(_ context.Context, name string) (string, error) {
	if alias := f["CNAME "+name]; alias != "" {
		return alias, nil
	}
	return "", &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
}

// LookupTXT implements records.
func (f fakeRecords) LookupTXT(_ context.Context, name string) ([]string, error) {
	return []string{"v=spf1 -all", f["TXT "+name]}, nil
}

// TestDomains of the user's own: each state has its line, with the record to make.
func TestDomains(t *testing.T) {
	const own = "k3v9x2m7qpr4t8wzk3v9x2m7qp.s.t.example.com"
	cname := fakeRecords{"CNAME demo.example.com": own + "."}
	text := fakeRecords{"CNAME demo.example.com": "demo.example.com.", "TXT _devproxy.demo.example.com": own}
	other := fakeRecords{"CNAME demo.example.com": "Other.example.net."}
	make := "make the DNS record demo.example.com CNAME " + own
	for name, test := range map[string]struct {
		domain  control.Domain
		records fakeRecords
		state   doctor.State
		texts   []string
	}{
		"up":             {control.Domain{State: control.DomainUp}, cname, doctor.Fine, []string{"demo.example.com: it is the address of shop.localhost"}},
		"up by text":     {control.Domain{State: control.DomainUp}, text, doctor.Fine, []string{"names this key"}},
		"record removed": {control.Domain{State: control.DomainUp}, nil, doctor.Warning, []string{"no record of it names this key", "within a day", make}},
		"record changed": {control.Domain{State: control.DomainUp}, other, doctor.Warning, []string{"it leads to other.example.net", make}},
		"no record":      {control.Domain{State: control.DomainUnproven}, nil, doctor.Fault, []string{"no record of it names this key", make, `_devproxy.demo.example.com TXT "` + own + `"`}},
		"another record": {control.Domain{State: control.DomainUnproven}, other, doctor.Fault, []string{"it leads to other.example.net", make}},
		"record is new":  {control.Domain{State: control.DomainUnproven}, cname, doctor.Unknown, []string{"the record is there", "devproxy share"}},
		"not asked":      {control.Domain{State: control.DomainAsking}, nil, doctor.Unknown, []string{"not answered yet"}},
		"not taken":      {control.Domain{State: control.DomainRefused, Error: "no certificate", Fix: "ask the operator"}, cname, doctor.Fault, []string{"no certificate", "ask the operator"}},
	} {
		t.Run(name, func(t *testing.T) {
			e, s := startEdge(t, nil, "shop.localhost")
			test.domain.Name, test.domain.Host, test.domain.Target = "demo.example.com", "shop.localhost", own
			s.Share.Domain, s.records = &test.domain, test.records
			wants(t, e.check(s), "domain", test.state, test.texts...)
		})
	}
	e, s := startEdge(t, nil, "shop.localhost")
	for _, f := range e.check(s) {
		if f.Check == "domain" {
			t.Errorf("without a domain: %+v", f)
		}
	}
}
