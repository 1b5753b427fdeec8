package main

import (
	"testing"

	"github.com/devproxy/devproxy/devproxy/plan"
	"github.com/devproxy/devproxy/hcl"
)

// TestForeignDomain is the name that dev servers must be told about.
func TestForeignDomain(t *testing.T) {
	for want, names := range map[string][]string{
		"":          {"shop.localhost", "localhost", "*.tenant.shop.localhost"},
		"shop.test": {"shop.localhost", "admin.shop.test", "*.shop.test", "api.shop.test"},
		"a.test":    {"a.test"},
	} {
		file := &hcl.File{}
		for _, name := range names {
			file.Hosts = append(file.Hosts, &hcl.Host{Name: hcl.Name{Value: name}, Settings: hcl.Settings{Respond: &hcl.Respond{Status: 204}}})
		}
		p, _ := plan.Build(file, plan.Env{})
		if got := foreignDomain(p); got != want {
			t.Errorf("%q: %q, want %q", names, got, want)
		}
	}
}
