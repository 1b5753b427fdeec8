package main

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/devproxy/devproxy/localca"
	"github.com/devproxy/devproxy/localca/trust"
)

// nodeVariable names a file that Node adds to its roots.
const nodeVariable = "NODE_EXTRA_CA_CERTS"

// bundleVariables name a file that replaces a program's roots.
func bundleVariables() []string {
	return []string{"SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "GIT_SSL_CAINFO", "AWS_CA_BUNDLE"}
}

// fallbackVariables are read by the program when the variable itself is unset:
// Python's requests reads CURL_CA_BUNDLE (requests.Session.merge_environment_settings),
// boto3 reads REQUESTS_CA_BUNDLE (botocore.httpsession), curl reads SSL_CERT_FILE
// (its manual, --cacert). SSL_CERT_FILE is the last for all. A list goes on where
// another list does, so that a run in an environment of ours changes nothing.
func fallbackVariables(name string) []string {
	switch name {
	case "REQUESTS_CA_BUNDLE":
		return []string{"CURL_CA_BUNDLE", "SSL_CERT_FILE"}
	case "AWS_CA_BUNDLE":
		return []string{"REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"}
	case "CURL_CA_BUNDLE", "GIT_SSL_CAINFO":
		return []string{"SSL_CERT_FILE"}
	}
	return nil
}

// pair is a variable and its value.
type pair struct{ name, value string }

// environment makes the bundles and returns the variables that name them. Each
// variable keeps what it named: its bundle is those roots and the CA.
func environment() ([]pair, error) {
	ca, err := openCA()
	if err != nil {
		return nil, err
	}
	b := bundler{home: filepath.Dir(ca.RootFile()), root: trust.Root{Cert: ca.Root(), File: ca.RootFile()}, made: map[string]string{}}
	node := ca.RootFile()
	if own := b.own(nodeVariable); own != "" {
		if node, err = b.bundle(own); err != nil {
			return nil, err
		}
	}
	pairs := []pair{{nodeVariable, node}}
	for _, name := range bundleVariables() {
		own := b.own(name)
		for _, other := range fallbackVariables(name) {
			own = cmp.Or(own, b.own(other))
		}
		path, err := b.bundle(own)
		if err != nil {
			return nil, err
		}
		pairs = append(pairs, pair{name, path})
	}
	return pairs, nil
}

// bundler writes the bundles of $DEVPROXY_HOME.
type bundler struct {
	home string
	root trust.Root
	// made has the bundles that are written, by the user's file.
	made map[string]string
}

// own is the absolute path that a variable of the user names, a file or a folder;
// empty when it names nothing that is there, or the CA alone. In an environment of
// ours it is what the variable named outside.
func (b *bundler) own(variable string) string {
	path := os.Getenv(variable)
	if path == "" {
		return ""
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return ""
	}
	if isBundle(b.home, path) {
		path = bundleSource(path)
	}
	if _, err := os.Stat(path); err != nil || path == b.root.File {
		return ""
	}
	return path
}

// bundle is the path of the bundle with the roots of own and the CA, which is
// written unless it is there. Empty is the machine's roots.
func (b *bundler) bundle(own string) (string, error) {
	if path, ok := b.made[own]; ok {
		return path, nil
	}
	path := filepath.Join(b.home, bundleFor(own))
	text, from, err := trust.Bundle(own, b.root)
	if err != nil {
		return "", err
	}
	if from == own {
		text = append([]byte(sourceMark+own+"\n"), text...)
	}
	if old, err := os.ReadFile(path); err != nil || !bytes.Equal(old, text) {
		if err := localca.WriteFile(path, text, 0o644); err != nil {
			return "", failf("set DEVPROXY_HOME to a folder you can write to", "cannot write %s: %w", path, err)
		}
	}
	b.made[own] = path
	return path, nil
}

// bundlePrefix begins the names of the bundles in $DEVPROXY_HOME.
const bundlePrefix = "bundle"

// bundleFor is the name of the bundle with the roots of a file of the user's own;
// empty is the system's. Each file has its own bundle, since shells that name
// different ones may be open at once.
func bundleFor(own string) string {
	if own == "" {
		return bundlePrefix + ".pem"
	}
	sum := sha256.Sum256([]byte(own))
	return fmt.Sprintf("%s-%x.pem", bundlePrefix, sum[:4])
}

func isBundle(home, path string) bool {
	ours, _ := filepath.Match(bundlePrefix+"*.pem", filepath.Base(path))
	return ours && filepath.Dir(path) == home
}

// sourceMark begins the first line of a bundle with the roots of a file of the
// user's own, and names that file. Readers of PEM skip what is outside of its
// blocks (RFC 7468 section 2).
const sourceMark = "# devproxy: the public roots of "

// bundleSource is the file of the user's own that a bundle's roots are from;
// empty for the system's.
func bundleSource(path string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return "" // it is written again
	}
	line, _, _ := strings.Cut(string(text), "\n")
	source, marked := strings.CutPrefix(line, sourceMark)
	if !marked {
		return ""
	}
	return source
}
