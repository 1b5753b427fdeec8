package zone

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

const (
	// maxQuery is the longest query in a datagram, in bytes. A longer one is malformed.
	maxQuery = 4096
	// maxConnections is how many TCP connections all clients have together, and
	// maxPerNetwork how many of them one network has (an IPv4 /24 or an IPv6 /56). A
	// new connection beyond the first closes the oldest one; beyond the second it is
	// closed itself. They fit into the descriptors that the relay keeps for itself, and
	// take at most 4 MB. Clients need TCP for what is truncated only.
	maxConnections = 32
	maxPerNetwork  = 8
	// connectionTime bounds a TCP connection, and maxQueries the queries on it. Clients
	// that have more to ask connect again (RFC 7766 section 6.1).
	connectionTime = 10 * time.Second
	maxQueries     = 32
	// acceptPause is how long a socket rests after a failure, such as too many open
	// files.
	acceptPause = 50 * time.Millisecond
)

// Sockets are where a server is asked: a UDP and a TCP socket for each address.
type Sockets struct {
	Packets   []net.PacketConn
	Listeners []net.Listener
}

// Server answers the queries about a zone.
type Server struct {
	zone    *Zone
	log     *slog.Logger
	rates   *rates
	queries *prometheus.CounterVec // by transport and outcome
	conns   streams
}

// NewServer makes a server, which answers while Serve runs.
func NewServer(z *Zone, log *slog.Logger) *Server {
	return &Server{
		zone: z, log: log, rates: newRates(), conns: streams{count: map[netip.Prefix]int{}},
		queries: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "devproxy_relay_dns_queries_total", Help: "DNS queries, by transport and outcome.",
		}, []string{"transport", "outcome"}),
	}
}

// Describe implements prometheus.Collector.
func (s *Server) Describe(to chan<- *prometheus.Desc) { s.queries.Describe(to) }

// Collect implements prometheus.Collector.
func (s *Server) Collect(to chan<- prometheus.Metric) { s.queries.Collect(to) }

// Serve answers until ctx ends, or a socket fails. It returns when its goroutines
// have ended. The sockets stay open, so that another process that has them too gets
// what comes next.
func (s *Server) Serve(ctx context.Context, sockets Sockets) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var group sync.WaitGroup
	serve := func(socket deadliner, loop func(context.Context) error) {
		group.Go(func() {
			// The process that continues after a failed handover calls Serve again.
			if err := socket.SetDeadline(time.Time{}); err != nil {
				cancel(err)
				return
			}
			stop := context.AfterFunc(ctx, func() { _ = socket.SetDeadline(time.Unix(1, 0)) }) // a closed socket needs none
			defer stop()
			if err := loop(ctx); err != nil {
				cancel(err)
			}
		})
	}
	for _, conn := range sockets.Packets {
		serve(conn, func(ctx context.Context) error { return s.servePackets(ctx, conn) })
	}
	for _, ln := range sockets.Listeners {
		tcp, ok := ln.(*net.TCPListener)
		if !ok {
			return fmt.Errorf("%s is not a TCP socket", ln.Addr())
		}
		serve(tcp, func(ctx context.Context) error { return s.serveStreams(ctx, tcp) })
	}
	<-ctx.Done()
	group.Wait()
	if err := context.Cause(ctx); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

type deadliner interface{ SetDeadline(time.Time) error }

// servePackets answers one datagram after the other: an answer takes microseconds,
// and a flood starts no goroutines.
func (s *Server) servePackets(ctx context.Context, conn net.PacketConn) error {
	query := make([]byte, maxQuery)
	for ctx.Err() == nil {
		n, from, err := conn.ReadFrom(query)
		switch {
		case err == nil:
			if response := s.packet(query[:n], addressOf(from)); response != nil {
				_, _ = conn.WriteTo(response, from) // the client asks again
			}
		case ctx.Err() != nil:
		case errors.Is(err, net.ErrClosed):
			return fmt.Errorf("cannot answer DNS queries on %s: %w", conn.LocalAddr(), err)
		default: // an ICMP error about an earlier answer, or no memory
			s.log.Debug("DNS query not read", "error", err)
			rest(ctx)
		}
	}
	return nil
}

