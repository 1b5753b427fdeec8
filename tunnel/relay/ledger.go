package relay

import (
	"maps"
	"net/netip"
	"slices"
	"time"

	"github.com/devproxy/devproxy/tunnel"
)

// How long names are remembered.
const (
	// lapseOfPlain is how long a plain name stays its owner's after it was last
	// in use. Then everybody may claim it.
	lapseOfPlain = 90 * 24 * time.Hour
	// memoryOfPlain is how long a plain name that has ended is kept from other
	// keys, and answers that it has ended.
	memoryOfPlain = 60 * 24 * time.Hour
	// memoryOfLinks is how long an unguessable name is kept from other keys
	// after it has ended or was last in use: people who have seen the link could
	// claim it otherwise. For as long it answers that it has ended.
	memoryOfLinks = 365 * 24 * time.Hour
	// seenEvery is how exact Record.Seen is: a claim that changes nothing else
	// need not wait for a disk.
	seenEvery = 24 * time.Hour
)

// Quota bounds the names that a registry keeps. A name counts until it is
// forgotten, also when it has ended. When a key, a network or the registry has
// as many as it may, its names that have ended make room for new ones. When the
// registry is full, the network with the most names, or the one that claims if it
// has as many, gives up those that were unused for longest.
type Quota struct {
	// PlainPerKey and PlainPerNetwork bound plain names.
	PlainPerKey, PlainPerNetwork int
	// PerKey, PerNetwork and Total bound all names.
	PerKey, PerNetwork, Total int
}

// The defaults of Quota.
const (
	// plainPerKey: a key is a project's, which has one name at a time.
	plainPerKey = 10
	// plainPerNetwork leaves room for a company behind one address.
	plainPerNetwork = 100
	// namesPerKey are the links of a share that gets a new one every day, for
	// most of a year.
	namesPerKey = 256
	// namesPerNetwork are the links of a company's projects and build machines.
	namesPerNetwork = 5000
	// keysTotal is how many keys may be enrolled.
	keysTotal = 100_000
	// namesTotal take 64 MB of memory and 32 MB of disk at most.
	namesTotal = 50_000
)

// errKeys refuses one key more than keysTotal.
var errKeys = &QuotaError{"this relay has enrolled %d keys, which is as many as it keeps; its operator can list yours in --authorized-keys", keysTotal}

func (q Quota) withDefaults() Quota {
	def(&q.PlainPerKey, plainPerKey)
	def(&q.PlainPerNetwork, plainPerNetwork)
	def(&q.PerKey, namesPerKey)
	def(&q.PerNetwork, namesPerNetwork)
	def(&q.Total, namesTotal)
	return q
}

// ledger is the names of a registry, in memory. The caller locks it.
type ledger struct {
	records  map[string]Record
	keys     map[Key]holding
	networks map[netip.Prefix]holding
}

// holding is the names of one owner or network.
type holding map[string]struct{}

func newLedger() *ledger {
	return &ledger{records: map[string]Record{}, keys: map[Key]holding{}, networks: map[netip.Prefix]holding{}}
}

// put sets the record of a name.
func (l *ledger) put(name string, r Record) {
	l.forget(name)
	l.records[name] = r
	hold(l.keys, r.Owner, name)
	hold(l.networks, r.From, name)
}

// forget removes a name.
func (l *ledger) forget(name string) {
	r, known := l.records[name]
	if !known {
		return
	}
	delete(l.records, name)
	release(l.keys, r.Owner, name)
	release(l.networks, r.From, name)
}

func hold[K comparable](all map[K]holding, of K, name string) {
	if all[of] == nil {
		all[of] = holding{}
	}
	all[of][name] = struct{}{}
}

func release[K comparable](all map[K]holding, of K, name string) {
	delete(all[of], name)
	if len(all[of]) == 0 {
		delete(all, of)
	}
}

// forgettable reports whether a name with this record is nobody's any more.
func forgettable(name string, r Record, now time.Time) bool {
	at, ended := r.EndedAt(now)
	switch {
	case tunnel.TokenName(name) && ended:
		return now.Sub(at) >= memoryOfLinks
	case tunnel.TokenName(name):
		return now.Sub(r.Seen) >= memoryOfLinks
	case ended:
		return now.Sub(at) >= memoryOfPlain
	}
	return now.Sub(r.Seen) >= lapseOfPlain
}

// lookup is the record of a name that is still somebody's.
func (l *ledger) lookup(name string, now time.Time) (Record, bool) {
	r, known := l.records[name]
	if !known || forgettable(name, r, now) {
		return Record{}, false
	}
	return r, true
}

// claim is Registry.Claim. It returns the names whose records it has changed;
// none when it fails.
func (l *ledger) claim(c NameClaim, now time.Time) (changed []string, err error) {
	var fresh []string
	for _, name := range c.Names {
		old, known := l.lookup(name, now)
		switch at, ended := old.EndedAt(now); {
		case !known:
			fresh = append(fresh, name)
		case old.Owner != c.Owner:
			return nil, &TakenError{name}
		case ended && tunnel.TokenName(name):
			return nil, &EndedError{name, at}
		}
	}
	forgotten, err := l.room(c, fresh, now)
	if err != nil {
		return nil, err
	}
	for _, name := range forgotten {
		l.forget(name)
	}
	changed = forgotten
	next := Record{Owner: c.Owner, From: c.From, Until: c.Until, Seen: now}
	for _, name := range c.Names {
		if l.records[name].differs(next) {
			l.put(name, next)
			changed = append(changed, name)
		}
	}
	return changed, nil
}

// differs reports whether next has to be written in place of r, which is zero for
// a new name.
func (r Record) differs(next Record) bool {
	return r.Owner != next.Owner || !r.Until.Equal(next.Until) || !r.Ended.IsZero() || next.Seen.Sub(r.Seen) >= seenEvery
}

