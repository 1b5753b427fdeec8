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
