package localca

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestProfile(t *testing.T) {
	ca := mustOpen(t, t.TempDir())
	root := ca.Root()
	if err := checkRoot(root, suffix); err != nil {
		t.Error(err)
	}
	if root.KeyUsage != x509.KeyUsageCertSign|x509.KeyUsageCRLSign {
		t.Errorf("root key usage %b", root.KeyUsage)
	}
	if life := root.NotAfter.Sub(root.NotBefore); life < 3650*24*time.Hour || life > 3654*24*time.Hour {
		t.Errorf("root lives for %s", life)
	}
	for _, name := range []string{"shop.localhost", "127.0.0.1", "::1", "*.app.localhost"} {
		cert, err := ca.Issue(name)
		if err != nil {
			t.Fatal(err)
		}
		leaf := cert.Leaf
		if life := leaf.NotAfter.Sub(leaf.NotBefore); life > 398*24*time.Hour || leaf.NotBefore.Before(root.NotBefore) {
			t.Errorf("%s: from %s for %s", name, leaf.NotBefore, life)
		}
		if n := len(leaf.DNSNames) + len(leaf.IPAddresses); n != 1 || leaf.IsCA || len(cert.Certificate) != 1 {
			t.Errorf("%s: %d names, CA %v, %d certificates", name, n, leaf.IsCA, len(cert.Certificate))
		}
		if leaf.KeyUsage != x509.KeyUsageDigitalSignature || !cmp.Equal(leaf.ExtKeyUsage, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}) {
			t.Errorf("%s: key usage %b, extended %v", name, leaf.KeyUsage, leaf.ExtKeyUsage)
		}
		if leaf.PublicKey.(*ecdsa.PublicKey).Curve != elliptic.P256() || len(leaf.SubjectKeyId) == 0 || !cmp.Equal(leaf.AuthorityKeyId, root.SubjectKeyId) {
			t.Errorf("%s: wrong key or key identifiers", name)
		}
	}
}

// otherAddr is a connection that has only a local address.
type otherAddr struct {
	net.Conn
	local net.Addr
}

func (c otherAddr) LocalAddr() net.Addr { return c.local }

