package middleware

import (
	"net/http"
	"net/netip"
	"time"

	"github.com/devproxy/devproxy/devproxy/access"
	"github.com/devproxy/devproxy/devproxy/plan"
	"github.com/devproxy/devproxy/tunnel/budget"
)

// maxCounted is how many addresses or users a route tells apart: some 200 bytes
// each. Of more, the one that was longest quiet starts anew.
const maxCounted = 4096

// limiter is a route's rate_limit with what is left of it.
type limiter struct {
	spec  plan.RateLimit
	table *access.Table[asker]
}

// asker is what a limit counts by; the zero value is everybody.
type asker struct {
	network netip.Prefix
	user    string
}

func newLimiter(spec plan.RateLimit) *limiter {
	bucket := access.Limit{Every: spec.Per / time.Duration(spec.Count), Burst: spec.Burst}
	return &limiter{spec, access.NewTable[asker](bucket, maxCounted)}
}

// before asks the limit first. user is a proven name for a limit by users, and
// empty otherwise.
func (l *limiter) before(addr netip.Addr, user string, next Handler) Handler {
	var who asker
	switch {
	case l.spec.By == plan.RateByAll:
	case user != "":
		who.user = user
	default:
		who.network = budget.NetworkOf(addr)
	}
	return func(w http.ResponseWriter, r *http.Request) error {
		if wait := l.table.Take(who); wait > 0 {
			return &LimitedError{wait, "this route takes " + l.spec.String() + " (rate_limit)"}
		}
		return next(w, r)
	}
}
