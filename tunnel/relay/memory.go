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
	names     map[string]Record
	standings map[Key]Standing
}

// NewMemory is an empty registry.
func NewMemory() *Memory {
	return &Memory{names: map[string]Record{}, standings: map[Key]Standing{}}
}

// Claim implements Registry.
func (m *Memory) Claim(_ context.Context, owner Key, names []string, until time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	_, err := claim(memoryBook{m}, owner, names, until, time.Now(), true)
	return err
}

// Renew implements Registry.
func (m *Memory) Renew(_ context.Context, owner Key, names []string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	_, err := renew(memoryBook{m}, owner, names, time.Now(), true)
	return err
}

// Release implements Registry.
func (m *Memory) Release(_ context.Context, owner Key, names []string) error {
	ended, err := m.release(owner, names)
	m.tell(endings(owner, ended)...)
	return err
}

func (m *Memory) release(owner Key, names []string) ([]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return release(memoryBook{m}, owner, names, time.Now())
}

// Lookup implements Registry.
func (m *Memory) Lookup(_ context.Context, name string) (Record, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return memoryBook{m}.name(name)
}

// Standing implements Registry.
func (m *Memory) Standing(_ context.Context, key Key) (Standing, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return memoryBook{m}.standing(key)
}

// SetStanding implements Registry.
func (m *Memory) SetStanding(_ context.Context, key Key, s Standing) error {
	m.mu.Lock()
	_ = memoryBook{m}.putStanding(key, s)
	m.mu.Unlock()
	m.tell(Change{Key: key, Standing: s})
	return nil
}

// memoryBook is a book in a Memory whose mutex is held.
type memoryBook struct{ m *Memory }

func (b memoryBook) name(name string) (Record, bool, error) {
	r, ok := b.m.names[name]
	return r, ok, nil
}

func (b memoryBook) putName(name string, r Record) error {
	b.m.names[name] = r
	return nil
}

func (b memoryBook) standing(key Key) (Standing, error) { return b.m.standings[key], nil }

func (b memoryBook) putStanding(key Key, s Standing) error {
	b.m.standings[key] = s
	return nil
}
