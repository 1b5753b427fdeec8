package hcl

import (
	"os"
	"path/filepath"
	"testing"
)

// TestDomains checks which hosts are valid with trusted domains.
func TestDomains(t *testing.T) {
	path := filepath.Join(t.TempDir(), "Proxyfile")
	for name, ok := range map[string]bool{
		"shop.localhost": true, "shop.test": true, "api.shop.test": true, "*.shop.test": true, "dev.example.com": true,
		"myshop.test": false, "test": false, "example.com": false, "shop.test.evil.com": false,
	} {
		if err := os.WriteFile(path, []byte("host \""+name+"\" { respond = 204 }\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		_, diags, err := Load(path, Options{Domains: []string{"shop.test", "dev.example.com"}})
		if err != nil || diags.HasErrors() == ok {
			t.Errorf("%s: %v, %v", name, diags, err)
		}
	}
}
