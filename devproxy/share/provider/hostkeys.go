package provider

import (
	"bytes"
	"cmp"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"

	"github.com/devproxy/devproxy/localca"
	"github.com/devproxy/devproxy/tunnel/agent"
)

// knownFile is in $DEVPROXY_HOME, in the format of known_hosts(5).
const knownFile = "ssh_known_hosts"

// hostKeys are the known keys of SSH servers: those in devproxy's own
// file, those that the user has accepted with ssh, and one that comes with
// devproxy. The first of them that has a server decides. The key of a server that is
// in none of them is added to devproxy's own file.
type hostKeys struct {
	own   string // devproxy's file
	users string // the user's known_hosts; empty for none
	pin   string // the server's key that comes with devproxy, as in known_hosts; empty for none
	note  func(string)
}

// keyError is the error of a server whose key is not the known one.
type keyError struct {
	got, want, file, address string
}

func (e *keyError) Error() string {
	return fmt.Sprintf("its key is %s, and the known one is %s (%s)", e.got, e.want, e.file)
}

// agentError adds what to do if the server really has a new key.
func (e *keyError) agentError() *agent.Error {
	fix := fmt.Sprintf("someone may be listening in; if the server has a new key, accept it: ssh-keygen -R '%s' -f '%s'", knownhosts.Normalize(e.address), e.file)
	if e.file == "" {
		fix = "someone may be listening in; update devproxy, or use another provider"
	}
	return &agent.Error{Reason: agent.ReasonPin, Op: "trust", Addr: e.address, Err: e, Fix: fix}
}

// algorithms returns the algorithms of host keys, in the order to request them: a
// server shows one key, which should be of a kind that is known for it. Certificates
// are requested only where an authority is known: the certificate of an unknown
// authority proves nothing, and keeps the server from showing its key.
func (k *hostKeys) algorithms(address string) ([]string, error) {
	var types []string
	hasAuthority := false
	for _, file := range []string{k.own, k.users} {
		keys, err := keysIn(file, address)
		if err != nil {
			return nil, err
		}
		for _, key := range keys {
			types = append(types, key.Key.Type())
			hasAuthority = hasAuthority || isAuthority(key)
		}
	}
	if pinned := k.pinned(); pinned != nil && types == nil {
		types = append(types, pinned.Type())
	}
	rank := func(algorithm string) int {
		switch {
		case isCertificate(algorithm):
			return 0
		case slices.Contains(types, algorithm), slices.Contains(types, ssh.KeyAlgoRSA) && strings.HasPrefix(algorithm, "rsa-sha2-"): // RFC 8332
			return 1
		}
		return 2
	}
	all := ssh.SupportedAlgorithms().HostKeys
	if !hasAuthority {
		all = slices.DeleteFunc(all, isCertificate)
	}
	slices.SortStableFunc(all, func(a, b string) int { return cmp.Compare(rank(a), rank(b)) })
	return all, nil
}

func isCertificate(algorithm string) bool {
	return strings.Contains(algorithm, "-cert-v01@openssh.com")
}

// isAuthority reports whether a known key is that of an authority, which package
// knownhosts does not report.
func isAuthority(key knownhosts.KnownKey) bool {
	text, err := os.ReadFile(key.Filename)
	if err != nil {
		return false
	}
	lines := bytes.Split(text, []byte("\n"))
	return key.Line <= len(lines) && bytes.HasPrefix(bytes.TrimSpace(lines[key.Line-1]), []byte("@cert-authority"))
}

func (k *hostKeys) pinned() ssh.PublicKey {
	if k.pin == "" {
		return nil
	}
	key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(k.pin))
	if err != nil {
		panic(err) // a constant
	}
	return key
}

// check is an ssh.HostKeyCallback.
func (k *hostKeys) check(address string, remote net.Addr, key ssh.PublicKey) error {
	for _, file := range []string{k.own, k.users} {
		if known, err := checkIn(file, address, remote, key); known || err != nil {
			return err
		}
	}
	if pinned := k.pinned(); pinned != nil {
		if bytes.Equal(pinned.Marshal(), key.Marshal()) {
			return nil
		}
		return &keyError{got: ssh.FingerprintSHA256(key), want: ssh.FingerprintSHA256(pinned), address: address}
	}
	return k.remember(address, remote, key)
}

// remember adds the key of an unknown server to devproxy's own file.
func (k *hostKeys) remember(address string, remote net.Addr, key ssh.PublicKey) error {
	lock := k.own + ".lock"
	unlock, err := localca.Lock(lock)
	if err != nil {
		return fmt.Errorf("locking %s failed: %w", lock, err)
	}
	defer unlock()
	if known, err := checkIn(k.own, address, remote, key); known || err != nil {
		return err // another tunnel has added it
	}
	text, err := os.ReadFile(k.own)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if len(text) > 0 && text[len(text)-1] != '\n' {
		text = append(text, '\n')
	}
	text = append(text, knownhosts.Line([]string{address}, key)+"\n"...)
	if err := localca.WriteFile(k.own, text, 0o600); err != nil {
		return fmt.Errorf("writing %s failed: %w", k.own, err)
	}
	k.note(fmt.Sprintf("%s is new; its key %s is remembered in %s", knownhosts.Normalize(address), ssh.FingerprintSHA256(key), k.own))
	return nil
}

// checkIn reports whether a file has the server. The error is a *keyError when the
// file has another key for it.
func checkIn(file, address string, remote net.Addr, key ssh.PublicKey) (known bool, err error) {
	callback, err := callbackOf(file)
	if callback == nil {
		return false, err
	}
	err = callback(address, remote, key)
	differs, isOther := errors.AsType[*knownhosts.KeyError](err)
	_, isRevoked := errors.AsType[*knownhosts.RevokedError](err)
	want := "revoked"
	switch {
	case isOther && len(differs.Want) == 0:
		return false, nil
	case isOther:
		want = fingerprints(differs.Want)
	case !isRevoked:
		return true, err
	}
	return true, &keyError{got: ssh.FingerprintSHA256(key), want: want, file: file, address: address}
}

func fingerprints(keys []knownhosts.KnownKey) string {
	var all []string
	for _, key := range keys {
		all = append(all, ssh.FingerprintSHA256(key.Key))
	}
	return strings.Join(all, " or ")
}

// keysIn returns the keys that a file has for a server.
func keysIn(file, address string) ([]knownhosts.KnownKey, error) {
	callback, err := callbackOf(file)
	if callback == nil {
		return nil, err
	}
	// The error about a key that is not among them contains the keys.
	other, err := ssh.NewPublicKey(ed25519.PublicKey(make([]byte, ed25519.PublicKeySize)))
	if err != nil {
		return nil, err
	}
	if differs, ok := errors.AsType[*knownhosts.KeyError](callback(address, &net.TCPAddr{}, other)); ok {
		return differs.Want, nil
	}
	return nil, nil
}

// callbackOf reads a file. It returns nil for a file that is missing or empty.
// Package knownhosts skips lines that it does not understand, and fails when
// it understands none.
func callbackOf(file string) (ssh.HostKeyCallback, error) {
	if file == "" {
		return nil, nil
	}
	callback, err := knownhosts.New(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return callback, err
}
