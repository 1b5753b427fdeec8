package trust

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// clients connect to a listener of the CA's by programs of their own, as a user
// would: curl, openssl, and a new Go process.
func (f *fixture) clients() map[string]bool {
	f.t.Helper()
	addr, stop := listenWith(f.t, f.ca)
	defer stop()
	_, port, _ := net.SplitHostPort(addr)
	accepted := map[string]bool{}
	for name, argv := range map[string][]string{
		"curl":    {"curl", "-q", "-sS", "--noproxy", "*", "--resolve", "localhost:" + port + ":127.0.0.1", "https://localhost:" + port},
		"openssl": {"openssl", "s_client", "-connect", addr, "-servername", "localhost", "-verify_return_error"},
		"go":      {"/proc/self/exe"},
	} {
		cmd := exec.CommandContext(f.t.Context(), argv[0], argv[1:]...)
		cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + f.machine.Home}
		if name == "go" {
			cmd.Env = append(cmd.Env, dialVariable+"="+addr)
		}
		accepted[name] = cmd.Run() == nil
	}
	return accepted
}

func TestSystemStore(t *testing.T) {
	needTool(t, "update-ca-certificates")
	needTool(t, "curl")
	needTool(t, "openssl")
	if !inside(t, &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}) {
		return
	}
	privateSystem(t)
	f := newFixture(t)
	f.withHandshake()
	store := f.store("system")

	// What a user tells curl and OpenSSL to trust proves nothing about the
	// system's store.
	for _, name := range []string{"CURL_CA_BUNDLE", "SSL_CERT_FILE"} {
		t.Setenv(name, f.ca.RootFile())
	}
	got := want(t, store.Check(t.Context()), Untrusted)
	if got.Detail != "not accepted by curl, Go, OpenSSL" || got.Fix == "" {
		t.Errorf("untrusted: %+v", got)
	}
	f.accepted(false)

	// The proof before the change: untrust has nothing to do, and does nothing.
	before := systemFiles(t)
	want(t, store.Uninstall(t.Context()), Untrusted)
	if diff := cmp.Diff(before, systemFiles(t)); diff != "" {
		t.Errorf("untrust of nothing changed the store:\n%s", diff)
	}

	// And trust nobody: that changes nothing either.
	for _, name := range []string{"CURL_CA_BUNDLE", "SSL_CERT_FILE"} {
		t.Setenv(name, os.DevNull)
	}
	other := f.swapped() // after it was checked
	if got = want(t, store.Install(t.Context()), Trusted); !got.Changed {
		t.Errorf("a root that was installed has changed nothing: %+v", got)
	}
	f.ca, other = other, f.ca
	f.accepted(false)
	f.ca = other
	if got.Detail != "curl, Go, OpenSSL: handshake ok" {
		t.Errorf("detail %q", got.Detail)
	}
	f.accepted(true)
	once := systemFiles(t)
	want(t, store.Install(t.Context()), Trusted)
	if diff := cmp.Diff(once, systemFiles(t)); diff != "" {
		t.Errorf("a second install changed the store:\n%s", diff)
	}

	// A new root: untrust takes the old one out too.
	old := f.ca
	f.ca = newCA(t)
	want(t, f.store("system").Check(t.Context()), Untrusted)
	want(t, f.store("system").Install(t.Context()), Trusted)
	roots, err := filepath.Glob("/usr/local/share/ca-certificates/devproxy*")
	if err != nil || len(roots) != 2 {
		t.Fatalf("%v, %v: want the old root and the new one", roots, err)
	}
	want(t, f.store("system").Uninstall(t.Context()), Untrusted)
	f.accepted(false)
	f.ca = old
	f.accepted(false)
	if diff := cmp.Diff(before, systemFiles(t)); diff != "" {
		t.Errorf("untrust did not leave the store as it was:\n%s", diff)
	}

	// The CA is gone: untrust still finds its root.
	want(t, f.store("system").Install(t.Context()), Trusted)
	f.machine.Handshake = nil
	want(t, f.storeFor("system", nil).Uninstall(t.Context()), Untrusted)
	f.accepted(false)
	if diff := cmp.Diff(before, systemFiles(t)); diff != "" {
		t.Errorf("untrust did not leave the store as it was:\n%s", diff)
	}
}

// TestSystemStoreHalfTrusted is a root that some clients accept and one does
// not: it must still be possible to take it out.
func TestSystemStoreHalfTrusted(t *testing.T) {
	needTool(t, "update-ca-certificates")
	needTool(t, "openssl")
	if !inside(t, &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}) {
		return
	}
	privateSystem(t)
	f := newFixture(t)
	f.withHandshake()
	want(t, f.store("system").Install(t.Context()), Trusted)
	f.machine.Find = func(program string) (string, error) {
		if program == "curl" {
			return exec.LookPath("false") // a curl with roots of its own
		}
		return exec.LookPath(program)
	}
	got := want(t, f.store("system").Check(t.Context()), Untrusted)
	if got.Detail != "not accepted by curl" {
		t.Errorf("detail %q", got.Detail)
	}
	want(t, f.store("system").Uninstall(t.Context()), Untrusted)
	if left := anchors(Root{}.prefix()); left != nil {
		t.Errorf("left behind: %v", left)
	}
}

