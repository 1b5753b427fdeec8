package main

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// ordinaryUser is a folder of an ordinary user's, with a devproxy to run there.
// The returned function makes the command.
func ordinaryUser(t *testing.T) (dir string, command func(args ...string) *exec.Cmd) {
	t.Helper()
	if os.Getuid() != 0 {
		if os.Getenv("CI") == "true" {
			t.Fatal("only root can be somebody else")
		}
		t.Skip("only root can be somebody else")
	}
	dir, err := os.MkdirTemp("", "user")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	program, err := os.ReadFile(trustTool(t, "devproxy"))
	if err != nil {
		t.Fatal(err)
	}
	binary := filepath.Join(dir, "devproxy")
	if err := os.WriteFile(binary, program, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(dir, someUser, someUser); err != nil {
		t.Fatal(err)
	}
	return dir, func(args ...string) *exec.Cmd {
		cmd := exec.CommandContext(t.Context(), binary, args...)
		cmd.Dir = "/"
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: someUser, Gid: someUser}}
		return cmd
	}
}

// TestTrustAsOrdinaryUser has no terminal: the command that needs root is shown
// and not run, and the other stores are done.
func TestTrustAsOrdinaryUser(t *testing.T) {
	trustTool(t, "certutil")
	trustTool(t, "curl")
	dir, command := ordinaryUser(t)
	bin := filepath.Join(dir, "bin")
	if err := os.Mkdir(bin, 0o755); err != nil {
		t.Fatal(err)
	}
	log := filepath.Join(dir, "log")
	if err := os.WriteFile(filepath.Join(bin, "sudo"), []byte("#!/bin/sh\nprintf '%s\\n' \"$@\" >> "+log+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	state := filepath.Join(dir, "my state")
	env := plainEnvironment("HOME="+dir, "DEVPROXY_HOME="+state, "PATH="+bin+":"+os.Getenv("PATH"))
	shown := "sudo env 'DEVPROXY_HOME=" + state + "' " + filepath.Join(dir, "devproxy") + " trust --store system"

	code, stdout, stderr := runForCode(t, command("trust"), env)
	if code != exitFailed {
		t.Errorf("exit code %d with a store left: %s", code, stderr)
	}
	if !strings.Contains(stderr, "System store needs root:\n  "+shown+"\n") {
		t.Errorf("the command is not shown: %s", stderr)
	}
	for _, line := range []string{"  system          needs root", shown, "  Chromium        trusted     ~/.local/share/pki/nssdb", "  Java            skipped", "  Node, Python    per shell", "Undo: " + filepath.Join(dir, "devproxy") + " untrust"} {
		if !strings.Contains(stdout, line) {
			t.Errorf("no line %q in:\n%s", line, stdout)
		}
	}
	if text, err := os.ReadFile(log); err == nil {
		t.Fatalf("sudo was run without being asked: %s", text)
	}

	// Asked for by name it has not been done; --yes runs it, and this sudo
	// changes nothing.
	for _, args := range [][]string{{"trust", "--store", "system"}, {"trust", "--store", "system", "--yes"}} {
		if code, _, _ := runForCode(t, command(args...), env); code != exitFailed {
			t.Errorf("devproxy %s: exit code %d", strings.Join(args, " "), code)
		}
	}
	text, err := os.ReadFile(log)
	want := "env\nDEVPROXY_HOME=" + state + "\n" + filepath.Join(dir, "devproxy") + "\ntrust\n--store\nsystem\n"
	if err != nil || string(text) != want {
		t.Errorf("sudo was run with %q (%v), want %q", text, err, want)
	}
}

// TestTrustThroughSudo runs as root in a user's folder: it leaves nothing of
// root's there, makes no CA, and says whose browsers it is about.
func TestTrustThroughSudo(t *testing.T) {
	dir, command := ordinaryUser(t)
	state := filepath.Join(dir, "state")
	env := plainEnvironment("HOME="+dir, "DEVPROXY_HOME="+state)
	asRoot := func(args ...string) (code int, stdout, stderr string) {
		return runForCode(t, exec.CommandContext(t.Context(), "devproxy", args...), append(env, "HOME="+t.TempDir(), "SUDO_USER=amy"))
	}
	code, _, stderr := asRoot("trust", "--store", "java")
	if code != exitFailed || !strings.Contains(stderr, "devproxy trust, as amy without sudo") {
		t.Errorf("without a CA: exit code %d, %s", code, stderr)
	}
	if _, err := os.Stat(state); err == nil {
		t.Error("root made a CA in the user's folder")
	}

	if code, _, stderr := runForCode(t, command("env"), env); code != exitOK {
		t.Fatalf("cannot make the CA: %s", stderr)
	}
	for _, verb := range []string{"trust", "untrust"} {
		if code, _, stderr := asRoot(verb, "--store", "java"); code != exitOK || strings.Contains(stderr, "sudo") {
			t.Errorf("%s: exit code %d, %s", verb, code, stderr)
		}
		if _, _, stderr := asRoot(verb, "--store", "java,firefox"); !strings.Contains(stderr, "for those of amy run it without sudo") {
			t.Errorf("%s: no warning that these are root's browsers: %s", verb, stderr)
		}
	}
	// Where sudo keeps HOME, root would make files in the user's.
	for _, verb := range []string{"trust", "untrust"} {
		cmd := exec.CommandContext(t.Context(), "devproxy", verb, "--store", "java,chromium")
		code, stdout, _ := runForCode(t, cmd, append(env, "SUDO_USER=amy"))
		want := "  Chromium        skipped     it is amy's: leave out sudo\n"
		if code != exitOK || !strings.HasPrefix(stdout, want) {
			t.Errorf("%s in the user's home: exit code %d, %q", verb, code, stdout)
		}
	}
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		if owner := info.Sys().(*syscall.Stat_t).Uid; owner != someUser && path != filepath.Join(dir, "devproxy") {
			t.Errorf("%s belongs to user %d", path, owner)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
