package rewrite

import (
	"net/netip"
	"sync"
)

const (
	// maxBodies bounds the request bodies that are in memory at one time, in bytes, and
	// maxBodiesOf those of one visitor: an IPv4 address or an IPv6 /64. Further
	// bodies pass as they are.
	maxBodies   = 64 << 20
	maxBodiesOf = 8 << 20
	// bodyPiece is how much of a body is counted at once, before it arrives.
	bodyPiece = 64 << 10
)

// inMemory counts the bodies.
var inMemory memory

// memory counts bytes for each visitor. It is safe for concurrent use.
type memory struct {
	mu   sync.Mutex
	used int64
	of   map[netip.Prefix]int64 // only those that use some
}

// bodyMemory is what one request uses of inMemory. The zero from is unknown: then only the
// sum counts.
type bodyMemory struct {
	from netip.Prefix
	size int64
}

// take counts n more bytes, and reports whether there is memory for them.
func (h *bodyMemory) take(n int64) bool {
	m := &inMemory
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.used+n > maxBodies || h.from.IsValid() && m.of[h.from]+n > maxBodiesOf {
		return false
	}
	if m.of == nil {
		m.of = map[netip.Prefix]int64{}
	}
	m.used += n
	m.of[h.from] += n
	h.size += n
	return true
}

// free stops counting the request.
func (h *bodyMemory) free() {
	if h.size == 0 {
		return
	}
	m := &inMemory
	m.mu.Lock()
	defer m.mu.Unlock()
	m.used -= h.size
	if m.of[h.from] -= h.size; m.of[h.from] == 0 {
		delete(m.of, h.from)
	}
	h.size = 0
}
