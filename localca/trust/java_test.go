package trust

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// probe is a Java program that connects to argument 0 as a user's would.
const probe = `
public class Probe {
  public static void main(String[] args) throws Exception {
    System.out.println(new java.net.URI(args[0]).toURL().openConnection().getHeaderField(0));
  }
}`

// javaHome is a JAVA_HOME with a copy of this machine's cacerts.
func (f *fixture) javaHome(name string) (cacerts string) {
	f.t.Helper()
	keytool, err := filepath.EvalSymlinks(needTool(f.t, "keytool"))
	if err != nil {
		f.t.Fatal(err)
	}
	jdk := filepath.Dir(filepath.Dir(keytool))
	text, err := os.ReadFile(filepath.Join(jdk, "lib", "security", "cacerts"))
	if err != nil {
		f.t.Fatal(err)
	}
	home := f.home(name)
	cacerts = filepath.Join(home, "lib", "security", "cacerts")
	f.write(cacerts, string(text))
	if err := os.Mkdir(filepath.Join(home, "bin"), 0o755); err != nil {
		f.t.Fatal(err)
	}
	if err := os.Symlink(keytool, filepath.Join(home, "bin", "keytool")); err != nil {
		f.t.Fatal(err)
	}
	f.env["JAVA_HOME"] = home
	return cacerts
}

// javaAccepts is what a Java program with this cacerts thinks of the CA.
func (f *fixture) javaAccepts(cacerts string) bool {
	f.t.Helper()
	source := f.home("Probe.java")
	f.write(source, probe)
	addr, stop := listenWith(f.t, f.ca)
	defer stop()
	out, err := exec.CommandContext(f.t.Context(), needTool(f.t, "java"), "-Djavax.net.ssl.trustStore="+cacerts, source, "https://"+strings.Replace(addr, "127.0.0.1", "localhost", 1)).CombinedOutput()
	if err != nil {
		f.t.Fatalf("java: %v: %s", err, out)
	}
	return strings.Contains(string(out), "200 OK")
}

func TestJava(t *testing.T) {
	f := newFixture(t)
	cacerts := f.javaHome("java home")
	got := want(t, f.store("java").Check(t.Context()), Untrusted)
	if got.Fix != "devproxy trust --store java" {
		t.Errorf("fix %q", got.Fix)
	}
	if f.javaAccepts(cacerts) {
		t.Fatal("Java accepts the root already: the test proves nothing")
	}
	want(t, f.store("java").Install(t.Context()), Trusted)
	if !f.javaAccepts(cacerts) {
		t.Error("Java refuses the root")
	}
	before, err := os.ReadFile(cacerts)
	if err != nil {
		t.Fatal(err)
	}
	want(t, f.store("java").Install(t.Context()), Trusted)
	if after, err := os.ReadFile(cacerts); err != nil || string(after) != string(before) {
		t.Errorf("a second install wrote the store (%v)", err)
	}

	// A new root beside the old one: untrust takes both out.
	old := f.ca
	f.ca = newCA(t)
	want(t, f.store("java").Check(t.Context()), Untrusted)
	want(t, f.store("java").Install(t.Context()), Trusted)
	want(t, f.store("java").Uninstall(t.Context()), Untrusted)
	want(t, f.store("java").Check(t.Context()), Untrusted)
	want(t, f.storeFor("java", old).Check(t.Context()), Untrusted)
	if f.javaAccepts(cacerts) {
		t.Error("Java still accepts the root")
	}
	want(t, f.store("java").Uninstall(t.Context()), Untrusted) // again: nothing to do

	// The CA is gone: untrust still finds its root.
	want(t, f.storeFor("java", old).Install(t.Context()), Trusted)
	want(t, f.storeFor("java", nil).Uninstall(t.Context()), Untrusted)
	want(t, f.storeFor("java", old).Check(t.Context()), Untrusted)
}

func TestJavaNotHere(t *testing.T) {
	f := newFixture(t)
	if got := want(t, f.store("java").Install(t.Context()), Skipped); got.Detail != "JAVA_HOME is not set" {
		t.Errorf("detail %q", got.Detail)
	}
	f.env["JAVA_HOME"] = f.home("nothing")
	if got := want(t, f.store("java").Install(t.Context()), Skipped); !strings.Contains(got.Detail, "no bin/keytool") {
		t.Errorf("detail %q", got.Detail)
	}
	if err := os.Remove(f.javaHome("headless")); err != nil {
		t.Fatal(err)
	}
	if got := want(t, f.store("java").Uninstall(t.Context()), Skipped); !strings.Contains(got.Detail, "no lib/security/cacerts") {
		t.Errorf("detail %q", got.Detail)
	}
}

// TestJavaOtherPassword is a cacerts that keytool cannot open: the failure is
// keytool's own words.
func TestJavaOtherPassword(t *testing.T) {
	f := newFixture(t)
	cacerts := f.javaHome("jdk")
	f.write(cacerts, "no key store")
	got := want(t, f.store("java").Install(t.Context()), Failed)
	if !strings.HasPrefix(got.Detail, "keytool: ") || len(got.Detail) < 20 {
		t.Errorf("detail %q", got.Detail)
	}
	want(t, f.store("java").Uninstall(t.Context()), Failed)
}
