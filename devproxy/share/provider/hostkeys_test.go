package provider

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
)

type testKeys struct {
	hostKeys
	t     *testing.T
	notes []string
}

func newTestKeys(t *testing.T) *testKeys {
	k := &testKeys{t: t}
	var mu sync.Mutex
	k.hostKeys = hostKeys{
		own: filepath.Join(t.TempDir(), knownFile), users: filepath.Join(t.TempDir(), "known_hosts"),
		note: func(text string) {
			mu.Lock()
			defer mu.Unlock()
			k.notes = append(k.notes, text)
		},
	}
	return k
}

func (k *testKeys) write(file string, lines ...string) {
	k.t.Helper()
	if err := os.WriteFile(file, []byte(strings.Join(lines, "\n")), 0o600); err != nil { // no newline at the end
		k.t.Fatal(err)
	}
}

// accepts and refuses check a server's key.
func (k *testKeys) accepts(address string, key ssh.PublicKey) {
	k.t.Helper()
	if err := k.check(address, someAddr, key); err != nil {
		k.t.Errorf("%s is refused: %v", address, err)
	}
}

func (k *testKeys) refuses(address string, key ssh.PublicKey, file string) {
	k.t.Helper()
	before, _ := os.ReadFile(k.own)
	err := k.check(address, someAddr, key)
	var e *keyError
	if !errors.As(err, &e) || e.file != file || !strings.Contains(e.Error(), ssh.FingerprintSHA256(key)) {
		k.t.Errorf("%s is not refused because of %q: %v", address, file, err)
	}
	if after, _ := os.ReadFile(k.own); string(after) != string(before) {
		k.t.Error("a refused key was remembered")
	}
}

var someAddr = &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 22}

func TestHostKeysRemembered(t *testing.T) {
	k := newTestKeys(t)
	first, other := newSigner(t).PublicKey(), newSigner(t).PublicKey()
	k.accepts("vps.example.com:22", first)
	k.accepts("vps.example.com:22", first)
	k.refuses("vps.example.com:22", other, k.own)
	k.accepts("vps.example.com:2222", other) // another server
	k.accepts("[2001:db8::1]:22", other)
	k.refuses("[2001:db8::1]:22", first, k.own)
	if len(k.notes) != 3 || !strings.Contains(k.notes[0], ssh.FingerprintSHA256(first)) || !strings.Contains(k.notes[1], "[vps.example.com]:2222") {
		t.Errorf("the user is told %q, want the three keys", k.notes)
	}
	text, err := os.ReadFile(k.own)
	if err != nil || strings.Count(string(text), "\n") != 3 {
		t.Errorf("the file has %q, %v; want three lines", text, err)
	}
	if info, err := os.Stat(k.own); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("the file's mode is %v, %v", info.Mode(), err)
	}
}

func TestHostKeysOfUser(t *testing.T) {
	k := newTestKeys(t)
	key, other, authority := newSigner(t).PublicKey(), newSigner(t).PublicKey(), newSigner(t)
	k.write(k.users,
		"# a comment", "", "nonsense", "vps.example.com ssh-unknown AAAA",
		knownhosts.Line([]string{knownhosts.HashHostname("hashed.example.com")}, key),
		knownhosts.Line([]string{"vps.example.com", "[vps.example.com]:2222"}, key),
		"*.wild.example.com "+strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key))),
		"@cert-authority *.ca.example.com "+strings.TrimSpace(string(ssh.MarshalAuthorizedKey(authority.PublicKey()))),
		"@revoked * "+strings.TrimSpace(string(ssh.MarshalAuthorizedKey(other))),
	)
	for _, address := range []string{"hashed.example.com:22", "vps.example.com:22", "vps.example.com:2222", "a.wild.example.com:22"} {
		k.accepts(address, key)
		k.refuses(address, newSigner(t).PublicKey(), k.users)
	}
	k.refuses("new.example.com:22", other, k.users)
	if _, err := os.Stat(k.own); err == nil || len(k.notes) > 0 {
		t.Errorf("what the user knows was remembered: %q", k.notes)
	}

	cert := &ssh.Certificate{Key: key, CertType: ssh.HostCert, ValidPrincipals: []string{"x.ca.example.com"}, ValidBefore: ssh.CertTimeInfinity}
	if err := cert.SignCert(rand.Reader, authority); err != nil {
		t.Fatal(err)
	}
	k.accepts("x.ca.example.com:22", cert)
	if err := k.check("y.ca.example.com:22", someAddr, cert); err == nil {
		t.Error("a certificate of another host is accepted")
	}

	// devproxy's own file counts first.
	k.write(k.own, knownhosts.Line([]string{"vps.example.com"}, authority.PublicKey()))
	k.accepts("vps.example.com:22", authority.PublicKey())
	k.refuses("vps.example.com:22", key, k.own)
	// Its last line has no newline, and is still a line of its own.
	k.accepts("new.example.com:22", key)
	k.accepts("vps.example.com:22", authority.PublicKey())
}

