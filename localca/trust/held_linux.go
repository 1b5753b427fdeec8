package trust

import (
	"crypto/sha256"
	"os"
	"path/filepath"

	"github.com/smallstep/truststore"

	"github.com/devproxy/devproxy/devproxy/programs"
)

// withRemovals adds commands for the roots that are files in the folder where an
// administrator adds roots.
func withRemovals(m Machine, held []HeldRoot) []HeldRoot {
	if truststore.SystemTrustFilename == "" || len(truststore.SystemTrustCommand) == 0 {
		return held
	}
	folder := filepath.Dir(truststore.SystemTrustFilename)
	entries, _ := os.ReadDir(folder) // a missing one has no roots
	for _, entry := range entries {
		path := filepath.Join(folder, entry.Name())
		info, err := os.Stat(path)
		if err != nil || !info.Mode().IsRegular() || info.Size() > maxAnchor {
			continue
		}
		text, _ := os.ReadFile(path) // an unreadable one has no blocks
		for block := range blocks(text) {
			sum := sha256.Sum256(block.Bytes)
			for i := range held {
				if held[i].sum == sum {
					held[i].Removal = asRoot(m, "rm", path) + " && " + asRoot(m, truststore.SystemTrustCommand...)
				}
			}
		}
	}
	return held
}

// maxAnchor bounds a file of certificates in the system's folder, in bytes.
const maxAnchor = 1 << 20

func asRoot(m Machine, argv ...string) string {
	if m.Root {
		return programs.Line(argv)
	}
	return m.RootLine(argv...)
}
