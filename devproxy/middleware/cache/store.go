package cache

import (
	"net/http"
	"slices"
)

// find is the newest entry for q (section 4.1); nil when there is none. varies
// says that there are some for the same URI.
func (c *Cache) find(q *query) (found *entry, varies bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	variants := c.entries[q.key]
	for _, e := range variants {
		if e.answers(q.r.Header) && (found == nil || e.date.After(found.date) || e.date.Equal(found.date) && e.came.After(found.came)) {
			found = e
		}
	}
	if found != nil {
		c.recent.MoveToFront(found.place)
	}
	return found, len(variants) > 0
}

// grow counts n more bytes of e, at the expense of what was not used for the
// longest time. It is false when they do not fit.
func (c *Cache) grow(e *entry, n int64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e.cost+n > c.size/maxPart || c.closed {
		return false
	}
	for c.used+n > c.size {
		last := c.recent.Back()
		if last == nil {
			return false // all is on its way
		}
		c.removeLocked(last.Value.(*entry))
	}
	e.cost += n
	c.used += n
	return true
}

// mostFor is how long one answer may be.
func (c *Cache) mostFor() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.size / maxPart
}

// release gives back what e costs, which is not kept.
func (c *Cache) release(e *entry) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.used -= e.cost
	e.cost = 0
}

// maxVariants of one URI are kept, the last that came. Each request for it looks
// at all of them, and a visitor may make up as many as there are values of what
// Vary names.
const maxVariants = 64

// keep stores e, which is whole, in place of what the same request selected. It
// is false when it was overtaken by an invalidation.
func (c *Cache) keep(e *entry, f *fetch) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || f.void {
		return false
	}
	c.keepLocked(e)
	return true
}

func (c *Cache) keepLocked(e *entry) {
	for _, old := range slices.Clone(c.entries[e.key]) {
		// Also a variant that an older Vary made: the newer one is what holds.
		if slices.Equal(old.names, e.names) && slices.Equal(old.values, e.values) {
			c.removeLocked(old)
		}
	}
	if variants := c.entries[e.key]; len(variants) >= maxVariants {
		c.removeLocked(variants[0])
	}
	c.entries[e.key] = append(c.entries[e.key], e)
	e.place = c.recent.PushFront(e)
}

// replace puts fresh, which has the body of old, in its place, if old is still
// there.
func (c *Cache) replace(old, fresh *entry, f *fetch) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if old.place == nil || c.closed || f.void {
		return
	}
	fresh.cost = old.cost
	c.used += fresh.cost
	c.removeLocked(old)
	c.keepLocked(fresh)
}

// drop removes e if it is still there.
func (c *Cache) drop(e *entry) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e.place != nil {
		c.removeLocked(e)
	}
}

func (c *Cache) removeLocked(e *entry) {
	c.recent.Remove(e.place)
	e.place = nil
	c.used -= e.cost
	e.cost = 0
	if p := c.partials[e.key]; p != nil && p.e == e {
		delete(c.partials, e.key)
		return
	}
	rest := slices.DeleteFunc(c.entries[e.key], func(other *entry) bool { return other == e })
	if len(rest) == 0 {
		delete(c.entries, e.key)
	} else {
		c.entries[e.key] = rest
	}
}

// invalidate removes all that is kept for the URIs that an unsafe request has
// changed (section 4.4): its own, and those of the same origin that the answer
// names, for every audience. What is on its way for them is not kept.
func (c *Cache) invalidate(q *query, h http.Header) {
	keys := []key{q.key}
	for _, name := range []string{"Location", "Content-Location"} {
		if referred, ok := q.key.refer(h.Get(name)); ok {
			keys = append(keys, referred)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	changed := keys
	keys = nil
	for audience := range c.audiences {
		for _, k := range changed {
			k.audience = audience
			keys = append(keys, k)
		}
	}
	for f := range c.fetches {
		f.void = f.void || slices.Contains(keys, f.q.key)
	}
	for _, k := range keys {
		delete(c.leaders, k) // who asks after the change must not get what was before
		for _, e := range slices.Clone(c.entries[k]) {
			c.removeLocked(e)
		}
		if p := c.partials[k]; p != nil {
			c.removeLocked(p.e)
		}
	}
}
