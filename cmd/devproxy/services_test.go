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

// TestLabelsChangeNoService: what services get depends on no label. They would restart
// whenever a container with one starts or stops.
func TestLabelsChangeNoService(t *testing.T) {
	file := &hcl.File{Domain: "shop.test", Discover: hcl.DiscoverDocker, Hosts: []*hcl.Host{
		{Name: hcl.Name{Value: "*.api.shop.test"}, Settings: hcl.Settings{Respond: &hcl.Respond{Status: 204}}},
	}}
	one := plan.Container{Name: "shop-web-1", Service: "web", State: "running", Host: "shop.test", Reach: func(uint16) (addr, problem, fix string) { return "127.0.0.1:1", "", "" }}
	p, _ := plan.Build(file, plan.Env{Containers: &plan.Containers{All: []plan.Container{one}}})
	if len(p.Hosts()) != 2 || !p.Hosts()[1].Labelled {
		t.Fatalf("%d hosts, %v", len(p.Hosts()), p.Notes())
	}
	if got := firstHost(p); got != "" {
		t.Errorf("DEVPROXY_URL would lead to %q", got)
	}
	if got := foreignDomain(p); got != "api.shop.test" {
		t.Errorf("Vite would accept %q", got)
	}
}
