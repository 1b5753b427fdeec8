package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestUpOnFullDisk has a runtime directory on a disk that is full, at each file that `up`
// makes there. The error names the directory and what helps, and no file of ours.
func TestUpOnFullDisk(t *testing.T) {
	enterNamespace(t, "80") // for the shared ports
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "Proxyfile"), []byte("host \"shop.localhost\" { respond = 204 }\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	disk, err := os.MkdirTemp("", "full") // a short path, for sockets
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(disk) })
	env := append(os.Environ(), "HOME="+dir, "DEVPROXY_HOME="+filepath.Join(dir, "state"), "XDG_RUNTIME_DIR="+disk)
	const script = `mount -t tmpfs -o "mode=700,$1" full "$2" && mkdir -p "$2/devproxy" 2>/dev/null
		chmod 700 "$2/devproxy" 2>/dev/null
		test "$3" = 0 || dd if=/dev/zero of="$2/devproxy/x" bs=1024 2>/dev/null
		exec devproxy up`
	up := func(options, fill string) (string, error) {
		ctx, cancel := context.WithTimeout(t.Context(), scriptPatience)
		defer cancel()
		cmd := exec.CommandContext(ctx, trustTool(t, "unshare"), "--mount", "sh", "-c", script, "sh", options, disk, fill)
		cmd.Dir, cmd.Env = dir, env
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	tries := map[string]string{"size=64k": "1"}
	for inodes := 1; inodes <= 6; inodes++ { // the disk's root, the directory, a lock, a process id, and the front's lock and socket
		tries[fmt.Sprintf("nr_inodes=%d", inodes)] = "0"
	}
	for options, fill := range tries {
		out, err := up(options, fill)
		if failed, ok := errors.AsType[*exec.ExitError](err); !ok || failed.ExitCode() != 1 {
			t.Errorf("%s: %v: %s", options, err, out)
		}
		for _, want := range []string{filepath.Join(disk, "devproxy") + ": no space left on device", "free some space there, or set XDG_RUNTIME_DIR to a folder on another disk"} {
			if !strings.Contains(strings.Join(strings.Fields(out), " "), want) {
				t.Errorf("%s: the error is %q without %q", options, out, want)
			}
		}
	}
}
