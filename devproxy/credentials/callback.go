package credentials

import (
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
)

// The files of callback hosts, below $DEVPROXY_HOME.
const (
	callbacksDir = "callbacks"
	// callbackSecret is a key from which those of all callback hosts are derived.
	callbackSecret = "key"
)

// callbackState is the content of a project's file.
type callbackState struct {
	Project string `json:"project"`
	Origin  string `json:"origin"` // that a relay granted last
}

// CallbackKey returns the key of a project's callback host. It is the same in all worktrees
// and clones of a project of this user, and belongs to nobody else: projects with the same
// name have the same host on this machine too. A missing secret is made.
func (s Store) CallbackKey(project string) (ed25519.PrivateKey, error) {
	dir := filepath.Join(s.Home, callbacksDir)
	if err := makePrivate(dir); err != nil {
		return nil, err
	}
	var secret ed25519.PrivateKey
	err := locked(filepath.Join(dir, lockFile), func() (err error) {
		secret, err = readOrMakeKey(filepath.Join(dir, callbackSecret))
		return err
	})
	if err != nil {
		return nil, err
	}
	seed, err := hkdf.Key(sha256.New, secret.Seed(), nil, "devproxy callback host of "+project, ed25519.SeedSize)
	if err != nil {
		panic(err) // only for lengths above 8160 bytes (RFC 5869 section 2.3)
	}
	return ed25519.NewKeyFromSeed(seed), nil
}

// SetCallbackOrigin records the origin of a project's callback host, so that it is known
// while nothing is shared.
func (s Store) SetCallbackOrigin(project, origin string) error {
	if s.CallbackOrigin(project) == origin {
		return nil
	}
	return writeJSON(s.callbackFile(project), callbackState{project, origin})
}

// CallbackOrigin returns the origin of a project's callback host; empty before the first
// share.
func (s Store) CallbackOrigin(project string) string {
	var state callbackState
	text, err := os.ReadFile(s.callbackFile(project))
	if err != nil || json.Unmarshal(text, &state) != nil || state.Project != project {
		return "" // as before the first share, which writes the file
	}
	return state.Origin
}

func (s Store) callbackFile(project string) string {
	sum := sha256.Sum256([]byte(project))
	return filepath.Join(s.Home, callbacksDir, hex.EncodeToString(sum[:16])+".json")
}

// Public returns the public key.
func (k *Key) Public() ed25519.PublicKey {
	public, _ := k.Private.Public().(ed25519.PublicKey)
	return public
}
