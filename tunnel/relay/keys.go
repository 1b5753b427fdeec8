package relay

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/devproxy/devproxy/tunnel"
)

const (
	// keysPoll is how often the authorized_keys file is read. A key marked as
	// revoked is refused after one interval, a key removed from the file after
	// two.
	keysPoll = 2 * time.Second
	// maxKeysFile bounds an authorized_keys file, in bytes: 50000 keys.
	maxKeysFile = 4 << 20
	// keyType is the first word of a key's line, as in SSH's files.
	keyType = "devproxy-ed25519"
	// revokedWord is the first word of a line that revokes a key, even one that is
	// enrolled in another way.
	revokedWord = "revoked"
)

// keyPolicy decides which keys are admitted. The file comes first, then the
// registry, then a token.
type keyPolicy struct {
	path     string // of the authorized_keys file; empty for none
	tokens   *tokens
	open     bool // admits every key
	registry Registry

	file atomic.Pointer[keysFile]

	// The rest belongs to the polling goroutine.
	text []byte       // of the file in force
	seen []byte       // in the last read; nil before the first
	due  map[Key]bool // to be revoked in the registry
}

func newKeyPolicy(o *Options) (*keyPolicy, error) {
	tokens, err := newTokens(o.Tokens)
	if err != nil {
		return nil, err
	}
	k := &keyPolicy{path: o.AuthorizedKeys, tokens: tokens, open: o.Open, registry: o.Registry, due: map[Key]bool{}}
	k.file.Store(&keysFile{})
	if k.path == "" {
		return k, nil
	}
	text, file, err := loadKeys(k.path)
	if err != nil {
		return nil, err
	}
	k.text = text
	k.file.Store(&file)
	return k, nil
}

// admit returns nil if key may have a session, and enrols it when token is right.
func (k *keyPolicy) admit(ctx context.Context, key Key, token string, from *network) error {
	standing, err := k.standing(ctx, key)
	switch {
	case err != nil:
		return err
	case standing == Revoked:
		return errRevoked
	case standing == Enrolled || k.open:
		return nil
	case token == "":
		return &tunnel.Refusal{Code: tunnel.CodeUnknownKey, Message: "this relay does not know the key " + key.String()}
	}
	if err := k.tokens.check(token, from); err != nil {
		return err
	}
	if !from.names.Allow() {
		return errTooManyNames
	}
	return k.registry.SetStanding(ctx, key, Enrolled)
}

// standing returns what the file says about key, or the registry if the file does not have
// the key.
func (k *keyPolicy) standing(ctx context.Context, key Key) (Standing, error) {
	if standing := (*k.file.Load())[key]; standing != Unknown {
		return standing, nil
	}
	return k.registry.Standing(ctx, key)
}

var errRevoked = &tunnel.Refusal{Code: tunnel.CodeRevoked, Message: "the relay's operator has revoked the key"}

// watch follows the file until ctx ends. It calls report when the file cannot be
// read; the keys read before stay in force.
func (k *keyPolicy) watch(ctx context.Context, report func(error)) {
	for k.path != "" && wait(ctx, keysPoll, nil) {
		if err := k.reload(ctx); err != nil {
			report(err)
		}
	}
}

// reload reads the file. It compares the bytes each time: a file can change
// twice within the resolution of its modification time. Keys and revocations
// that a change adds take effect at once. Removals take effect when the next
// read finds the same: a file that is written in place is empty or incomplete
// for a moment.
func (k *keyPolicy) reload(ctx context.Context) error {
	text, err := readKeysFile(k.path)
	if err != nil {
		return fmt.Errorf("%w; the keys read before stay in force", err)
	}
	again := k.seen != nil && bytes.Equal(text, k.seen)
	k.seen = text
	var wrong error
	if !bytes.Equal(text, k.text) {
		file, err := parseKeys(k.path, text)
		switch {
		case err == nil:
			k.apply(file, text, again)
		case !again: // otherwise it is reported already
			wrong = fmt.Errorf("%w; the keys read before stay in force", err)
		}
	}
	return errors.Join(wrong, k.revokeDue(ctx))
}

