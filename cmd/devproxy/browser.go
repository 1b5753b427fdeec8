package main

import (
	"fmt"
	"os/exec"
	"runtime"
)

// openBrowser asks the desktop to show url. It does not wait for the browser.
func openBrowser(url string) error {
	argv := map[string][]string{
		"darwin":  {"open", url},
		"windows": {"rundll32", "url.dll,FileProtocolHandler", url},
	}[runtime.GOOS]
	if argv == nil {
		argv = []string{"xdg-open", url}
	}
	cmd := exec.Command(argv[0], argv[1:]...)
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("cannot open a browser: %w", err)
	}
	go func() { _ = cmd.Wait() }() // ends with the opener, which detaches at once
	return nil
}