// room finds the names that have to be forgotten for fresh ones of a claim.
func (l *ledger) room(c NameClaim, fresh []string, now time.Time) (forgotten []string, err error) {
	if len(fresh) == 0 {
		return nil, nil
	}
	quota := c.Quota.withDefaults()
	gone := holding{}
	for _, name := range fresh {
		if _, known := l.records[name]; known { // and nobody's any more
			gone[name] = struct{}{}
		}
	}
	for _, bound := range []struct {
		names holding
		most  int
		of    func(name string) bool
		what  string
	}{
		{l.keys[c.Owner], quota.PlainPerKey, tunnel.PlainName, "this key has %d plain names, which is as many as this relay keeps for one; share under one of them, or without a name"},
		{l.networks[c.From], quota.PlainPerNetwork, tunnel.PlainName, "your network has %d plain names, which is as many as this relay keeps for one; share under one of them, or without a name"},
		{l.keys[c.Owner], quota.PerKey, everyName, "this key has %d links, which is as many as this relay keeps for one; share under the last one again"},
		{l.networks[c.From], quota.PerNetwork, everyName, "your network has %d names and links, which is as many as this relay keeps for one; try again from another one"},
	} {
		if !l.trim(bound.names, gone, bound.of, bound.most-count(fresh, bound.of), now) {
			return nil, &QuotaError{bound.what, bound.most}
		}
	}
	for len(l.records)-len(gone)+len(fresh) > quota.Total {
		name, ok := l.leastOfTheMost(c, gone, now)
		if !ok {
			return nil, &QuotaError{"this relay has %d names and links, which is as many as it keeps; try again tomorrow", quota.Total}
		}
		gone[name] = struct{}{}
	}
	return slices.Sorted(maps.Keys(gone)), nil
}

func everyName(string) bool { return true }

func count(names []string, of func(string) bool) (n int) {
	for _, name := range names {
		if of(name) {
			n++
		}
	}
	return n
}

// trim adds ended names to gone, the oldest first, until at most so many of a
// kind are left of names; false when too few have ended.
func (l *ledger) trim(names, gone holding, of func(string) bool, most int, now time.Time) bool {
	left := 0
	var ended []string
	for name := range names {
		if _, is := gone[name]; is || !of(name) {
			continue
		}
		left++
		if _, over := l.endedAt(name, now); over {
			ended = append(ended, name)
		}
	}
	if left > most+len(ended) {
		return false
	}
	if left > most {
		slices.SortFunc(ended, func(a, b string) int {
			atA, _ := l.endedAt(a, now)
			atB, _ := l.endedAt(b, now)
			return atA.Compare(atB)
		})
	}
	for _, name := range ended[:max(left-most, 0)] {
		gone[name] = struct{}{}
	}
	return true
}

// endedAt is when a name has ended, or was last in use if it is forgettable.
func (l *ledger) endedAt(name string, now time.Time) (time.Time, bool) {
	r := l.records[name]
	if at, ended := r.EndedAt(now); ended {
		return at, true
	}
	return r.Seen, forgettable(name, r, now)
}

// leastOfTheMost is a name of the network that has most: one that has ended,
// else one that was unused for longest. A plain name that was in use within a day
// stays. No network has more than the one that claims, if that has as many. It
// reports false when no name may go.
func (l *ledger) leastOfTheMost(c NameClaim, gone holding, now time.Time) (string, bool) {
	going := map[netip.Prefix]int{}
	for name := range gone {
		going[l.records[name].From]++
	}
	var most netip.Prefix
	size := 0
	for network, names := range l.networks {
		if n := len(names) - going[network]; n > size {
			most, size = network, n
		}
	}
	if size <= len(l.networks[c.From])-going[c.From] {
		most = c.From
	}
	var least string
	var leastOver bool
	var unused time.Time
	for name := range l.networks[most] {
		_, is := gone[name]
		at, over := l.endedAt(name, now)
		if is || !over && tunnel.PlainName(name) && now.Sub(at) < seenEvery {
			continue
		}
		if least == "" || over && !leastOver || over == leastOver && at.Before(unused) {
			least, leastOver, unused = name, over, at
		}
	}
	return least, least != ""
}

// renew is Registry.Renew.
func (l *ledger) renew(owner Key, names []string, now time.Time) (changed []string) {
	for _, name := range names {
		r, known := l.lookup(name, now)
		if !known || r.Owner != owner || now.Sub(r.Seen) < seenEvery {
			continue
		}
		r.Seen = now
		l.put(name, r)
		changed = append(changed, name)
	}
	return changed
}

// release is Registry.Release. It returns the names that have ended by it.
func (l *ledger) release(owner Key, names []string, now time.Time) (ended []string) {
	for _, name := range names {
		r, known := l.lookup(name, now)
		if _, over := r.EndedAt(now); !known || r.Owner != owner || over {
			continue
		}
		r.Ended = now
		l.put(name, r)
		ended = append(ended, name)
	}
	return ended
}

// giveUp is Registry.GiveUp.
func (l *ledger) giveUp(owner Key, names []string, now time.Time) (given []string) {
	for _, name := range names {
		r, known := l.lookup(name, now)
		if known && r.Owner == owner && tunnel.PlainName(name) {
			l.forget(name)
			given = append(given, name)
		}
	}
	return given
}

// sweep forgets the names that are nobody's any more.
func (l *ledger) sweep(now time.Time) (changed []string) {
	for name, r := range l.records {
		if forgettable(name, r, now) {
			changed = append(changed, name)
		}
	}
	for _, name := range changed {
		l.forget(name)
	}
	return changed
}
