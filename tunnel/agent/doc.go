// Package agent is the private end of a share: it keeps a session with a relay
// and hands out, as a net.Listener, the connections of visitors that the relay
// passes on.
//
// The relay is reached over TLS 1.3, directly or through the proxy that the
// environment names, and inside a WebSocket where nothing but HTTPS passes.
// What goes wrong on the way is an *Error that says where, and what helps.
package agent
