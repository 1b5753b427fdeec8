package localca

import (
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// mend makes what is missing for a good root. A good key is kept: where the old
// root is still trusted, the new root's leaves are then too. The caller holds
// the lock.
//
// The order makes it safe to be stopped anywhere. All files are whole on the
// disk before anything changes; then the old ones go aside, and the key takes
// its name before the root does. Whatever is left then is a state that the next
// Open knows.
func (s store) mend(f found) (*CA, error) {
	sweep(s.path(keyFile))
	sweep(s.path(rootFile))
	var files []*stagedFile
	defer func() {
		for _, file := range files {
			file.discard()
		}
	}()
	key := f.key
	if key == nil {
		var err error
		if key, err = newKey(); err != nil {
			return nil, fmt.Errorf("make the key of a root: %w", err)
		}
		der, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			return nil, fmt.Errorf("make the key of a root: %w", err)
		}
		if files, err = s.stage(files, keyFile, encodePEM(keyBlock, der), 0o600); err != nil {
			return nil, err
		}
	}
	root, err := signRoot(key, s.now())
	if err != nil {
		return nil, fmt.Errorf("make a root: %w", err)
	}
	// The certificate is public; it is readable in case it is copied elsewhere.
	if files, err = s.stage(files, rootFile, encodePEM(certificateBlock, root.Raw), 0o644); err != nil {
		return nil, err
	}
	kept, err := s.replace(files)
	if err != nil {
		return nil, err
	}
	return s.newCA(key, root, f.fault+kept), nil
}

// stage adds a file, whole but not yet under its name, to files.
func (s store) stage(files []*stagedFile, name string, data []byte, perm fs.FileMode) ([]*stagedFile, error) {
	file, err := s.steps.stage(s.path(name), data, perm)
	if err != nil {
		return files, storeError("write", s.path(name), err)
	}
	return append(files, file), nil
}

// replace gives the staged files their names, after moving what has these names
// aside. Kept tells where to, for the end of a sentence.
func (s store) replace(files []*stagedFile) (kept string, err error) {
	var names []string
	for _, file := range files {
		name, err := s.moveAside(file.path)
		if err != nil {
			return "", storeError("move aside", file.path, err)
		}
		if name != "" {
			names = append(names, name)
		}
	}
	for _, file := range files {
		if err := file.commit(); err != nil {
			return "", storeError("write", file.path, err)
		}
	}
	if len(names) > 0 {
		kept = "; what was there is kept as " + strings.Join(names, " and ")
	}
	return kept, nil
}

// moveAside renames a file that is about to be replaced, for somebody may still
// need it, and returns its new name; empty when there was none.
func (s store) moveAside(path string) (name string, err error) {
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err := s.steps.at("move aside " + path); err != nil {
		return "", err
	}
	aside := path + ".aside-" + s.now().UTC().Format("20060102T150405")
	for free := aside; ; free += "+" {
		if _, err := os.Lstat(free); errors.Is(err, fs.ErrNotExist) {
			return filepath.Base(free), os.Rename(path, free)
		} else if err != nil {
			return "", err
		}
	}
}
