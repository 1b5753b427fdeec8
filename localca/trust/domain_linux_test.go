package trust

import (
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/devproxy/devproxy/localca"
)

// domainFixture is a fixture whose CA is that of a domain.
func domainFixture(t *testing.T, of *fixture, domain string) *fixture {
	t.Helper()
	ca, err := localca.OpenDomain(t.TempDir(), domain)
	if err != nil {
		t.Fatal(err)
	}
	f := &fixture{t: t, ca: ca, env: of.env, machine: of.machine}
	f.withHandshake()
	return f
}

// TestDomainStores checks that the roots of localhost and of domains do not disturb each
// other in any store: each is proven, found and removed alone.
func TestDomainStores(t *testing.T) {
	for _, tool := range []string{"update-ca-certificates", "openssl", "curl", "certutil", "keytool"} {
		needTool(t, tool)
	}
	if !inside(t, &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}) {
		return
	}
	privateSystem(t)
	main := newFixture(t)
	main.withHandshake()
	main.database(main.home(".pki", "nssdb"))
	main.javaHome("jdk")
	// The second domain's name begins as the files and names of the first.
	one, two := domainFixture(t, main, "shop.test"), domainFixture(t, main, "shop.test-0.example.com")
	before := systemFiles(t)
	for _, name := range []string{"system", "chromium", "java"} {
		all := []*fixture{main, one, two}
		if name == "java" {
			all = all[1:] // keytool takes its time, and the domains are the harder case
		}
		if got := want(t, one.store(name).Check(t.Context()), Untrusted); got.Domain != "shop.test" || got.Fix != "devproxy trust --store "+name+" --domain shop.test" {
			t.Errorf("%+v", got)
		}
		for _, f := range all {
			want(t, f.store(name).Install(t.Context()), Trusted)
		}
		if name != "java" {
			want(t, main.store(name).Uninstall(t.Context()), Untrusted)
			want(t, one.store(name).Check(t.Context()), Trusted)
		}
		// Its CA is gone: it is found by its names.
		gone := one.machine
		gone.Handshake = nil
		for _, store := range Stores(gone, Root{Domain: "shop.test"}) {
			if store.Name() == name {
				want(t, store.Uninstall(t.Context()), Untrusted)
			}
		}
		want(t, one.store(name).Check(t.Context()), Untrusted)
		want(t, two.store(name).Check(t.Context()), Trusted)
		want(t, two.store(name).Uninstall(t.Context()), Untrusted)
	}
	if diff := cmp.Diff(before, systemFiles(t)); diff != "" {
		t.Errorf("untrust did not leave the store as it was:\n%s", diff)
	}
}
