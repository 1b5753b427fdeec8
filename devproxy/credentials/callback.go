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

// callbackState is the content of a callback host's file.
type callbackState struct {
	Owner  string `json:"owner"`
	Origin string `json:"origin"` // that a relay granted last
}

// CallbackKey returns the key of the callback host of owner, a local host. It is the same in
// all worktrees and clones of a project of this user, and other users have another. A
// missing secret is made.
func (s Store) CallbackKey(owner string) (ed25519.PrivateKey, error) {
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
	seed, err := hkdf.Key(sha256.New, secret.Seed(), nil, "devproxy callback host of "+owner, ed25519.SeedSize)
	if err != nil {
		panic(err) // only for lengths above 8160 bytes (RFC 5869 section 2.3)
	}
	return ed25519.NewKeyFromSeed(seed), nil
}

// SetCallbackOrigin records the origin of the callback host of owner, so that it is known
// while nothing is shared.
func (s Store) SetCallbackOrigin(owner, origin string) error {
	if s.CallbackOrigin(owner) == origin {
		return nil
	}
	return writeJSON(s.callbackFile(owner), callbackState{owner, origin})
}

// CallbackOrigin returns the origin of the callback host of owner; empty before the first
// share.
func (s Store) CallbackOrigin(owner string) string {
	var state callbackState
	text, err := os.ReadFile(s.callbackFile(owner))
	if err != nil || json.Unmarshal(text, &state) != nil || state.Owner != owner {
		return "" // as before the first share, which writes the file
	}
	return state.Origin
}

func (s Store) callbackFile(owner string) string {
	sum := sha256.Sum256([]byte(owner))
	return filepath.Join(s.Home, callbacksDir, hex.EncodeToString(sum[:16])+".json")
}
