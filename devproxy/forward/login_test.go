package forward

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/devproxy/devproxy/devproxy/plan"
)

// connectionLogins is a server that authenticates connections as NTLM does: the
// third of three requests on one connection logs in, and all later ones on it are
// served to that user.
func connectionLogins(scheme string) http.Handler {
	var mu sync.Mutex
	users, challenged := map[any]string{}, map[any]bool{} // by connection
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		conn := r.Context().Value(connKey{})
		given, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		switch {
		case !strings.EqualFold(given, scheme):
		case token == "negotiate":
			challenged[conn] = true
			w.Header().Set("WWW-Authenticate", scheme+" challenge")
			w.WriteHeader(http.StatusUnauthorized)
			return
		case challenged[conn]:
			users[conn] = token
		}
		if user := users[conn]; user != "" {
			body, _ := io.ReadAll(r.Body)
			fmt.Fprintf(w, "%s %s %s", user, r.Method, body)
			return
		}
		w.Header().Set("WWW-Authenticate", scheme)
		w.WriteHeader(http.StatusUnauthorized)
	})
}

// visitor is one connection of a visitor.
func (p *proxy) visitor(t *testing.T) func(method, authorization, body string) string {
	t.Helper()
	tr := p.client().Transport.(*http.Transport).Clone()
	tr.MaxConnsPerHost = 1
	t.Cleanup(tr.CloseIdleConnections)
	client := &http.Client{Transport: tr}
	return func(method, authorization, body string) string {
		t.Helper()
		req, err := http.NewRequest(method, p.URL, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		if authorization != "" {
			req.Header.Set("Authorization", authorization)
		}
		res, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		text, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprint(res.StatusCode, " ", res.Header.Get("WWW-Authenticate"), string(text))
	}
}

// TestConnectionLogin: a login that is bound to the connection works for the
// visitor's connection that it came on, and for no other, whatever was asked
// before and in between.
func TestConnectionLogin(t *testing.T) {
	for _, scheme := range []string{"NTLM", "Negotiate", "ntlm"} {
		for _, mode := range visitorModes {
			for _, upstream := range []string{"http", "https", "unix"} {
				t.Run(fmt.Sprint(scheme, " ", mode, " to ", upstream), func(t *testing.T) {
					handler := connectionLogins(scheme)
					p := newProxy(t, mode, Options{}, startCounted(t, upstream, handler))
					one, other := p.visitor(t), p.visitor(t)
					refused := "401 " + scheme
					for range 4 { // leaves connections in the pool
						if got := other("GET", "", ""); got != refused {
							t.Fatal(got)
						}
					}
					if got := one("POST", "", "data"); got != refused {
						t.Fatal(got)
					}
					if got := one("POST", scheme+" negotiate", ""); got != refused+" challenge" {
						t.Fatal(got)
					}
					if got := one("POST", scheme+" ada", "data"); got != "200 ada POST data" {
						t.Fatalf("logged in: %s", got)
					}
					for range 4 {
						if got := one("GET", "", ""); got != "200 ada GET " {
							t.Errorf("the one who logged in: %s", got)
						}
						if got := one("POST", "", "more"); got != "200 ada POST more" {
							t.Errorf("the one who logged in: %s", got)
						}
						for _, method := range []string{"GET", "POST"} {
							if got := other(method, "", ""); got != refused {
								t.Errorf("a stranger: %s", got)
							}
						}
					}
				})
			}
		}
	}
}

// TestConnectionLoginOfAShare: requests of a share come without their visitor's
// connection, so that no connection keeps a login.
func TestConnectionLoginOfAShare(t *testing.T) {
	p := newProxy(t, "h1", Options{}, startCounted(t, "http", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, r.Context().Value(connKey{}))
	})))
	p.visit = func(x *Exchange) { x.PublicHost = "shop.t.example.com" }
	one := p.visitor(t)
	used := map[string]bool{}
	for range 5 {
		got := one("GET", "NTLM token", "")
		if used[got] {
			t.Errorf("%s was used again", got)
		}
		used[got] = true
		if used[one("GET", "", "")] {
			t.Error("the next request came on the connection of a login")
		}
	}
}

// TestLoginsAreBounded: visitors that log in and go away leave nothing, and too
// many at once keep nobody else from being served.
func TestLoginsAreBounded(t *testing.T) {
	m := (&members{}).newMember(plan.Member{Scheme: plan.SchemeHTTP, Network: "tcp", Addrs: []string{"127.0.0.1:1"}}, nil, false)
	ask := func(client int, authorization string) http.RoundTripper {
		r := &http.Request{ProtoMajor: 1, Header: http.Header{}}
		if authorization != "" {
			r.Header.Set("Authorization", authorization)
		}
		return m.logins.transport(&forwarding{Exchange: Exchange{Client: client}, r: r}, m)
	}
	for client := range maxLogins {
		if ask(client, "NTLM x") == m.single {
			t.Fatalf("login %d has no connection of its own", client)
		}
	}
	if ask(maxLogins, "NTLM x") != m.single || ask(maxLogins, "") != nil {
		t.Error("there is one login more than may be")
	}
	if ask(7, "") == nil {
		t.Error("a login was forgotten")
	}
	for client, own := range m.logins.by {
		if client != 7 {
			own.used = own.used.Add(-2 * idleTimeout)
		}
	}
	if ask(maxLogins, "Negotiate x") == m.single || len(m.logins.by) != 2 {
		t.Errorf("%d logins are kept of visitors that have left", len(m.logins.by))
	}
	for _, value := range []string{"Basic NTLM", "Bearer Negotiate", "NTLMv2 x", ""} {
		if ask(maxLogins+1, value) != nil {
			t.Errorf("%q is taken for a login of the connection", value)
		}
	}
}

// connKey is the context key of a server's connection.
type connKey struct{}

// startCounted is startUpstream with connections that are told apart by connKey.
func startCounted(t *testing.T, mode string, handler http.Handler) plan.Member {
	t.Helper()
	return startUpstreamWith(t, mode, handler, func(srv *http.Server) {
		var n atomic.Int64
		srv.ConnContext = func(ctx context.Context, _ net.Conn) context.Context {
			return context.WithValue(ctx, connKey{}, n.Add(1))
		}
	})
}
