package relay

import (
	"context"
	"sync"
	"time"
)

// Memory is a Registry that forgets everything with its process. It is made by
// NewMemory.
type Memory struct {
	watchers
	mu        sync.Mutex
	names     *ledger
	standings map[Key]Standing
}

// NewMemory is an empty registry.
func NewMemory() *Memory {
	return &Memory{names: newLedger(), standings: map[Key]Standing{}}
}

// Claim implements Registry.
func (m *Memory) Claim(_ context.Context, c NameClaim) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	_, err := m.names.claim(c, time.Now())
	return err
}

// Renew implements Registry.
func (m *Memory) Renew(_ context.Context, owner Key, names []string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.names.renew(owner, names, time.Now())
	return nil
}

// Release implements Registry.
func (m *Memory) Release(_ context.Context, owner Key, names []string) error {
	m.tell(endings(owner, m.release(owner, names))...)
	return nil
}

func (m *Memory) release(owner Key, names []string) []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.names.release(owner, names, time.Now())
}

// GiveUp implements Registry.
func (m *Memory) GiveUp(_ context.Context, owner Key, names []string) ([]string, error) {
	given := m.giveUp(owner, names)
	m.tell(endings(owner, given)...)
	return given, nil
}

func (m *Memory) giveUp(owner Key, names []string) []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.names.giveUp(owner, names, time.Now())
}

// Lookup implements Registry.
func (m *Memory) Lookup(_ context.Context, name string) (Record, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r, known := m.names.lookup(name, time.Now())
	return r, known, nil
}

// Sweep implements Registry.
func (m *Memory) Sweep(context.Context) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.names.sweep(time.Now())
	return nil
}

// Standing implements Registry.
func (m *Memory) Standing(_ context.Context, key Key) (Standing, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.standings[key], nil
}

// SetStanding implements Registry.
func (m *Memory) SetStanding(_ context.Context, key Key, s Standing) error {
	if !m.setStanding(key, s) {
		return errKeys
	}
	m.tell(Change{Key: key, Standing: s})
	return nil
}

func (m *Memory) setStanding(key Key, s Standing) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if s == Unknown {
		delete(m.standings, key)
		return true
	}
	if _, known := m.standings[key]; !known && s == Enrolled && len(m.standings) >= keysTotal {
		return false
	}
	m.standings[key] = s
	return true
}