func TestHostKeysPinned(t *testing.T) {
	k := newTestKeys(t)
	key, other := newSigner(t).PublicKey(), newSigner(t).PublicKey()
	k.pin = string(ssh.MarshalAuthorizedKey(key))
	k.accepts("service.example.com:22", key)
	k.refuses("service.example.com:22", other, "")
	var e *keyError
	errors.As(k.check("service.example.com:22", someAddr, other), &e)
	if fix := e.agentError().Fix; strings.Contains(fix, "ssh-keygen") || fix == "" {
		t.Errorf("the fix is %q", fix)
	}
	if len(k.notes) > 0 {
		t.Errorf("the user is told %q", k.notes)
	}
	// A key that the user has accepted takes precedence.
	k.write(k.users, knownhosts.Line([]string{"service.example.com"}, other))
	k.accepts("service.example.com:22", other)
	k.refuses("service.example.com:22", key, k.users)
}

// The keys that come with devproxy can be read.
func TestPins(t *testing.T) {
	k := hostKeys{pin: localhostRunServer.pin}
	if got, want := ssh.FingerprintSHA256(k.pinned()), "SHA256:FV8IMJ4IYjYUTnd6on7PqbRjaZf4c1EhhEBgeUdE94I"; got != want {
		t.Errorf("localhost.run has %s, want %s", got, want)
	}
}

// Several tunnels to a new server remember it once, and never two keys.
func TestHostKeysAtOnce(t *testing.T) {
	k := newTestKeys(t)
	keys := []ssh.PublicKey{newSigner(t).PublicKey(), newSigner(t).PublicKey()}
	errs := make([]error, 20)
	var all sync.WaitGroup
	for i := range errs {
		all.Go(func() { errs[i] = k.check("vps.example.com:22", someAddr, keys[i%2]) })
	}
	all.Wait()
	good := 0
	for i, err := range errs {
		if (err == nil) != (errs[i%2] == nil) {
			t.Errorf("the same key has %v and %v", err, errs[i%2])
		}
		if err == nil {
			good++
		}
	}
	text, _ := os.ReadFile(k.own)
	if good != len(errs)/2 || len(k.notes) != 1 || strings.Count(string(text), "\n") != 1 {
		t.Errorf("%d were accepted, %q told, and the file has %q", good, k.notes, text)
	}
}

func TestHostKeysUnreadable(t *testing.T) {
	k := newTestKeys(t)
	k.write(k.own, "nonsense")
	if err := k.check("vps.example.com:22", someAddr, newSigner(t).PublicKey()); err == nil {
		t.Error("a file that cannot be read lets everyone in")
	}
	if _, err := k.algorithms("vps.example.com:22"); err == nil {
		t.Error("a file that cannot be read causes no error")
	}
	k = newTestKeys(t)
	k.own = filepath.Join(t.TempDir(), "missing", knownFile)
	if err := k.check("vps.example.com:22", someAddr, newSigner(t).PublicKey()); err == nil {
		t.Error("a key that cannot be remembered is accepted")
	}
}

func TestHostKeyAlgorithms(t *testing.T) {
	k := newTestKeys(t)
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	ecdsaKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	line := func(prefix, host string, key any) string {
		public, err := ssh.NewPublicKey(key)
		if err != nil {
			t.Fatal(err)
		}
		return prefix + host + " " + strings.TrimSpace(string(ssh.MarshalAuthorizedKey(public)))
	}
	k.write(k.own, line("", "rsa.example.com", &rsaKey.PublicKey))
	k.write(k.users, line("", "ecdsa.example.com", &ecdsaKey.PublicKey), line("@cert-authority ", "*.ca.example.com", &ecdsaKey.PublicKey))
	for address, first := range map[string]string{
		"rsa.example.com:22":   "rsa-sha2-",
		"ecdsa.example.com:22": ssh.KeyAlgoECDSA256,
		"x.ca.example.com:22":  "-cert-v01@openssh.com",
		"new.example.com:22":   "",
	} {
		got, err := k.algorithms(address)
		if err != nil || !strings.Contains(got[0], first) {
			t.Errorf("%s is asked for %v, %v; want %s first", address, got, err, first)
		}
		if certs := slices.ContainsFunc(got, isCertificate); certs != strings.Contains(address, ".ca.") {
			t.Errorf("%s is asked for %v", address, got)
		}
		if !slices.Contains(got, ssh.KeyAlgoED25519) || slices.Contains(got, ssh.KeyAlgoRSA) {
			t.Errorf("%s is asked for %v", address, got)
		}
	}
}
