package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// TestNamesAsOrdinaryUser has no terminal: the command that needs root is shown and not
// run. Root then runs what is shown, and the user's clean finds the block.
func TestNamesAsOrdinaryUser(t *testing.T) {
	dir, command := ordinaryUser(t)
	// Only root may write this hosts file.
	hosts := filepath.Join(t.TempDir(), "hosts")
	const original = "127.0.0.1 localhost"
	if err := os.WriteFile(hosts, []byte(original), 0o644); err != nil {
		t.Fatal(err)
	}
	for parent := filepath.Dir(hosts); parent != "/tmp" && parent != "/"; parent = filepath.Dir(parent) {
		if err := os.Chmod(parent, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	bin := filepath.Join(dir, "bin")
	if err := os.Mkdir(bin, 0o755); err != nil {
		t.Fatal(err)
	}
	log := filepath.Join(dir, "log")
	if err := os.WriteFile(filepath.Join(bin, "sudo"), []byte("#!/bin/sh\necho \"$@\" >>"+log+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	runtimeDir := filepath.Join(dir, "run")
	if err := os.Mkdir(runtimeDir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(runtimeDir, someUser, someUser); err != nil {
		t.Fatal(err)
	}
	env := plainEnvironment("HOME="+dir, "DEVPROXY_HOME="+dir+"/state", "XDG_RUNTIME_DIR="+runtimeDir, "PATH="+bin+":"+os.Getenv("PATH"))

	// The user's block has a name that no project serves any more.
	binary := filepath.Join(dir, "devproxy")
	asRoot := func(args ...string) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), binary, args...)
		cmd.Env = env
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("as root: %v: %s", err, out)
		}
	}
	asRoot("names", "write", "--hosts", hosts, "--user", strconv.Itoa(someUser), "old.localhost")
	written, err := os.ReadFile(hosts)
	if err != nil {
		t.Fatal(err)
	}

	shown := binary + " names write --user " + strconv.Itoa(someUser) + " --hosts " + hosts
	for _, verb := range []string{"sync", "clean"} {
		code, stdout, stderr := runForCode(t, command("names", verb, "--hosts", hosts), env)
		if code != exitFailed || !strings.Contains(stderr, "Only root can write that file:\n  sudo "+shown+"\n") || !strings.Contains(stdout, "-127.0.0.1 old.localhost\n") {
			t.Errorf("names %s: exit code %d\n%s%s", verb, code, stdout, stderr)
		}
	}
	if text, err := os.ReadFile(log); err == nil {
		t.Errorf("sudo was run without being asked: %s", text)
	}
	// --yes runs it. This sudo writes nothing, which is noticed.
	code, _, stderr := runForCode(t, command("names", "clean", "--yes", "--hosts", hosts), env)
	text, err := os.ReadFile(log)
	if code != exitFailed || err != nil || string(text) != shown+"\n" || !strings.Contains(stderr, "does not have the names after the command") {
		t.Errorf("exit code %d, sudo got %q, %v: %s", code, text, err, stderr)
	}
	if now, err := os.ReadFile(hosts); err != nil || string(now) != string(written) {
		t.Errorf("the file has changed: %q, %v", now, err)
	}
	asRoot(strings.Fields(shown)[1:]...)
	if now, err := os.ReadFile(hosts); err != nil || string(now) != original {
		t.Errorf("after clean: %q, %v", now, err)
	}
	code, _, stderr = runForCode(t, command("names", "clean", "--hosts", hosts), env)
	if code != exitOK || !strings.Contains(stderr, "Nothing was changed") {
		t.Errorf("exit code %d: %s", code, stderr)
	}
	// Through sudo it would be root's block.
	cmd := exec.CommandContext(t.Context(), binary, "names", "sync", "--hosts", hosts)
	code, _, stderr = runForCode(t, cmd, append(env, "SUDO_USER=ann"))
	if code != exitFailed || !strings.Contains(stderr, "leave out sudo") {
		t.Errorf("through sudo: exit code %d: %s", code, stderr)
	}
}
