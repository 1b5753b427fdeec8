// Package message refuses HTTP requests that two parsers could read differently. It
// guards every listener for requests of strangers: devproxy's own and the relay's.
//
// # HTTP/1
//
// Scan and ScanTLS put a scanner between a connection and net/http. It follows the
// boundaries of messages itself and passes a message only if it can be read in one
// way (RFC 9112). Valid bytes pass unchanged. The server needs both hooks:
//
//	server := &http.Server{
//		Handler:     handler,
//		ConnContext: message.ConnContext,
//		ConnState:   message.ConnState,
//	}
//
// A bad head is replaced by a request with a reserved method, so that the handler
// answers with the refusal, in order after the answers to earlier pipelined requests;
// then the connection ends. A framing error inside a body makes the body's Read fail
// with a *BodyError, so that a forwarded request is aborted and never completed. One
// Read never crosses the end of a message: net/http holds at most one byte of a
// request before all earlier ones are answered.
//
// # HTTP/2
//
// net/http frames HTTP/2 itself and passes some malformed requests on: a method that
// is not a token, an authority that is not a host, a content-length that is not a
// number. Refused applies the rules of HTTP/1 to them.
//
// # What a handler does
//
// The outermost handler calls Refused before it reads anything else of the request:
// before routing, caching, counting or forwarding.
package message
