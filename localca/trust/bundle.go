package trust

import (
	"bytes"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// bundles is the file of the system's store: the first that is here of the
// list of crypto/x509 (root_linux.go).
func bundles() []string {
	for _, path := range []string{
		"/etc/ssl/certs/ca-certificates.crt",
		"/etc/pki/tls/certs/ca-bundle.crt",
		"/etc/ssl/ca-bundle.pem",
		"/etc/pki/tls/cacert.pem",
		"/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
		"/etc/ssl/cert.pem",
	} {
		if exists(path) {
			return []string{path} // crypto/x509 reads the first alone
		}
	}
	return nil
}

// Bundle returns PEM with roots and the given one: what a program that reads one
// file needs, so that it trusts both. The roots are those of own, a file or a
// folder of the user's, when it is set and can be read; else the machine's public
// ones. from is where they come from. The given root is not added where it is
// already.
func Bundle(own string, root Root) (text []byte, from string, err error) {
	if own != "" {
		if text, err = readRoots(own); err == nil {
			from = own
		}
	}
	if from == "" {
		for _, path := range bundles() {
			if text, err = os.ReadFile(path); err == nil {
				from = path
				break
			}
		}
	}
	if from == "" {
		return nil, "", errors.New("this machine has no file of public root certificates; install the package ca-certificates, or set SSL_CERT_FILE to such a file")
	}
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if bytes.Equal(block.Bytes, root.Cert.Raw) {
			return text, from, nil
		}
	}
	if len(text) > 0 && text[len(text)-1] != '\n' {
		text = append(text, '\n')
	}
	return append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: root.Cert.Raw})...), from, nil
}

// readRoots reads a file of certificates, or all certificates of a folder, which
// some programs take as well (Python's requests and boto3): each once, since such
// a folder holds each file again under the hash of its subject. It fails when
// a folder has none.
func readRoots(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil || !info.IsDir() {
		return os.ReadFile(path)
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, err
	}
	var text []byte
	seen := map[string]bool{}
	for _, entry := range entries {
		file := filepath.Join(path, entry.Name())
		if info, err := os.Stat(file); err != nil || !info.Mode().IsRegular() {
			continue
		}
		content, err := os.ReadFile(file)
		if err != nil {
			continue // as OpenSSL does
		}
		for block, rest := pem.Decode(content); block != nil; block, rest = pem.Decode(rest) {
			if block.Type == "CERTIFICATE" && !seen[string(block.Bytes)] {
				seen[string(block.Bytes)] = true
				text = append(text, pem.EncodeToMemory(&pem.Block{Type: block.Type, Bytes: block.Bytes})...)
			}
		}
	}
	if len(text) == 0 {
		return nil, fmt.Errorf("%s has no certificate", path)
	}
	return text, nil
}
