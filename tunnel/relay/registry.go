package relay

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"net/netip"
	"time"
)

// Registry remembers, beyond sessions and restarts, which key owns which name
// and which keys were enrolled or revoked. One relay needs no more than a map or
// a file; several could share one, which is why the verbs are those of a lease.
// The methods may be called at once; each is atomic.
type Registry interface {
	// Claim gives all names to their new owner, or none: a *TakenError says which
	// belongs to another key, an *EndedError which has ended for good, a
	// *QuotaError that there are too many. What the owner has already is extended.
	Claim(ctx context.Context, c NameClaim) error
	// Renew says that owner's names are in use.
	Renew(ctx context.Context, owner Key, names []string) error
	// Release ends names of owner now. An unguessable name does not begin again;
	// a plain one may be claimed again by owner, and by everybody once it is
	// forgotten.
	Release(ctx context.Context, owner Key, names []string) error
	// GiveUp forgets plain names of owner, so that everybody may claim them at once.
	// It returns those that were owner's.
	GiveUp(ctx context.Context, owner Key, names []string) (given []string, err error)
	// Lookup is what is known of a name; ok is false for nothing.
	Lookup(ctx context.Context, name string) (record Record, ok bool, err error)
	// Sweep forgets the names that nobody has used for long enough.
	Sweep(ctx context.Context) error
	// Watch has every change from now on told to f, whoever makes it, until stop
	// is called. f must neither block nor call the registry.
	Watch(f func(Change)) (stop func())

	// Standing is what is known of a key.
	Standing(ctx context.Context, key Key) (Standing, error)
	// SetStanding changes it. A *QuotaError says that no further key can be
	// enrolled.
	SetStanding(ctx context.Context, key Key, standing Standing) error
}

// NameClaim is a claim of names, as tunnel.Root makes them.
type NameClaim struct {
	Owner Key
	Names []string
	// Until is when the names end; zero is never.
	Until time.Time
	// From is the network that claims, whose names are counted together.
	From netip.Prefix
	// Quota bounds what may be new; zero fields have their defaults.
	Quota Quota
}

// Record is what a registry knows of a name.
type Record struct {
	Owner Key `json:"owner"`
	// From is the network that the owner was last seen in when something of the
	// record changed.
	From netip.Prefix `json:"from,omitzero"`
	// Until is when the name ends by itself; zero is never.
	Until time.Time `json:"until,omitzero"`
	// Ended is when it was released; zero while it was not.
	Ended time.Time `json:"ended,omitzero"`
	// Seen is when it was last claimed or renewed, to the day.
	Seen time.Time `json:"seen"`
}

// EndedAt is when the name has ended; ok is false while it has not.
func (r Record) EndedAt(now time.Time) (at time.Time, ok bool) {
	switch {
	case !r.Ended.IsZero():
		return r.Ended, true
	case !r.Until.IsZero() && !now.Before(r.Until):
		return r.Until, true
	}
	return time.Time{}, false
}

// Change is a name that has ended or a key whose standing is another.
type Change struct {
	// Name is empty when a key has changed.
	Name string
	// Key is the name's owner, or the key.
	Key Key
	// Standing is the key's new one; Unknown for names.
	Standing Standing
}

// Standing is what a relay thinks of a key.
type Standing int

// The standings.
const (
	Unknown Standing = iota
	Enrolled
	Revoked
)

// Key is an agent's Ed25519 public key, as a value that can be compared.
type Key [ed25519.PublicKeySize]byte

func keyOf(pub ed25519.PublicKey) Key { return Key(pub) }

// String is the key in base64, as authorized_keys files have it.
func (k Key) String() string { return base64.StdEncoding.EncodeToString(k[:]) }

// MarshalText is String.
func (k Key) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText reads base64.
func (k *Key) UnmarshalText(text []byte) error {
	key, err := ParseKey(string(text))
	if err != nil {
		return err
	}
	*k = key
	return nil
}

// ParseKey reads a key in base64 (RFC 4648 section 4).
func ParseKey(text string) (Key, error) {
	b, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil || len(b) != ed25519.PublicKeySize {
		return Key{}, fmt.Errorf("%.60q is not an Ed25519 public key, 32 bytes in base64", text)
	}
	return Key(b), nil
}

// TakenError is a name that belongs to another key.
type TakenError struct{ Name string }

func (e *TakenError) Error() string {
	return fmt.Sprintf("the name %s belongs to another key", e.Name)
}

// QuotaError is a claim of more names, or an enrolment of more keys, than the
// registry keeps.
type QuotaError struct {
	what string // with a place for most
	most int
}

func (e *QuotaError) Error() string { return fmt.Sprintf(e.what, e.most) }

// EndedError is a name whose share has ended for good.
type EndedError struct {
	Name string
	At   time.Time
}

func (e *EndedError) Error() string {
	return fmt.Sprintf("the link %s ended at %s", e.Name, e.At.UTC().Format(time.RFC3339))
}

// ErrSuspended is a registry that has been handed to another process.
var ErrSuspended = errors.New("the relay's registry is in another process's hands")
