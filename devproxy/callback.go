package devproxy

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"net/http"
	"time"

	"github.com/devproxy/devproxy/devproxy/credentials"
	"github.com/devproxy/devproxy/devproxy/plan"
	"github.com/devproxy/devproxy/tunnel"
)

// expectTimeout bounds how long a response waits until the relay knows its login.
const expectTimeout = 2 * time.Second

// expecter is a carrier with a callback host: an agent.Agent.
type expecter interface {
	ExpectCallback(ctx context.Context, state string) error
}

// claimCallback adds the project's callback host to a claim.
func (l *link) claimCallback(claim *tunnel.Claim) {
	if l.callbackKey == nil || l.foreign() {
		return
	}
	claim.Callback = tunnel.NewCallback(l.callbackKey, l.key.Public(), l.plan.Callback, l.localOrigin)
}

// localOrigin returns the origin to which logins go that no share has begun; empty if a
// relay would not lead there, since the host is not below localhost.
func localOrigin(p *plan.Share, port uint16) string {
	if len(p.Hosts) == 0 {
		return ""
	}
	origin := "https://" + authority(p.Hosts[0], port)
	if !tunnel.IsLocalOrigin(origin) {
		return ""
	}
	return origin
}

// openCallbackKey opens the key of the callback host that p has; nil for none.
func openCallbackKey(store credentials.Store, p *plan.Share) (ed25519.PrivateKey, error) {
	if p.CallbackOwner() == "" {
		return nil, nil
	}
	return store.CallbackKey(p.CallbackOwner())
}

// callbackOrigin returns the origin of the callback host that was granted; empty for none.
func callbackOrigin(grant tunnel.Grant) string {
	if grant.Callback == "" {
		return ""
	}
	return "https://" + authority(grant.Callback, grant.Port)
}

// callbackURLs returns the URLs of a callback host; nil for none.
func callbackURLs(origin string, p *plan.Share) (urls []string) {
	if origin == "" {
		return nil
	}
	for _, path := range p.Callback {
		urls = append(urls, origin+path)
	}
	return urls
}

// withoutCallback says why the share has no callback host although the Proxyfile asks for
// one; empty if it has, or is not connected yet.
func (l *link) withoutCallback() string {
	switch {
	case len(l.plan.Callback) == 0:
	case l.foreign():
		return "callback: its addresses do not last"
	case l.grant.Domain != "" && l.grant.Callback == "" && l.callbackKey != nil:
		return "callback: the relay is an older version; ask its operator to update it"
	}
	return ""
}

// Callbacks returns the URLs of the callback host of the project of p, which last across
// links; nil before its first share.
func Callbacks(store credentials.Store, p *plan.Share) []string {
	if p.CallbackOwner() == "" {
		return nil
	}
	return callbackURLs(store.CallbackOrigin(p.CallbackOwner()), p)
}

// findLogins has the relay send the answers to the logins that the response begins to this
// share, before the visitor gets them.
func (v *visit) findLogins(x *exchange, host string) {
	if v.expect == nil {
		return
	}
	v.logins = v.share.Logins(func(state string) {
		if len(state) < tunnel.MinState {
			x.tell(host, []string{fmt.Sprintf("the state of a login has fewer than %d characters and can be guessed, so its callback goes to this machine instead of the visitor's share", tunnel.MinState)})
			return
		}
		ctx, cancel := context.WithTimeout(v.over, expectTimeout)
		defer cancel()
		if err := v.expect(ctx, state); err != nil {
			x.tell(host, []string{fmt.Sprintf("the relay has no record of a login, so its callback goes to this machine instead of the visitor's share: %v", err)})
		}
	})
}

// lookAtHeader looks for a login in a header that is about to be written.
func (v *visit) lookAtHeader(header http.Header) {
	if v.logins != nil {
		for _, location := range header["Location"] {
			v.logins.Field(location)
		}
	}
}
