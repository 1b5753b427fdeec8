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
	return !a.tightLocked() && !exceeds(2*int64(len(b.addresses))*a.address.used, b.limits.Total)
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
	a := b.worstLocked()
	if a == nil {
		b.over.Store(false)
		return nil, 0
	}
	b.evicted++
	return a, a.used
}

func (b *Budget) worstLocked() *Account {
	var most *address
	var mostKey *key
	for _, at := range b.addresses {
		if most == nil || at.worse(most.held) {
			most = at
		}
		if of := at.worst(); mostKey == nil || of.worse(mostKey.held) {
			mostKey = of
		}
	}
	switch {
	case most == nil:
		return nil
	case exceeds(b.used, b.limits.Total), exceeds(most.used, b.limits.Address):
		return most.worst().worst()
	case exceeds(mostKey.used, b.limits.Key):
		return mostKey.worst()
	}
	return nil
}

// worst returns the key that holds the most.
func (at *address) worst() (most *key) {
	for _, of := range at.keys {
		if most == nil || of.worse(most.held) {
			most = of
		}
	}
	return most
}

// worst returns the account that holds the most; nil when none can be evicted.
func (of *key) worst() (most *Account) {
	for a := range of.accounts {
		if !a.leaving && (most == nil || a.worse(most.held)) {
			most = a
		}
	}
	return most
}

// freed notes an eviction of a, which was not leaving before. It reports whether
// anything was freed.
func (b *Budget) freed(a *Account, before int64, whole bool) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if whole {
		a.countLocked(-a.used)
		a.leaving = true
		b.leaving += a.used
	}
	return whole || a.used < before
}
