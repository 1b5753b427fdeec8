package relay

import (
	"container/list"
	"errors"
	"net/netip"
	"time"

	"golang.org/x/time/rate"

	"github.com/devproxy/devproxy/tunnel"
)

// A flow counts in four sets. When one is full, a flow of it makes room: one whose client
// never got an answer, as with a forged address, while those are more than half, else one
// that is not in use. A flow in use never does.
const (
	// flowsPerVisitor are those of one share behind one address. A resolver has one for
	// each query.
	flowsPerVisitor = 512
	// flowsPerAddress are those of all shares behind one address.
	flowsPerAddress = 2048
	// flowsPerShare leaves most streams of a session to requests.
	flowsPerShare = tunnel.MaxStreams / 4
	// flowsTotal flows take at most 256 MB, which is counted in the memory of sessions.
	flowsTotal = 16384
	// usedFlow is how long after its last datagram a flow whose client has got an answer
	// is in use.
	usedFlow = 5 * time.Second
	// newPerVisitor and newPerVisitorBurst bound the new flows of one share behind one
	// address, newPerAddress and newPerAddressBurst those of all shares. So one address
	// cannot use up those of everyone. A burst is at most what comes back within refusedFor:
	// a set without flows is forgotten.
	newPerVisitor      = newFlowsPerSecond / 2
	newPerVisitorBurst = 2 * newPerVisitor
	newPerAddress      = allNewFlowsPerSecond / 5
	newPerAddressBurst = 2 * newPerAddress
)

// errCrowded ends a flow that makes room for another one.
var errCrowded = errors.New("another client needed the place")

// flowGroup is what the flows of a set have in common: a share, a network, both, or
// nothing.
type flowGroup struct {
	share   *share
	network netip.Prefix
}

// flowSet is a bounded set of flows, in two lists: those whose client never got an
// answer, and the others. The one that was quiet the longest is the first.
type flowSet struct {
	group          flowGroup
	most           int
	fresh          *rate.Limiter // new flows; nil for a set that is bounded elsewhere
	unheard, heard list.List     // of *flow
}

// flowPlace is the place of a flow in a set.
type flowPlace struct {
	set     *flowSet
	list    *list.List
	element *list.Element
}

// setsLocked returns the sets for a new flow. They are kept while they have flows.
func (f *flows) setsLocked(s *share, network netip.Prefix) (sets [4]*flowSet) {
	for i, one := range [...]struct {
		group            flowGroup
		most             int
		perSecond, burst int // zero for a set that is bounded elsewhere
	}{
		{flowGroup{s, network}, flowsPerVisitor, newPerVisitor, newPerVisitorBurst},
		{flowGroup{network: network}, flowsPerAddress, newPerAddress, newPerAddressBurst},
		{flowGroup{share: s}, flowsPerShare, 0, 0}, {flowGroup{}, flowsTotal, 0, 0},
	} {
		sets[i] = f.sets[one.group]
		if sets[i] == nil {
			sets[i] = &flowSet{group: one.group, most: one.most}
			if one.perSecond > 0 {
				sets[i].fresh = rate.NewLimiter(rate.Limit(one.perSecond), one.burst)
			}
		}
	}
	return sets
}

// allowFresh counts a new flow of an address. It reports false when that has too many.
func allowFresh(sets [4]*flowSet) bool {
	for _, set := range sets {
		if set.fresh != nil && !set.fresh.Allow() {
			return false
		}
	}
	return true
}

// makeRoomLocked ends a flow in each set that is full. It reports false when all flows of
// one are in use.
func (f *flows) makeRoomLocked(sets [4]*flowSet) bool {
	for _, set := range sets {
		if set.unheard.Len()+set.heard.Len() < set.most {
			continue
		}
		victim := set.victim()
		if victim == nil {
			return false
		}
		f.endLocked(victim, errCrowded)
	}
	return true
}

// victim returns the flow that makes room; nil if all are in use.
func (s *flowSet) victim() *flow {
	heard, unheard := s.heard.Front(), s.unheard.Front()
	quiet := heard != nil && time.Since(heard.Value.(*flow).last) >= usedFlow
	switch {
	case quiet && s.unheard.Len() <= s.most/2: // those may just wait for their answer
		return heard.Value.(*flow)
	case unheard != nil:
		return unheard.Value.(*flow)
	}
	return nil // without unheard flows, a quiet one was returned above
}

// addLocked puts a flow into its sets.
func (f *flows) addLocked(one *flow, sets [4]*flowSet) {
	for _, set := range sets {
		f.sets[set.group] = set
		one.places = append(one.places, flowPlace{set, &set.unheard, set.unheard.PushBack(one)})
	}
}

// removeLocked takes a flow out of its sets.
func (f *flows) removeLocked(one *flow) {
	for _, place := range one.places {
		place.list.Remove(place.element)
		if place.set.unheard.Len()+place.set.heard.Len() == 0 {
			delete(f.sets, place.set.group)
		}
	}
	one.places = nil
}

// moveLocked notes that a datagram has just come.
func (one *flow) moveLocked() {
	one.last = time.Now()
	for i, place := range one.places {
		if one.heard && place.list == &place.set.unheard {
			place.list.Remove(place.element)
			place.list = &place.set.heard
			place.element = place.list.PushBack(one)
			one.places[i] = place
			continue
		}
		place.list.MoveToBack(place.element)
	}
}
