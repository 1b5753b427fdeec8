package relay

import "time"

// Limits bound what strangers may do. Fields that are zero have the defaults
// below.
type Limits struct {
	// Connections is how many visitors' connections there may be; the default
	// is three quarters of the descriptors that the process may have, so that
	// agents and files always find some.
	Connections int
	// ConnectionsPerAddress is how many of them one address (IPv6: one /64)
	// may have: no more than a quarter by default.
	ConnectionsPerAddress int
	// Handshakes is how many connections may be in their handshake; beyond
	// that an old one is closed, of the address that has the most.
	Handshakes int
	// HandshakeTimeout bounds a TLS handshake, HeadTimeout the arrival of a
	// request's head, IdleTimeout the wait for the next request, StallTimeout
	// the time in which a body must move, in either direction.
	HandshakeTimeout, HeadTimeout, IdleTimeout, StallTimeout time.Duration
	// HeadBytes bounds a request's head.
	HeadBytes int
	// RequestsPerSecond and Burst bound the requests of one address.
	RequestsPerSecond float64
	Burst             int
	// RequestsPerShare is how many requests of one share may be under way.
	RequestsPerShare int
	// BodyBytes bounds a request's body; zero is no bound.
	BodyBytes int64
	// Wait is how long a request waits for an agent that is just gone.
	Wait time.Duration
}

const (
	// connectionsPerAddress leaves room for a company or a mobile operator
	// behind one address.
	connectionsPerAddress = 1000
	// handshakes of 10 s each: a flood must bring 400 new connections a second
	// before honest ones, which need a second at most, are pushed out.
	handshakes       = 4096
	handshakeTimeout = 10 * time.Second
	headTimeout      = 10 * time.Second
	// idleTimeout is longer than what browsers keep (Chromium: 5 minutes), so
	// that the browser closes first and no request meets a closing connection.
	idleTimeout = 6 * time.Minute
	// stallTimeout bounds bodies that do not move; a paused video is asked for
	// again by the browser.
	stallTimeout = 5 * time.Minute
	headBytes    = 64 << 10
	// requestsPerSecond and burst let a cold load of a dev server's module
	// graph through at once.
	requestsPerSecond = 500
	burst             = 3000
	// requestsPerShare stays below tunnel.MaxStreams.
	requestsPerShare = 3000
	// waitForAgent is how long a request waits for an agent in resume or just
	// gone: it dials again within 2 s on a network that works.
	waitForAgent = 10 * time.Second
	// recentlyGone is how long after its loss a session is worth waiting for;
	// as long as tunnel.ResumeTimeout.
	recentlyGone = 30 * time.Second
	// agentFiles are the descriptors that neither visitors nor agents get:
	// sockets, the registry, logs.
	agentFiles = 64
	// noDescriptorLimit stands for systems that have, or tell, none.
	noDescriptorLimit = 1 << 16
)

func (l Limits) withDefaults() Limits {
	def(&l.Connections, descriptors()/4*3)
	def(&l.ConnectionsPerAddress, min(connectionsPerAddress, max(l.Connections/4, 1)))
	def(&l.Handshakes, min(handshakes, descriptors()/8))
	def(&l.HandshakeTimeout, handshakeTimeout)
	def(&l.HeadTimeout, headTimeout)
	def(&l.IdleTimeout, idleTimeout)
	def(&l.StallTimeout, stallTimeout)
	def(&l.HeadBytes, headBytes)
	def(&l.RequestsPerSecond, requestsPerSecond)
	def(&l.Burst, burst)
	def(&l.RequestsPerShare, requestsPerShare)
	def(&l.Wait, waitForAgent)
	return l
}

func def[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}
