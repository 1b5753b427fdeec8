package relay

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"
	"time"

	"github.com/devproxy/devproxy/tunnel"
)

// How long names are remembered.
const (
	// plainLapse is how long a plain name belongs to its owner after its last
	// use. Then every key may claim it.
	plainLapse = 90 * 24 * time.Hour
	// plainRetention is how long a plain name that has ended is kept from other
	// keys. Until then, visitors see that it has ended.
	plainRetention = 60 * 24 * time.Hour
	// linkRetention is how long an unguessable name is kept from other keys after
	// its end or its last use. Otherwise people who have seen the link could claim
	// it. Until then, visitors see that it has ended.
	linkRetention = 365 * 24 * time.Hour
	// seenEvery is the precision of Record.Seen. A claim that changes nothing else
	// does not wait for the disk.
	seenEvery = 24 * time.Hour
)

// Quota bounds the names that a registry keeps. A name counts until it is
// forgotten, even after it has ended. When a key, a network or the registry is at
// its limit, its ended names make room for new ones. When the registry is full,
// the network with the most names, or the claiming one if it has as many, loses
// those that have been unused for longest.
type Quota struct {
	// PlainPerKey and PlainPerNetwork bound plain names.
	PlainPerKey, PlainPerNetwork int
	// PerKey, PerNetwork and Total bound all names.
	PerKey, PerNetwork, Total int
	// PortsPerKey and PortsPerNetwork bound the reserved ports, TCP and UDP separately. A
	// key has at most a quarter of the relay's ports, and a network half, but each may
	// have tunnel.MaxPorts.
	PortsPerKey, PortsPerNetwork int
}

// The defaults of Quota.
const (
	// plainPerKey: a key belongs to one project, which has one name at a time.
	plainPerKey = 10
	// plainPerNetwork leaves room for a company behind one address.
	plainPerNetwork = 100
	// namesPerKey allows a share that gets a new link every day, for most of a
	// year.
	namesPerKey = 256
	// namesPerNetwork allows the links of a company's projects and build machines.
	namesPerNetwork = 5000
	// portsPerKey leaves room for blocks that were renamed.
	portsPerKey = 2 * tunnel.MaxPorts
	// portsPerNetwork leaves room for a company behind one address.
	portsPerNetwork = 100
	// keysTotal is how many keys may be enrolled. They take at most 10 MB of memory.
	keysTotal = 100_000
	// namesTotal names take at most 64 MB of memory and 32 MB of disk.
	namesTotal = 50_000
)

// errKeys refuses a key beyond keysTotal.
var errKeys = &QuotaError{"this relay has reached its limit of %d enrolled keys; ask its operator to list yours in --authorized-keys", keysTotal}

func (q Quota) withDefaults() Quota {
	return Quota{
		PlainPerKey:     cmp.Or(q.PlainPerKey, plainPerKey),
		PlainPerNetwork: cmp.Or(q.PlainPerNetwork, plainPerNetwork),
		PerKey:          cmp.Or(q.PerKey, namesPerKey),
		PerNetwork:      cmp.Or(q.PerNetwork, namesPerNetwork),
		Total:           cmp.Or(q.Total, namesTotal),
		PortsPerKey:     cmp.Or(q.PortsPerKey, portsPerKey),
		PortsPerNetwork: cmp.Or(q.PortsPerNetwork, portsPerNetwork),
	}
}

// nameTable has the names of a registry, in memory. The caller locks it.
type nameTable struct {
	records  map[string]Record
	keys     nameIndex[Key]
	networks nameIndex[netip.Prefix]
}

// nameSet is the names of one owner or network.
type nameSet map[string]struct{}

// nameIndex has a set for each owner or network with a name.
type nameIndex[K comparable] map[K]nameSet

func newNameTable() *nameTable {
	return &nameTable{records: map[string]Record{}, keys: nameIndex[Key]{}, networks: nameIndex[netip.Prefix]{}}
}

// put sets the record of a name.
func (t *nameTable) put(name string, r Record) {
	t.forget(name)
	t.records[name] = r
	t.keys.add(r.Owner, name)
	t.networks.add(r.From, name)
}

