// Package budget bounds the memory that untrusted clients make a process hold.
//
// A Budget counts bytes. Their owners form a tree: an address has keys, a key
// has accounts. When a limit is exceeded, the budget takes from the largest
// account of the largest key of the largest address; of those that hold the same,
// from the one that has not moved for longest. An account that holds little is never
// refused and never evicted, however full the budget is.
package budget

import (
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
)

// Limits are the maximum numbers of bytes that accounts hold together. Zero
// means no limit.
type Limits struct {
	// Total limits the whole budget.
	Total int64
	// Address limits one address (see Network).
	Address int64
	// Key limits one key of one address.
	Key int64
}

// Shared returns the Limits of a process that serves many clients: one address
// may hold at most half of total, and so may one key.
func Shared(total int64) Limits { return Limits{Total: total, Address: total / 2, Key: total / 2} }

// Owner is the client whose bytes an account counts. Both fields may be zero.
type Owner struct {
	Address netip.Prefix
	Key     string
}

// Network returns the prefix that counts as one address: an IPv4 address, or
// the /64 that one customer has of IPv6. Anything but a TCP address has the zero prefix.
func Network(addr net.Addr) netip.Prefix {
	tcp, ok := addr.(*net.TCPAddr)
	if !ok {
		return netip.Prefix{}
	}
	return NetworkOf(tcp.AddrPort().Addr())
}

// NetworkOf is Network for an address without a port.
func NetworkOf(ip netip.Addr) netip.Prefix {
	ip = ip.Unmap().WithZone("")
	bits := 32
	if ip.Is6() {
		bits = 64
	}
	prefix, _ := ip.Prefix(bits) // an invalid address has the zero prefix
	return prefix
}

// Budget counts the bytes of all accounts. New returns one. Its methods may be called
// by several goroutines at once. A nil *Budget opens accounts without any limit.
type Budget struct {
	limits Limits
	over   atomic.Bool // a limit is exceeded

	enforcing sync.Mutex // held while accounts are evicted; taken before mu

	mu      sync.Mutex
	all     node  // its children are addresses, theirs keys, and theirs accounts
	leaving int64 // bytes of accounts that were evicted and are not zero yet
	evicted int64 // calls of evict
	ticks   uint64
}

// node counts the bytes of all accounts, or of those of an address or a key, or of
// a single account.
type node struct {
	parent   *node // nil for all accounts
	name     any   // in parent.children: an address, a key or the *Account
	children map[any]*node
	limit    int64 // 0 for none

	used    int64
	moved   uint64 // the budget's ticks when bytes were last counted, or moved
	leaving bool   // an account that was evicted as a whole: used is not in its parents'
}

// child returns the child of a name. If it is new, it has a limit.
func (n *node) child(name any, limit int64) *node {
	child := n.children[name]
	if child == nil {
		child = &node{parent: n, name: name, limit: limit}
		if n.children == nil {
			n.children = map[any]*node{}
		}
		n.children[name] = child
	}
	return child
}

// exceeds reports whether n holds more than its limit.
func (n *node) exceeds() bool { return exceeds(n.used, n.limit) }

func exceeds(used, limit int64) bool { return limit > 0 && used > limit }

// New returns an empty budget.
func New(limits Limits) *Budget {
	return &Budget{limits: limits, all: node{limit: limits.Total}}
}

// Open returns a new account without bytes.
//
// evict is called when the account is the largest and a limit is exceeded. It
// frees the largest part of the account's bytes, and reports whether the whole
// account is being given up: then it is not called again, and the account's
// bytes are expected to be freed soon. Enforce calls it, without the budget's
// lock and one call at a time. It may call Add and Close, but not Enforce.
func (b *Budget) Open(owner Owner, evict func() (whole bool)) *Account {
	if b == nil {
		b = New(Limits{})
	}
	a := &Account{budget: b, evict: evict}
	b.mu.Lock()
	defer b.mu.Unlock()
	a.address = b.all.child(owner.Address, b.limits.Address)
	a.key = a.address.child(owner.Key, b.limits.Key)
	a.own = a.key.child(a, 0)
	return a
}

// Used returns the bytes that all accounts hold, evicted ones included.
func (b *Budget) Used() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.all.used + b.leaving
}

// Accounts returns how many accounts are open or not empty.
func (b *Budget) Accounts() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := 0
	for _, address := range b.all.children {
		for _, key := range address.children {
			n += len(key.children)
		}
	}
	return n
}

// Evicted returns how often an account was made to free bytes.
func (b *Budget) Evicted() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.evicted
}

// Account counts the bytes of one owner.
type Account struct {
	budget            *Budget
	evict             func() bool
	own, key, address *node

	// Guarded by the budget's mu.
	closed    bool
	forgotten bool // in no group any more; others of the same names may be there
}

// Add counts n bytes more, or fewer. It never blocks and never fails: Enforce
// frees bytes beyond a limit.
func (a *Account) Add(n int) {
	if n == 0 {
		return
	}
	b := a.budget
	b.mu.Lock()
	defer b.mu.Unlock()
	if a.own.leaving {
		a.own.used += int64(n)
		b.leaving += int64(n)
	} else {
		b.countLocked(a.own, int64(n))
	}
	a.forgetLocked()
}

// countLocked counts n bytes at a node and above it.
func (b *Budget) countLocked(at *node, n int64) {
	b.ticks++
	for ; at != nil; at = at.parent {
		at.used += n
		at.moved = b.ticks
		if at.exceeds() {
			b.over.Store(true)
		}
	}
}

// Touch notes that the account's bytes have moved: of accounts that hold the
// same, the others are evicted first.
func (a *Account) Touch() {
	a.budget.mu.Lock()
	defer a.budget.mu.Unlock()
	a.budget.countLocked(a.own, 0)
}

// Used returns the bytes that the account counts.
func (a *Account) Used() int64 {
	a.budget.mu.Lock()
	defer a.budget.mu.Unlock()
	return a.own.used
}

// Tight reports whether the account's key or address holds more than half of
// its own limit, so that it should not be given more credit. Bytes of other
// addresses do not count.
func (a *Account) Tight() bool {
	a.budget.mu.Lock()
	defer a.budget.mu.Unlock()
	return a.tightLocked()
}

func (a *Account) tightLocked() bool {
	all := &a.budget.all
	return exceeds(2*a.key.used, a.key.limit) || exceeds(2*a.address.used, a.address.limit) ||
		a.address.limit == 0 && exceeds(2*all.used, all.limit)
}

// Close makes the budget forget the account as soon as it counts nothing. Until
// then evict may still be called; a call may also have begun already.
func (a *Account) Close() {
	b := a.budget
	b.mu.Lock()
	defer b.mu.Unlock()
	a.closed = true
	a.forgetLocked()
}

// forgetLocked removes an account that is closed and empty, and its key and address
// when they have no other.
func (a *Account) forgetLocked() {
	if !a.closed || a.own.used != 0 || a.forgotten {
		return
	}
	a.forgotten = true
	for n := a.own; n.parent != nil && len(n.children) == 0; n = n.parent {
		delete(n.parent.children, n.name)
	}
}
