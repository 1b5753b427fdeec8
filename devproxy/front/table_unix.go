//go:build unix

package front

import "strings"

// owner takes the connections for its names.
type owner interface {
	// pass takes the connection over, or fails: the owner is busy, or has ended. It
	// does not block.
	pass(connection) error
}

// table finds the owner of a name.
type table map[string]entry

type entry struct {
	owner owner
	name  Name
}

// lookup returns the owner of a name that a client sent; nil if it has none. An
// exact name takes precedence over a wildcard.
func (t table) lookup(name string) owner {
	if e, ok := t[name]; ok {
		return e.owner
	}
	if _, rest, ok := strings.Cut(name, "."); ok {
		return t["*."+rest].owner
	}
	return nil
}

// replace makes names the names of o, or changes nothing and returns the first that
// another owner has.
func (t table) replace(o owner, names []Name) *TakenError {
	for _, n := range names {
		if e, ok := t[n.Name]; ok && e.owner != o {
			return &TakenError{e.name}
		}
	}
	t.remove(o)
	for _, n := range names {
		t[n.Name] = entry{o, n}
	}
	return nil
}

func (t table) remove(o owner) {
	for name, e := range t {
		if e.owner == o {
			delete(t, name)
		}
	}
}
