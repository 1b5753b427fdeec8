package main

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"

	"github.com/devproxy/devproxy/localca"
)

// readOrMakeKey reads a key. The caller holds the lock.
func readOrMakeKey(path string) (ed25519.PrivateKey, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return makeKey(path)
	}
	if err != nil {
		return nil, stateFailure("read", path, err)
	}
	if err := tighten(path, 0o600); err != nil {
		return nil, err
	}
	key, err := parseKey(text)
	if err != nil {
		return nil, failf("remove it: the next share has a new key, and a new link", "cannot use %s: %w", path, err)
	}
	return key, nil
}

func parseKey(text []byte) (ed25519.PrivateKey, error) {
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, errors.New("it is no PEM")
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("it holds no private key: %w", err)
	}
	key, ok := parsed.(ed25519.PrivateKey)
	if !ok {
		return nil, errors.New("its key is not of the kind Ed25519")
	}
	return key, nil
}

func makeKey(path string) (ed25519.PrivateKey, error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	if err := localca.WriteFile(path, text, 0o600); err != nil {
		return nil, stateFailure("write", path, err)
	}
	return key, nil
}

// privateFolder makes a folder that nobody else can look into.
func privateFolder(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return stateFailure("make the folder", dir, err)
	}
	return tighten(dir, 0o700)
}

// tighten takes a file away from everybody but its owner.
func tighten(path string, mode fs.FileMode) error {
	info, err := os.Stat(path)
	if err == nil && info.Mode().Perm()&0o077 != 0 {
		err = os.Chmod(path, mode)
	}
	if err != nil {
		return stateFailure("make private (chmod "+strconv.FormatUint(uint64(mode), 8)+")", path, err)
	}
	return nil
}

// writeState writes a file of $DEVPROXY_HOME, whole or not at all.
func writeState(path string, value any) error {
	text, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return err
	}
	if err := localca.WriteFile(path, append(text, '\n'), 0o600); err != nil {
		return stateFailure("write", path, err)
	}
	return nil
}

// stateFailure is a file of $DEVPROXY_HOME that cannot be used.
func stateFailure(op, path string, err error) error {
	var inner *fs.PathError
	if errors.As(err, &inner) {
		err = inner.Err
	}
	return failf("see whose it is (ls -l), or name another folder in "+localca.HomeVariable, "cannot %s %s: %w", op, path, err)
}