// TestSystemStoreUpdateFails is an update-ca-certificates that fails: its own
// words are shown.
func TestSystemStoreUpdateFails(t *testing.T) {
	needTool(t, "update-ca-certificates")
	if !inside(t, &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}) {
		return
	}
	privateSystem(t)
	bin := t.TempDir()
	if err := os.WriteFile(filepath.Join(bin, "update-ca-certificates"), []byte("#!/bin/sh\necho the disk is full >&2\nexit 3\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	f := newFixture(t)
	f.withHandshake()
	got := want(t, f.store("system").Install(t.Context()), Failed)
	for _, part := range []string{"update-ca-certificates", "exit status 3", "the disk is full"} {
		if !strings.Contains(got.Detail, part) {
			t.Errorf("detail %q does not say %q", got.Detail, part)
		}
	}
}

// TestSystemStoreNoUpdate lacks the program that makes the store: no file is
// left for nobody to read.
func TestSystemStoreNoUpdate(t *testing.T) {
	needTool(t, "update-ca-certificates")
	if !inside(t, &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}) {
		return
	}
	privateSystem(t)
	f := newFixture(t)
	f.withHandshake()
	f.machine.Find = func(program string) (string, error) {
		if program == "update-ca-certificates" {
			return "", exec.ErrNotFound
		}
		return exec.LookPath(program)
	}
	before := systemFiles(t)
	got := want(t, f.store("system").Install(t.Context()), Failed)
	if got.Detail != "update-ca-certificates is not on PATH" || !strings.Contains(got.Fix, "ca-certificates") {
		t.Errorf("%+v", got)
	}
	if diff := cmp.Diff(before, systemFiles(t)); diff != "" {
		t.Errorf("the store changed:\n%s", diff)
	}
}

// TestOrdinaryUser has no right to change the system: the command is in the
// result, and nothing is run but the proofs.
func TestOrdinaryUser(t *testing.T) {
	needTool(t, "curl")
	if !inside(t, &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}) {
		return
	}
	f := newFixture(t)
	f.withHandshake()
	before := systemFiles(t)
	run := f.machine.Run
	f.machine.Run = func(ctx context.Context, argv ...string) ([]byte, error) {
		if name := filepath.Base(argv[0]); !slices.Contains([]string{"curl", "openssl"}, name) {
			t.Errorf("%v was run", argv)
		}
		return run(ctx, argv...)
	}
	got := want(t, f.store("system").Install(t.Context()), NeedsRoot)
	if diff := cmp.Diff([]string{"sudo", "devproxy", "trust", "--store", "system"}, got.AsRoot); diff != "" {
		t.Errorf("the command (-want +got):\n%s", diff)
	}
	if got.Fix != "sudo devproxy trust --store system" {
		t.Errorf("fix %q", got.Fix)
	}
	want(t, f.store("system").Uninstall(t.Context()), Untrusted) // it is not there
	if diff := cmp.Diff(before, systemFiles(t)); diff != "" {
		t.Errorf("the store changed:\n%s", diff)
	}
}

// accepted fails the test unless every client answers so.
func (f *fixture) accepted(want bool) {
	f.t.Helper()
	for client, got := range f.clients() {
		if got != want {
			f.t.Errorf("%s accepts the root: %v, want %v", client, got, want)
		}
	}
}

// systemFiles are the files of the system's store: what a link points at, else
// the content.
func systemFiles(t *testing.T) map[string]string {
	t.Helper()
	files := map[string]string{}
	for _, dir := range []string{"/etc/ssl/certs", "/usr/local/share/ca-certificates"} {
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			path := filepath.Join(dir, e.Name())
			text, err := os.Readlink(path)
			if err != nil && e.Type().IsRegular() {
				var content []byte
				if content, err = os.ReadFile(path); err == nil {
					text = string(content)
				}
			}
			if err != nil && !e.IsDir() {
				t.Fatal(err)
			}
			files[path] = text
		}
	}
	return files
}

// TestClientsThatAreNotHere prove nothing, in either direction.
func TestClientsThatAreNotHere(t *testing.T) {
	f := newFixture(t)
	f.machine.Find = func(string) (string, error) { return "", exec.ErrNotFound }
	f.machine.Run = func(_ context.Context, argv ...string) ([]byte, error) {
		t.Errorf("%v was run", argv)
		return nil, nil
	}
	s := &system{f.machine, rootOf(f.ca)}
	for name, try := range map[string]func(context.Context, string) (bool, error){"curl": s.curl, "OpenSSL": s.openssl} {
		if here, err := try(t.Context(), "127.0.0.1:1"); here || err != nil {
			t.Errorf("%s: %t, %v", name, here, err)
		}
	}
	if accept, failures := s.prove(t.Context()); len(accept)+len(failures) > 0 {
		t.Errorf("without a handshake: %q, %q", accept, failures)
	}
}
