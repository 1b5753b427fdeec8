package zone

import (
	"container/list"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// The address of a query in a datagram may be forged, so that the answer hits
// someone else. These bound what one network can be sent, and all together.
const (
	// answersPerSecond and answersBurst bound the answers to one network: an IPv4 /24
	// or an IPv6 /56. A resolver asks again for a name only after addressTTL.
	answersPerSecond = 20
	answersBurst     = 100
	// allPerSecond and allBurst bound the answers to all networks together.
	allPerSecond = 2000
	allBurst     = 4000
	// slip is how many queries beyond a limit get one truncated answer together, as
	// long as the query. A resolver whose network is flooded gets its answer over TCP.
	slip = 2
	// maxNetworks is how many networks are remembered, in at most 4 MB.
	maxNetworks = 16 << 10
)

// verdict is what to do with a query in a datagram.
type verdict int

const (
	verdictAnswer verdict = iota
	verdictTruncate
	verdictDrop
)

// rates counts answers by network.
type rates struct {
	mu       sync.Mutex
	networks map[netip.Prefix]*list.Element
	recent   list.List // of *networkRate, the latest last
	all      *rate.Limiter
	over     uint // queries beyond the limit of all
}

type networkRate struct {
	prefix  netip.Prefix
	answers *rate.Limiter
	over    uint // queries beyond the limit
}

func newRates() *rates {
	return &rates{networks: map[netip.Prefix]*list.Element{}, all: rate.NewLimiter(allPerSecond, allBurst)}
}

// take counts a query of an address.
func (r *rates) take(from netip.Addr, now time.Time) verdict {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := r.find(networkOf(from))
	switch {
	case !n.answers.AllowN(now, 1):
		return slipped(&n.over)
	case !r.all.AllowN(now, 1):
		return slipped(&r.over)
	}
	return verdictAnswer
}

// slipped counts a query beyond a limit.
func slipped(over *uint) verdict {
	*over++
	if *over%slip == 0 {
		return verdictTruncate
	}
	return verdictDrop
}

// find returns a network, which it makes if it is new. The one that was silent for
// longest is forgotten then, if there are too many.
func (r *rates) find(prefix netip.Prefix) *networkRate {
	if known := r.networks[prefix]; known != nil {
		r.recent.MoveToBack(known)
		return known.Value.(*networkRate)
	}
	if r.recent.Len() == maxNetworks {
		delete(r.networks, r.recent.Remove(r.recent.Front()).(*networkRate).prefix)
	}
	n := &networkRate{prefix: prefix, answers: rate.NewLimiter(answersPerSecond, answersBurst)}
	r.networks[prefix] = r.recent.PushBack(n)
	return n
}

// networkOf returns the network that an address is counted with.
func networkOf(address netip.Addr) netip.Prefix {
	address = address.Unmap().WithZone("")
	bits := 56
	if address.Is4() {
		bits = 24
	}
	prefix, _ := address.Prefix(bits) // fails only for an invalid address, which all share
	return prefix
}
