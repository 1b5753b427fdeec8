package localca

import (
	"container/list"
	"sync"
)

// maxLeaves bounds the leaves kept in memory, some 3 KB each. A project has tens
// of names; a client that makes names up costs a leaf each, no memory.
const maxLeaves = 1024

// cache keeps the leaves used last. The zero value is empty and ready. Its lock
// is held for a look-up, never while a leaf is made.
type cache struct {
	mu     sync.Mutex
	byName map[string]*list.Element
	recent list.List // of *cacheEntry, the one used last in front
}

type cacheEntry struct {
	name string
	leaf *leaf
}

// lookup finds the leaf of a name, whatever its age, and counts as use.
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

// add replaces the leaf of a name, and drops the one longest unused when there
// are too many.
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
