package relay

import (
	"context"
	"sync"
	"time"
)

// Memory is a Registry for tests without a file. It is made by NewMemory.
type Memory struct {
	nameMethods
	mu        sync.Mutex
	names     *nameTable
	standings map[Key]Standing
}

// NewMemory returns an empty registry.
func NewMemory() *Memory {
	m := &Memory{names: newNameTable(), standings: map[Key]Standing{}}
	m.change = func(_ []string, do nameChange) ([]string, error) {
		m.mu.Lock()
		defer m.mu.Unlock()
		return do(m.names, time.Now())
	}
	return m
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
	m.notify(Change{Key: key, Standing: s})
	return nil
}

func (m *Memory) setStanding(key Key, s Standing) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	_, known := m.standings[key]
	switch {
	case s == Unknown:
		delete(m.standings, key)
		return true
	case !known && s == Enrolled && len(m.standings) >= keysTotal:
		return false
	}
	m.standings[key] = s
	return true
}
