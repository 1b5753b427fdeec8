package plan

import "strings"

// table finds a host by its name. A wildcard covers exactly one label, so two
// of them never cover the same name, and looking up the name and the name
// without its first label finds everything there is.
type table struct {
	exact    map[string]*Host
	wildcard map[string]*Host // "*.a.localhost" by "a.localhost"
}

func newTable(hosts []*Host) table {
	t := table{exact: map[string]*Host{}, wildcard: map[string]*Host{}}
	for _, h := range hosts {
		for _, n := range h.names {
			if t.claimed(n.value) == nil {
				t.claim(n.value, h)
			}
		}
	}
	return t
}

func (t *table) claim(name string, h *Host) {
	if below, ok := strings.CutPrefix(name, "*."); ok {
		t.wildcard[below] = h
		return
	}
	t.exact[name] = h
}

// claimed is the host that has exactly this name, "*" taken literally.
func (t *table) claimed(name string) *Host {
	if below, ok := strings.CutPrefix(name, "*."); ok {
		return t.wildcard[below]
	}
	return t.exact[name]
}

// find is the host that answers for name, which is normal; nil means none.
func (t *table) find(name string) *Host {
	if h := t.exact[name]; h != nil {
		return h
	}
	if label, below, ok := strings.Cut(name, "."); ok && label != "" {
		return t.wildcard[below]
	}
	return nil
}

// normal is a host name in lower case without its trailing dot. It allocates
// only when there is an upper-case letter. Letters outside of ASCII are left
// alone: folding them could turn one name into another.
func normal(name string) string {
	name = strings.TrimSuffix(name, ".")
	for i := 0; i < len(name); i++ {
		if c := name[i]; 'A' <= c && c <= 'Z' {
			return lowerASCII(name)
		}
	}
	return name
}

func lowerASCII(s string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, s)
}
