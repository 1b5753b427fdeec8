package trust

import (
	"os"
	"strings"
	"syscall"
	"testing"
)

// TestJavaOfTheSystem is a cacerts that this user may read only.
func TestJavaOfTheSystem(t *testing.T) {
	needTool(t, "keytool")
	if !inside(t, &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}) {
		return
	}
	f := newFixture(t)
	cacerts := f.javaHome("the jdk")
	if err := os.Chmod(cacerts, 0o444); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(cacerts)
	if err != nil {
		t.Fatal(err)
	}
	got := want(t, f.store("java").Install(t.Context()), NeedsRoot)
	for _, part := range []string{"sudo '", "-importcert", "-keystore '" + cacerts + "'", f.ca.RootFile()} {
		if !strings.Contains(got.Fix, part) {
			t.Errorf("fix %q does not say %q", got.Fix, part)
		}
	}
	if got.AsRoot[0] != "sudo" {
		t.Errorf("as root: %q", got.AsRoot)
	}
	if after, err := os.ReadFile(cacerts); err != nil || string(after) != string(before) {
		t.Errorf("the store changed (%v)", err)
	}
}
