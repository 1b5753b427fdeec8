package machine

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/devproxy/devproxy/devproxy/runtimedir"
)

const (
	// keyLife is how long the key of `devproxy open` waits for its browser.
	keyLife = time.Minute
	// tokenLife is how long a browser may show the page after that.
	tokenLife = 12 * time.Hour
	// secretSize is the length of keys and tokens in bytes before they are encoded.
	secretSize = 32
)

// keys are the keys and tokens of this user's processes: empty files in a folder of
// the runtime directory that only this user can open. The names are hashes, so
// that looking one up takes the same time however much of it is right, and a copy
// of the folder opens nothing. The time of a file is when it was made.
type keys struct {
	runtime string
	dir     string
}

// The kinds of files.
const (
	keyKind   = "key-"
	tokenKind = "token-"
)

// errKey is the error of a key that is unknown, used or expired.
var errKey = errors.New("the key is not valid")

func keysIn(runtimeDir string) keys { return keys{runtimeDir, filepath.Join(runtimeDir, "open")} }

// NewKey makes a key for the page, and returns it with the time when it expires. The
// runtime directory is where this user's `devproxy up`s look for it.
func NewKey(runtimeDir string) (key string, expires time.Time, err error) {
	k := keysIn(runtimeDir)
	k.prune()
	key, made, err := k.add(keyKind)
	return key, made.Add(keyLife), err
}

// exchange removes a key and returns a new token. Of several processes with the same
// key, only one succeeds in removing the file.
func (k keys) exchange(key string) (token string, err error) {
	if !k.has(keyKind, keyLife, key) || os.Remove(k.path(keyKind, key)) != nil {
		return "", errKey
	}
	token, _, err = k.add(tokenKind)
	return token, err
}

// valid reports whether exchange has returned token, not too long ago.
func (k keys) valid(token string) bool { return k.has(tokenKind, tokenLife, token) }

// add makes a secret, and its file.
func (k keys) add(kind string) (secret string, made time.Time, err error) {
	if err := errors.Join(runtimedir.Ensure(k.runtime), runtimedir.Ensure(k.dir)); err != nil {
		return "", time.Time{}, err
	}
	random := make([]byte, secretSize)
	_, _ = rand.Read(random) // it never fails (crypto/rand)
	secret = base64.RawURLEncoding.EncodeToString(random)
	file, err := os.OpenFile(k.path(kind, secret), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return "", time.Time{}, fmt.Errorf("cannot keep a key for the machine's page: %w", err)
	}
	return secret, time.Now(), file.Close()
}

// has reports whether a secret has a file that is not too old.
func (k keys) has(kind string, life time.Duration, secret string) bool {
	if runtimedir.Check(k.runtime) != nil || runtimedir.Check(k.dir) != nil {
		return false
	}
	info, err := os.Lstat(k.path(kind, secret))
	return err == nil && isFresh(info, life)
}

// isFresh is false for a file from the future too: the clock was set back, and how old
// it is cannot be said.
func isFresh(info fs.FileInfo, life time.Duration) bool {
	age := time.Since(info.ModTime())
	return -time.Minute < age && age < life
}

func (k keys) path(kind, secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return filepath.Join(k.dir, kind+hex.EncodeToString(sum[:]))
}

// prune removes what has expired. What it cannot remove is not valid either.
func (k keys) prune() {
	for kind, life := range map[string]time.Duration{keyKind: keyLife, tokenKind: tokenLife} {
		names, _ := fs.Glob(os.DirFS(k.dir), kind+"*") // the pattern is well formed
		for _, name := range names {
			path := filepath.Join(k.dir, name)
			if info, err := os.Lstat(path); err == nil && !isFresh(info, life) {
				_ = os.Remove(path)
			}
		}
	}
}
