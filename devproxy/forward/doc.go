// Package forward sends one request to one upstream and passes the response on. It
// rewrites the head, joins the two ends of an upgrade, and holds the request while
// the upstream refuses connections.
//
// An Upstream owns the state that outlives a plan: pooled connections, the
// state of each member and the address that answered last, held requests, and
// the open streams by route. Forward either answers the client or writes
// nothing and returns an error whose type says why, so that one place turns
// errors into pages:
//
//	*LoopError         508  the request has come through this devproxy before
//	*TargetError       400  the target cannot be sent unchanged
//	*BodyError         400  the request's body broke off or is malformed
//	*WaitingError      503  a navigation; show the waiting page
//	*UnavailableError  503  still refused after the hold, or too many are held
//	*UpstreamError     502  connected, but no usable response came
//	*TimeoutError      504  no response within the route's timeout
//	any error of Exchange.Inspect
//	ErrRetired         -    nothing was sent: match again on the current plan
//	ErrAborted         -    the response has begun, or the client has disconnected
//
// # What is sent again
//
// Requests with an idempotent method (RFC 9110 section 9.2.2) that got no byte of an
// answer are sent again when their body is no longer than maxReplay. Others must not
// be (same section), so over HTTP/1 they get their own connection: the upstream may
// close a pooled one in the moment in which it is used (Node does so after 5 s), and
// it would be unknown whether the request was read.
//
// # Which connection carries a request
//
// No request may wait or fail if it would not in a browser without a proxy.
// Over HTTP/1.1 that takes more than a pool of idle connections, because many
// servers bind a thread to each connection until it is closed: with one thread
// (Python's http.server) or a few, an idle connection of ours keeps all others
// waiting. connections.go and opening.go implement these rules:
//
//   - A request that may be sent again uses an idle connection, or opens one.
//   - Six new connections at a time wait for their first answers. Further requests
//     wait for one of all connections to come free, as they do in a browser. When
//     the server answers nothing meanwhile, they open more. So a cold load opens few
//     connections, a server that accepts slowly keeps few requests waiting, and long
//     polls keep none.
//   - A request that waits on a new connection for several times as long as an answer
//     usually takes closes one idle connection: so each waiting request frees one
//     thread. It closes another only when it has waited for twice as long, or when
//     another request was served instead. If idle connections were closed whenever
//     something waits, one open long poll would make every other request open a
//     connection.
//   - Opening a connection counts as such a wait: the server's backlog may be full, and
//     its thread carries out the TLS handshake. A dial to loopback that gets no answer is
//     repeated sooner than TCP would (redialFirst). Both end with the request for which
//     they began. A connection that is not used is closed.
//   - Servers accept connections in the order in which they were opened. One that
//     answers on a later connection has accepted the earlier ones, whose requests are
//     slow and keep no other waiting. While no more connections are open than it has
//     accepted before, others are opened at once, and nothing is closed unless a
//     request waits for long (maxPatience).
//   - Any other request, and every upgrade, opens its own connection, which closes
//     with the answer. It closes the longest idle connection, unless the server is
//     known to serve one more. So Node's timeout of 5 s loses nothing, and the thread
//     of the closed connection is free for it.
//   - A connection on which a client may have logged in by NTLM or Negotiate belongs
//     to that client's connection (login.go).
//
// A port forwarder accepts connections for a server that is not there yet, and closes
// them. A connection that is closed although nothing was sent on it counts as refused:
// the request is held. A request that may be sent again is sent at once, and only its
// last connection is checked first. Any other request checks first (acceptTime),
// unless the upstream has answered before.
//
// Excess bytes of an answer reach the next request on its connection. When that
// request has a safe method and the bytes are not a valid answer, it is sent again. An
// answer that came before the upstream stopped reading is passed on, whatever became
// of the rest of the request.
//
// HTTP/2 upstreams carry all requests on one connection and need none of this.
//
// # Which member gets a request
//
// Members that are neither unhealthy nor resting (they could not be connected to a
// moment ago), as balance says. One that came back grows into its share over
// slowStart. Then the resting ones, then the fallback members in order, then the
// unhealthy ones. Without a fallback, a request whose members all refuse is held. A
// request that is sent again goes to a member that has not lost it, where there is
// one. One that waits for the first byte of a member that becomes unhealthy is sent to
// another, if it may be sent twice.
//
// # Limits
//
// Upgrades need an HTTP/1.1 client. Browsers use that for WebSocket as long as the
// server does not offer extended CONNECT (RFC 8441), and net/http does not. The upgrade
// to h2c is ignored (RFC 9113 section 3.1 removed it): after it, requests would pass
// for which no route was matched. Via is not added (RFC 9110 section 7.6.3 asks for
// it): nginx and others switch compression off when they see it, which production would
// not. Fields that an answer names in Connection next to "close" pass: net/http's
// transport removes that Connection field first.
package forward
