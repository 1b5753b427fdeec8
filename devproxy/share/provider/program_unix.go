//go:build unix

package provider

import "os"

const programSuffix = ""

// environmentNames are the variables that a child gets.
const environmentNames = "PATH HOME USER LOGNAME TMPDIR LANG TZ SSL_CERT_FILE SSL_CERT_DIR"

// isProgram reports whether path is a file that somebody may execute.
func isProgram(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
}
