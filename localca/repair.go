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

// repair makes the missing parts of a good root. It keeps a good key: where the
// old root is still trusted, so are the new root's leaves. The caller holds the
// lock.
//
// The order makes it safe to stop anywhere. All files are complete on the disk before
// anything changes. Then the old ones are renamed, and the key gets its name before the
// root does. The next Open handles every state in between.
func (s store) repair(f found) (*CA, error) {
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
	// The certificate is public, and readable so that it can be copied.
	if files, err = s.stage(files, rootFile, encodePEM(certificateBlock, root.Raw), 0o644); err != nil {
		return nil, err
	}
	kept, err := s.replace(files)
	if err != nil {
		return nil, err
	}
	return s.newCA(key, root, f.fault+kept), nil
}

// stage adds a file to files that is complete but not yet under its name.
func (s store) stage(files []*stagedFile, name string, data []byte, perm fs.FileMode) ([]*stagedFile, error) {
	file, err := s.steps.stage(s.path(name), data, perm)
	if err != nil {
		return files, storeError("write", s.path(name), err)
	}
	return append(files, file), nil
}

// replace gives the staged files their names, after renaming the files that have these
// names. kept says to what, for the end of a sentence.
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
		kept = "; the old files are kept as " + strings.Join(names, " and ")
	}
	return kept, nil
}

// moveAside renames a file that is about to be replaced, since the user may still need it. It
// returns the new name; empty if the file does not exist.
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
