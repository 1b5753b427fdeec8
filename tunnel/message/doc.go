// Package message decides which HTTP requests have exactly one reading, and
// refuses the others, on every front that takes requests from strangers:
// devproxy's own listeners and the relay's.
//
// # HTTP/1
//
// Scan and ScanTLS put a scanner between a connection and net/http. It follows
// the boundaries of messages itself and lets a message through only if it can
// be read in one way (RFC 9112). Valid bytes pass untouched. The server needs
// both hooks:
//
//	server := &http.Server{
//		Handler:     handler,
//		ConnContext: message.ConnContext,
//		ConnState:   message.ConnState,
//	}
//
// A bad head is replaced by a request of a reserved method, so that the
// handler answers the refusal, in order after the answers to earlier pipelined
// requests; after it the connection ends. A framing error inside a body makes
// the body's Read fail with a *BodyError, so that a forwarded request is
// aborted and never completed. One Read never crosses the end of a message:
// net/http holds at most one byte of a request before all earlier ones are
// answered.
//
// # HTTP/2
//
// net/http frames HTTP/2 itself and hands some malformed requests on: a method
// that is not a token, an authority that is not a host, a content-length that
// is not a number. Refused applies the rules of HTTP/1 to them.
//
// # What a handler does
//
// The outermost handler calls Refused before it looks at anything else in the
// request: before routing, caching, counting or forwarding.
package message
