package trust

import (
	"fmt"
	"os"
	"path/filepath"
)

// withCopy calls use with the path of a PEM file of the certificate, which only this
// process and root can change, and removes it after that. Programs that write to a store
// read that file: Root.File may have changed since it was checked, and a user who can
// write to it must not decide what a store trusts.
func (r Root) withCopy(use func(path string) error) error {
	dir, err := privateDir()
	if err != nil {
		return fmt.Errorf("can't copy the root: %w", err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "devproxy-root.crt")
	err = os.WriteFile(path, encode(r.Cert.Raw), 0o644)
	if err == nil {
		err = os.Chmod(dir, 0o755) // Windows reads it as WSL's default user
	}
	if err != nil {
		return fmt.Errorf("can't copy the root: %w", err)
	}
	return use(path)
}
