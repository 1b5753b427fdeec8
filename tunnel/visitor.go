package tunnel

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// Visitor is what the head of a stream says of whoever opened a share's link:
// the relay is the one that knows, and the agent takes it from here alone.
type Visitor struct {
	// Addr is the visitor's address and port; zero when it is not known.
	Addr netip.AddrPort
	// Scheme is "https" or "http".
	Scheme string
	// Host is the public authority that was asked for, in lower case, without
	// a default port: "shop-….t.example.com", "….share.localhost:8444".
	Host string
}

// The wire form of a Visitor, integers in network byte order:
//
//	offset  size  field
//	0       1     version, 1
//	1       1     scheme: 1 https, 2 http
//	2       1     n, the bytes of the address: 4, 16, or 0 for not known
//	3       n     the address; of 16 bytes never one that is IPv4-mapped
//	3+n     2     its port; absent when n is 0
//	…       2     h, the bytes of the host, 1 to 259
//	…       h     the host: a name of a-z 0-9 "-" "_" ".", labels of 1 to 63
//	              bytes without "-" at an end, 253 in all; then, unless it is the
//	              scheme's default, ":" and the port in decimal
//
// Nothing follows. So there is one form of every Visitor, and a reader refuses
// all others.
const (
	visitorVersion = 1
	schemeHTTPS    = 1
	schemeHTTP     = 2
	maxAuthority   = maxName + len(":65535")
)

// AppendTo appends v in its wire form. A v that has none, such as one without
// a host, is written so that ParseVisitor refuses it.
func (v Visitor) AppendTo(b []byte) []byte {
	b = append(b, visitorVersion, schemeByte(v.Scheme))
	if addr := v.Addr.Addr().Unmap(); addr.IsValid() {
		bytes := addr.AsSlice()
		b = append(append(b, byte(len(bytes))), bytes...)
		b = binary.BigEndian.AppendUint16(b, v.Addr.Port())
	} else {
		b = append(b, 0)
	}
	host := v.Host
	if len(host) > maxAuthority {
		host = ""
	}
	b = binary.BigEndian.AppendUint16(b, uint16(len(host)))
	return append(b, host...)
}

// ParseVisitor reads the head of a stream. It accepts what AppendTo writes and
// nothing else.
func ParseVisitor(head []byte) (Visitor, error) {
	r := headReader{rest: head}
	if version := r.byte(); version != visitorVersion && !r.short {
		return Visitor{}, headErrorf("its version is %d, and only %d is known here", version, visitorVersion)
	}
	var v Visitor
	v.Scheme = schemeText(r.byte())
	addr, known := r.addr()
	v.Addr = addr
	v.Host = string(r.take(int(r.uint16())))
	switch {
	case r.short:
		return Visitor{}, headErrorf("it ends after %d bytes, inside a field", len(head))
	case len(r.rest) > 0:
		return Visitor{}, headErrorf("%d bytes follow the host", len(r.rest))
	case v.Scheme == "":
		return Visitor{}, headErrorf("its scheme is neither https nor http")
	case !known:
		return Visitor{}, headErrorf("its address is neither one of IPv4 nor one of IPv6")
	case !isAuthority(v.Host, v.Scheme):
		return Visitor{}, headErrorf("%.80q is no public host", v.Host)
	}
	return v, nil
}

// headErrorf says what to do too: only programs write heads, so a bad one
// means versions that do not know each other.
func headErrorf(format string, args ...any) error {
	return fmt.Errorf("cannot read the head of a visitor's stream: %s; run the same version of devproxy at both ends", fmt.Sprintf(format, args...))
}

func schemeByte(scheme string) byte {
	switch scheme {
	case "https":
		return schemeHTTPS
	case "http":
		return schemeHTTP
	}
	return 0
}

func schemeText(b byte) string {
	switch b {
	case schemeHTTPS:
		return "https"
	case schemeHTTP:
		return "http"
	}
	return ""
}

// headReader takes fields off the front; short stays true once one is missing.
type headReader struct {
	rest  []byte
	short bool
}

func (r *headReader) take(n int) []byte {
	if n > len(r.rest) {
		r.short, r.rest = true, nil
		return nil
	}
	field := r.rest[:n]
	r.rest = r.rest[n:]
	return field
}

func (r *headReader) byte() byte {
	if b := r.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *headReader) uint16() uint16 {
	if b := r.take(2); b != nil {
		return binary.BigEndian.Uint16(b)
	}
	return 0
}

// addr is an address with its port; ok is false for bytes that are neither
// that nor the sign for none.
func (r *headReader) addr() (addr netip.AddrPort, ok bool) {
	size := int(r.byte())
	if size == 0 {
		return netip.AddrPort{}, true
	}
	ip, ok := netip.AddrFromSlice(r.take(size))
	port := r.uint16()
	if !ok || ip.Is4In6() {
		return netip.AddrPort{}, false
	}
	return netip.AddrPortFrom(ip, port), true
}

// isAuthority is whether s is a host in the one form that Visitor documents.
func isAuthority(s, scheme string) bool {
	name, port, hasPort := strings.Cut(s, ":")
	if hasPort {
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil || n == 0 || strconv.FormatUint(n, 10) != port || port == defaultPort(scheme) {
			return false
		}
	}
	if len(name) > maxName {
		return false
	}
	for label := range strings.SplitSeq(name, ".") {
		if !isLabel(label) {
			return false
		}
	}
	return true
}

func defaultPort(scheme string) string {
	if scheme == "http" {
		return "80"
	}
	return "443"
}
