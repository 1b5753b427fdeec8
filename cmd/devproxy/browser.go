package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"runtime"
)

// openBrowser asks the desktop to show url. It returns when that has failed, has
// been done, or ctx ends; a browser that the desktop has to start first may keep
// it for as long as that runs.
func openBrowser(ctx context.Context, url string) error {
	argv := map[string][]string{
		"darwin":  {"open", url},
		"windows": {"rundll32", "url.dll,FileProtocolHandler", url},
	}[runtime.GOOS]
	if argv == nil {
		argv = []string{"xdg-open", url}
	}
	cmd := exec.Command(argv[0], argv[1:]...)
	apart(cmd)
	if err := cmd.Start(); errors.Is(err, exec.ErrNotFound) {
		return fmt.Errorf("cannot open a browser: %s is not installed", argv[0])
	} else if err != nil {
		return fmt.Errorf("cannot open a browser: %w", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }() // ends with the opener, which detaches or is the browser
	select {
	case err := <-ended:
		var failed *exec.ExitError
		if errors.As(err, &failed) {
			return fmt.Errorf("cannot open a browser: %s found none (%w)", argv[0], failed)
		}
		return err
	case <-ctx.Done():
		return nil
	}
}