// apply makes file take effect. Removals count only if the file was read twice.
func (k *keyPolicy) apply(file keysFile, text []byte, again bool) {
	old := *k.file.Load()
	complete := true
	for key, was := range old {
		if !again && file[key] < was { // missing, or no longer revoked
			file[key], complete = was, false
		}
		if was == Enrolled && file[key] != Enrolled {
			k.due[key] = true
		}
	}
	if complete {
		k.text = text
	}
	for key, is := range file {
		if is == Revoked && old[key] != Revoked {
			k.due[key] = true
		}
	}
	k.file.Store(&file)
}

// revokeDue revokes the keys that are due in the registry. Those for which that
// fails stay due.
func (k *keyPolicy) revokeDue(ctx context.Context) error {
	file := *k.file.Load()
	maps.DeleteFunc(k.due, func(key Key, _ bool) bool { return file[key] == Enrolled }) // back in the file
	for key := range k.due {
		if err := k.registry.SetStanding(ctx, key, Revoked); err != nil {
			return fmt.Errorf("cannot revoke a key: %w", err)
		}
		delete(k.due, key)
	}
	return nil
}

// keysFile is the content of an authorized_keys file: which keys it admits
// (Enrolled) and which it revokes.
type keysFile map[Key]Standing

// KeysError is a line of an authorized_keys file that cannot be read.
type KeysError struct {
	Path   string
	Line   int
	Reason string
}

func (e *KeysError) Error() string { return fmt.Sprintf("%s:%d: %s", e.Path, e.Line, e.Reason) }

// CheckKeysFile checks the authorized_keys file at path. The error is a
// *KeysError, or the error of reading the file.
func CheckKeysFile(path string) error {
	_, _, err := loadKeys(path)
	return err
}

func loadKeys(path string) (text []byte, file keysFile, err error) {
	if text, err = readKeysFile(path); err == nil {
		file, err = parseKeys(path, text)
	}
	return text, file, err
}

func readKeysFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("cannot read the authorized keys: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxKeysFile+1))
	if err != nil {
		return nil, fmt.Errorf("cannot read the authorized keys: %w", err)
	}
	if len(text) > maxKeysFile {
		return nil, fmt.Errorf("%s has more than %d bytes", path, maxKeysFile)
	}
	return text, nil
}

// parseKeys reads one key per line, "devproxy-ed25519 BASE64 comment" or BASE64
// alone. A line that begins with "revoked" revokes its key. Empty lines and those
// with # are ignored.
func parseKeys(path string, text []byte) (keysFile, error) {
	file := keysFile{}
	lines := bufio.NewScanner(bytes.NewReader(text))
	var wrong []error
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		standing := Enrolled
		if rest, ok := strings.CutPrefix(line, revokedWord+" "); ok {
			line, standing = strings.TrimSpace(rest), Revoked
		}
		key, err := parseKeyLine(line)
		if err != nil {
			wrong = append(wrong, &KeysError{path, n, err.Error()})
			continue
		}
		file[key] = max(file[key], standing) // a revocation counts wherever it is
	}
	if err := lines.Err(); err != nil {
		wrong = append(wrong, fmt.Errorf("%s: %w", path, err))
	}
	return file, errors.Join(wrong...)
}

func parseKeyLine(line string) (Key, error) {
	words := strings.Fields(line)
	if words[0] == keyType {
		words = words[1:]
	}
	if len(words) == 0 {
		return Key{}, fmt.Errorf("no key follows %q", keyType)
	}
	key, err := ParseKey(words[0])
	if err != nil {
		return Key{}, fmt.Errorf(`%w; write "%s BASE64 comment", as devproxy relay login prints it`, err, keyType)
	}
	return key, nil
}
