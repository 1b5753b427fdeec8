package trust

import (
	"context"
	"crypto/x509"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// TestHeld reads a list that certutil prints.
func TestHeld(t *testing.T) {
	home := t.TempDir()
	db := filepath.Join(home, ".pki", "nssdb")
	if err := os.MkdirAll(db, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(db, "cert9.db"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	m := Machine{
		OS: "linux", Home: home, Root: true, Getenv: func(string) string { return "" },
		Find: func(program string) (string, error) { return program, nil },
		Run: func(_ context.Context, argv ...string) ([]byte, error) {
			if !slices.Equal(argv, []string{"certutil", "-L", "-d", "sql:" + db, "-f", os.DevNull}) {
				return nil, errors.New("another program")
			}
			return []byte(`
Certificate Nickname                                         Trust Attributes
                                                             SSL,S/MIME,JAR/XPI

mkcert development CA 1234                                   C,,
mkcert development CA 271828182845904523536028747135266249775 C,,
devproxy local CA 0123456789ab                               CT,C,C
`), nil
		},
	}
	const long = "mkcert development CA 271828182845904523536028747135266249775" // certutil's column is shorter
	want := []HeldRoot{
		{Store: "chromium", Name: "mkcert development CA 1234", Removal: "certutil -D -d sql:" + db + " -n 'mkcert development CA 1234'"},
		{Store: "chromium", Name: long, Removal: "certutil -D -d sql:" + db + " -n '" + long + "'"},
		{Store: "chromium", Name: "devproxy local CA 0123456789ab", Removal: "certutil -D -d sql:" + db + " -n 'devproxy local CA 0123456789ab'"},
	}
	got := slices.DeleteFunc(Held(t.Context(), m), func(h HeldRoot) bool { return h.Store == "system" })
	if !slices.Equal(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	cert := &x509.Certificate{Raw: []byte("a certificate")}
	own := HeldRoot{Store: "chromium", Name: Root{Cert: cert}.nick()}
	if !own.Is(cert) || got[1].Is(cert) {
		t.Error("Is compares something else than the name")
	}
}
