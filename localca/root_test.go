package localca

import (
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"net"
	"testing"
	"time"
)

// TestCheckRoot changes one thing of a root that is accepted; each change is
// refused.
func TestCheckRoot(t *testing.T) {
	good := func() *x509.Certificate {
		key, err := newKey()
		if err != nil {
			t.Fatal(err)
		}
		root, err := signRoot(key, time.Now(), suffix)
		if err != nil {
			t.Fatal(err)
		}
		return root
	}
	if err := checkRoot(good(), suffix); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*x509.Certificate){
		"no CA":                       func(c *x509.Certificate) { c.IsCA = false },
		"a longer path":               func(c *x509.Certificate) { c.MaxPathLenZero = false },
		"no right to sign":            func(c *x509.Certificate) { c.KeyUsage &^= x509.KeyUsageCertSign },
		"no extended key usage":       func(c *x509.Certificate) { c.ExtKeyUsage = nil },
		"another extended key usage":  func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} },
		"a second extended key usage": func(c *x509.Certificate) { c.ExtKeyUsage = append(c.ExtKeyUsage, x509.ExtKeyUsageCodeSigning) },
		"an unknown extended key usage": func(c *x509.Certificate) {
			c.UnknownExtKeyUsage = []asn1.ObjectIdentifier{{1, 2, 3}}
		},
		"constraints that are not critical": func(c *x509.Certificate) { c.PermittedDNSDomainsCritical = false },
		"another domain":                    func(c *x509.Certificate) { c.PermittedDNSDomains = []string{"example.com"} },
		"one more domain":                   func(c *x509.Certificate) { c.PermittedDNSDomains = append(c.PermittedDNSDomains, "example.com") },
		"one range less":                    func(c *x509.Certificate) { c.PermittedIPRanges = c.PermittedIPRanges[1:] },
		"another range": func(c *x509.Certificate) {
			c.PermittedIPRanges = append([]*net.IPNet{{IP: net.IPv4(10, 0, 0, 0).To4(), Mask: net.CIDRMask(8, 32)}}, c.PermittedIPRanges[1:]...)
		},
		"a wrong signature": func(c *x509.Certificate) { c.Signature[len(c.Signature)-1] ^= 1 },
	} {
		root := good()
		change(root)
		if checkRoot(root, suffix) == nil {
			t.Errorf("a root with %s is accepted", name)
		}
	}
}

// TestSerials: every certificate has a serial number of its own, which is
// positive and at most 16 bytes long (RFC 5280 section 4.1.2.2: 20 bytes).
func TestSerials(t *testing.T) {
	ca := mustOpen(t, t.TempDir())
	seen := map[string]bool{ca.root.SerialNumber.String(): true}
	for i := range 50 {
		cert, err := ca.Issue(fmt.Sprintf("n%d.localhost", i))
		if err != nil {
			t.Fatal(err)
		}
		serial := cert.Leaf.SerialNumber
		if seen[serial.String()] || serial.Sign() <= 0 || serial.BitLen() > 8*serialBytes || serial.BitLen() <= 8*(serialBytes-1) {
			t.Errorf("serial number %v (%d bits)", serial, serial.BitLen())
		}
		seen[serial.String()] = true
	}
}

// TestLeafValidity holds both ends of a leaf's life, and of its time to renew,
// to the second.
func TestLeafValidity(t *testing.T) {
	now := time.Now()
	dir := t.TempDir()
	ca := openAt(t, dir, now)
	l, err := ca.signLeaf(san{dns: "a.localhost"})
	if err != nil {
		t.Fatal(err)
	}
	cert := l.cert.Leaf
	if want := l.cert.Leaf.NotAfter.Add(-leafLife / 3); !l.renewAt.Equal(want) {
		t.Errorf("renewed at %v, want %v", l.renewAt, want)
	}
	for _, test := range []struct {
		at           time.Time
		valid, fresh bool
	}{
		{cert.NotBefore.Add(-time.Second), false, false},
		{cert.NotBefore, true, true},
		{l.renewAt.Add(-time.Second), true, true},
		{l.renewAt, true, false},
		{cert.NotAfter, true, false},
		{cert.NotAfter.Add(time.Second), false, false},
	} {
		if l.valid(test.at) != test.valid || l.fresh(test.at) != test.fresh {
			t.Errorf("%v: valid %v, fresh %v", test.at, l.valid(test.at), l.fresh(test.at))
		}
	}
	// A leaf ends with its root at the latest.
	end := ca.root.NotAfter
	ca = openAt(t, dir, end.Add(-time.Hour))
	if l, err = ca.signLeaf(san{dns: "b.localhost"}); err != nil || !l.cert.Leaf.NotAfter.Equal(end) || !l.renewAt.Equal(end) {
		t.Errorf("in the root's last hour: %+v, %v", l, err)
	}
	ca.now = func() time.Time { return end.Add(time.Second) }
	if _, err := ca.signLeaf(san{dns: "c.localhost"}); !errors.Is(err, ErrNoCA) {
		t.Errorf("after the root's end: %v", err)
	}
}

// TestLeafCache: the name used last stays, the one longest unused goes, and as
// many stay as the limit says.
func TestLeafCache(t *testing.T) {
	var c cache
	name := func(i int) string { return fmt.Sprint(i) }
	for i := range maxLeaves {
		c.add(name(i), &leaf{})
	}
	if _, ok := c.lookup(name(0)); !ok || c.recent.Len() != maxLeaves {
		t.Fatalf("%d leaves are kept", c.recent.Len())
	}
	newer := &leaf{}
	c.add(name(1), newer) // replaced and used
	c.add("one more", &leaf{})
	if got, ok := c.lookup(name(1)); !ok || got != newer {
		t.Error("a leaf that was replaced is gone")
	}
	if _, ok := c.lookup(name(0)); !ok {
		t.Error("a leaf that was looked up is gone")
	}
	if _, ok := c.lookup(name(2)); ok || c.recent.Len() != maxLeaves || len(c.byName) != maxLeaves {
		t.Errorf("%d leaves are kept, the one longest unused among them: %v", c.recent.Len(), ok)
	}
}
