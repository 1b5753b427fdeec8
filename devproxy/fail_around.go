package devproxy

import (
	"errors"
	"fmt"
	"math"
	"net/http"
	"time"

	"github.com/devproxy/devproxy/devproxy/middleware"
	"github.com/devproxy/devproxy/devproxy/page"
)

// aroundPage is what is told of a request that a route's middleware refused;
// false when that is not why x failed.
func aroundPage(x *exchange) (p page.Page, ok bool) {
	var (
		denied       *middleware.DeniedError
		limited      *middleware.LimitedError
		origin       *middleware.OriginError
		unauthorized *middleware.UnauthorizedError
		tooLarge     *middleware.TooLargeError
		simulated    *middleware.SimulatedError
	)
	switch err := x.err; {
	case errors.As(err, &denied):
		p = page.Page{Status: http.StatusForbidden, Title: "This address may not come in."}
	case errors.As(err, &limited):
		p = page.Page{Status: http.StatusTooManyRequests, Title: "Too many requests.", RetryAfter: seconds(limited.After)}
	case errors.As(err, &origin):
		p = page.Page{Status: http.StatusForbidden, Title: "Pages of this origin may not ask here."}
	case errors.As(err, &unauthorized):
		// RFC 7617 section 2; the realm is ours and needs no escape.
		x.w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Basic realm=%q, charset="UTF-8"`, unauthorized.Realm))
		p = page.Page{Status: http.StatusUnauthorized, Title: "A name and a password, please."}
	case errors.As(err, &tooLarge):
		p = page.Page{Status: http.StatusRequestEntityTooLarge, Title: "This request is too large."}
	case errors.As(err, &simulated):
		x.page = "simulated failure"
		p = page.Page{Status: http.StatusServiceUnavailable, Title: "This failure is simulated."}
	default:
		return page.Page{}, false
	}
	p.Lead, p.Quote = sentence(x.err.Error()), quote(x.route.Source)
	return p, true
}

// seconds is d in whole ones, rounded up, as Retry-After has it.
func seconds(d time.Duration) int { return max(1, int(math.Ceil(d.Seconds()))) }
