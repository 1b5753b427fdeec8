package agent

import (
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"encoding/json"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/devproxy/devproxy/tunnel"
)

// relayName is the name in the certificates of relays in tests.
const relayName = "t.example.com"

// fakeRelay is the least of a relay that an agent can talk to.
type fakeRelay struct {
	t    testing.TB
	ca   *authority
	cert tls.Certificate
	// protocols are those that TLS agrees on; tunnel.ALPN and http/1.1 when nil.
	protocols []string
	// web takes requests; the WebSocket when nil.
	web http.Handler
	// admit answers claims, of hellos and of control streams; grants all when nil.
	admit func(tunnel.Claim) (tunnel.Grant, *tunnel.Refusal)
	// ended is the answer to End.
	ended *tunnel.Refusal

	ln       net.Listener
	acceptor tunnel.Acceptor
	sessions chan *tunnel.Session
	webs     chan net.Conn
	server   *http.Server
	group    sync.WaitGroup
	life     context.Context
	stop     context.CancelFunc

	mu     sync.Mutex
	all    []*tunnel.Session
	claims []tunnel.Claim
	lanes  map[string]int // joined, by protocol
}

// newRelay is a relay that start starts.
func newRelay(t testing.TB) *fakeRelay {
	ca := newAuthority(t, "devproxy test CA")
	return &fakeRelay{t: t, ca: ca, cert: ca.leaf(t, relayName, time.Time{})}
}

// start begins to listen, on loopback when ln is nil.
func (r *fakeRelay) start(ln net.Listener) *fakeRelay {
	r.t.Helper()
	if ln == nil {
		var err error
		if ln, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			r.t.Fatal(err)
		}
	}
	r.ln = ln
	r.sessions, r.webs, r.lanes = make(chan *tunnel.Session, 16), make(chan net.Conn), map[string]int{}
	r.life, r.stop = context.WithCancel(context.Background())
	r.acceptor = tunnel.Acceptor{Admit: r.decide, Established: r.established}
	if r.protocols == nil {
		r.protocols = []string{tunnel.ALPN, "http/1.1"}
	}
	if r.web == nil {
		r.web = http.HandlerFunc(r.socket)
	}
	r.server = &http.Server{Handler: r.web, ConnContext: func(ctx context.Context, c net.Conn) context.Context { return context.WithValue(ctx, connKey{}, c) }}
	r.group.Go(func() { _ = r.server.Serve(webListener{r}) })
	r.group.Go(r.accept)
	r.t.Cleanup(r.kill)
	return r
}

// kill ends everything at once, like the end of its process.
func (r *fakeRelay) kill() {
	r.stop()
	r.ln.Close()
	r.server.Close()
	r.mu.Lock()
	all := r.all
	r.mu.Unlock()
	for _, s := range all {
		s.Close(nil)
	}
	r.group.Wait()
}

func (r *fakeRelay) accept() {
	for {
		c, err := r.ln.Accept()
		if err != nil {
			return
		}
		r.group.Go(func() { r.take(c) })
	}
}

// take shakes hands and finds out what a connection is.
func (r *fakeRelay) take(c net.Conn) {
	stop := context.AfterFunc(r.life, func() { c.Close() })
	conn := tls.Server(c, &tls.Config{Certificates: []tls.Certificate{r.cert}, NextProtos: r.protocols})
	if err := conn.HandshakeContext(r.life); err != nil {
		c.Close()
		return
	}
	stop()
	if conn.ConnectionState().NegotiatedProtocol == tunnel.ALPN {
		r.join(conn, conn, tunnel.ALPN)
		return
	}
	select {
	case r.webs <- conn:
	case <-r.life.Done():
		c.Close()
	}
}

func (r *fakeRelay) join(lane net.Conn, secure *tls.Conn, how string) {
	binding, err := tunnel.Binding(secure.ConnectionState())
	if err != nil {
		lane.Close()
		return
	}
	if r.acceptor.Join(r.life, tunnel.Lane{Conn: lane, Binding: binding}) == nil {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.lanes[how]++
	}
}

// connKey is the context key of a request's *tls.Conn.
type connKey struct{}

// webListener brings the connections that speak HTTP.
type webListener struct{ *fakeRelay }

func (w webListener) Accept() (net.Conn, error) {
	select {
	case c := <-w.webs:
		return c, nil
	case <-w.life.Done():
		return nil, net.ErrClosed
	}
}

func (w webListener) Close() error   { return nil }
func (w webListener) Addr() net.Addr { return w.ln.Addr() }

// socket takes a lane in a WebSocket.
func (r *fakeRelay) socket(w http.ResponseWriter, q *http.Request) {
	if q.URL.Path != webPath {
		http.NotFound(w, q)
		return
	}
	ws, err := websocket.Accept(w, q, nil)
	if err != nil {
		return
	}
	// Not net/http's context, which ends with this function.
	r.join(websocket.NetConn(context.Background(), ws, websocket.MessageBinary), q.Context().Value(connKey{}).(*tls.Conn), "websocket")
}

func (r *fakeRelay) decide(_ context.Context, _ ed25519.PublicKey, hello []byte, _ net.Addr) ([]byte, error) {
	var claim tunnel.Claim
	if err := json.Unmarshal(hello, &claim); err != nil {
		return nil, err
	}
	grant, refusal := r.grant(claim)
	if refusal != nil {
		return nil, refusal
	}
	return json.Marshal(grant)
}

func (r *fakeRelay) grant(claim tunnel.Claim) (tunnel.Grant, *tunnel.Refusal) {
	r.mu.Lock()
	r.claims = append(r.claims, claim)
	r.mu.Unlock()
	if r.admit != nil {
		return r.admit(claim)
	}
	return grantAll(claim)
}

// grantAll grants hosts as names below the relay's.
func grantAll(claim tunnel.Claim) (tunnel.Grant, *tunnel.Refusal) {
	grant := tunnel.Grant{Domain: relayName, Port: 443, Hosts: []string{}}
	for _, host := range claim.Hosts {
		grant.Hosts = append(grant.Hosts, host+"shop."+relayName)
	}
	return grant, nil
}

func (r *fakeRelay) established(s *tunnel.Session) {
	r.mu.Lock()
	r.all = append(r.all, s)
	r.mu.Unlock()
	r.group.Go(func() { r.serve(s) })
	r.sessions <- s
}

// serve answers control streams until the session ends.
func (r *fakeRelay) serve(s *tunnel.Session) {
	for {
		stream, err := s.Accept(context.Background())
		if err != nil {
			return
		}
		r.group.Go(func() {
			defer stream.Close()
			var request tunnel.Request
			if err := json.NewDecoder(stream).Decode(&request); err != nil || string(stream.Head()) != tunnel.ControlHead {
				stream.Reset()
				return
			}
			_ = json.NewEncoder(stream).Encode(r.reply(request))
		})
	}
}

func (r *fakeRelay) reply(request tunnel.Request) tunnel.Reply {
	refusal := r.ended
	var reply tunnel.Reply
	if request.Op == "claim" {
		var grant tunnel.Grant
		grant, refusal = r.grant(*request.Claim)
		reply.Grant = &grant
	}
	if refusal != nil {
		return tunnel.Reply{Code: refusal.Code, Error: refusal.Message}
	}
	return reply
}

// session waits for the next session of an agent.
func (r *fakeRelay) session() *tunnel.Session {
	r.t.Helper()
	return within(r.t, r.sessions)
}

// joined is how many lanes have joined by now, by protocol.
func (r *fakeRelay) joined(how string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.lanes[how]
}
