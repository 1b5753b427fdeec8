package trust

import (
	"context"
	"errors"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
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

	// A new root next to the old one: untrust removes both.
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

// TestJavaFailures: what is done, and told, when keytool does not do what it is asked to.
func TestJavaFailures(t *testing.T) {
	failed := errors.New("exit status 1")
	type answer struct {
		output string
		err    error
	}
	f := newFixture(t)
	print := strings.ToUpper(rootOf(f.ca).fingerprint())
	var colons []string
	for i := 0; i < len(print); i += 2 {
		colons = append(colons, print[i:i+2])
	}
	there := answer{"Alias name: x\nSHA256: " + strings.Join(colons, ":") + "\n", nil}
	other := answer{"Alias name: x\nSHA256: 00:11\n", nil}
	bad := answer{"keytool error: it is broken\nand more", failed}
	mine := aliasOf(rootOf(f.ca).nick())
	old := aliasOf(Root{}.nickPrefix() + "0123456789ab")
	list := answer{"Keystore type: JKS\n\n" + mine + ", 1 Jan 2026, trustedCertEntry,\nFingerprint: 00\n" + old + ", 1 Jan 2026, trustedCertEntry,\nsomebody-elses, 1 Jan 2026, trustedCertEntry,\n" + mine + " without a comma\n", nil}
	for name, c := range map[string]struct {
		do      string
		answers map[string][]answer // in turn; the last one stays
		folder  bool                // cacerts is one
		ran     string
		state   State
		changed bool
		detail  string
	}{
		"check, and it is there":       {"check", map[string][]answer{"-v": {there}}, false, "-v", Trusted, false, "cacerts"},
		"check, and another is there":  {"check", map[string][]answer{"-v": {other}}, false, "-v", Untrusted, false, "the root is not in "},
		"check, and keytool fails":     {"check", map[string][]answer{"-v": {{there.output, failed}}}, false, "-v", Untrusted, false, "the root is not in "},
		"install, and it is there":     {"install", map[string][]answer{"-v": {there}}, false, "-v", Trusted, false, ""},
		"install":                      {"install", map[string][]answer{"-v": {other, there}}, false, "-v -importcert -v", Trusted, true, ""},
		"install, and that fails":      {"install", map[string][]answer{"-v": {other}, "-importcert": {bad}}, false, "-v -importcert", Failed, false, "keytool: keytool error: it is broken"},
		"install into a folder":        {"install", map[string][]answer{"-v": {other}}, true, "-v", Failed, false, "cacerts"},
		"remove":                       {"remove", map[string][]answer{"-list": {list}}, false, "-list -delete " + mine + " -delete " + old, Untrusted, true, ""},
		"remove, and listing fails":    {"remove", map[string][]answer{"-list": {bad}}, false, "-list", Failed, false, "keytool: keytool error: it is broken"},
		"remove, and that fails":       {"remove", map[string][]answer{"-list": {list}, "-delete": {bad}}, false, "-list -delete " + mine, Failed, false, "keytool: keytool error: it is broken"},
		"remove what is not there":     {"remove", map[string][]answer{"-list": {{"Keystore type: JKS\n", nil}}}, false, "-list", Untrusted, false, ""},
		"remove from a folder":         {"remove", map[string][]answer{"-list": {list}}, true, "-list", Failed, false, "cacerts"},
		"remove nothing from a folder": {"remove", map[string][]answer{"-list": {{"", nil}}}, true, "-list", Untrusted, false, ""},
	} {
		for _, place := range []string{"lib", "jre/lib"} { // JDK 9 and later, JDK 8
			home := f.home(strings.ReplaceAll(name, " ", "-"), strings.ReplaceAll(place, "/", "-"))
			cacerts := filepath.Join(home, filepath.FromSlash(place), "security", "cacerts")
			f.write(filepath.Join(home, "bin", "keytool"), "")
			if c.folder {
				f.write(filepath.Join(cacerts, "x"), "")
			} else {
				f.write(cacerts, "")
			}
			f.env["JAVA_HOME"] = home
			answers := maps.Clone(c.answers)
			var ran []string
			m := f.machine
			m.Root = false
			m.Find = func(program string) (string, error) { return program, nil }
			m.Run = func(_ context.Context, argv ...string) ([]byte, error) {
				action := argv[1]
				if argv[2] == "-v" {
					action = "-v"
				}
				if argv[0] != filepath.Join(home, "bin", "keytool") || !slices.Contains(argv, cacerts) {
					t.Errorf("%s: ran %q", name, argv)
				}
				if ran = append(ran, action); action == "-delete" {
					ran = append(ran, argv[len(argv)-1])
				}
				all := answers[action]
				if len(all) == 0 {
					return nil, nil
				}
				if len(all) > 1 {
					answers[action] = all[1:]
				}
				return []byte(all[0].output), all[0].err
			}
			s := Store{name: "java", kind: &java{m, rootOf(f.ca)}}
			do := map[string]func(context.Context) Result{"install": s.Install, "check": s.Check, "remove": s.Uninstall}[c.do]
			got := do(t.Context())
			if got.State != c.state || got.Changed != c.changed || !strings.Contains(got.Detail, c.detail) || strings.Contains(got.Detail, "and more") || (got.Fix != "") != (got.State == Untrusted && c.do == "check") {
				t.Errorf("%s, %s: %+v", name, place, got)
			}
			if strings.Join(ran, " ") != c.ran {
				t.Errorf("%s, %s: ran %q, want %q", name, place, ran, c.ran)
			}
		}
	}
}
