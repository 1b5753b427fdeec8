// Package forward carries one exchange to one upstream and back: the data path.
//
// An Upstream is the running side of a plan.Upstream. It owns the connections
// to its members, knows whether they answer, holds requests while none does,
// and can close the streams of a route that is gone. Forward is the way of
// every request; it either answers, or writes nothing and returns a typed
// error for the server's one error handler.
package forward
