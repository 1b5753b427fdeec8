package forward

import (
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/devproxy/devproxy/devproxy/plan"
)

// maxLogins is how many visitors' connections have connections of their own to a
// member. Beyond, a login fails, and no other request is served in its name.
const maxLogins = 256

// logins are the connections to a member that belong to one connection of a
// visitor. NTLM and Negotiate authenticate the connection and not the request
// (RFC 4559 section 6): whatever comes on it later is served in the name of the
// one who logged in, so nobody else's request may. A member's connections that
// are known to be free of a login are shared, as all others.
type logins struct {
	mu sync.Mutex
	by map[any]*login // by Exchange.Client
}

// login is the upstream side of a visitor's connection.
type login struct {
	*http.Transport
	used time.Time
}

// bindsConnection reports whether a request may authenticate the connection that
// carries it. Basic, Bearer and Digest do not.
func bindsConnection(h http.Header) bool {
	for _, value := range h["Authorization"] {
		scheme, _, _ := strings.Cut(strings.TrimSpace(value), " ")
		if strings.EqualFold(scheme, "NTLM") || strings.EqualFold(scheme, "Negotiate") {
			return true
		}
	}
	return false
}

// transport is what carries f when it must not be carried by what others use: from
// the first request on its visitor's connection that may log in. It is nil for
// the others.
//
// Requests of a share come without the connection of their visitor. A login
// cannot be kept for them, so the connection is closed after one answer.
func (l *logins) transport(f *forwarding, m *member) http.RoundTripper {
	if m.Scheme == plan.SchemeH2C {
		return nil // no such login: RFC 9113 has no authentication of connections
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

// loginKey names the visitor's connection; nil when it is not known.
func (f *forwarding) loginKey() any {
	if f.PublicHost != "" {
		return nil
	}
	return f.Client
}

// addLocked gives f's visitor a connection, or returns nil where it must not have
// one. It makes room first: a visitor's connection that sent nothing for idleTimeout
// has lost its connection to the member anyway.
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
	own := &login{Transport: newPrivate(m.Member, m.connect, &m.conns)}
	if f.r.ProtoMajor == 1 {
		own.MaxConnsPerHost = 1 // one request after the other, all on the same
	}
	if l.by == nil {
		l.by = map[any]*login{}
	}
	l.by[f.loginKey()] = own
	return own
}

// has reports whether f's visitor has a connection of its own.
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
