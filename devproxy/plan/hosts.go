package plan

import (
	"iter"
	"strings"

	"github.com/hbollon/go-edlib"
)

// table finds a host by its name. A wildcard has its name without the "*" as its
// key: "*.a.localhost" is ".a.localhost". It covers exactly one label, so two
// wildcards never cover the same name: looking up the name, and the name without
// its first label, finds everything there is.
type table map[string]*Host

func newTable(hosts []*Host) table {
	t := table{}
	for _, h := range hosts {
		t.claimAll(h)
	}
	return t
}

// claimAll adds the names of h that no earlier host has.
func (t table) claimAll(h *Host) {
	for _, name := range h.names() {
		if t.claimed(name) == nil {
			t[strings.TrimPrefix(name, "*")] = h
		}
	}
}

// claimed returns the host that has exactly this name, with "*" taken literally.
func (t table) claimed(name string) *Host { return t[strings.TrimPrefix(name, "*")] }

// find returns the host that answers for a normal name; nil means none.
func (t table) find(name string) *Host {
	dot := strings.IndexByte(name, '.')
	if dot == 0 {
		return nil
	}
	if h := t[name]; h != nil || dot < 0 {
		return h
	}
	return t[name[dot:]]
}

// normal returns a host name in lower case without its trailing dot. It
// allocates only when there is an upper-case letter. Letters outside of ASCII
// stay unchanged: folding them could turn one name into another.
func normal(name string) string {
	name = strings.TrimSuffix(name, ".")
	for i := range len(name) {
		if c := name[i]; 'A' <= c && c <= 'Z' {
			return strings.Map(lower, name)
		}
	}
	return name
}

func lower(r rune) rune {
	if 'A' <= r && r <= 'Z' {
		return r + 'a' - 'A'
	}
	return r
}

// maxName bounds a name that is compared with the served ones (RFC 1035 section
// 2.3.4).
const maxName = 255

// near returns the served name that is the fewest typing errors away from name,
// or "" if none is near enough to have been meant. Wildcards are left out: they
// have many spellings.
func (p *Plan) near(name string) string {
	if len(name) > maxName {
		return ""
	}
	best, bound := "", max(1, len(name)/5)
	for _, h := range p.hosts {
		for _, served := range h.names() {
			if strings.HasPrefix(served, "*") || max(len(name)-len(served), len(served)-len(name)) > bound {
				continue
			}
			if d := edlib.OSADamerauLevenshteinDistance(name, served); d <= bound && (best == "" || d < bound) {
				best, bound = served, d
			}
		}
	}
	return best
}

// Names yields the host's names in the order of the file, wildcards as *.rest, each
// with its line.
func (h *Host) Names() iter.Seq2[string, Source] {
	return func(yield func(string, Source) bool) {
		for _, name := range h.names() {
			if !yield(name, h.sources[name]) {
				return
			}
		}
	}
}
