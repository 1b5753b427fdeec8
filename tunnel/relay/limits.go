package relay

import (
	"cmp"
	"time"
)

// Limits bound what strangers may do. Zero fields have the defaults below.
type Limits struct {
	// Descriptors is how many files and sockets the process may have open, which
	// other defaults depend on. The default is the system's limit. New subtracts the ports
	// of shares.
	Descriptors int
	// Connections is how many connections visitors may have. The default is three
	// quarters of the descriptors that the process may have, so that agents and files
	// always get some.
	Connections int
	// ConnectionsPerAddress is how many of them one address (IPv6: one /64) may
	// have, by default at most a quarter.
	ConnectionsPerAddress int
	// LanesPerAddress is how many connections agents of one address may have. All
	// agents together have three quarters of the descriptors. When those are in use,
	// the address with the most lanes loses one to another address.
	LanesPerAddress int
	// Handshakes is how many connections may be in their handshake. Beyond that,
	// the relay closes an old one of the address with the most.
	Handshakes int
	// HandshakeTimeout bounds a TLS handshake, HeadTimeout the arrival of a request's
	// head, IdleTimeout the wait for the next request, StallTimeout the time in which
	// a body must move, in either direction.
	HandshakeTimeout, HeadTimeout, IdleTimeout, StallTimeout time.Duration
	// HeadBytes bounds a request's head.
	HeadBytes int
	// RequestsPerSecond and Burst bound the requests of one address.
	RequestsPerSecond float64
	Burst             int
	// RequestsPerShare is how many requests of one share may be in progress, and
	// RequestsPerVisitor how many of them from one address, by default a quarter.
	// Further requests wait for Wait. When a share is full, the address with the
	// most loses an upload or another request that does not move.
	RequestsPerShare, RequestsPerVisitor int
	// Names bounds the names that are kept.
	Names Quota
	// BodyBytes bounds a request's body; zero means no limit.
	BodyBytes int64
	// Memory bounds the bytes that visits and sessions use together; one address, and
	// one key, may use half of it. Beyond that, the relay ends what uses most, first
	// of the address that uses most.
	Memory int64
	// Wait is how long a request waits for an agent that was just lost, or for other
	// requests of its share.
	Wait time.Duration
}

