package relay

import (
	"context"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// stalledUpload is how long an upload must not move before it can be evicted for
	// a visitor of another network, stalledExchange how long any other exchange must
	// not.
	stalledUpload   = time.Second
	stalledExchange = 10 * time.Second
	// retryEvery is how often a request that waits for a slot tries to evict another
	// one.
	retryEvery = 200 * time.Millisecond
	// searchPause is how long a network is not searched again after a search found no
	// request to evict: when many wait, one answer is for all.
	searchPause = retryEvery / 4
	// cancelledFor is how long a slot stays taken, at least, after its visitor has
	// cancelled the request: the agent continues until the cancellation reaches
	// it.
	cancelledFor = 100 * time.Millisecond
)

// slots limit how many requests of one share may be in progress. The zero value has
// none.
type slots struct {
	total, perNetwork int

	mu       sync.Mutex
	used     int
	networks map[netip.Prefix]*networkSlots
	waiting  map[netip.Prefix]*networkSlots // those with a waiting request
	// bySize are the networks that have slots, by their number; most is the largest
	// number. Strangers can use many networks, so nothing iterates over all of them.
	bySize map[int]map[*networkSlots]struct{}
	most   int
}

// networkSlots are the slots of one network.
type networkSlots struct {
	network netip.Prefix
	used    map[*slot]struct{}
	waiting []*slot // oldest first
	// searched is when no request of it could be evicted.
	searched time.Time
}

// slot is the place of one request.
type slot struct {
	slots   *slots
	network netip.Prefix
	granted chan struct{} // closed when it is taken
	created time.Time

	moved     atomic.Int64 // when bytes last moved, in nanoseconds since created
	uploading atomic.Bool  // the visitor's body has not ended
	evicted   atomic.Bool

	// Guarded by slots.mu.
	end      func() // ends the request; nil until it can be ended
	taken    bool
	released bool
	victim   *slot // evicted for this one; nil for none
}

// uncounted returns the slot of a request that another process counts.
func uncounted() *slot { return &slot{slots: new(slots), created: time.Now(), released: true} }

func newSlots(l Limits) *slots {
	return &slots{
		total: l.RequestsPerShare, perNetwork: l.RequestsPerVisitor,
		networks: map[netip.Prefix]*networkSlots{}, waiting: map[netip.Prefix]*networkSlots{},
		bySize: map[int]map[*networkSlots]struct{}{},
	}
}

// take waits for a slot until ctx ends, which is errBusy. When the share is
// full, it evicts a stalled request of the network with the most.
func (s *slots) take(ctx context.Context, network netip.Prefix) (*slot, error) {
	p := &slot{slots: s, network: network, granted: make(chan struct{}), created: time.Now()}
	if !s.enqueue(p) {
		return nil, errBusy
	}
	tick := time.NewTicker(retryEvery)
	defer tick.Stop()
	for {
		select {
		case <-p.granted:
			return p, nil
		case <-tick.C:
			s.makeRoom(p)
		case <-ctx.Done():
			p.release()
			return nil, errBusy
		}
	}
}

// enqueue adds p to the end of its network's queue. It reports false when as many
// wait there already as may have a slot.
func (s *slots) enqueue(p *slot) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.networks[p.network]
	if n == nil {
		n = &networkSlots{network: p.network, used: map[*slot]struct{}{}}
		s.networks[p.network] = n
	}
	if len(n.waiting) >= s.perNetwork {
		return false
	}
	n.waiting = append(n.waiting, p)
	s.waiting[p.network] = n
	s.grantLocked()
	s.makeRoomLocked(p)
	return true
}

// grantLocked gives free slots to waiting requests, first to the network that has
// fewest.
func (s *slots) grantLocked() {
	for s.used < s.total {
		var next *networkSlots
		for _, n := range s.waiting {
			if len(n.used) < s.perNetwork && (next == nil || len(n.used) < len(next.used)) {
				if next = n; len(n.used) == 0 {
					break
				}
			}
		}
		if next == nil {
			return
		}
		p := next.waiting[0]
		s.dequeueLocked(next, p)
		next.used[p] = struct{}{}
		s.countLocked(next, len(next.used)-1)
		s.used++
		p.taken = true
		p.touch()
		close(p.granted)
	}
}

// countLocked updates bySize and most after n has taken or released a slot. before
// is how many n had.
func (s *slots) countLocked(n *networkSlots, before int) {
	if delete(s.bySize[before], n); len(s.bySize[before]) == 0 {
		delete(s.bySize, before)
	}
	if now := len(n.used); now > 0 {
		if s.bySize[now] == nil {
			s.bySize[now] = map[*networkSlots]struct{}{}
		}
		s.bySize[now][n] = struct{}{}
	}
	s.most = max(s.most, len(n.used))
	if s.bySize[s.most] == nil {
		s.most-- // n had most, and has one less
	}
}

func (s *slots) dequeueLocked(n *networkSlots, p *slot) {
	at := slices.Index(n.waiting, p)
	if n.waiting = slices.Delete(n.waiting, at, at+1); len(n.waiting) == 0 {
		n.waiting = nil
		delete(s.waiting, n.network)
	}
}

func (s *slots) makeRoom(p *slot) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.makeRoomLocked(p)
}

// makeRoomLocked evicts a request for p: the one that has been stalled for longest,
// of the network with most requests, if p's network will not have more than that
// network then. In a share that is not full, p waits for its own network, which has
// most, so that nothing is evicted. It evicts one at a time for p.
func (s *slots) makeRoomLocked(p *slot) {
	if p.taken || p.victim != nil && !p.victim.released {
		return
	}
	if s.most <= len(s.networks[p.network].used)+1 {
		return
	}
	var worst *networkSlots
	for worst = range s.bySize[s.most] {
		break
	}
	if time.Since(worst.searched) < searchPause {
		return
	}
	var victim *slot
	var longest time.Duration
	for candidate := range worst.used {
		if stalled, may := candidate.stalledFor(); may && stalled > longest {
			victim, longest = candidate, stalled
		}
	}
	if p.victim = victim; victim == nil {
		worst.searched = time.Now()
		return
	}
	victim.evicted.Store(true)
	victim.end()
}

// stalledFor returns how long p has not moved, and whether it may be evicted for
// that. slots.mu is held.
func (p *slot) stalledFor() (stalled time.Duration, may bool) {
	if p.end == nil || p.evicted.Load() {
		return 0, false
	}
	stalled = time.Since(p.created) - time.Duration(p.moved.Load())
	if p.uploading.Load() {
		return stalled, stalled >= stalledUpload
	}
	return stalled, stalled >= stalledExchange
}

// touch notes that bytes have moved.
func (p *slot) touch() { p.moved.Store(int64(time.Since(p.created))) }

// onEviction sets the function that ends the request. It is called at most once,
// and must not block.
func (p *slot) onEviction(end func()) {
	p.slots.mu.Lock()
	defer p.slots.mu.Unlock()
	p.end = end
}

// release frees the slot, or leaves the queue. Later calls do nothing.
func (p *slot) release() {
	s := p.slots
	s.mu.Lock()
	defer s.mu.Unlock()
	if p.released {
		return
	}
	p.released = true
	n := s.networks[p.network]
	if p.taken {
		delete(n.used, p)
		s.countLocked(n, len(n.used)+1)
		s.used--
	} else {
		s.dequeueLocked(n, p)
	}
	if len(n.used)+len(n.waiting) == 0 {
		delete(s.networks, p.network)
	}
	s.grantLocked()
}
