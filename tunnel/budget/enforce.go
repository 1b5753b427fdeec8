package budget

// Over reports whether a limit of the account's budget is exceeded.
func (a *Account) Over() bool { return a.budget.over.Load() }

// Enforce evicts until every limit is kept. Call it after an account has grown,
// without any lock that evict takes. It returns at once while no limit is
// exceeded, and for accounts of small addresses. Other callers wait for each
// other, which slows them down to the pace at which bytes are freed.
func (a *Account) Enforce() {
	if b := a.budget; b.over.Load() && !a.isSmall() {
		b.enforce()
	}
}

// isSmall reports whether the account's address holds less than half of an equal
// part of the total, and nothing of it is tight. All small addresses together
// hold less than half, so that another address exceeds a limit that is exceeded.
func (a *Account) isSmall() bool {
	b := a.budget
	b.mu.Lock()
	defer b.mu.Unlock()
	return !a.tightLocked() && !exceeds(2*int64(len(b.all.children))*a.address.used, b.limits.Total)
}

func (b *Budget) enforce() {
	b.enforcing.Lock()
	defer b.enforcing.Unlock()
	for {
		worst, before := b.worst()
		if worst == nil {
			return
		}
		if whole := worst.evict(); !b.freed(worst, before, whole) {
			return // it freed nothing; the next call tries again
		}
	}
}

// worst returns the account to evict, with its bytes; nil when every limit is
// kept.
func (b *Budget) worst() (*Account, int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	worst := b.worstLocked()
	if worst == nil {
		b.over.Store(false)
		return nil, 0
	}
	b.evicted++
	return worst.name.(*Account), worst.used
}

func (b *Budget) worstLocked() *node {
	address := b.all.worst()
	if address == nil {
		return nil
	}
	var key *node
	for _, other := range b.all.children {
		key = worse(key, other.worst())
	}
	switch {
	case b.all.exceeds(), address.exceeds():
		return address.worst().worst()
	case key.exceeds():
		return key.worst()
	}
	return nil
}

// worst returns the child that holds the most; nil when none can be evicted.
func (n *node) worst() (most *node) {
	for _, child := range n.children {
		if !child.leaving {
			most = worse(most, child)
		}
	}
	return most
}

// worse returns which of two nodes must be evicted first. The first may be nil.
func worse(a, b *node) *node {
	if a == nil || b.used > a.used || b.used == a.used && b.moved < a.moved {
		return b
	}
	return a
}

// freed notes an eviction of a, which was not leaving before. It reports whether
// anything was freed.
func (b *Budget) freed(a *Account, before int64, whole bool) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if whole {
		b.countLocked(a.key, -a.own.used)
		a.own.leaving = true
		b.leaving += a.own.used
	}
	return whole || a.own.used < before
}
