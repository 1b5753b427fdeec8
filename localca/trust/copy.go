package trust

import (
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
)

// withCopy calls use with the path of a PEM file of the certificate, which only
// this process and root can change, and removes it afterwards. Programs that
// write to a store read that file: Root.File may have changed since it was
// checked, and whoever can write to it must not decide what a store trusts.
func (r Root) withCopy(use func(path string) error) error {
	dir, err := privateDir()
	if err != nil {
		return fmt.Errorf("cannot copy the root: %w", err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "devproxy-root.crt")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: r.Cert.Raw})
	if err := os.WriteFile(path, text, 0o644); err != nil {
		return fmt.Errorf("cannot copy the root: %w", err)
	}
	if err := os.Chmod(dir, 0o755); err != nil { // Windows reads it as WSL's default user
		return fmt.Errorf("cannot copy the root: %w", err)
	}
	return use(path)
}
