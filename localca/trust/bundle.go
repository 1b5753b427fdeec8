package trust

import (
	"encoding/pem"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
)

// bundles is the file of the system's store: the first that exists of the list in
// crypto/x509 (root_linux.go).
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
			return []string{path} // crypto/x509 reads only the first
		}
	}
	return nil
}

// Bundle returns PEM with the given roots and others, for a program that reads one file
// and must trust all. The others are those of own, a file or a folder of the user, when
// it is set and can be read; otherwise the machine's public ones. from is where they come
// from. A given root is not added if it is there already.
func Bundle(own string, roots ...Root) (text []byte, from string, err error) {
	if own != "" {
		if text, err = readRoots(own); err == nil {
			from = own
		}
	}
	if from == "" {
		text, from = publicRoots()
	}
	if from == "" {
		return nil, "", errors.New("this machine has no file of public root certificates; install the package ca-certificates, or set SSL_CERT_FILE to such a file")
	}
	return Append(text, roots...), from, nil
}

// Append returns text, which is PEM, with those roots that it does not have yet.
func Append(text []byte, roots ...Root) []byte {
	known := map[string]bool{}
	for block := range blocks(text) {
		known[string(block.Bytes)] = true
	}
	for _, root := range roots {
		if known[string(root.Cert.Raw)] {
			continue
		}
		if len(text) > 0 && text[len(text)-1] != '\n' {
			text = append(text, '\n')
		}
		text = append(text, encode(root.Cert.Raw)...)
	}
	return text
}

// publicRoots reads the file of the system's store; from is empty where it cannot be read.
func publicRoots() (text []byte, from string) {
	for _, path := range bundles() {
		if text, err := os.ReadFile(path); err == nil {
			return text, path
		}
	}
	return nil, ""
}

// blocks yields the PEM blocks in text.
func blocks(text []byte) iter.Seq[*pem.Block] {
	return func(yield func(*pem.Block) bool) {
		for block, rest := pem.Decode(text); block != nil && yield(block); block, rest = pem.Decode(rest) {
		}
	}
}

// encode returns a certificate in PEM.
func encode(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// readRoots reads a file of certificates, or all certificates of a folder, which some
// programs accept as well (Python's requests and boto3). It returns each certificate
// once, since such a folder has each file again under the hash of its subject. It fails
// when a folder has none.
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
		for block := range blocks(content) {
			if block.Type == "CERTIFICATE" && !seen[string(block.Bytes)] {
				seen[string(block.Bytes)] = true
				text = append(text, encode(block.Bytes)...)
			}
		}
	}
	if len(text) == 0 {
		return nil, fmt.Errorf("%s has no certificate", path)
	}
	return text, nil
}
