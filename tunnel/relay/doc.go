// Package relay is the public side of shares: a server that agents hold
// sessions with and that visitors open links at. Both come to one port.
//
// A visitor's request is routed by its authority alone, never by the
// connection it came on, and travels as HTTP/1.1 on a stream of its own to the
// agent that holds the name. What the relay knows of the visitor is in the head
// of that stream (tunnel.Visitor) and nowhere else.
//
// Nothing here knows of Proxyfiles, flags or local certificate authorities:
// the program hands in sockets, certificates, keys and a Registry.
package relay
