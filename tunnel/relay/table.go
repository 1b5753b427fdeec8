package relay

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/devproxy/devproxy/tunnel"
)

// share is a session and what it is known as.
type share struct {
	key     Key
	session *tunnel.Session
	from    *origin // of its first lane
	// slots are the requests under way.
	slots *slots
	// claims pays for what the agent asks for.
	claims *rate.Limiter

	// Guarded by table.mu.
	claimed *claimed
	lost    time.Time // when the session ended; zero while it has not
	// goodbye is true when the agent has ended the session, so that it does not come
	// back by itself.
	goodbye bool
}

// claimed is what a claim was granted. It does not change.
type claimed struct {
	zone  string // the parent of all hosts that no other key has; empty for none
	hosts []string
	// plain is the registry's name of hosts with a plain name; empty for
	// unguessable ones.
	plain string
	// link is the registry's name of unguessable hosts, whatever the rest of
	// them; empty for a plain name.
	link  string
	until time.Time
}

// names are what a claim holds in the registry.
func (c *claimed) names() []string {
	var names []string
	for _, name := range []string{c.link, c.plain, c.zone} {
		if name != "" && !slices.Contains(names, name) { // a plain name can be the zone
			names = append(names, name)
		}
	}
	return names
}

// ending are the names that end with the share. A key's zone is the key's.
func (c *claimed) ending() []string {
	switch {
	case c.plain != "":
		return []string{c.plain}
	case c.link != "":
		return []string{c.link}
	}
	return nil
}

// expired is whether the share has come to its end by itself.
func (c *claimed) expired(now time.Time) bool { return !c.until.IsZero() && !now.Before(c.until) }

// live is the share that holds a name, at one moment.
type live struct {
	*share
	claimed *claimed
	lost    time.Time
	goodbye bool
}

// ready reports whether streams can be opened.
func (l live) ready() bool {
	select {
	case <-l.session.Done():
		return false
	case <-l.session.Draining():
		return false
	default:
		return l.session.Stats().Lanes > 0
	}
}

// table finds the share of a name.
type table struct {
	mu     sync.Mutex
	byName map[string]*share // by public name
	byRoot map[string]*share // by the name in the registry
	byKey  map[Key]*share
	news   chan struct{} // closed at the next change
}

func newTable() *table {
	return &table{byName: map[string]*share{}, byRoot: map[string]*share{}, byKey: map[Key]*share{}, news: make(chan struct{})}
}

// put makes s hold what c names, and nothing else; whoever held it before
// does not any more.
func (t *table) put(s *share, c *claimed) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.putLocked(s, c)
}

func (t *table) putLocked(s *share, c *claimed) {
	if old := t.byKey[s.key]; old != nil {
		t.dropLocked(old)
	}
	s.claimed = c
	t.byKey[s.key] = s
	for _, host := range c.hosts {
		t.byName[host] = s
	}
	for _, name := range c.names() {
		t.byRoot[name] = s
	}
	t.tellLocked()
}

// change makes s hold c in place of what it held; false when another session
// of its key has taken over.
func (t *table) change(s *share, c *claimed) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.byKey[s.key] != s {
		return false
	}
	t.putLocked(s, c)
	return true
}

// lose notes that the session of s has ended. Its names stay for a while:
// whoever asks for them waits for the next session.
func (t *table) lose(s *share, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s.lost, s.goodbye = now, errors.Is(s.session.Err(), tunnel.ErrClosed)
	t.tellLocked()
}

// sweep drops the shares that were lost before a moment.
func (t *table) sweep(before time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for key, s := range t.byKey {
		if !s.lost.IsZero() && s.lost.Before(before) {
			t.dropLocked(s)
			delete(t.byKey, key)
		}
	}
}

// end drops the hosts of a name in the registry.
func (t *table) end(name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if s := t.byRoot[name]; s != nil {
		t.dropLocked(s)
		t.tellLocked()
	}
}

// holds reports whether a share whose session has not ended has a name of the
// registry.
func (t *table) holds(root string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.byRoot[root]
	return s != nil && s.lost.IsZero()
}

// dropLocked makes s hold nothing.
func (t *table) dropLocked(s *share) {
	for _, name := range s.claimed.names() {
		if t.byRoot[name] == s {
			delete(t.byRoot, name)
		}
	}
	for _, host := range s.claimed.hosts {
		if t.byName[host] == s {
			delete(t.byName, host)
		}
	}
}

func (t *table) tellLocked() {
	close(t.news)
	t.news = make(chan struct{})
}

// find is the share that holds name, and a channel that is closed when that
// may have changed.
func (t *table) find(name string) (l live, ok bool, news <-chan struct{}) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, candidate := range candidates(name) {
		if s := t.byName[candidate]; s != nil {
			return live{s, s.claimed, s.lost, s.goodbye}, true, t.news
		}
	}
	return live{}, false, t.news
}

// ofKey is the share of a key; nil for none.
func (t *table) ofKey(key Key) *share {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.byKey[key]
}

// claimOf is what s holds now.
func (t *table) claimOf(s *share) *claimed {
	t.mu.Lock()
	defer t.mu.Unlock()
	return s.claimed
}

// all are the shares whose session has not ended.
func (t *table) all() []*share {
	t.mu.Lock()
	defer t.mu.Unlock()
	var all []*share
	for _, s := range t.byKey {
		if s.lost.IsZero() {
			all = append(all, s)
		}
	}
	return all
}

// joint is how tunnel.PublicNames joins the labels of a host.
const joint = "--"

// candidates are the names under which name may be held, the most exact first:
// itself, then the wildcards that it fits. "*" stands for one label of a host,
// which is a whole label below a plain name that is a zone, what follows the first
// joint up to a later one or to the label's end, and what comes before a joint by
// tunnel.NamesByZone.
func candidates(name string) []string {
	all := []string{name}
	label, parent, _ := strings.Cut(name, ".")
	start, host, joined := strings.Cut(label, joint)
	for at := 1; at < len(host); at++ {
		if strings.HasPrefix(host[at:], joint) {
			all = append(all, start+joint+"*"+host[at:]+"."+parent)
		}
	}
	if joined && host != "" {
		all = append(all, start+joint+"*."+parent)
	}
	for at := 1; at < len(label); at++ {
		if strings.HasPrefix(label[at:], joint) {
			all = append(all, "*"+label[at:]+"."+parent)
		}
	}
	return append(all, "*."+parent)
}
