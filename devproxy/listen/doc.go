// Package listen owns the sockets that outlive plans: it binds them, says why
// a port could not be had and who holds it, accepts connections, speaks TLS,
// and has package message read HTTP/1 before net/http does.
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
// connection (FromContext) and what was refused on it (message.Refused);
// ConnState tells the scanner whether an upgrade was accepted.
//
// Every HTTP/1 connection passes the scanner of package message, which refuses
// requests that can be read in more than one way.
package listen
