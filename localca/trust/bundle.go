package trust

import (
	"encoding/pem"
	"errors"
	"os"
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

// Bundle is the public roots of this machine and the given one, PEM: what a
// program that reads one file needs, so that it trusts both. from is the file
// the public roots come from: the user's own, if one is given and can be read.
func Bundle(own string, root Root) (text []byte, from string, err error) {
	sources := bundles()
	if own != "" {
		sources = append([]string{own}, sources...)
	}
	for _, path := range sources {
		if text, err = os.ReadFile(path); err == nil {
			from = path
			break
		}
	}
	if from == "" {
		return nil, "", errors.New("this machine has no file of public root certificates; install the package ca-certificates, or set SSL_CERT_FILE to such a file")
	}
	if len(text) > 0 && text[len(text)-1] != '\n' {
		text = append(text, '\n')
	}
	return append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: root.Cert.Raw})...), from, nil
}
