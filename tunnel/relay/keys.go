package relay

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/devproxy/devproxy/tunnel"
)

// keysPoll is how often the authorized_keys file is looked at. A key that is
// marked as revoked is out this much later, one that has left the file twice as
// much.
const keysPoll = 2 * time.Second

// keys decides which keys are admitted. What the file says comes first, then
// what the registry remembers, then a token.
type keys struct {
	path     string // of the authorized_keys file; empty for none
	tokens   *tokens
	open     bool // every key is admitted
	registry Registry

	file atomic.Pointer[keysFile]

	// The rest is the polling goroutine's.
	text []byte       // of the file, as it counts
	seen []byte       // at the last look; nil before the first
	due  map[Key]bool // to be revoked in the registry
}

func newKeys(o *Options) (*keys, error) {
	tokens, err := newTokens(o.Tokens)
	if err != nil {
		return nil, err
	}
	k := &keys{path: o.AuthorizedKeys, tokens: tokens, open: o.Open, registry: o.Registry, due: map[Key]bool{}}
	k.file.Store(&keysFile{})
	if k.path == "" {
		return k, nil
	}
	text, err := readKeysFile(k.path)
	if err != nil {
		return nil, err
	}
	file, err := parseKeys(k.path, text)
	if err != nil {
		return nil, err
	}
	k.text = text
	k.file.Store(&file)
	return k, nil
}

// admit says whether key may have a session, enrolling it when token is right.
func (k *keys) admit(ctx context.Context, key Key, token string, from *origin) error {
	file := k.file.Load()
	if file.revoked[key] {
		return revoked
	}
	if file.admitted[key] {
		return nil
	}
	standing, err := k.registry.Standing(ctx, key)
	switch {
	case err != nil:
		return err
	case standing == Revoked:
		return revoked
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

var revoked = &tunnel.Refusal{Code: tunnel.CodeRevoked, Message: "whoever runs this relay has revoked the key"}

// watch follows the file until ctx ends. note is told what cannot be read:
// then what was read before goes on counting.
func (k *keys) watch(ctx context.Context, note func(error)) {
	if k.path == "" {
		return
	}
	tick := time.NewTicker(keysPoll)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if err := k.reload(ctx); err != nil {
			note(err)
		}
	}
}

// reload reads the file. Every look compares the bytes: a file can change twice
// within the grain of its time. What a change adds counts at once, keys and
// revocations. What it leaves out counts when the next look finds the same: a file
// that is written in place is empty, or half there, for a moment.
func (k *keys) reload(ctx context.Context) error {
	text, err := readKeysFile(k.path)
	if err != nil {
		return fmt.Errorf("%w; the keys read before go on counting", err)
	}
	again := k.seen != nil && bytes.Equal(text, k.seen)
	k.seen = text
	if !bytes.Equal(text, k.text) {
		file, err := parseKeys(k.path, text)
		switch {
		case err != nil && again:
			return k.bar(ctx) // said already
		case err != nil:
			return errors.Join(fmt.Errorf("%w; the keys read before go on counting", err), k.bar(ctx))
		}
		k.adopt(file, text, again)
	}
	return k.bar(ctx)
}

// adopt makes file count. Unless it was read twice, what it leaves out stays.
func (k *keys) adopt(file keysFile, text []byte, again bool) {
	old := k.file.Load()
	whole := true
	if !again {
		for key := range old.revoked {
			if !file.revoked[key] {
				file.revoked[key], whole = true, false
				delete(file.admitted, key)
			}
		}
		for key := range old.admitted {
			if !file.admitted[key] && !file.revoked[key] {
				file.admitted[key], whole = true, false
			}
		}
	}
	if whole {
		k.text = text
	}
	for key := range old.admitted {
		if !file.admitted[key] {
			k.due[key] = true
		}
	}
	for key := range file.revoked {
		if !old.revoked[key] {
			k.due[key] = true
		}
	}
	k.file.Store(&file)
}

// bar revokes the keys that are due in the registry. Those for which that fails
// stay due.
func (k *keys) bar(ctx context.Context) error {
	file := k.file.Load()
	for key := range k.due {
		if file.admitted[key] { // it has come back
			delete(k.due, key)
			continue
		}
		if err := k.registry.SetStanding(ctx, key, Revoked); err != nil {
			return fmt.Errorf("cannot revoke a key: %w", err)
		}
		delete(k.due, key)
	}
	return nil
}