// forget removes a name.
func (t *nameTable) forget(names ...string) {
	for _, name := range names {
		if r, known := t.records[name]; known {
			delete(t.records, name)
			t.keys.remove(r.Owner, name)
			t.networks.remove(r.From, name)
		}
	}
}

func (i nameIndex[K]) add(k K, name string) {
	if i[k] == nil {
		i[k] = nameSet{}
	}
	i[k][name] = struct{}{}
}

func (i nameIndex[K]) remove(k K, name string) {
	delete(i[k], name)
	if len(i[k]) == 0 {
		delete(i, k)
	}
}

// forgettable reports whether a name with this record no longer belongs to its
// owner.
func forgettable(name string, r Record, now time.Time) bool {
	since, ended := r.EndedAt(now)
	if !ended {
		since = r.Seen
	}
	keep := plainLapse
	switch {
	case tunnel.TokenName(name):
		keep = linkRetention
	case ended:
		keep = plainRetention
	}
	return now.Sub(since) >= keep
}

// lookup returns the record of a name that has an owner.
func (t *nameTable) lookup(name string, now time.Time) (Record, bool) {
	r, known := t.records[name]
	if !known || forgettable(name, r, now) {
		return Record{}, false
	}
	return r, true
}

// claim implements Registry.Claim. It returns the names whose records it has
// changed, none when it fails.
func (t *nameTable) claim(c NameClaim, now time.Time) (changed []string, err error) {
	var fresh []string
	for _, name := range c.Names {
		old, known := t.lookup(name, now)
		switch at, ended := old.EndedAt(now); {
		case !known:
			fresh = append(fresh, name)
		case old.Owner != c.Owner:
			return nil, &TakenError{name}
		case ended && tunnel.TokenName(name):
			return nil, &EndedError{name, at}
		}
	}
	changed, err = t.makeRoom(c, fresh, now)
	if err != nil {
		return nil, err
	}
	t.forget(changed...)
	next := Record{Owner: c.Owner, From: c.From, Until: c.Until, Seen: now, Callback: c.Callback}
	for _, name := range c.Names {
		if t.records[name].differs(next) {
			t.put(name, next)
			changed = append(changed, name)
		}
	}
	return changed, nil
}

// differs reports whether next must be written in place of r, which is zero for
// a new name.
func (r Record) differs(next Record) bool {
	return r.Owner != next.Owner || !r.Until.Equal(next.Until) || !r.Ended.IsZero() || next.Seen.Sub(r.Seen) >= seenEvery || !r.Callback.equal(next.Callback)
}

// makeRoom returns the names that have to be forgotten for the new names of a
// claim.
func (t *nameTable) makeRoom(c NameClaim, fresh []string, now time.Time) (forgotten []string, err error) {
	if len(fresh) == 0 {
		return nil, nil
	}
	quota := c.Quota.withDefaults()
	gone := nameSet{}
	for _, name := range fresh {
		if _, known := t.records[name]; known { // forgettable
			gone[name] = struct{}{}
		}
	}
	for _, bound := range []struct {
		names nameSet
		most  int
		is    func(name string) bool
		what  string
	}{
		{t.keys[c.Owner], quota.PlainPerKey, isPlain, "your key has reached this relay's limit of %d plain names; share under one of them, or without a name"},
		{t.networks[c.From], quota.PlainPerNetwork, isPlain, "your network has reached this relay's limit of %d plain names; share under one of them, or without a name"},
		{t.keys[c.Owner], quota.PerKey, isName, "your key has reached this relay's limit of %d links; share under the last one again"},
		{t.networks[c.From], quota.PerNetwork, isName, "your network has reached this relay's limit of %d names and links; try again from another network"},
	} {
		if !t.trim(bound.names, gone, fresh, bound.is, bound.most, now) {
			return nil, &QuotaError{bound.what, bound.most}
		}
	}
	for len(t.records)-len(gone)+len(fresh) > quota.Total {
		name, ok := t.evictable(c, gone, now)
		if !ok {
			return nil, &QuotaError{"this relay has reached its limit of %d names and links; try again tomorrow", quota.Total}
		}
		gone[name] = struct{}{}
	}
	return slices.Sorted(maps.Keys(gone)), nil
}

// isName reports whether an entry of the table is not a port.
func isName(entry string) bool { return !isPortEntry(entry) }

