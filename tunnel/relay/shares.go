package relay

import (
	"errors"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/devproxy/devproxy/tunnel"
)

// share is a session and its claim.
type share struct {
	key     Key
	session *tunnel.Session
	from    *network // of its first lane
	slots   *slots   // requests in progress
	claims  *rate.Limiter
	states  *rate.Limiter // of callbacks
	flows   *rate.Limiter // new clients of UDP ports

	shareState // guarded by shareTable.mu
}

// shareState is the part of a share that changes.
type shareState struct {
	claimed *claimed
	lost    time.Time // when the session ended; zero while it has not
	// goodbye reports that the agent has ended the session, so it will not
	// reconnect.
	goodbye bool
}

// live is a share with its state at one moment.
type live struct {
	*share
	shareState
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

// shareTable finds the share of a name.
type shareTable struct {
	mu      sync.Mutex
	byName  map[string]*share // by public name
	byRoot  map[string]*share // by the name in the registry
	byKey   map[Key]*share
	changed chan struct{} // closed at the next change
}

func newShareTable() *shareTable {
	return &shareTable{byName: map[string]*share{}, byRoot: map[string]*share{}, byKey: map[Key]*share{}, changed: make(chan struct{})}
}

// put gives s what c names, and nothing else. It takes the names from other shares.
func (t *shareTable) put(s *share, c *claimed) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.putLocked(s, c)
}

func (t *shareTable) putLocked(s *share, c *claimed) {
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
	t.notifyLocked()
}

// change replaces the names of s with those of c. It reports false when another
// session of its key has taken over.
func (t *shareTable) change(s *share, c *claimed) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.byKey[s.key] != s {
		return false
	}
	t.putLocked(s, c)
	return true
}

// sessionEnded keeps the names of s for a while: requests for them wait for the
// next session.
func (t *shareTable) sessionEnded(s *share, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s.lost, s.goodbye = now, errors.Is(s.session.Err(), tunnel.ErrClosed)
	t.notifyLocked()
}

// sweep drops the shares whose session ended before a moment.
func (t *shareTable) sweep(before time.Time) {
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
func (t *shareTable) end(name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if s := t.byRoot[name]; s != nil {
		t.dropLocked(s)
		t.notifyLocked()
	}
}

// isHeld reports whether a share whose session has not ended has a name of the
// registry.
func (t *shareTable) isHeld(root string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.byRoot[root]
	return s != nil && s.lost.IsZero()
}

// dropLocked takes all names from s.
func (t *shareTable) dropLocked(s *share) {
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

func (t *shareTable) notifyLocked() {
	close(t.changed)
	t.changed = make(chan struct{})
}

// find returns the share that has name, and a channel that is closed when that
// may have changed.
func (t *shareTable) find(name string) (l live, ok bool, changed <-chan struct{}) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, candidate := range candidates(name) {
		if s := t.byName[candidate]; s != nil {
			return live{s, s.shareState}, true, t.changed
		}
	}
	return live{}, false, t.changed
}

// has reports whether a share has name, as it is.
func (t *shareTable) has(name string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.byName[name] != nil
}

// dropDomain takes the domain of its user from s. It reports false when s has another
// claim meanwhile.
func (t *shareTable) dropDomain(s *share, c *claimed) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if s.claimed != c || c.domain == "" || t.byKey[s.key] != s {
		return false
	}
	rest := *c
	rest.domain, rest.hosts = "", c.hosts[1:]
	rest.callback = nil // which led to the domain
	t.putLocked(s, &rest)
	return true
}

// forKey returns the share of a key; nil for none.
func (t *shareTable) forKey(key Key) *share {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.byKey[key]
}

// claimOf returns what s has now.
func (t *shareTable) claimOf(s *share) *claimed {
	t.mu.Lock()
	defer t.mu.Unlock()
	return s.claimed
}

// all returns the shares whose session has not ended.
func (t *shareTable) all() []*share {
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

// candidates returns the entries that name may match, the most specific first:
// the name itself, then wildcards. "*" matches one label of a host. That is a
// whole label below a plain name that is a zone; the text after the first
// joint, up to a later one or to the label's end; and what comes before a joint
// by tunnel.NamesByZone.
func candidates(name string) []string {
	all := []string{name}
	label, parent, _ := strings.Cut(name, ".")
	start, host, joined := strings.Cut(label, joint)
	upToJoint := func(start, text string) {
		for at := 1; at < len(text); at++ {
			if strings.HasPrefix(text[at:], joint) {
				all = append(all, start+"*"+text[at:]+"."+parent)
			}
		}
	}
	upToJoint(start+joint, host)
	if joined && host != "" {
		all = append(all, start+joint+"*."+parent)
	}
	upToJoint("", label)
	return append(all, "*."+parent)
}
