package relay

import (
	"container/heap"
	"container/list"
	"net/netip"

	"golang.org/x/time/rate"

	"github.com/devproxy/devproxy/tunnel/budget"
)

// maxIdleNetworks is how many networks without a connection are remembered, so
// that a new connection does not bring a new allowance.
const maxIdleNetworks = 8192

// pool is a set of connections of one network that are closed for the same
// reason, the oldest first.
type pool int

const (
	poolHandshake pool = iota // and plain HTTP
	poolIdle                  // of visitors, without a request
	poolActive                // of visitors, with a request
	poolLanes                 // of agents
	pools
	poolClosed
)

// network is an address, or an IPv6 /64, that connections come from: see
// budget.NetworkOf.
type network struct {
	prefix   netip.Prefix
	requests *rate.Limiter
	// waste counts requests that were too many, or that the visitor cancelled.
	waste *rate.Limiter
	// names counts new or changed names, plain new plain names, tokens wrong
	// enrolment tokens.
	names, plain, tokens *rate.Limiter
	// domains counts domains of users whose proof was looked for.
	domains *rate.Limiter
	// proxy reports a network of proxies, whose connections carry many networks' visitors.
	proxy bool

	pools [pools]list.List // of *conn
	rank  [pools]int       // index in connections.evictable; -1 for none
	idle  *list.Element    // nil while there are connections
}

func newNetwork(prefix netip.Prefix, l Limits) *network {
	n := &network{
		prefix:   prefix,
		requests: rate.NewLimiter(rate.Limit(l.RequestsPerSecond), l.Burst),
		waste:    rate.NewLimiter(wastePerSecond, wasteBurst),
		names:    rate.NewLimiter(namesPerSecond, namesBurst),
		plain:    rate.NewLimiter(rate.Every(plainEvery), plainBurst),
		tokens:   rate.NewLimiter(rate.Every(tokenEvery), tokenBurst),
		domains:  rate.NewLimiter(rate.Every(domainEvery), domainBurst),
	}
	for p := range n.rank {
		n.rank[p] = -1
	}
	return n
}

// size returns the number by which networks are compared in a pool.
func (n *network) size(p pool) int {
	if p == poolLanes || p == poolHandshake { // an office with many visitors is not an offender there
		return n.compared(n.pools[p].Len())
	}
	return n.compared(n.conns())
}

// compared returns total, a number of connections, as it is compared with those of other
// networks. The connections of proxies count one by one: another network with two is
// evicted first.
func (n *network) compared(total int) int {
	if n.proxy {
		return min(total, 1)
	}
	return total
}

// conns returns how many connections visitors have, and those in their handshake.
func (n *network) conns() int {
	return n.pools[poolHandshake].Len() + n.pools[poolIdle].Len() + n.pools[poolActive].Len()
}

// lanes returns how many connections agents have.
func (n *network) lanes() int { return n.pools[poolLanes].Len() }

// oldest returns the number of the first connection in a pool that has one.
func (n *network) oldest(p pool) uint64 { return n.pools[p].Front().Value.(*conn).number }

// networks are the known networks, guarded by connections.mu.
type networks struct {
	limits Limits
	all    map[netip.Prefix]*network
	idle   list.List // of *network without connections, oldest first
}

// find returns the network of an address, which it makes if it is new.
func (ns *networks) find(addr netip.Addr) *network {
	prefix := budget.NetworkOf(addr)
	n := ns.all[prefix]
	switch {
	case n == nil:
		n = newNetwork(prefix, ns.limits)
		ns.all[prefix] = n
		ns.leave(n) // it may never have a connection
	case n.idle != nil:
		ns.idle.MoveToBack(n.idle) // the caller is about to use it
	}
	return n
}

// use notes that n has connections.
func (ns *networks) use(n *network) {
	if n.idle != nil {
		ns.idle.Remove(n.idle)
		n.idle = nil
	}
}

// leave notes that n may have no connections any more.
func (ns *networks) leave(n *network) {
	if n.conns()+n.lanes() > 0 {
		return
	}
	n.idle = ns.idle.PushBack(n)
	if ns.idle.Len() > maxIdleNetworks {
		delete(ns.all, ns.idle.Remove(ns.idle.Front()).(*network).prefix)
	}
}

// ranking is a heap of the networks that have connections in a pool. The network
// with the largest size is first; among equals, the one with the oldest connection.
type ranking struct {
	pool     pool
	networks []*network
}

// most returns the size of the first, 0 when there is none.
func (r *ranking) most() int {
	if len(r.networks) == 0 {
		return 0
	}
	return r.networks[0].size(r.pool)
}

// update moves n to its place after a change.
func (r *ranking) update(n *network) {
	at, has := n.rank[r.pool], n.pools[r.pool].Len() > 0
	switch {
	case has && at < 0:
		heap.Push(r, n)
	case has:
		heap.Fix(r, at)
	case at >= 0:
		heap.Remove(r, at)
	}
}

// Len, Less, Swap, Push and Pop implement heap.Interface.
func (r *ranking) Len() int { return len(r.networks) }

func (r *ranking) Less(i, j int) bool {
	a, b := r.networks[i], r.networks[j]
	if a.size(r.pool) != b.size(r.pool) {
		return a.size(r.pool) > b.size(r.pool)
	}
	return a.oldest(r.pool) < b.oldest(r.pool)
}

func (r *ranking) Swap(i, j int) {
	r.networks[i], r.networks[j] = r.networks[j], r.networks[i]
	r.networks[i].rank[r.pool], r.networks[j].rank[r.pool] = i, j
}

func (r *ranking) Push(x any) {
	n := x.(*network)
	n.rank[r.pool] = len(r.networks)
	r.networks = append(r.networks, n)
}

func (r *ranking) Pop() any {
	last := len(r.networks) - 1
	n := r.networks[last]
	r.networks[last] = nil
	r.networks = r.networks[:last]
	n.rank[r.pool] = -1
	return n
}
