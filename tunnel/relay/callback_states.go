package relay

import (
	"container/list"
	"sync"
	"time"
)

const (
	// stateLifetime is how long a login may take at the provider.
	stateLifetime = 10 * time.Minute
	// statesPerCallback and statesTotal bound the values that are remembered. Beyond the
	// first, the callback host forgets its oldest; beyond the second, the callback host
	// with the most does. All take at most 20 MB.
	statesPerCallback = 1000
	statesTotal       = 50_000
)

// callbackStates remembers which share has begun a login, by the hash of its `state`, for
// stateLifetime. The memory ends with the process: a login that is in progress meanwhile
// ends at the local origin.
type callbackStates struct {
	mu     sync.Mutex
	byHost map[string]*expectedStates
	total  int
}

// expectedStates are the states of one callback host, oldest first.
type expectedStates struct {
	order  list.List // of *expectedState
	byHash map[string]*list.Element
}

// expectedState is a state, and the key whose share has begun its login.
type expectedState struct {
	hash  string
	key   Key
	since time.Time
}

func newCallbackStates() *callbackStates {
	return &callbackStates{byHost: map[string]*expectedStates{}}
}

// expect remembers that the share of key has begun a login with a state.
func (c *callbackStates) expect(host, hash string, key Key, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.byHost[host]
	if s == nil {
		s = &expectedStates{byHash: map[string]*list.Element{}}
		c.byHost[host] = s
	}
	if e := s.byHash[hash]; e != nil {
		s.order.MoveToBack(e)
		*e.Value.(*expectedState) = expectedState{hash, key, now}
		return
	}
	s.byHash[hash] = s.order.PushBack(&expectedState{hash, key, now})
	c.total++
	switch {
	case len(s.byHash) > statesPerCallback:
		c.forgetOldestLocked(host)
	case c.total > statesTotal:
		most := host
		for other, states := range c.byHost {
			if len(states.byHash) > len(c.byHost[most].byHash) {
				most = other
			}
		}
		c.forgetOldestLocked(most)
	}
}

func (c *callbackStates) forgetOldestLocked(host string) {
	s := c.byHost[host]
	oldest := s.order.Remove(s.order.Front()).(*expectedState)
	delete(s.byHash, oldest.hash)
	c.total--
	if len(s.byHash) == 0 {
		delete(c.byHost, host)
	}
}

// find returns the key whose share has begun the login with a state.
func (c *callbackStates) find(host, hash string, now time.Time) (key Key, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.byHost[host]
	if s == nil || s.byHash[hash] == nil {
		return Key{}, false
	}
	found := s.byHash[hash].Value.(*expectedState)
	return found.key, now.Sub(found.since) < stateLifetime
}

// sweep forgets the states whose time has ended.
func (c *callbackStates) sweep(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for host, s := range c.byHost {
		for len(s.byHash) > 0 && now.Sub(s.order.Front().Value.(*expectedState).since) >= stateLifetime {
			c.forgetOldestLocked(host)
		}
	}
}