// packet returns the response to a datagram; nil for none.
func (s *Server) packet(query []byte, from netip.Addr) (response []byte) {
	switch s.rates.take(from, time.Now()) {
	case verdictDrop:
		s.queries.WithLabelValues("udp", outcomeLimited).Inc()
		return nil
	case verdictTruncate:
		s.queries.WithLabelValues("udp", outcomeLimited).Inc()
		return truncated(query)
	}
	response, outcome := s.zone.answer(query, true)
	s.queries.WithLabelValues("udp", outcome).Inc()
	return response
}

// serveStreams accepts TCP connections. It returns when all have ended.
func (s *Server) serveStreams(ctx context.Context, ln *net.TCPListener) error {
	var group sync.WaitGroup
	defer group.Wait()
	for ctx.Err() == nil {
		c, err := ln.Accept()
		switch {
		case err == nil:
			if !s.conns.add(c) {
				s.queries.WithLabelValues("tcp", outcomeLimited).Inc()
				c.Close()
				continue
			}
			group.Go(func() {
				defer s.conns.remove(c)
				defer context.AfterFunc(ctx, func() { c.Close() })()
				s.stream(c)
			})
		case ctx.Err() != nil:
		case errors.Is(err, net.ErrClosed):
			return fmt.Errorf("cannot answer DNS queries on %s: %w", ln.Addr(), err)
		default:
			s.log.Error("DNS connection not accepted", "error", err)
			rest(ctx)
		}
	}
	return nil
}

// stream answers the queries on a TCP connection (RFC 1035 section 4.2.2), and closes
// it.
func (s *Server) stream(c net.Conn) {
	defer c.Close()
	if c.SetDeadline(time.Now().Add(connectionTime)) != nil {
		return
	}
	for range maxQueries {
		var size [2]byte
		if _, err := io.ReadFull(c, size[:]); err != nil {
			return
		}
		query := make([]byte, binary.BigEndian.Uint16(size[:]))
		if _, err := io.ReadFull(c, query); err != nil {
			return
		}
		response, outcome := s.zone.answer(query, false)
		s.queries.WithLabelValues("tcp", outcome).Inc()
		if response == nil {
			return
		}
		if _, err := c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(response))), response...)); err != nil {
			return
		}
	}
}

// rest waits for acceptPause.
func rest(ctx context.Context) {
	timer := time.NewTimer(acceptPause)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// addressOf returns the address of a client; the zero one if it has none.
func addressOf(from net.Addr) netip.Addr {
	at, _ := netip.ParseAddrPort(from.String())
	return at.Addr()
}

// streams are the TCP connections of all sockets.
type streams struct {
	mu    sync.Mutex
	open  []net.Conn // the oldest first
	count map[netip.Prefix]int
}

// add counts a connection. It reports false when the connection's network has too
// many, and closes the oldest one when all networks together have too many.
func (c *streams) add(conn net.Conn) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	network := networkOf(addressOf(conn.RemoteAddr()))
	if c.count[network] == maxPerNetwork {
		return false
	}
	if len(c.open) == maxConnections {
		c.open[0].Close()
		c.open = slices.Delete(c.open, 0, 1)
	}
	c.count[network]++
	c.open = append(c.open, conn)
	return true
}

func (c *streams) remove(conn net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if at := slices.Index(c.open, conn); at >= 0 { // add may have closed it
		c.open = slices.Delete(c.open, at, at+1)
	}
	network := networkOf(addressOf(conn.RemoteAddr()))
	if c.count[network]--; c.count[network] == 0 {
		delete(c.count, network)
	}
}
