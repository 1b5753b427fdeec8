package localca

import (
	"container/list"
	"sync"
)

// maxLeaves bounds the leaves in memory, about 3 KB each. A project has tens of names. A
// client that invents names costs a leaf each, but no more memory.
const maxLeaves = 1024

// cache keeps the most recently used leaves. The zero value is empty and ready to use.
// Its lock is not held while a leaf is made.
type cache struct {
	mu     sync.Mutex
	byName map[string]*list.Element
	recent list.List // of *cacheEntry, the most recently used in front
}

type cacheEntry struct {
	name string
	leaf *leaf
}

// lookup returns the leaf of a name, whatever its age. It counts as a use.
func (c *cache) lookup(name string) (*leaf, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.byName[name]
	if !ok {
		return nil, false
	}
	c.recent.MoveToFront(e)
	return e.Value.(*cacheEntry).leaf, true
}

// add replaces the leaf of a name, and drops the least recently used leaf if there are
// too many.
func (c *cache) add(name string, l *leaf) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e, ok := c.byName[name]; ok {
		e.Value.(*cacheEntry).leaf = l
		c.recent.MoveToFront(e)
		return
	}
	if c.byName == nil {
		c.byName = make(map[string]*list.Element)
	}
	c.byName[name] = c.recent.PushFront(&cacheEntry{name, l})
	if c.recent.Len() > maxLeaves {
		oldest := c.recent.Remove(c.recent.Back()).(*cacheEntry)
		delete(c.byName, oldest.name)
	}
}
