package plan

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/devproxy/devproxy/hcl"
)

// kept is a host with share = false.
func kept(h *hcl.Host) *hcl.Host {
	no := false
	h.Share = &no
	return h
}

// sharing is the plan of hosts with a share block.
func sharing(t *testing.T, share hcl.Share, hosts ...*hcl.Host) *Plan {
	t.Helper()
	file := fileOf(hosts...)
	file.Share = &share
	p, diags := Build(file, Env{})
	if len(diags) > 0 {
		t.Fatal(diags)
	}
	return p
}

func named(names ...string) []hcl.Name {
	var all []hcl.Name
	for _, name := range names {
		all = append(all, hcl.Name{Value: name})
	}
	return all
}

func TestShare(t *testing.T) {
	shopAnd := func(others ...*hcl.Host) []*hcl.Host {
		return append([]*hcl.Host{hostOf("shop.localhost", to(1))}, others...)
	}
	allow := []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24")}
	text := "# a comment\nshare {\n}\n"
	tests := []struct {
		name  string
		share *hcl.Share
		hosts []*hcl.Host
		want  Share
	}{
		{"nothing is written", nil, shopAnd(hostOf("*.t.shop.localhost", to(2)), kept(hostOf("mail.shop.localhost", to(3)))), Share{
			Hosts: []string{"shop.localhost", "*.t.shop.localhost"}, NotShared: []NotShared{{"mail.shop.localhost", "share = false"}}, Expires: 8 * time.Hour,
		}},
		{"hosts are named", &hcl.Share{Hosts: named("b.shop.localhost", "shop.localhost")},
			shopAnd(hostOf("a.shop.localhost", to(2)), hostOf("b.shop.localhost", to(3)), kept(hostOf("c.shop.localhost", to(4)))), Share{
				Listed:    true,
				Hosts:     []string{"shop.localhost", "b.shop.localhost"},
				NotShared: []NotShared{{"a.shop.localhost", "not in share.hosts"}, {"c.shop.localhost", "share = false"}}, Expires: 8 * time.Hour,
			}},
		{"a host that share.hosts names and keeps", &hcl.Share{Hosts: named("shop.localhost")}, []*hcl.Host{kept(hostOf("shop.localhost", to(1)))}, Share{
			Listed:    true,
			NotShared: []NotShared{{"shop.localhost", "share = false"}}, Expires: 8 * time.Hour,
		}},
		{"all attributes", &hcl.Share{
			Relays: named("t.example.com", "cloudflare"), Name: "shop", Password: "sesame", Paths: []string{"/a"}, Public: []string{"/b"}, Show: named("*.pem", "/x"), Allow: allow, Expires: time.Hour,
			Range: hcl.Range{File: "Proxyfile", Start: hcl.Pos{Line: 2, Column: 1, Byte: strings.Index(text, "share")}},
		}, shopAnd(), Share{
			Hosts: []string{"shop.localhost"}, Relays: []string{"t.example.com", "cloudflare"}, Name: "shop", Password: "sesame", Paths: []string{"/a"}, Public: []string{"/b"}, Show: []string{"*.pem", "/x"}, Allow: allow,
			Expires: time.Hour,
		}},
		{"a password that is not there", &hcl.Share{Unset: "SHARE_PASSWORD"}, shopAnd(), Share{
			Hosts: []string{"shop.localhost"}, Unset: "SHARE_PASSWORD", Expires: 8 * time.Hour,
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			file := fileOf(tt.hosts...)
			file.Domain, file.Share, file.Sources = "shop.localhost", tt.share, hcl.Sources{"Proxyfile": []byte(text)}
			p, diags := Build(file, Env{})
			if len(diags) > 0 {
				t.Fatal(diags)
			}
			tt.want.Folder, tt.want.Domain, tt.want.Project = "/shop", "shop.localhost", "shop"
			if diff := cmp.Diff(&tt.want, p.Share(), cmpopts.EquateComparable(netip.Prefix{})); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// TestShow: an entry that opens nothing is a mistake, with the one that was
// probably meant.
func TestShow(t *testing.T) {
	file := fileOf(hostOf("shop.localhost", to(1)))
	file.Share = &hcl.Share{Show: named("/a", "/b", "/c")}
	file.Share.Show[1].Range.Start.Line, file.Share.Show[2].Range.Start.Line = 7, 8
	_, diags := Build(file, Env{CheckShow: func(entry string) (string, bool) {
		return map[string]string{"/b": "/bb"}[entry], entry == "/a"
	}})
	want := hcl.Diagnostics{
		{Severity: hcl.Error, Summary: `"/b" in show is not hidden by a share`, Detail: `did you mean "/bb"?`, Range: file.Share.Show[1].Range},
		{Severity: hcl.Error, Summary: `"/c" in show is not hidden by a share`, Detail: "to see what hides a path: devproxy explain --share PATH", Range: file.Share.Show[2].Range},
	}
	if diff := cmp.Diff(want, diags); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestShareOfNoPlan(t *testing.T) {
	for _, p := range []*Plan{nil, {}} {
		if s := p.Share(); s == nil || s.Expires != DefaultExpires || len(s.Hosts) > 0 {
			t.Errorf("Share = %+v", s)
		}
	}
}

func TestProject(t *testing.T) {
	tests := []struct {
		domain          string
		hosts           []string
		parent, project string
	}{
		{"shop.localhost", []string{"admin.shop.localhost"}, "shop.localhost", "shop"},
		{"fix-ui.shop.localhost", []string{"fix-ui.shop.localhost"}, "fix-ui.shop.localhost", "fix-ui"},
		{"localhost", []string{"shop.localhost", "mail.localhost"}, "shop.localhost", "shop"},
		{"localhost", []string{"*.localhost", "shop.localhost"}, "shop.localhost", "shop"},
		{"localhost", []string{"*.a.localhost", "*.b.localhost"}, "a.localhost", "a"},
		{"localhost", []string{"localhost"}, "localhost", "localhost"},
		{"", []string{"shop.test", "mail.localhost"}, "shop.test", "shop"},
		{"", nil, "", ""},
	}
	for _, tt := range tests {
		file := fileOf()
		file.Domain = tt.domain
		for _, name := range tt.hosts {
			file.Hosts = append(file.Hosts, hostOf(name, to(1)))
		}
		p, _ := Build(file, Env{})
		if s := p.Share(); s.Domain != tt.parent || s.Project != tt.project {
			t.Errorf("%q with hosts %q: domain %q, project %q; want %q, %q", tt.domain, tt.hosts, s.Domain, s.Project, tt.parent, tt.project)
		}
	}
}

func TestShareCollision(t *testing.T) {
	dots, dashes := hostOf("a.b.shop.localhost", to(1)), hostOf("a--b.shop.localhost", to(2))
	dashes.Name.Range = hcl.Range{File: "Proxyfile", Start: hcl.Pos{Line: 3}}
	tests := []struct {
		name  string
		share hcl.Share
		hosts []*hcl.Host
		want  string
	}{
		{"dots and dashes", hcl.Share{}, []*hcl.Host{dots, dashes}, `"a.b.shop.localhost" and "a--b.shop.localhost" cannot be shared together: their public names would be the same`},
		{"with a plain name too", hcl.Share{Name: "shop"}, []*hcl.Host{dots, dashes}, `"a.b.shop.localhost" and "a--b.shop.localhost" cannot be shared together: their public names would be the same`},
		{"below a plain name dots stay", hcl.Share{Name: "shop", SharedCookies: true}, []*hcl.Host{dots, dashes}, ""},
		{"in a zone they do not", hcl.Share{SharedCookies: true}, []*hcl.Host{dots, dashes}, `"a.b.shop.localhost" and "a--b.shop.localhost" cannot be shared together: their public names would be the same`},
		{"a short name", hcl.Share{Name: "de", Range: hcl.Range{Start: hcl.Pos{Line: 3}}}, []*hcl.Host{dots, hostOf("a.c.shop.localhost", to(3))}, `the name "de" is too short to share several hosts: browsers refuse names such as de--admin`},
		{"a short name of one host", hcl.Share{Name: "de"}, []*hcl.Host{dots}, ""},
		{"a short name below which they are", hcl.Share{Name: "de", SharedCookies: true}, []*hcl.Host{dots, hostOf("a.c.shop.localhost", to(3))}, ""},
		{"one is not shared", hcl.Share{Hosts: named("a.b.shop.localhost")}, []*hcl.Host{dots, dashes}, ""},
		{"one is", hcl.Share{}, []*hcl.Host{dots, hostOf("a.c.shop.localhost", to(3))}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			file := fileOf(tt.hosts...)
			file.Domain, file.Share = "shop.localhost", &tt.share
			_, diags := Build(file, Env{})
			got := ""
			for _, d := range diags {
				got += d.Summary
				if d.Severity != hcl.Warning || d.Range.Start.Line != 3 {
					t.Errorf("%+v; want a warning at the second host", d)
				}
			}
			if got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// TestShareChanged: a change of any attribute is reported by one word, and no route changes
// with it, so that nothing of the plan is closed.
func TestShareChanged(t *testing.T) {
	a, b := func() *hcl.Host { return hostOf("a.shop.localhost", to(1)) }, func() *hcl.Host { return hostOf("b.shop.localhost", to(2)) }
	plain := hcl.Share{Password: "x", Hosts: named("a.shop.localhost")}
	before := sharing(t, plain, a(), b())
	with := func(change func(*hcl.Share)) *Plan {
		share := plain
		change(&share)
		return sharing(t, share, a(), b())
	}
	below := func(domain string, hosts ...*hcl.Host) *Plan {
		file := fileOf(hosts...)
		file.Domain, file.Share = domain, &plain
		p, _ := Build(file, Env{})
		return p
	}
	const told = "share changed"
	tests := []struct {
		name string
		next *Plan
		want string
	}{
		{"nothing", with(func(*hcl.Share) {}), ""},
		{"the line", with(func(s *hcl.Share) { s.Range.Start.Line = 9 }), ""},
		{"what is the default", with(func(s *hcl.Share) { s.Expires = DefaultExpires }), ""},
		{"relay", with(func(s *hcl.Share) { s.Relays = named("t.example.com") }), told},
		{"hosts", with(func(s *hcl.Share) { s.Hosts = named("b.shop.localhost") }), told},
		{"more hosts", with(func(s *hcl.Share) { s.Hosts = nil }), told},
		{"name", with(func(s *hcl.Share) { s.Name = "shop" }), told},
		{"domain", with(func(s *hcl.Share) { s.Domain = "demo.example.com" }), told},
		{"password", with(func(s *hcl.Share) { s.Password = "y" }), told},
		{"the password's variable", with(func(s *hcl.Share) { s.Unset = "X" }), told},
		{"paths", with(func(s *hcl.Share) { s.Paths = []string{"/a"} }), told},
		{"public", with(func(s *hcl.Share) { s.Public = []string{"/a"} }), told},
		{"callback", with(func(s *hcl.Share) { s.Callback = []string{"/a"} }), told},
		{"show", with(func(s *hcl.Share) { s.Show = named("/rails/mailers") }), told},
		{"allow", with(func(s *hcl.Share) { s.Allow = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")} }), told},
		{"cookies", with(func(s *hcl.Share) { s.SharedCookies = true }), told},
		{"rewrite_body", with(func(s *hcl.Share) { s.KeepBodies = true }), told},
		{"expires", with(func(s *hcl.Share) { s.Expires = time.Hour }), told},
		{"share = false", sharing(t, plain, kept(a()), b()), told},
		{"share = false where it is not shared anyway", sharing(t, plain, a(), kept(b())), ""},
		{"the domain", below("shop.localhost", a(), b()), told},
		{"the domain, with a host", below("shop.localhost", a(), b(), hostOf("shop.localhost", to(3))), "+ shop.localhost/"},
		{"a host less", sharing(t, plain, a()), "- b.shop.localhost/"},
		{"a host more", sharing(t, plain, a(), b(), hostOf("c.shop.localhost", to(3))), "+ c.shop.localhost/"},
		{"an upstream too", sharing(t, hcl.Share{Name: "shop"}, a(), hostOf("b.shop.localhost", to(3))), "b.shop.localhost/ :2 -> :3 · share changed"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := Diff(before, tt.next)
			if got := c.String(); got != tt.want || c.Empty() != (tt.want == "") || c.Share != strings.Contains(tt.want, told) {
				t.Errorf("Diff = %q, empty %t, share %t; want %q", got, c.Empty(), c.Share, tt.want)
			}
			if tt.want == told && len(c.Added)+len(c.Removed)+len(c.Changed) > 0 {
				t.Errorf("routes changed: %+v", c)
			}
		})
	}
}
