// Package forward carries one exchange to one upstream and back: it rewrites
// the head, sends the request, streams the answer, joins the two ends of an
// upgrade, and holds the request while the upstream refuses connections.
//
// An Upstream owns what outlives a plan: pooled connections, how each member
// fares and which address answered last, who waits, and the open streams by
// route.
// Forward either answers the visitor or writes nothing and returns an error
// whose type says why, so that one place turns errors into pages:
//
//	*LoopError         508  the request has come through this devproxy before
//	*TargetError       400  the target cannot be sent as it is
//	*WaitingError      503  a navigation; show the waiting page
//	*UnavailableError  503  held in vain, or too many are held
//	*UpstreamError     502  connected, and no usable answer came
//	*TimeoutError      504  no answer within the route's timeout
//	any error of Exchange.Inspect
//	ErrRetired         -    nothing was sent: match again on the current plan
//	ErrAborted         -    the answer has begun, or the visitor has left
//
// # What is sent again
//
// Requests with an idempotent method (RFC 9110 section 9.2.2) that got no byte
// of an answer are sent again when their body is no longer than maxReplay.
// Others must not be (same section), so over HTTP/1 they get a connection of
// their own: a pooled one may be closed by the upstream in the very moment in
// which it is used (Node does so after 5 s), and nobody could tell whether the
// request was read.
//
// # Which connection carries a request
//
// No request may wait or fail where a browser without a proxy would not. Over
// HTTP/1.1 that takes more than a pool of idle connections, because many servers
// bind a thread to each connection until it is closed: with one thread (Python's
// http.server) or a few, an idle connection of ours keeps all others waiting.
// connections.go holds these rules and their times:
//
//   - A request that may be sent again uses an idle connection, or opens one.
//   - Six new connections at a time wait for their first answers. Further requests
//     wait for one of all connections to come free, as they do in a browser; when
//     the server answers nothing meanwhile, they open more. So a cold load opens
//     few connections, a server that accepts slowly keeps few requests waiting, and
//     long polls keep none.
//   - A request that waits on a new connection for several times as long as an
//     answer usually takes closes one idle connection: so each waiting request
//     frees one thread. It closes another only when it has waited for twice as
//     long, or when another request was served instead. Were idle connections
//     closed whenever something waits, one open long poll would make every other
//     request open a connection.
//   - A TLS handshake counts as such a wait, since the thread carries it out. It ends
//     with the request that it was begun for, and a connection that is not used after
//     it is closed, as without TLS.
//   - Servers accept connections in the order in which they were opened. One that
//     answers on a later connection has accepted the earlier ones, whose requests
//     are slow and keep no other waiting. As long as no more connections are open
//     than it has accepted before, others are opened at once, and nothing is closed
//     unless a request waits for long (maxPatience).
//   - Any other request, and every upgrade, opens a connection of its own, which
//     closes with the answer. It closes the connection that is idle for longest,
//     unless the server is known to serve one more. So Node's time-out of 5 s loses
//     nothing, and the thread of the closed connection is free for it.
//   - A connection on which a visitor may have logged in by NTLM or Negotiate
//     belongs to that visitor's connection (login.go).
//
// A port forwarder accepts connections for a server that is not there yet, and
// closes them. A connection that is closed although nothing was sent on it counts
// as refused: the request is held. A request that may be sent again is sent at
// once, and its last connection is looked at first; any other request looks first
// (acceptTime), unless the upstream has answered before.
//
// Bytes that an answer has in excess reach the next request on its connection.
// When that request has a safe method and the bytes are not a valid answer, it is
// sent again. An answer that came before the upstream stopped reading is passed on,
// whatever became of the rest of the request.
//
// HTTP/2 upstreams carry all requests on one connection and need none of this.
//
// # Which member is asked
//
// Those that are neither ill (health) nor resting (they could not be connected to
// a moment ago), as balance says; who came back grows into its share over
// slowStart. Then those that rest, then the fallback members in order, then the
// ill. Without a fallback a request whose members all refuse is held. A request
// that is sent again goes to a member that has not lost it, where there is one.
// One that waits for the first byte of a member which turns ill is taken back and
// sent elsewhere, if it may be sent twice.
//
// # Limits
//
// Upgrades need an HTTP/1.1 visitor, which is what browsers use for WebSocket
// as long as the server does not offer extended CONNECT (RFC 8441); net/http
// does not. The upgrade to h2c is ignored (RFC 9113 section 3.1 took it away):
// behind it requests would pass that no route was matched for. Via is not
// added (RFC 9110 section 7.6.3 asks for it): nginx and others switch
// compression off when they see it, which production would not. Fields that an answer names
// in Connection beside "close" pass: net/http's transport removes that Connection
// field before anybody sees it.
package forward
