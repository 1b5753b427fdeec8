package middleware

import (
	"io"
	"net/http"
	"net/netip"

	"github.com/devproxy/devproxy/devproxy/access"
	"github.com/devproxy/devproxy/devproxy/plan"
	"github.com/devproxy/devproxy/tunnel/budget"
)

// maxCounted is how many addresses or users a route counts separately, at about
// 200 bytes each. When there are more, the one that was quiet the longest starts
// again.
const maxCounted = 4096

// limiter is a route's rate_limit with its remaining tokens.
type limiter struct {
	spec  plan.RateLimit
	table *access.Table[counted]
}

// counted is the key of one count; the zero value is everyone.
type counted struct {
	network netip.Prefix
	user    string
}

// limited checks the limit before next. A preflight that cors answers is not
// counted. Where no one signs in, a limit by users counts addresses.
func (x *exchange) limited(next Handler) Handler {
	if x.limit == nil {
		return next
	}
	_, crossOrigin := plan.SettingOf[plan.CORS](x.route)
	return func(w http.ResponseWriter, r *http.Request) error {
		if crossOrigin && answersPreflight(r, x.from) {
			return next(w, r)
		}
		var by counted
		switch {
		case x.limit.spec.By == plan.RateByAll:
		case x.limit.spec.By == plan.RateByUser && x.user != "":
			by.user = x.user
		default:
			by.network = budget.NetworkOf(x.addr)
		}
		if wait := x.limit.table.Take(by); wait > 0 {
			return &LimitedError{wait, "this route takes " + x.limit.spec.String() + " (rate_limit)"}
		}
		return next(w, r)
	}
}

// limitBody accepts bodies of up to limit bytes. A declared length is checked
// first; a body without one is cut off as it comes.
func limitBody(limit int64, next Handler) Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		if r.ContentLength > limit {
			return &TooLargeError{limit}
		}
		if r.ContentLength >= 0 {
			return next(w, r) // net/http reads no more than was declared
		}
		in := r.WithContext(r.Context())
		in.Body = &limitedBody{r.Body, limit, limit}
		return next(w, in)
	}
}

// limitedBody fails where it is longer than limit.
type limitedBody struct {
	io.ReadCloser
	limit, left int64
}

func (b *limitedBody) Read(p []byte) (int, error) {
	if b.left < 0 {
		return 0, &TooLargeError{b.limit}
	}
	p = p[:min(int64(len(p)), b.left+1)] // one more, to see whether there is more
	n, err := b.ReadCloser.Read(p)
	b.left -= int64(n)
	if b.left < 0 {
		return n - 1, &TooLargeError{b.limit}
	}
	return n, err
}
