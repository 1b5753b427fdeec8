// Package provider knows who else can carry the bytes of a share, besides a
// relay of one's own (tunnel/agent): services that forward ports over SSH, and
// Cloudflare's quick tunnels. A provider is a stranger. It chooses the public
// names, it can read the traffic, and nothing that it says of a visitor makes the
// visitor local. Its visitors meet the same gate, guard and field policy as those
// of a relay.
package provider

import (
	"context"
	"errors"
	"log/slog"
	"net"

	"github.com/devproxy/devproxy/tunnel"
	"github.com/devproxy/devproxy/tunnel/agent"
)

// Carrier brings the visitors of a share, whoever carries their bytes.
// *agent.Agent is one, for a relay; this package makes the others.
type Carrier interface {
	// Listener accepts visitors: *agent.Conn or *Conn.
	net.Listener
	// Run carries until ctx ends or Close is called: then it is nil. Otherwise it
	// is an *agent.Error about something that trying again does not cure. When it
	// returns, every goroutine has ended and Accept fails. It is called once.
	Run(ctx context.Context) error
	// Claim changes what is shared. When it fails, what is shared is as before,
	// or the error is of agent.ReasonBroken and a new Carrier has to be made.
	Claim(ctx context.Context, claim tunnel.Claim) (tunnel.Grant, error)
	// End ends the link for good, where visitors can be told so.
	End(ctx context.Context) error
}

// Provider is somebody who can carry a share, by the word that `relay` has for it.
type Provider struct {
	// Name is that word: "cloudflare", "ssh://me@vps.example.com".
	Name string
	// Operator is who can read the traffic: "Cloudflare".
	Operator string
	// Cannot is what does not pass, for a person: "event streams (SSE)". Nil
	// means that nothing is known not to.
	Cannot []string
	// AddrField is the request field in which the provider writes a visitor's
	// address in place of whatever the visitor wrote there. Empty means that the
	// address is not told. Conn.AddrField is what
	// holds for one connection.
	AddrField string
	// MaxHosts is how many hosts one share may have; 0 is any number.
	MaxHosts int

	// probe reports why the provider can't be used from here; nil means that
	// nothing is known before it is tried.
	probe func(context.Context, Options) error
	// opener makes what opens this provider's tunnels. Its error is final: an
	// *agent.Error.
	opener func(Options) (opener, error)
}

// Options say what is shared, and what a provider may use for it.
type Options struct {
	// Claim is what to share to begin with; Carrier.Claim changes it. Of it,
	// only Hosts counts: the provider chooses the names.
	Claim tunnel.Claim
	// Home is $DEVPROXY_HOME: the keys of SSH servers are kept there. The folder
	// exists.
	Home string
	// Getenv reads PATH, SSH_AUTH_SOCK and the variables of proxies; nil reads
	// nothing.
	Getenv func(string) string
	// Notify is told every change of the state, in order, one at a time. It must
	// neither block nor call the Carrier. Nil is told nothing.
	Notify func(agent.State)
	// Note is told sentences for the user, such as that the key of a server was
	// seen for the first time. It must neither block nor call the Carrier, and may
	// be called by several goroutines at a time. Nil is told nothing.
	Note func(string)
	// Log takes what is only of interest when looking for a fault; nil discards.
	Log *slog.Logger
}

// filled is o with a default for everything that may be nil.
func (o Options) filled() Options {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Getenv == nil {
		o.Getenv = func(string) string { return "" }
	}
	if o.Notify == nil {
		o.Notify = func(agent.State) {}
	}
	if o.Note == nil {
		o.Note = func(string) {}
	}
	return o
}

// New is a carrier of what opts say. It has connected to nothing yet; what is
// wrong with opts is Run's error.
func (p Provider) New(opts Options) Carrier { return newCarrier(p, opts) }

// Probe reports why the provider can't be used from here, as far as that shows
// without a tunnel: a program is missing, a server can't be reached.
func (p Provider) Probe(ctx context.Context, opts Options) error {
	if p.probe == nil {
		return nil
	}
	return p.probe(ctx, opts.filled())
}

// ErrUnknown is the error of Find for a relay that is nobody this package knows:
// it is a relay's domain.
var ErrUnknown = errors.New("no provider has this name")

// opener opens tunnels at one provider.
type opener interface {
	// open opens a tunnel to one host and stays with it. Once visitors get
	// through it calls way.up with the public name, and way.accept for each
	// visitor. It returns when ctx has ended, or with an *agent.Error when the
	// tunnel is over or never came to be; then nothing of the tunnel is left.
	open(ctx context.Context, way *way) error
}
