package trust

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/smallstep/truststore"
)

// certsDir is where update-ca-certificates links every root, by its name and by its hash.
// It leaves the links of a root that is removed.
const certsDir = "/etc/ssl/certs"

// updateProgram is the program that builds the system's store from its folders, as
// truststore runs it.
func updateProgram(m Machine) (string, error) {
	if truststore.SystemTrustCommand == nil {
		return "update-ca-certificates", truststore.ErrNotSupported
	}
	program := truststore.SystemTrustCommand[0]
	_, err := m.Find(program)
	return program, err
}

// update builds the system's store from its folders.
func update(ctx context.Context, m Machine) error {
	output, err := m.Run(ctx, truststore.SystemTrustCommand...)
	if err != nil {
		return fmt.Errorf("%s: %w: %s", strings.Join(truststore.SystemTrustCommand, " "), err, firstLine(output))
	}
	return nil
}

// anchors are the files of devproxy's roots of one domain in the system's folders, this one
// and older ones: truststore names them prefix and serial number.
func anchors(prefix string) []string {
	if truststore.SystemTrustFilename == "" {
		return nil // a distribution that truststore does not know
	}
	paths, err := filepath.Glob(strings.Replace(truststore.SystemTrustFilename, "%s", prefix+"[0-9]*", 1))
	if err != nil {
		return nil // our own pattern is well formed
	}
	entries, err := os.ReadDir(certsDir)
	if err != nil {
		return paths // another distribution's layout
	}
	for _, e := range entries {
		link := filepath.Join(certsDir, e.Name())
		target, err := os.Readlink(link)
		if ours, _ := filepath.Match(prefix+"[0-9]*", filepath.Base(target)); err == nil && ours {
			paths = append(paths, link)
		}
	}
	return paths
}
