package trust

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestJavaOfTheSystem is a JDK of root's, which this user may only read. The
// command runs devproxy as root: keytool would read the root's file again, after
// it was checked.
func TestJavaOfTheSystem(t *testing.T) {
	needTool(t, "keytool")
	if !inside(t, &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}) {
		return
	}
	f := newFixture(t)
	keytool, err := filepath.EvalSymlinks(needTool(t, "keytool"))
	if err != nil {
		t.Fatal(err)
	}
	home := filepath.Dir(filepath.Dir(keytool))
	f.env["JAVA_HOME"] = home
	cacerts := filepath.Join(home, "lib", "security", "cacerts")
	before, err := os.ReadFile(cacerts)
	if err != nil {
		t.Fatal(err)
	}
	got := want(t, f.store("java").Install(t.Context()), NeedsRoot)
	if got.Fix != "sudo env JAVA_HOME="+home+" devproxy trust --store java" || got.AsRoot[0] != "sudo" || !strings.Contains(got.Detail, cacerts) {
		t.Errorf("%+v", got)
	}
	want(t, f.store("java").Uninstall(t.Context()), Untrusted) // nothing to do needs no root
	if after, err := os.ReadFile(cacerts); err != nil || string(after) != string(before) {
		t.Errorf("the store changed (%v)", err)
	}
}

// TestJavaOfAUserIsNotRunAsRoot is a cacerts that this user may only read, next
// to a keytool that is this user's: no command is shown that runs it as root.
func TestJavaOfAUserIsNotRunAsRoot(t *testing.T) {
	needTool(t, "keytool")
	if !inside(t, &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}) {
		return
	}
	f := newFixture(t)
	if err := os.Chmod(f.javaHome("the jdk"), 0o444); err != nil {
		t.Fatal(err)
	}
	got := want(t, f.store("java").Install(t.Context()), Failed)
	if !strings.Contains(got.Detail, filepath.Join(f.home("the jdk"), "bin", "keytool")) || strings.Contains(got.Fix, "sudo") || got.AsRoot != nil {
		t.Errorf("%+v", got)
	}
}