func TestGetCertificateWithoutName(t *testing.T) {
	ca := mustOpen(t, t.TempDir())
	tests := []struct {
		conn net.Conn
		want string // empty means refused
	}{
		{nil, "localhost"},
		{otherAddr{local: &net.UnixAddr{Name: "/s", Net: "unix"}}, "localhost"},
		{otherAddr{local: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 443}}, "127.0.0.1"},
		{otherAddr{local: &net.TCPAddr{IP: net.IPv4(127, 8, 0, 1).To16()}}, "127.8.0.1"},
		{otherAddr{local: &net.TCPAddr{IP: net.IPv6loopback, Zone: "lo"}}, "::1"},
		{otherAddr{local: &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1)}}, ""},
	}
	for _, test := range tests {
		cert, err := ca.GetCertificate(&tls.ClientHelloInfo{Conn: test.conn})
		if test.want == "" {
			if _, ok := errors.AsType[*NameError](err); !ok {
				t.Errorf("%v: %v, want a NameError", test.conn, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%v: %v", test.conn, err)
		} else if err := verify(ca.Root(), cert.Leaf, test.want, time.Now()); err != nil {
			t.Errorf("%v: %v", test.conn, err)
		}
	}
}

func TestWildcardIsOnlyForWhoAsks(t *testing.T) {
	ca := mustOpen(t, t.TempDir())
	if _, err := ca.Issue("*.app.localhost"); err != nil {
		t.Fatal(err)
	}
	if _, err := ca.GetCertificate(&tls.ClientHelloInfo{ServerName: "*.app.localhost"}); err == nil {
		t.Error("a client got the wildcard leaf by naming it")
	}
	cert, err := ca.GetCertificate(&tls.ClientHelloInfo{ServerName: "x.app.localhost"})
	if err != nil || !cmp.Equal(cert.Leaf.DNSNames, []string{"x.app.localhost"}) {
		t.Errorf("leaf for %v, %v; want the exact name", cert.Leaf.DNSNames, err)
	}
}

// TestRenewal walks a clock through the life of leaves and root.
func TestRenewal(t *testing.T) {
	start := time.Now()
	now := start
	ca := openAt(t, t.TempDir(), start)
	ca.now = func() time.Time { return now }
	issue := func(at time.Time) *tls.Certificate {
		t.Helper()
		now = at
		cert, err := ca.Issue("shop.localhost")
		if err != nil {
			t.Fatal(err)
		}
		if err := verify(ca.Root(), cert.Leaf, "shop.localhost", at); err != nil {
			t.Fatalf("at %s: %v", at, err)
		}
		return cert
	}
	first := issue(start)
	if issue(start.Add(59*24*time.Hour)) != first {
		t.Error("renewed with more than a third left")
	}
	second := issue(start.Add(61 * 24 * time.Hour))
	if second == first {
		t.Error("not renewed with less than a third left")
	}
	if issue(start) == second {
		t.Error("a clock set back got a leaf that has not begun")
	}
	end := ca.Root().NotAfter
	last := issue(end.Add(-time.Hour))
	if last.Leaf.NotAfter.After(end) {
		t.Error("the leaf outlives the root")
	}
	if issue(end.Add(-time.Minute)) != last {
		t.Error("a leaf that ends with the root is renewed")
	}
	now = end.Add(time.Second)
	if _, err := ca.Issue("shop.localhost"); !errors.Is(err, ErrNoCA) {
		t.Errorf("after the root's end: %v, want ErrNoCA", err)
	}
	issue(start) // a failure is not remembered
}

// TestRenewalThatFails: what is still valid is better than nothing.
func TestRenewalThatFails(t *testing.T) {
	ca := mustOpen(t, t.TempDir())
	good, err := ca.Issue("shop.localhost")
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now().Add(leafLife - time.Hour)
	ca.now = func() time.Time { return now }
	key := ca.key
	if ca.key, err = newKey(); err != nil { // does not match the root: signing fails
		t.Fatal(err)
	}
	if got, err := ca.Issue("shop.localhost"); got != good {
		t.Errorf("got %v, %v; want the leaf that is valid for an hour", got, err)
	}
	now = now.Add(2 * time.Hour)
	if _, err := ca.Issue("shop.localhost"); err == nil {
		t.Error("got a leaf that has ended")
	}
	ca.key = key
	if got, err := ca.Issue("shop.localhost"); err != nil || got == good {
		t.Errorf("got %v, %v; want a new leaf", got, err)
	}
}

func TestOneKeyForAllWhoAskAtOnce(t *testing.T) {
	ca := mustOpen(t, t.TempDir())
	const askers = 64
	got := make([]*tls.Certificate, askers)
	start := make(chan struct{})
	var wg sync.WaitGroup
	for i := range askers {
		wg.Go(func() {
			<-start
			got[i], _ = ca.Issue("shop.localhost")
		})
	}
	close(start)
	wg.Wait()
	for _, cert := range got {
		if cert == nil || cert != got[0] {
			t.Fatal("two askers got two leaves")
		}
	}
}

// TestNoLockWhileAKeyIsMade holds up the making of one leaf, by its look at the
// clock, and asks for others meanwhile.
func TestNoLockWhileAKeyIsMade(t *testing.T) {
	ca := mustOpen(t, t.TempDir())
	cached, err := ca.Issue("cached.localhost")
	if err != nil {
		t.Fatal(err)
	}
	entered, leave := make(chan struct{}), make(chan struct{})
	var looks atomic.Int32
	ca.now = func() time.Time {
		if looks.Add(1) == 1 {
			close(entered)
			<-leave
		}
		return time.Now()
	}
	slow := make(chan error)
	go func() {
		_, err := ca.Issue("slow.localhost")
		slow <- err
	}()
	<-entered
	if _, err := ca.Issue("quick.localhost"); err != nil {
		t.Error(err)
	}
	if again, err := ca.Issue("cached.localhost"); again != cached {
		t.Errorf("got %v, %v; want the cached leaf", again, err)
	}
	close(leave)
	if err := <-slow; err != nil {
		t.Error(err)
	}
}

func TestCacheIsBounded(t *testing.T) {
	ca := mustOpen(t, t.TempDir())
	first, err := ca.Issue("first.localhost")
	if err != nil {
		t.Fatal(err)
	}
	second, err := ca.Issue("second.localhost")
	if err != nil {
		t.Fatal(err)
	}
	shared, _ := ca.leaves.lookup("second.localhost")
	for i := range maxLeaves - 1 {
		if i%100 == 0 {
			ca.leaves.lookup("first.localhost") // in use, so it stays
		}
		ca.leaves.add(fmt.Sprintf("%d.localhost", i), shared)
	}
	if n := len(ca.leaves.byName); n != maxLeaves || ca.leaves.recent.Len() != n {
		t.Errorf("%d leaves, list of %d; want %d", n, ca.leaves.recent.Len(), maxLeaves)
	}
	if again, _ := ca.Issue("first.localhost"); again != first {
		t.Error("a leaf in use was dropped")
	}
	if again, _ := ca.Issue("second.localhost"); again == second {
		t.Error("the leaf longest unused was kept")
	}
}

func BenchmarkIssue(b *testing.B) {
	ca := mustOpen(b, b.TempDir())
	name := san{dns: "shop.localhost"}
	for b.Loop() {
		if _, err := ca.signLeaf(name); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkGetCertificateCached(b *testing.B) {
	ca := mustOpen(b, b.TempDir())
	hello := &tls.ClientHelloInfo{ServerName: "a.b.shop.localhost"}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ca.GetCertificate(hello); err != nil {
			b.Fatal(err)
		}
	}
}
