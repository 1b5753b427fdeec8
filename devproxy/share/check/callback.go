package check

import (
	"context"
	"crypto/rand"
	"net/http"
	"net/url"
	"strings"
)

// callback opens the URLs of the callback host with a state that no share knows: they must
// lead to this machine, and must not reveal the share.
func (r *run) callback(ctx context.Context) {
	const check = "callback"
	for _, address := range r.Share.Callback {
		state := rand.Text()
		res, err := r.visitor.do(ctx, http.MethodGet, address+"?state="+state, nil, false)
		if err != nil {
			r.fault(check, "devproxy share, for a new connection", "%s cannot be opened: %v", address, err)
			continue
		}
		res.Body.Close()
		to, err := url.Parse(res.Header.Get("Location"))
		at, _ := url.Parse(address)
		switch {
		case res.StatusCode == http.StatusNotFound:
			r.fine(check, "%s leads only to the share that has begun a login", address)
		case res.StatusCode != http.StatusFound:
			r.fault(check, "have the relay's operator look at its log", "%s: %v", address, answeredBy(res))
		case err != nil || at == nil || !isLocal(to.Hostname()) || to.Path != at.Path || !strings.Contains(to.RawQuery, state):
			r.fault(check, "have the relay's operator look at its log", "%s leads to %.200q, which is not on this machine", address, res.Header.Get("Location"))
		default:
			r.fine(check, "%s leads to the share that has begun a login, and otherwise to %s://%s", address, to.Scheme, to.Host)
		}
	}
}