func isPlain(entry string) bool { return isName(entry) && tunnel.PlainName(entry) }

// trim adds ended names to gone, the oldest first, until no more than most names
// of a kind are left, with the fresh ones. It reports false when too few have ended.
func (t *nameTable) trim(names, gone nameSet, fresh []string, is func(string) bool, most int, now time.Time) bool {
	left := 0
	for _, name := range fresh {
		if is(name) {
			left++
		}
	}
	var ended []string
	for name := range names {
		if _, out := gone[name]; out || !is(name) {
			continue
		}
		left++
		if _, over := t.unusedSince(name, now); over {
			ended = append(ended, name)
		}
	}
	excess := max(left-most, 0)
	if excess > len(ended) {
		return false
	}
	if excess > 0 {
		slices.SortFunc(ended, func(a, b string) int {
			sinceA, _ := t.unusedSince(a, now)
			sinceB, _ := t.unusedSince(b, now)
			return sinceA.Compare(sinceB)
		})
	}
	for _, name := range ended[:excess] {
		gone[name] = struct{}{}
	}
	return true
}

// unusedSince returns when a name ended, or was last used. over reports that it
// has ended or is forgettable.
func (t *nameTable) unusedSince(name string, now time.Time) (since time.Time, over bool) {
	r := t.records[name]
	if at, ended := r.EndedAt(now); ended {
		return at, true
	}
	return r.Seen, forgettable(name, r, now)
}

// evictable returns a name of the network with the most: an ended name, or else
// the name that has been unused for longest. A plain name that was used within
// a day stays. If the claiming network has as many names as the largest, it
// counts as the largest. ok is false when every name stays.
func (t *nameTable) evictable(c NameClaim, gone nameSet, now time.Time) (name string, ok bool) {
	going := map[netip.Prefix]int{}
	for name := range gone {
		going[t.records[name].From]++
	}
	most, size := c.From, len(t.networks[c.From])-going[c.From]
	for network, names := range t.networks {
		if n := len(names) - going[network]; n > size {
			most, size = network, n
		}
	}
	var bestOver bool
	var bestSince time.Time
	for candidate := range t.networks[most] {
		_, out := gone[candidate]
		since, over := t.unusedSince(candidate, now)
		if out || !over && tunnel.PlainName(candidate) && now.Sub(since) < seenEvery {
			continue
		}
		if name == "" || over && !bestOver || over == bestOver && since.Before(bestSince) {
			name, bestOver, bestSince = candidate, over, since
		}
	}
	return name, name != ""
}

// renew implements Registry.Renew, and returns the names whose records it has
// changed.
func (t *nameTable) renew(owner Key, names []string, now time.Time) (changed []string) {
	return t.change(owner, names, now, func(name string, r Record) bool {
		if now.Sub(r.Seen) < seenEvery {
			return false
		}
		r.Seen = now
		t.put(name, r)
		return true
	})
}

// release implements Registry.Release, and returns the names that it has ended.
func (t *nameTable) release(owner Key, names []string, now time.Time) (ended []string) {
	return t.change(owner, names, now, func(name string, r Record) bool {
		if _, over := r.EndedAt(now); over {
			return false
		}
		r.Ended = now
		t.put(name, r)
		return true
	})
}

// giveUp implements Registry.GiveUp.
func (t *nameTable) giveUp(owner Key, names []string, now time.Time) (given []string) {
	return t.change(owner, names, now, func(name string, _ Record) bool {
		if !tunnel.PlainName(name) {
			return false
		}
		t.forget(name)
		return true
	})
}

// change calls do for the names that belong to owner, and returns those for which
// it has returned true.
func (t *nameTable) change(owner Key, names []string, now time.Time, do func(string, Record) bool) (changed []string) {
	for _, name := range names {
		if r, known := t.lookup(name, now); known && r.Owner == owner && do(name, r) {
			changed = append(changed, name)
		}
	}
	return changed
}

// sweep forgets the names that have no owner any more.
func (t *nameTable) sweep(now time.Time) (forgotten []string) {
	for name, r := range t.records {
		if forgettable(name, r, now) {
			forgotten = append(forgotten, name)
		}
	}
	t.forget(forgotten...)
	return forgotten
}
