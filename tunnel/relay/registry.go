package relay

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/devproxy/devproxy/tunnel"
)

// Registry remembers, beyond sessions and restarts, which key owns which name
// and which keys were enrolled or revoked. One relay only needs a map or a
// file. Several relays could share a registry, so the methods are those of a
// lease. They may be called concurrently; each is atomic.
type Registry interface {
	// Claim gives all names to their new owner, or none. A *TakenError says which
	// belongs to another key, an *EndedError which has ended for good, a
	// *QuotaError that there are too many. Names that the owner already has are
	// extended.
	Claim(ctx context.Context, c NameClaim) error
	// Renew records that owner's names are in use.
	Renew(ctx context.Context, owner Key, names []string) error
	// Release ends names of owner now. An unguessable name cannot be claimed
	// again. A plain name can be claimed again by owner, and by every key once it
	// is forgotten.
	Release(ctx context.Context, owner Key, names []string) error
	// GiveUp forgets plain names of owner, so that every key may claim them at
	// once. It returns those that belonged to owner.
	GiveUp(ctx context.Context, owner Key, names []string) (given []string, err error)
	// ClaimPort reserves a port for its owner, the same one as before if it can. A
	// *QuotaError says that there are too many. fresh reports that the owner did not have
	// the port. It belongs to the owner until it has not been used for some time; Renew
	// counts as use.
	ClaimPort(ctx context.Context, c PortClaim) (number uint16, fresh bool, err error)
	// Lookup returns the record of a name; ok is false for an unknown name.
	Lookup(ctx context.Context, name string) (record Record, ok bool, err error)
	// Sweep forgets the names that have been unused for long enough.
	Sweep(ctx context.Context) error
	// Watch calls f with every change, until stop is called. f must neither block
	// nor call the registry.
	Watch(f func(Change)) (stop func())

	// Standing returns the standing of a key.
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
	// Quota bounds the new names; zero fields have their defaults.
	Quota Quota
	// Callback is kept with the names; nil for names of shares.
	Callback *CallbackRecord
}

// Record is a registry's entry for a name.
type Record struct {
	Owner Key `json:"owner"`
	// Port is, for a reserved port, the name by which the owner claims it.
	Port string `json:"port,omitempty"`
	// From is the network that the owner was in at the last change of the record.
	From netip.Prefix `json:"from,omitzero"`
	// Until is when the name expires; zero means never.
	Until time.Time `json:"until,omitzero"`
	// Ended is when it was released; zero when it was not.
	Ended time.Time `json:"ended,omitzero"`
	// Seen is when it was last claimed or renewed, to the day.
	Seen time.Time `json:"seen"`
	// Callback is what the relay answers at a callback host; nil for names of shares.
	Callback *CallbackRecord `json:"callback,omitempty"`
}

// EndedAt returns when the name has ended; ok is false when it has not.
func (r Record) EndedAt(now time.Time) (at time.Time, ok bool) {
	switch {
	case !r.Ended.IsZero():
		return r.Ended, true
	case !r.Until.IsZero() && !now.Before(r.Until):
		return r.Until, true
	}
	return time.Time{}, false
}

// Change reports that a name has ended or that a key has a new standing.
type Change struct {
	// Name is empty when a key has changed.
	Name string
	// Key is the name's owner, or the key.
	Key Key
	// Standing is the key's new one; Unknown for names.
	Standing Standing
}

// Standing says whether a key is enrolled or revoked.
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

// String returns the key in base64, as in authorized_keys files.
func (k Key) String() string { return base64.StdEncoding.EncodeToString(k[:]) }

