package forward

import (
	"context"
	"net/http"
	"net/netip"
	"time"

	"github.com/devproxy/devproxy/devproxy/plan"
	"github.com/devproxy/devproxy/tunnel/field"
	"github.com/devproxy/devproxy/tunnel/websocket"
)

// Exchange is what Forward must know beside the request itself.
type Exchange struct {
	// Match is the route of the request.
	Match plan.Match
	// Target is the path to send, percent-encoded: Match.Target of the path
	// that came. The query is the request's own.
	Target string
	// Scheme is the visitor's: "https" or "http". The upstream may be told another,
	// by Route.ForwardedHTTP.
	Scheme string
	// Visitor is who asks; the zero value takes the request's RemoteAddr. With
	// PublicHost set the upstream is told Machine.Shown(Visitor).
	Visitor netip.Addr
	// Machine knows this machine's addresses; nil reads them for this exchange.
	Machine *field.Machine
	// Hops are the instances of devproxy that a visitor's request has passed, as
	// it came: a share takes the field out of the request. With PublicHost
	// empty the request's own field counts.
	Hops []string
	// Client is the client that is counted in Options.Clients: a comparable value, such as the
	// number of the client's connection. Nil does not count.
	Client any
	// PublicHost is the authority that a visitor of a share asked for. The
	// request's Host is the local name then. Empty means that they are the same.
	PublicHost string
	// Over ends the exchange's stream (an upgraded connection, an event stream)
	// as CloseStreams does, when it is done; nil means never.
	Over context.Context
	// Switched changes the head of a 101, the one that does not pass through
	// the response writer, before it is written; nil leaves it.
	Switched func(http.Header)
	// Messages returns the rules for what the visitor sends on a WebSocket, by
	// the subprotocol that the upstream accepted; nil rules pass everything, and
	// so does a nil Messages. The judge is called by one goroutine at a time,
	// before Forward returns.
	Messages func(subprotocol string) *websocket.Rules
	// Inspect looks at an upstream's final response before any of it is written,
	// and may replace its body. With an error nothing of the response is written
	// and Forward returns the error; a read of the body that fails breaks the
	// response off. Nil passes every response.
	Inspect func(*http.Response) error
	// Report is filled while the exchange goes on and complete when Forward
	// returns; nil means nobody reads it.
	Report *Report
}

// hops are the instances of devproxy that r has passed.
func (x *Exchange) hops(r *http.Request) []string {
	if x.PublicHost != "" {
		return x.Hops
	}
	return r.Header[field.Hop]
}

// Report is what happened in an exchange.
type Report struct {
	// Member is the upstream's member that was asked last (":5173"); empty
	// when none was.
	Member string
	// Fallback is true when that is a fallback member: no other accepted.
	Fallback bool
	// Status is the final status that was written; 101 for an upgrade, 0 when
	// Forward returned before it wrote one.
	Status int
	// BytesIn and BytesOut count the bodies towards the upstream and towards
	// the visitor; of an upgraded connection all bytes after the head.
	BytesIn, BytesOut int64
	// Upgrade is true when the connection was upgraded.
	Upgrade bool
	// Held is how long the request waited for an upstream that refused.
	Held time.Duration
	// Resent is how often the request was sent again.
	Resent int
}
