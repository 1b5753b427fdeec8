package relay

import (
	"context"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// stalledUpload is how long an upload has to rest before it may be given up
	// for a visitor of another network, and restingExchange how long any other
	// exchange has to.
	stalledUpload   = time.Second
	restingExchange = 10 * time.Second
	// lookAgain is how often a request that waits for a slot looks for one that
	// can be given up.
	lookAgain = 200 * time.Millisecond
	// searchAgain is how long a network is not searched again in which no request
	// could be given up: many wait, and one answer is for all.
	searchAgain = lookAgain / 4
	// cancelledFor is how long a slot stays taken, at least, after a visitor has
	// given its request up: the agent's end of it goes on until it has heard.
	cancelledFor = 100 * time.Millisecond
)

// slots are the requests of one share that may be under way at once. Its zero
// value has none.
type slots struct {
	total, perNetwork int

	mu       sync.Mutex
	used     int
	networks map[netip.Prefix]*networkSlots
	waiting  map[netip.Prefix]*networkSlots // those that have somebody waiting
	// bySize are the networks that have a slot, by how many; most is the largest
	// number. Strangers can come from many networks, so nothing looks through all.
	bySize map[int]map[*networkSlots]struct{}
	most   int
}

// networkSlots are those of one network.
type networkSlots struct {
	network netip.Prefix
	used    map[*slot]struct{}
	waiting []*slot // oldest first
	// searched is when no request of it could be given up.
	searched time.Time
}

// slot is the place of one request.
type slot struct {
	slots   *slots
	network netip.Prefix
	granted chan struct{} // closed when it is taken
	begun   time.Time

	moved     atomic.Int64 // when bytes last moved, in nanoseconds since begun
	uploading atomic.Bool  // the visitor's body has not ended
	evicted   atomic.Bool

	// Guarded by slots.mu.
	giveUp func() // ends the request; nil until it can be ended
	taken  bool
	over   bool
	victim *slot // what was given up for it; nil for none
}

func newSlots(l Limits) *slots {
	return &slots{
		total: l.RequestsPerShare, perNetwork: l.RequestsPerVisitor,
		networks: map[netip.Prefix]*networkSlots{}, waiting: map[netip.Prefix]*networkSlots{},
		bySize: map[int]map[*networkSlots]struct{}{},
	}
}

// take waits for a slot until ctx ends, which is errBusy. A share that is full
// gives up a request that does not move of the network that has most.
func (s *slots) take(ctx context.Context, network netip.Prefix) (*slot, error) {
	p := &slot{slots: s, network: network, granted: make(chan struct{}), begun: time.Now()}
	if !s.join(p) {
		return nil, errBusy
	}
	tick := time.NewTicker(lookAgain)
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

// join lets p wait, at the end of its network's queue; false when as many wait
// there already as may have a slot.
func (s *slots) join(p *slot) bool {
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
	if !p.taken {
		s.makeRoomLocked(p)
	}
	return true
}

// grantLocked gives free slots to those that wait, first to the network that
// has fewest.
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
		s.dequeueLocked(next, 0)
		next.used[p] = struct{}{}
		s.countLocked(next, len(next.used)-1)
		s.used++
		p.taken = true
		p.touch()
		close(p.granted)
	}
}

// countLocked notes that n has taken or freed a slot; it had before.
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

func (s *slots) dequeueLocked(n *networkSlots, at int) {
	n.waiting = append(n.waiting[:at], n.waiting[at+1:]...)
	if len(n.waiting) == 0 {
		n.waiting = nil
		delete(s.waiting, n.network)
	}
}

func (s *slots) makeRoom(p *slot) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.makeRoomLocked(p)
}

// makeRoomLocked gives up a request for p: of the network with most requests, if
// p's will still have no more, the one that rests for longest. In a share that is
// not full, p waits for its own network, which no other has more than. Until what
// was given up for p is over, nothing else is.
func (s *slots) makeRoomLocked(p *slot) {
	if p.taken || p.victim != nil && !p.victim.over {
		return
	}
	if s.most <= len(s.networks[p.network].used)+1 {
		return
	}
	var worst *networkSlots
	for worst = range s.bySize[s.most] {
		break
	}
	if time.Since(worst.searched) < searchAgain {
		return
	}
	var victim *slot
	var longest time.Duration
	for candidate := range worst.used {
		if rest, may := candidate.resting(); may && rest > longest {
			victim, longest = candidate, rest
		}
	}
	if p.victim = victim; victim == nil {
		worst.searched = time.Now()
		return
	}
	victim.evicted.Store(true)
	victim.giveUp()
}

// resting is how long p has not moved, and whether it may be given up for that.
// slots.mu is held.
func (p *slot) resting() (rest time.Duration, may bool) {
	if p.giveUp == nil || p.evicted.Load() {
		return 0, false
	}
	rest = time.Since(p.begun) - time.Duration(p.moved.Load())
	if p.uploading.Load() {
		return rest, rest >= stalledUpload
	}
	return rest, rest >= restingExchange
}

// touch notes that bytes have moved. A nil slot is not counted.
func (p *slot) touch() {
	if p != nil {
		p.moved.Store(int64(time.Since(p.begun)))
	}
}

// onEviction has giveUp called, at most once, when the slot is needed. It must
// not block.
func (p *slot) onEviction(giveUp func()) {
	if p == nil {
		return
	}
	p.slots.mu.Lock()
	defer p.slots.mu.Unlock()
	p.giveUp = giveUp
}

// release frees the slot, or leaves the queue. Later calls do nothing.
func (p *slot) release() {
	if p == nil {
		return
	}
	s := p.slots
	s.mu.Lock()
	defer s.mu.Unlock()
	if p.over {
		return
	}
	p.over = true
	n := s.networks[p.network]
	if p.taken {
		delete(n.used, p)
		s.countLocked(n, len(n.used)+1)
		s.used--
	} else {
		for at := range n.waiting {
			if n.waiting[at] == p {
				s.dequeueLocked(n, at)
				break
			}
		}
	}
	if len(n.used)+len(n.waiting) == 0 {
		delete(s.networks, p.network)
	}
	s.grantLocked()
}

// underWay is how many slots are taken.
func (s *slots) underWay() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.used
}
