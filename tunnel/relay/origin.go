package relay

import (
	"container/heap"
	"container/list"
	"net/netip"

	"github.com/devproxy/devproxy/tunnel/budget"
	"golang.org/x/time/rate"
)

// maxIdleOrigins is how many networks without a connection are remembered, so
// that a new connection brings no new allowance.
const maxIdleOrigins = 8192

// pool is a set of connections of one network that are closed for the same
// reason.
type pool int

const (
	poolShaking pool = iota // in their handshake, oldest first
	poolResting             // visitors' without a request, oldest first
	poolLanes               // agents', oldest first
	poolBusy                // visitors' with a request, oldest first
	pools
	poolNone
)

// origin is a network that connections come from: see networkOf.
type origin struct {
	prefix netip.Prefix
	// conns are visitors' connections and those in their handshake, lanes are
	// agents'.
	conns, lanes int
	allowance

	pools [pools]list.List // of *conn
	place [pools]int       // in door.closable; -1 where it has none
	idle  *list.Element    // nil while there are connections
}

// allowance is what a network may do over time.
type allowance struct {
	requests *rate.Limiter
	// waste pays for requests that were refused for being too many, or given up
	// by the visitor.
	waste *rate.Limiter
	// names pays for new or changed names, plain for new plain names, tokens for
	// wrong enrolment tokens.
	names, plain, tokens *rate.Limiter
}

func newAllowance(l Limits) allowance {
	return allowance{
		requests: rate.NewLimiter(rate.Limit(l.RequestsPerSecond), l.Burst),
		waste:    rate.NewLimiter(wastePerSecond, wasteBurst),
		names:    rate.NewLimiter(namesPerSecond, namesBurst),
		plain:    rate.NewLimiter(rate.Every(plainEvery), plainBurst),
		tokens:   rate.NewLimiter(rate.Every(tokenEvery), tokenBurst),
	}
}

// size is by what a network is compared with others.
func (o *origin) size(p pool) int {
	switch p {
	case poolLanes:
		return o.lanes
	case poolShaking: // an office with many visitors is no offender here
		return o.pools[poolShaking].Len()
	}
	return o.conns
}

// networks are the origins that are known. Guarded by door.mu.
type networks struct {
	limits Limits
	all    map[netip.Prefix]*origin
	idle   list.List // of *origin without connections, oldest first
}

func (n *networks) init(limits Limits) { n.limits, n.all = limits, map[netip.Prefix]*origin{} }

// find finds or makes the origin of an address.
func (n *networks) find(addr netip.Addr) *origin {
	network := budget.NetworkOf(addr)
	o := n.all[network]
	if o == nil {
		o = &origin{prefix: network, allowance: newAllowance(n.limits)}
		for p := range o.place {
			o.place[p] = -1
		}
		n.all[network] = o
		n.leave(o) // it may never have a connection
	} else if o.idle != nil {
		n.idle.MoveToBack(o.idle) // whoever asks for it is about to use it
	}
	return o
}

// use notes that o has connections.
func (n *networks) use(o *origin) {
	if o.idle != nil {
		n.idle.Remove(o.idle)
		o.idle = nil
	}
}

// leave notes that o may have no connections any more.
func (n *networks) leave(o *origin) {
	if o.conns+o.lanes > 0 {
		return
	}
	o.idle = n.idle.PushBack(o)
	if n.idle.Len() > maxIdleOrigins {
		delete(n.all, n.idle.Remove(n.idle.Front()).(*origin).prefix)
	}
}

// ranking orders the origins that have connections in a pool: the one with the
// largest size is first, and among equals the one whose connection is oldest.
type ranking struct {
	pool    pool
	origins []*origin
}

// most is the size of the first; 0 when there is none.
func (r *ranking) most() int {
	if len(r.origins) == 0 {
		return 0
	}
	return r.origins[0].size(r.pool)
}

// update puts o where it belongs after a change.
func (r *ranking) update(o *origin) {
	at, has := o.place[r.pool], o.pools[r.pool].Len() > 0
	switch {
	case has && at < 0:
		heap.Push(r, o)
	case has:
		heap.Fix(r, at)
	case at >= 0:
		heap.Remove(r, at)
	}
}

// Len, Less, Swap, Push and Pop implement heap.Interface.
func (r *ranking) Len() int { return len(r.origins) }

func (r *ranking) Less(i, j int) bool {
	a, b := r.origins[i], r.origins[j]
	if a.size(r.pool) != b.size(r.pool) {
		return a.size(r.pool) > b.size(r.pool)
	}
	return a.oldest(r.pool) < b.oldest(r.pool)
}

func (r *ranking) Swap(i, j int) {
	r.origins[i], r.origins[j] = r.origins[j], r.origins[i]
	r.origins[i].place[r.pool], r.origins[j].place[r.pool] = i, j
}

func (r *ranking) Push(o any) {
	o.(*origin).place[r.pool] = len(r.origins)
	r.origins = append(r.origins, o.(*origin))
}

func (r *ranking) Pop() any {
	last := len(r.origins) - 1
	o := r.origins[last]
	r.origins[last] = nil
	r.origins = r.origins[:last]
	o.place[r.pool] = -1
	return o
}

// oldest is the number of the first connection in a pool that has one.
func (o *origin) oldest(p pool) uint64 { return o.pools[p].Front().Value.(*conn).number }
