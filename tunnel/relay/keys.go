package relay

import (
	"bytes"
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/devproxy/devproxy/tunnel"
)

// keysPoll is how often the authorized_keys file is looked at: a revoked key
// is out this much later.
const keysPoll = 2 * time.Second

// keys decides which keys are admitted. What the file says comes first, then
// what the registry remembers, then a token.
type keys struct {
	path     string // of the authorized_keys file; empty for none
	tokens   *tokens
	open     bool // every key is admitted
	registry Registry

	text []byte // of the file, as last read; the polling goroutine's
	file atomic.Pointer[keysFile]
}

func newKeys(o *Options) (*keys, error) {
	tokens, err := newTokens(o.Tokens)
	if err != nil {
		return nil, err
	}
	k := &keys{path: o.AuthorizedKeys, tokens: tokens, open: o.Open, registry: o.Registry}
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

// reload reads the file and revokes the keys that are no longer in it. Every
// look compares the bytes: a file can change twice within the grain of its time.
func (k *keys) reload(ctx context.Context) error {
	text, err := readKeysFile(k.path)
	if err != nil {
		return fmt.Errorf("%w; the keys read before go on counting", err)
	}
	if bytes.Equal(text, k.text) {
		return nil
	}
	k.text = text
	file, err := parseKeys(k.path, text)
	if err != nil {
		return fmt.Errorf("%w; the keys read before go on counting", err)
	}
	old := k.file.Swap(&file)
	return k.applyChange(ctx, old, &file)
}

func (k *keys) applyChange(ctx context.Context, old, file *keysFile) error {
	for key := range old.admitted {
		if !file.admitted[key] {
			if err := k.registry.SetStanding(ctx, key, Revoked); err != nil {
				return err
			}
		}
	}
	for key := range file.revoked {
		if !old.revoked[key] {
			if err := k.registry.SetStanding(ctx, key, Revoked); err != nil {
				return err
			}
		}
	}
	return nil
}
