// Package share measures a share on an emulated path with loss, beside its
// peers and beside parallel sockets. It needs Linux and root.
package share

import (
	"context"
	"os"
)

// Run measures what args ask for (see --help) and prints a table, or JSON. Call
// it on the main thread, locked, so that children end with this process.
func Run(ctx context.Context, args []string) error {
	b, err := parse(args)
	if err != nil {
		return err
	}
	return b.run(ctx)
}

// IsRole reports whether this process was started as one end of a measurement.
func IsRole() bool { return os.Getenv(specVariable) != "" }

// RunRole does the work of such a process. It returns when that ends.
func RunRole() error { return runRole(os.Getenv(specVariable)) }
