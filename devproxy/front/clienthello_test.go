//go:build unix

package front

import (
	"bytes"
	"crypto/ecdh"
	"crypto/rand"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"net"
	"testing"
	"time"

	"golang.org/x/crypto/cryptobyte"
)

// encryptedFor is a list of one ECHConfig (RFC 9849 section 4) of a server with this
// public name, which nobody has the key of.
func encryptedFor(t *testing.T, public string) []byte {
	t.Helper()
	key, err := ecdh.X25519().GenerateKey(rand.Reader)
	must(t, err)
	var b cryptobyte.Builder
	b.AddUint16LengthPrefixed(func(list *cryptobyte.Builder) {
		list.AddUint16(0xfe0d) // the version
		list.AddUint16LengthPrefixed(func(config *cryptobyte.Builder) {
			config.AddUint8(1)       // the id of the configuration
			config.AddUint16(0x0020) // DHKEM(X25519, HKDF-SHA256)
			config.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(key.PublicKey().Bytes()) })
			config.AddUint16LengthPrefixed(func(suites *cryptobyte.Builder) {
				suites.AddUint16(1) // HKDF-SHA256
				suites.AddUint16(1) // AES-128-GCM
			})
			config.AddUint8(32) // the longest name
			config.AddUint8LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes([]byte(public)) })
			config.AddUint16(0) // no extensions
		})
	})
	return b.BytesOrPanic()
}

// TestEncryptedClientHello: a client that encrypts the name reaches the project of the
// public one, which is the only one that anybody here can read. It is rejected there, as
// the RFC says.
func TestEncryptedClientHello(t *testing.T) {
	dir := shortDir(t)
	a, b := start(t, dir, "a.localhost"), start(t, dir, "b.localhost")
	certificateOf := func(name string) []byte {
		c, err := tls.Dial("tcp", a.https, &tls.Config{ServerName: name, InsecureSkipVerify: true})
		must(t, err)
		defer c.Close()
		return c.ConnectionState().PeerCertificates[0].Raw
	}
	c, err := net.Dial("tcp", a.https)
	must(t, err)
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(soon))
	client := tls.Client(c, &tls.Config{
		ServerName: "a.localhost", MinVersion: tls.VersionTLS13,
		EncryptedClientHelloConfigList:      encryptedFor(t, "b.localhost"),
		EncryptedClientHelloRejectionVerify: func(tls.ConnectionState) error { return nil },
	})
	err = client.Handshake()
	if _, rejected := errors.AsType[*tls.ECHRejectionError](err); !rejected {
		t.Fatalf("the handshake: %v, want it to be rejected", err)
	}
	if got := client.ConnectionState().PeerCertificates[0].Raw; !bytes.Equal(got, certificateOf("b.localhost")) || bytes.Equal(got, certificateOf("a.localhost")) {
		t.Error("another project than that of the public name has answered")
	}
	a.overTLS("a.localhost").reaches(a)
	b.overTLS("b.localhost").reaches(b)
}

// withExtension is a ClientHello, in one record, with one more extension before the
// others.
func withExtension(hello []byte, kind uint16, content []byte) []byte {
	const fixed = 5 + 4 + 2 + 32 // the headers of record and message, the version, random
	at := fixed + 1 + int(hello[fixed])
	at += 2 + int(binary.BigEndian.Uint16(hello[at:])) // cipher suites
	at += 1 + int(hello[at])                           // compression methods
	more := binary.BigEndian.AppendUint16(nil, kind)
	more = append(binary.BigEndian.AppendUint16(more, uint16(len(content))), content...)
	out := append(append(append([]byte{}, hello[:at+2]...), more...), hello[at+2:]...)
	for _, length := range []int{3, 7, at} {
		binary.BigEndian.PutUint16(out[length:], binary.BigEndian.Uint16(out[length:])+uint16(len(more)))
	}
	return out
}

// TestUnknownExtensions: browsers send reserved values (RFC 8701), so that servers get used
// to what they do not know, and padding (RFC 7685).
func TestUnknownExtensions(t *testing.T) {
	hello := helloFor(t, "shop.localhost")
	for _, kind := range []uint16{0x0a0a, 0xfafa, 21} {
		for _, size := range []int{0, 1, 300, 8000} {
			hello := withExtension(hello, kind, make([]byte, size))
			if name, known := nameIn(hello); name != "shop.localhost" || !known {
				t.Errorf("extension %#x of %d bytes: %q, known is %v", kind, size, name, known)
			}
		}
	}
}
