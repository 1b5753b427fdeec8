package tunnel

import (
	"bytes"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func TestVisitorWire(t *testing.T) {
	for _, c := range []struct {
		v    Visitor
		wire string
	}{
		{Visitor{netip.MustParseAddrPort("192.0.2.1:443"), "https", "a.b"}, "\x01\x01\x04\xc0\x00\x02\x01\x01\xbb\x00\x03a.b"},
		{Visitor{netip.MustParseAddrPort("[2001:db8::1]:1"), "http", "a:81"},
			"\x01\x02\x10\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x01\x00\x04a:81"},
		{Visitor{netip.AddrPort{}, "https", "a"}, "\x01\x01\x00\x00\x01a"},
		{Visitor{netip.MustParseAddrPort("192.0.2.1:443"), TCP, "Pg-1_x"}, "\x01\x03\x04\xc0\x00\x02\x01\x01\xbb\x00\x06Pg-1_x"},
		{Visitor{netip.AddrPort{}, UDP, "dns"}, "\x01\x04\x00\x00\x03dns"},
	} {
		if got := c.v.AppendTo([]byte("x")); string(got) != "x"+c.wire {
			t.Errorf("%v = %x, want %x", c.v, got[1:], c.wire)
		}
		if got, err := ParseVisitor([]byte(c.wire)); err != nil || got != c.v {
			t.Errorf("ParseVisitor(%x) = %v, %v; want %v", c.wire, got, err, c.v)
		}
	}
	mapped := Visitor{netip.MustParseAddrPort("[::ffff:192.0.2.1]:443"), "https", "a.b"}
	if got, err := ParseVisitor(mapped.AppendTo(nil)); err != nil || got.Addr.Addr() != netip.MustParseAddr("192.0.2.1") {
		t.Errorf("an IPv4-mapped address = %v, %v; want the IPv4 address", got, err)
	}
}

func TestVisitorRefused(t *testing.T) {
	addr := netip.MustParseAddrPort("192.0.2.1:443")
	good := Visitor{addr, "https", "a.b"}.AppendTo(nil)
	for name, c := range map[string]struct{ wire, why string }{
		"empty":            {"", "ends after 0 bytes"},
		"another version":  {"\x02" + string(good[1:]), "version is 2"},
		"cut":              {string(good[:len(good)-1]), "inside a field"},
		"more":             {string(good) + "x", "1 bytes follow"},
		"a control stream": {ControlHead, "version is 99"},
		"5-byte address":   {"\x01\x01\x05abcde\x00\x01\x00\x01a", "address"},
		"IPv4 in 16 bytes": {"\x01\x01\x10\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\xc0\x00\x02\x01\x00\x01\x00\x01a", "address"},
		"no scheme":        {string(Visitor{addr, "ftp", "a"}.AppendTo(nil)), "scheme"},
		"no host":          {string(Visitor{addr, "https", ""}.AppendTo(nil)), "public host"},
		"an endless host":  {string(Visitor{addr, "https", strings.Repeat("a", 70000)}.AppendTo(nil)), "public host"},
		"upper case":       {string(Visitor{addr, "https", "A"}.AppendTo(nil)), "public host"},
		"the default port": {string(Visitor{addr, "https", "a:443"}.AppendTo(nil)), "public host"},
		"port 0":           {string(Visitor{addr, "https", "a:0"}.AppendTo(nil)), "public host"},
		"a padded port":    {string(Visitor{addr, "https", "a:081"}.AppendTo(nil)), "public host"},
		"no port":          {string(Visitor{addr, "https", "a:"}.AppendTo(nil)), "public host"},
		"user info":        {string(Visitor{addr, "https", "u@a"}.AppendTo(nil)), "public host"},
		"a line break":     {string(Visitor{addr, "https", "a\r\nX: y"}.AppendTo(nil)), "public host"},
		"a scheme too far": {"\x01\x05\x00\x00\x01a", "scheme"},
		"a dot in a port":  {string(Visitor{addr, TCP, "a.b"}.AppendTo(nil)), "name of a port"},
		"a port's port":    {string(Visitor{addr, TCP, "a:81"}.AppendTo(nil)), "name of a port"},
		"a port's digit":   {string(Visitor{addr, UDP, "1a"}.AppendTo(nil)), "name of a port"},
		"no port name":     {string(Visitor{addr, UDP, ""}.AppendTo(nil)), "name of a port"},
		"a long port name": {string(Visitor{addr, TCP, strings.Repeat("a", 64)}.AppendTo(nil)), "name of a port"},
	} {
		if v, err := ParseVisitor([]byte(c.wire)); err == nil || !strings.Contains(err.Error(), c.why) {
			t.Errorf("%s: %v, %v; want an error with %q", name, v, err, c.why)
		}
	}
}

// FuzzVisitor: what is read has the documented form, and exactly one.
func FuzzVisitor(f *testing.F) {
	f.Add(Visitor{netip.MustParseAddrPort("192.0.2.1:443"), "https", "a.b"}.AppendTo(nil))
	f.Add(Visitor{netip.MustParseAddrPort("[2001:db8::1]:1"), "http", "a-b.c:81"}.AppendTo(nil))
	f.Add([]byte("\x01\x01\x00\x00\x01a"))
	f.Add(Visitor{netip.MustParseAddrPort("192.0.2.1:443"), TCP, "postgres"}.AppendTo(nil))
	f.Add(Visitor{netip.MustParseAddrPort("[2001:db8::1]:1"), UDP, "_Game-1"}.AppendTo(nil))
	host := regexp.MustCompile(`^[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*(:[1-9][0-9]{0,4})?$`)
	port := regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_-]{0,62}$`)
	f.Fuzz(func(t *testing.T, head []byte) {
		v, err := ParseVisitor(head)
		if err != nil {
			if v != (Visitor{}) {
				t.Errorf("refused, yet %v", v)
			}
			return
		}
		form := host
		if v.Scheme == TCP || v.Scheme == UDP {
			form = port
		}
		if !form.MatchString(v.Host) || !slices.Contains([]string{"https", "http", TCP, UDP}, v.Scheme) {
			t.Errorf("%x is read as %+v", head, v)
		}
		if again := v.AppendTo(nil); !bytes.Equal(again, head) {
			t.Errorf("%x is read as %+v, which is written as %x", head, v, again)
		}
	})
}