// MarshalText returns what String does.
func (k Key) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText reads base64.
func (k *Key) UnmarshalText(text []byte) error {
	key, err := ParseKey(string(text))
	if err == nil {
		*k = key
	}
	return err
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

func (e *TakenError) Error() string { return "the name " + e.Name + " belongs to another key" }

// Code returns the code that agents get.
func (e *TakenError) Code() tunnel.Code { return tunnel.CodeNameTaken }

// QuotaError is a claim of more names, or an enrolment of more keys, than the
// registry keeps.
type QuotaError struct {
	what string // with a place for most
	most int
}

func (e *QuotaError) Error() string { return fmt.Sprintf(e.what, e.most) }

// Code returns the code that agents get.
func (e *QuotaError) Code() tunnel.Code { return tunnel.CodeBadClaim }

// EndedError is a name whose share has ended for good.
type EndedError struct {
	Name string
	At   time.Time
}

func (e *EndedError) Error() string {
	return fmt.Sprintf("the link %s ended at %s", e.Name, e.At.UTC().Format(time.RFC3339))
}

// Code returns the code that agents get.
func (e *EndedError) Code() tunnel.Code { return tunnel.CodeEnded }

// ErrSuspended is returned by a registry that another process has taken over.
var ErrSuspended = errors.New("another process has taken over the relay's registry")

// nameMethods are the methods of a Registry that concern names, wherever it keeps them.
type nameMethods struct {
	watchers
	// change calls do, and returns the names that do has changed. about are all names
	// that the call depends on.
	change func(about []string, do nameChange) ([]string, error)
}

// nameChange changes records, and returns the names that it has changed.
type nameChange func(t *nameTable, now time.Time) (changed []string, err error)

// Claim implements Registry.
func (m *nameMethods) Claim(_ context.Context, c NameClaim) error {
	_, err := m.change(c.Names, func(t *nameTable, now time.Time) ([]string, error) { return t.claim(c, now) })
	return err
}

// ClaimPort implements Registry.
func (m *nameMethods) ClaimPort(_ context.Context, c PortClaim) (number uint16, fresh bool, err error) {
	var about []string
	_, err = m.change(nil, func(t *nameTable, now time.Time) ([]string, error) {
		if entry, known := t.portOf(c.Owner, c.Port, now); known {
			about = []string{entry}
		}
		return nil, nil
	})
	if err != nil {
		return 0, false, err
	}
	_, err = m.change(about, func(t *nameTable, now time.Time) (changed []string, err error) {
		number, fresh, changed, err = t.claimPort(c, now)
		return changed, err
	})
	return number, fresh, err
}

// Renew implements Registry.
func (m *nameMethods) Renew(_ context.Context, owner Key, names []string) error {
	_, err := m.change(names, func(t *nameTable, now time.Time) ([]string, error) { return t.renew(owner, names, now), nil })
	return err
}

// Release implements Registry.
func (m *nameMethods) Release(_ context.Context, owner Key, names []string) error {
	_, err := m.end(owner, names, (*nameTable).release)
	return err
}

// GiveUp implements Registry.
func (m *nameMethods) GiveUp(_ context.Context, owner Key, names []string) ([]string, error) {
	return m.end(owner, names, (*nameTable).giveUp)
}

// end ends names with do, and notifies those that watch.
func (m *nameMethods) end(owner Key, names []string, do func(*nameTable, Key, []string, time.Time) []string) ([]string, error) {
	ended, err := m.change(names, func(t *nameTable, now time.Time) ([]string, error) { return do(t, owner, names, now), nil })
	if err != nil {
		return nil, err
	}
	for _, name := range ended {
		m.notify(Change{Name: name, Key: owner})
	}
	return ended, nil
}

// Lookup implements Registry.
func (m *nameMethods) Lookup(_ context.Context, name string) (r Record, known bool, err error) {
	_, err = m.change(nil, func(t *nameTable, now time.Time) ([]string, error) {
		r, known = t.lookup(name, now)
		return nil, nil
	})
	return r, known, err
}

// Sweep implements Registry.
func (m *nameMethods) Sweep(context.Context) error {
	_, err := m.change(nil, func(t *nameTable, now time.Time) ([]string, error) { return t.sweep(now), nil })
	return err
}

// watchers calls the functions that watch a registry. The zero value has none.
type watchers struct {
	mu  sync.Mutex
	all []*func(Change)
}

// Watch implements Registry.
func (w *watchers) Watch(f func(Change)) (stop func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.all = append(w.all, &f)
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.all = slices.DeleteFunc(w.all, func(other *func(Change)) bool { return other == &f })
	}
}

func (w *watchers) notify(changes ...Change) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range changes {
		for _, f := range w.all {
			(*f)(c)
		}
	}
}