const (
	// connectionsPerAddress leaves room for a company or a mobile operator behind one
	// address.
	connectionsPerAddress = 1000
	// lanesPerAddress are those of half as many agents, with two lanes each.
	lanesPerAddress = 2000
	// handshakes take up to 10 s each: a flood needs 400 new connections per second
	// to displace honest ones, which take a second at most.
	handshakes       = 4096
	handshakeTimeout = 10 * time.Second
	headTimeout      = 10 * time.Second
	// idleTimeout is longer than that of browsers (Chromium: 5 minutes), so that the
	// browser closes first and no request meets a closing connection.
	idleTimeout = 6 * time.Minute
	// stallTimeout bounds bodies that do not move. A browser requests the rest of a
	// paused video again.
	stallTimeout = 5 * time.Minute
	headBytes    = 64 << 10
	// requestsPerSecond and burst allow a cold load of a dev server's module graph at
	// once.
	requestsPerSecond = 500
	burst             = 3000
	// requestsPerShare is below tunnel.MaxStreams. One HTTP/2 connection may
	// request a quarter of it at once (maxStreams).
	requestsPerShare = 4000
	// wastePerSecond and wasteBurst bound the requests of one address that were too
	// many, or that it cancelled. Beyond them its connections are closed. A reload in
	// a browser cancels the requests in progress, maxStreams at most.
	wastePerSecond = 100
	wasteBurst     = 2 * maxStreams
	// namesPerSecond and namesBurst bound the new names of one address, which may
	// come with a new key or link. All developers of a company may come at once.
	namesPerSecond = 1
	namesBurst     = 1000
	// plainEvery and plainBurst bound the new plain names of one address.
	plainEvery = time.Minute
	plainBurst = 20
	// domainEvery and domainBurst bound the searches for proofs of users' domains, each
	// of which asks servers that a stranger has chosen. An agent that waits for its record
	// asks every few seconds.
	domainEvery = 5 * time.Second
	domainBurst = 20
	// tokenEvery and tokenBurst bound the wrong enrolment tokens of one address;
	// allTokensEvery and allTokensBurst those of all addresses together. An address
	// that has presented fewer than firstTokens does not depend on the latter.
	tokenEvery     = 6 * time.Second
	tokenBurst     = 10
	firstTokens    = 3
	allTokensEvery = time.Second
	allTokensBurst = 100
	// claimsPerSecond and claimsBurst bound the control requests of one session.
	claimsPerSecond = 2
	claimsBurst     = 30
	// statesPerSecond and statesBurst bound the logins that a session announces: a
	// visitor of the share begins one with each.
	statesPerSecond = 20
	statesBurst     = 200
	// sessionsPerKey is how many sessions a key may have: one in use, and others that
	// drain.
	sessionsPerKey = 4
	// DefaultMemory is the default of Limits.Memory, in bytes.
	DefaultMemory = 256 << 20
	// waitForAgent is how long a request waits for an agent that is resuming or was
	// just lost: it dials again within 2 s on a network that works.
	waitForAgent = 10 * time.Second
	// pageAfter is how long a person waits, in place of waitForAgent, before a page
	// says that the share is not connected. The page reloads automatically later.
	// An agent may also be silent for that long after a request was sent to it: it
	// acknowledges requests at once.
	pageAfter = 2 * time.Second
	// restartGrace is how long a program waits, in place of waitForAgent, for an agent
	// that has said goodbye: its user may be restarting it.
	restartGrace = 2 * time.Second
	// recentlyGone is how long requests wait for a lost session to come back, the same
	// as tunnel.ResumeTimeout.
	recentlyGone = 30 * time.Second
	// ownFiles are the descriptors reserved for sockets, the registry and logs.
	ownFiles = 64
	// noDescriptorLimit is used for systems that have no limit, or do not report one.
	noDescriptorLimit = 1 << 16
)

func (l Limits) withDefaults() Limits {
	l.Descriptors = cmp.Or(l.Descriptors, descriptors())
	l.Connections = cmp.Or(l.Connections, l.Descriptors/4*3)
	l.ConnectionsPerAddress = cmp.Or(l.ConnectionsPerAddress, min(connectionsPerAddress, max(l.Connections/4, 1)))
	l.LanesPerAddress = cmp.Or(l.LanesPerAddress, min(lanesPerAddress, max(lanesOf(l.Descriptors), 1)))
	l.Handshakes = cmp.Or(l.Handshakes, min(handshakes, l.Descriptors/8))
	l.HandshakeTimeout = cmp.Or(l.HandshakeTimeout, handshakeTimeout)
	l.HeadTimeout = cmp.Or(l.HeadTimeout, headTimeout)
	l.IdleTimeout = cmp.Or(l.IdleTimeout, idleTimeout)
	l.StallTimeout = cmp.Or(l.StallTimeout, stallTimeout)
	l.HeadBytes = cmp.Or(l.HeadBytes, headBytes)
	l.RequestsPerSecond = cmp.Or(l.RequestsPerSecond, requestsPerSecond)
	l.Burst = cmp.Or(l.Burst, burst)
	l.RequestsPerShare = cmp.Or(l.RequestsPerShare, requestsPerShare)
	l.RequestsPerVisitor = cmp.Or(l.RequestsPerVisitor, max(l.RequestsPerShare/4, 1))
	l.Names = l.Names.withDefaults()
	l.Memory = cmp.Or(l.Memory, DefaultMemory)
	l.Wait = cmp.Or(l.Wait, waitForAgent)
	return l
}
