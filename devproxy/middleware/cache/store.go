package cache

import (
	"net/http"
	"slices"
)

// find returns the newest entry for q (section 4.1), or nil. varies reports
// whether there are entries for the same URI.
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

// grow counts n more bytes of e, and removes the least recently used responses
// to make room. It returns false when they do not fit.
func (c *Cache) grow(e *entry, n int64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e.cost+n > c.size/maxPart || c.closed {
		return false
	}
	c.shrinkLocked(c.size - n)
	if c.used+n > c.size {
		return false // all remaining responses are still arriving
	}
	e.cost += n
	c.used += n
	return true
}

// maxLength returns how long one response may be.
func (c *Cache) maxLength() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.size / maxPart
}

// release stops counting e, which is not kept.
func (c *Cache) release(e *entry) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.used -= e.cost
	e.cost = 0
}

// maxVariants of one URI are kept: the newest. Each request for it looks at all
// of them, and a client may make up as many as there are values of the fields
// in Vary.
const maxVariants = 64

// keep stores e, which is complete, in place of the entry that the same request
// selected. It returns false if e was invalidated while it arrived.
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
		// Also a variant from an older Vary: the newer one is valid.
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

// replace stores fresh, which has the body of old, in its place, if old is still
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
	c.entries[e.key] = slices.DeleteFunc(c.entries[e.key], func(other *entry) bool { return other == e })
	if len(c.entries[e.key]) == 0 {
		delete(c.entries, e.key)
	}
}

// invalidate removes everything that is kept for the URIs that an unsafe
// request has changed (section 4.4): its own, and those of the same origin that
// the response names, for every audience. Responses for them that are still
// arriving are not stored.
func (c *Cache) invalidate(q *query, h http.Header) {
	changed := []key{q.key}
	for _, name := range []string{"Location", "Content-Location"} {
		if referred, ok := q.key.refer(h.Get(name)); ok {
			changed = append(changed, referred)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for audience := range c.audiences {
		for _, k := range changed {
			k.audience = audience
			c.invalidateLocked(k)
		}
	}
}

func (c *Cache) invalidateLocked(k key) {
	for f := range c.fetches {
		f.void = f.void || f.q.key == k
	}
	delete(c.leaders, k) // a request after the change must not get the old response
	for _, e := range slices.Clone(c.entries[k]) {
		c.removeLocked(e)
	}
	if p := c.partials[k]; p != nil {
		c.removeLocked(p.e)
	}
}
