package forward

import (
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/devproxy/devproxy/devproxy/plan"
)

// maxLogins is how many clients' connections have their own connections to a member.
// Beyond that a login fails, and no other request is served in its name.
const maxLogins = 256

// logins are the connections to a member that belong to one connection of a client.
// NTLM and Negotiate authenticate the connection and not the request (RFC 4559
// section 6): every later request on it is served in the name of the client that
// logged in, so no other client may use it. Connections that are known to have no
// login are shared.
type logins struct {
	mu sync.Mutex
	by map[any]*login // by Exchange.Client
}

// login is the upstream side of a client's connection.
type login struct {
	*http.Transport
	used time.Time
}

// bindsConnection reports whether a request may authenticate the connection that
// carries it. Basic, Bearer and Digest do not.
func bindsConnection(h http.Header) bool {
	return slices.ContainsFunc(h["Authorization"], func(value string) bool {
		scheme, _, _ := strings.Cut(strings.TrimSpace(value), " ")
		return strings.EqualFold(scheme, "NTLM") || strings.EqualFold(scheme, "Negotiate")
	})
}

// transport returns the transport for f when it must not use shared connections: from
// the first request on its client's connection that may log in. It is nil otherwise.
//
// Requests of a share come without their visitor's connection. A login cannot be kept
// for them, so the connection is closed after one answer.
func (l *logins) transport(f *forwarding, m *member) http.RoundTripper {
	if m.Scheme == plan.SchemeH2C {
		return nil // RFC 9113 has no authentication of connections
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	own, begins := l.by[f.loginKey()], bindsConnection(f.r.Header)
	if own == nil && begins {
		own = l.addLocked(f, m)
	}
	switch {
	case own != nil:
		own.used = time.Now()
		return own
	case begins:
		return m.single
	}
	return nil
}

// loginKey identifies the client's connection; nil when it is not known.
func (f *forwarding) loginKey() any {
	if f.PublicHost != "" {
		return nil
	}
	return f.Client
}

// addLocked gives f's client its own connection, or returns nil where it must not have
// one. It first drops clients' connections that sent nothing for idleTimeout: they
// have lost their connections to the member anyway.
func (l *logins) addLocked(f *forwarding, m *member) *login {
	if f.loginKey() == nil {
		return nil
	}
	for client, own := range l.by {
		if time.Since(own.used) > idleTimeout {
			own.CloseIdleConnections()
			delete(l.by, client)
		}
	}
	if len(l.by) >= maxLogins {
		return nil
	}
	own := &login{Transport: newSingle(m, false)}
	own.DisableKeepAlives = false
	if f.r.ProtoMajor == 1 {
		own.MaxConnsPerHost = 1 // one request after another, all on the same
	}
	l.by[f.loginKey()] = own
	return own
}

// has reports whether f's client has its own connection.
func (l *logins) has(f *forwarding) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.by[f.loginKey()] != nil
}

func (l *logins) closeIdle() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, own := range l.by {
		own.CloseIdleConnections()
	}
}
