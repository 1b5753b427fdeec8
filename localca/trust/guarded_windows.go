package trust

import "os"

// guardedProgram always returns nil on Windows: no store there needs another user's
// rights.
func guardedProgram(string) error { return nil }

// privateDir makes a folder below the user's own folder for temporary files.
func privateDir() (string, error) { return os.MkdirTemp("", "devproxy-") }
