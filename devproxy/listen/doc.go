// Package listen owns the sockets that outlive plans: it binds them, says why
// a port could not be had and who holds it, accepts connections, speaks TLS,
// and stands guard over HTTP/1 before net/http reads it.
//
// A Set is the net.Listener of one long-lived http.Server:
//
//	set, err := listen.Open(ctx, listen.Config{TLS: certificates})
//	server := &http.Server{
//		Handler:           handler,
//		ReadHeaderTimeout: 10 * time.Second,
//		ConnContext:       listen.ConnContext,
//		ConnState:         listen.ConnState,
//	}
//	err = server.Serve(set)
//
// Both hooks are needed: ConnContext tells the handler what is known of the
// connection (FromContext) and what was refused on it (Refused); ConnState
// tells the scanner whether an upgrade was accepted.
//
// # Requests that lie
//
// Every HTTP/1 connection passes a scanner that follows the boundaries of
// messages itself and lets a message through only if it can be read in one
// way (RFC 9112). Valid bytes pass untouched. A bad head is replaced by a
// request of a reserved method, so that the refusal is answered by the
// handler, in order after the answers to earlier pipelined requests; after it
// the connection ends. A framing error inside a body makes the body's Read
// fail with a *BodyError, so that a forwarded request is aborted and never
// completed. One Read never crosses the end of a message: net/http holds at
// most one byte of a request before all earlier ones are answered.
//
// How long a client may take for its head is the server's ReadHeaderTimeout;
// HTTP/2 is net/http's own.
package listen
