package hcl

import (
	"maps"
	"strings"
)

// merge lays over, of a Proxyfile.local, over b: its attributes win, its
// blocks merge with the first of the same identity or are new. An attribute
// set to null is kept, as that is how one is unset.
//
// Two blocks of over with the same identity stay two, and are reported as
// duplicates later: only one of them merges.
func (b *body) merge(over *body, identity func(*block) string) {
	maps.Copy(b.attrs, over.attrs)
	b.damaged = b.damaged || over.damaged
	under := map[string]*block{}
	for _, inner := range b.blocks {
		id := identity(inner)
		if under[id] == nil {
			under[id] = inner
		}
	}
	for _, inner := range over.blocks {
		id := identity(inner)
		first := under[id]
		if first == nil {
			b.blocks = append(b.blocks, inner)
			continue
		}
		delete(under, id)
		first.body.merge(inner.body, identity)
	}
}

// topIdentity tells the blocks of the top level apart.
func topIdentity(b *block) string {
	return b.kind + " " + strings.ToLower(b.label)
}
