package trust

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// certificates are the DER bytes of a PEM text, in order.
func certificates(t *testing.T, text []byte) (all []string) {
	t.Helper()
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if _, err := x509.ParseCertificate(block.Bytes); err != nil {
			t.Fatal(err)
		}
		all = append(all, string(block.Bytes))
	}
	return all
}

func TestBundle(t *testing.T) {
	f := newFixture(t)
	if bundles() == nil {
		missingHere(t, "this machine has no ca-certificates")
	}
	system, err := os.ReadFile(bundles()[0])
	if err != nil {
		t.Fatal(err)
	}
	other := newCA(t)
	// A file that does not end in a newline must not swallow the next header.
	bare := f.home("bare.pem")
	f.write(bare, strings.TrimSpace(string(other.RootPEM())))
	empty := f.home("empty.pem")
	f.write(empty, "")
	for own, public := range map[string][]byte{"": system, f.home("missing.pem"): system, other.RootFile(): other.RootPEM(), bare: other.RootPEM(), empty: nil} {
		text, from, err := Bundle(own, rootOf(f.ca))
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Equal(public, system) != (from == bundles()[0]) {
			t.Errorf("own %q: the public roots are from %q", own, from)
		}
		if want := string(public) + string(f.ca.RootPEM()); string(text) != want {
			t.Errorf("own %q: the bundle has %d bytes, want the public roots and the root, %d", own, len(text), len(want))
		}
		wanted := append(certificates(t, public), string(f.ca.Root().Raw))
		if !cmp.Equal(wanted, certificates(t, text)) {
			t.Errorf("own %q: the bundle has %d certificates, want all %d public ones and the root", own, len(certificates(t, text)), len(wanted)-1)
		}
	}
}
