// Package provider has the carriers of a share other than a devproxy relay
// (tunnel/agent): services that forward ports over SSH, and Cloudflare's quick
// tunnels. A provider is not trusted. It chooses the public names, it can read
// the traffic, and nothing that it says about a visitor makes the visitor
// local. Its visitors meet the same gate, guard and field policy as those of a
// relay.
package provider

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net"

	"github.com/devproxy/devproxy/tunnel"
	"github.com/devproxy/devproxy/tunnel/agent"
)

// Carrier brings the visitors of a share. *agent.Agent is one, for a relay; this
// package makes the others.
type Carrier interface {
	// Listener accepts visitors: *agent.Conn or *Conn.
	net.Listener
	// Run carries until ctx ends or Close is called: then it returns nil. Otherwise it
	// returns an *agent.Error that trying again would not fix. When it
	// returns, every goroutine has ended and Accept fails. It is called once.
	Run(ctx context.Context) error
	// Claim changes the shared hosts. When it fails, the same hosts are shared as
	// before, or the error is of agent.ReasonBroken and a new Carrier has to be made.
	Claim(ctx context.Context, claim tunnel.Claim) (tunnel.Grant, error)
	// End ends the link for good, where visitors can be shown that.
	End(ctx context.Context) error
}

// Provider can carry a share. Its Name is the value of `relay` that selects it.
type Provider struct {
	// Name is that value: "cloudflare", "ssh://me@vps.example.com".
	Name string
	// Operator can read the traffic: "Cloudflare".
	Operator string
	// Cannot lists unsupported features, as text for people: "event streams
	// (SSE)". Nil means that no such limit is known.
	Cannot []string
	// AddrField is the request field in which the provider writes a visitor's
	// address, replacing any value from the visitor. Empty means that the provider
	// does not pass the address on. Conn.AddrField is the value for one connection.
	AddrField string
	// MaxHosts is how many hosts one share may have; 0 is any number.
	MaxHosts int

	// probe reports why the provider can't be used from here; nil means that
	// this only shows when it is tried.
	probe func(context.Context, Options) error
	// opener makes the opener of this provider's tunnels. Its error is final: an
	// *agent.Error.
	opener func(Options) (opener, error)
}

// Options are the hosts to share, and everything that a provider may use for that.
type Options struct {
	// Claim is what to share to begin with; Carrier.Claim changes it. Only its
	// Hosts count: the provider chooses the names.
	Claim tunnel.Claim
	// Home is $DEVPROXY_HOME: the keys of SSH servers are kept there. The folder
	// exists.
	Home string
	// Getenv reads PATH, SSH_AUTH_SOCK and the variables of proxies; nil reads
	// nothing.
	Getenv func(string) string
	// Notify is called with every change of the state, in order, one at a time. It
	// must neither block nor call the Carrier. It may be nil.
	Notify func(agent.State)
	// Note is called with sentences for the user, such as that the key of a server
	// was seen for the first time. It must neither block nor call the Carrier, and may
	// be called by several goroutines at once. It may be nil.
	Note func(string)
	// Log receives details for debugging; nil discards them.
	Log *slog.Logger
}

// withDefaults replaces everything that is nil.
func (o Options) withDefaults() Options {
	o.Log = cmp.Or(o.Log, slog.New(slog.DiscardHandler))
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

// New returns a carrier for opts. It does not connect yet; Run does, and
// returns the error of invalid opts.
func (p Provider) New(opts Options) Carrier { return newCarrier(p, opts) }

// Probe reports why the provider can't be used from here, as far as that shows
// without a tunnel: a program is missing, a server can't be reached.
func (p Provider) Probe(ctx context.Context, opts Options) error {
	if p.probe == nil {
		return nil
	}
	return p.probe(ctx, opts.withDefaults())
}

// opener opens tunnels at one provider.
type opener interface {
	// open opens a tunnel to one host and stays with it. Once visitors get
	// through it calls way.up with the public name, and way.accept for each
	// visitor. It returns when ctx has ended, or with an *agent.Error when the
	// tunnel has ended or could not be opened; then nothing of the tunnel is
	// left.
	open(ctx context.Context, way *way) error
}

// services are the providers that have a name. The first is the one to try first.
var services = []Provider{cloudflare(), localhostRun, pinggy}

// ErrUnknown is the error of Find for a relay that is not a provider: it is a relay's
// domain.
var ErrUnknown = errors.New("no provider has this name")

// Find returns the provider that `relay` names. The error is ErrUnknown for the domain
// of a relay, and an *agent.Error with its fix for a value that is invalid.
func Find(relay string) (Provider, error) {
	if hasPrefixFold(relay, sshScheme) {
		return sshURL(relay)
	}
	for _, service := range services {
		if relay == service.Name {
			return service, nil
		}
	}
	return Provider{}, ErrUnknown
}

// Names returns the words that Find knows, for help and completion. A word that
// ends in "://" is the beginning of a URL.
func Names() []string {
	var names []string
	for _, service := range services {
		names = append(names, service.Name)
	}
	return append(names, sshScheme)
}

// The reasons that only providers have.
const (
	// ReasonProgram: a program that the provider needs is missing, or too old.
	ReasonProgram agent.Reason = "no_program"
	// ReasonNoURL: the server forwards, but announces no https:// address.
	ReasonNoURL agent.Reason = "no_url"
)

// isFatal reports whether trying again cannot help before the user has changed
// something.
func isFatal(err *agent.Error) bool {
	switch err.Reason {
	case agent.ReasonRelay, agent.ReasonPin, agent.ReasonUnknownKey, ReasonProgram, ReasonNoURL:
		return true
	}
	return false
}

// shareError returns why a share through a provider fails.
func shareError(reason agent.Reason, name string, err error, fix string) *agent.Error {
	return &agent.Error{Reason: reason, Op: "share through", Addr: name, Err: err, Fix: fix}
}

// broken returns the error of a tunnel that has ended.
func broken(name string, err error) *agent.Error {
	if err == nil {
		err = errors.New("it has ended")
	}
	return shareError(agent.ReasonBroken, name, err, "devproxy tries again")
}
