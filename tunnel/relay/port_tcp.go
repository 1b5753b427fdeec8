package relay

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"time"

	"github.com/devproxy/devproxy/tunnel"
	"github.com/devproxy/devproxy/tunnel/budget"
	"github.com/devproxy/devproxy/tunnel/splice"
)

// portVisitCost is the memory of a visitor's connection to a port, in bytes: its
// goroutines and two buffers.
const portVisitCost = visitCost + 2*splice.BlockSize

// Why a connection to a port is reset.
var (
	errTooFast  = errors.New("too many connections in a short time")
	errNoShare  = errors.New("the share's agent is not connected")
	errTooFull  = errors.New("too many connections")
	errPortShut = errors.New("the port was closed")
)

// portConn is a visitor's connection to a port. Close resets it: only an end of both
// directions is an end that the visitor may take for complete.
type portConn struct{ *conn }

// CloseWrite ends the direction to the visitor.
func (c portConn) CloseWrite() error { return c.tcp().CloseWrite() }

// Close implements io.Closer.
func (c portConn) Close() error {
	if tcp := c.tcp(); tcp != nil {
		_ = tcp.SetLinger(0) // fails for a closed socket
	}
	return c.conn.Close()
}

// portVisit is one visitor of a port: a connection, or a UDP client.
type portVisit struct {
	relay   *Relay
	port    portID
	visitor netip.AddrPort
	start   time.Time
	in, out int64
	dropped int64 // datagrams
	fault   error // why it did not reach the share, or broke off
	carried bool  // it has reached the share
}

// servePort passes the bytes of a connection to the share of a port and back, until both
// directions have ended, which may take any time. The connection is reset when the share
// cannot be reached or its session ends.
func (r *Relay) servePort(one *openPort, c *conn) {
	v := &portVisit{relay: r, port: one.id, visitor: c.addr, start: time.Now()}
	visitor := portConn{c}
	v.fault = v.connect(one, visitor)
	if v.fault != nil {
		visitor.Close()
	} else {
		c.Close()
	}
	v.record()
}

func (v *portVisit) connect(one *openPort, c portConn) error {
	r := v.relay
	if err := r.readProxyHeader(c.conn, true); err != nil {
		return err
	}
	v.visitor = c.addr
	switch {
	case !c.from.requests.Allow():
		r.metrics.limited.WithLabelValues("requests").Inc()
		return errTooFast
	case !r.conns.promote(c.conn, poolActive):
		r.metrics.limited.WithLabelValues("connections").Inc()
		return errTooFull
	}
	ctx, cancel := context.WithCancelCause(one.life)
	defer cancel(nil)
	account := r.memory.Open(budget.Owner{Address: c.from.prefix}, func() (whole bool) {
		r.metrics.limited.WithLabelValues("memory").Inc()
		cancel(errEvicted)
		return true
	})
	defer func() {
		account.Close()
		account.Add(-int(account.Used()))
	}()
	account.Add(portVisitCost)
	account.Enforce()
	st, err := v.open(ctx, one, budget.NetworkOf(c.addr.Addr()))
	if err != nil {
		return err
	}
	defer st.close(false)
	v.carried = true
	err = v.join(ctx, c, st)
	if cause := context.Cause(ctx); cause != nil {
		return cutBy(cause)
	}
	return err
}

// cutBy returns why a visit was cut off.
func cutBy(cause error) error {
	if errors.Is(cause, errEvicted) {
		return cause
	}
	return errPortShut
}

// open opens a stream to the port's share. It waits for a session that has no lanes at the
// moment, as requests do.
func (v *portVisit) open(ctx context.Context, one *openPort, network netip.Prefix) (requestStream, error) {
	r := v.relay
	patience, cancel := context.WithTimeout(ctx, r.opts.Limits.Wait)
	defer cancel()
	for {
		l, name, ok := r.ports.shareOf(one)
		switch {
		case !ok:
			return requestStream{}, errNoShare
		case l.claimed.expired(time.Now()):
			return requestStream{}, &EndedError{one.id.String(), l.claimed.until}
		case l.ready():
			head := tunnel.Visitor{Addr: v.visitor, Scheme: one.id.network, Host: name}.AppendTo(nil)
			st, slot, err := r.openOn(ctx, l, network, head)
			if err == nil {
				slot.onEviction(st.Reset)
				return requestStream{st, l.claimed, l.share, slot}, nil
			}
			if errors.Is(err, errBusy) {
				r.metrics.limited.WithLabelValues("share").Inc()
				return requestStream{}, err
			}
		}
		if !wait(patience, resumePoll, nil) {
			return requestStream{}, errNoShare
		}
	}
}

// join passes the bytes on, both ways, until ctx ends or both have ended. An end of one
// direction is passed on as such.
func (v *portVisit) join(ctx context.Context, c portConn, st requestStream) (err error) {
	joined := splice.New(
		splice.Peer{Conn: c, From: activityReader{c, st.slot}},
		splice.Peer{Conn: resetOnClose{st.agentConn}, From: activityReader{st.agentConn, st.slot}}, nil)
	defer context.AfterFunc(ctx, joined.Cut)()
	v.in, v.out, err = v.relay.runUpgrade(joined)
	if err != nil {
		err = fmt.Errorf("the connection broke off: %w", err)
	}
	return err
}

// record writes the visit's line of the access log, and counts the visit.
func (v *portVisit) record() {
	m := v.relay.metrics
	outcome := "ended"
	switch {
	case !v.carried:
		outcome = "refused"
	case v.fault != nil:
		outcome = "broken"
	}
	m.portVisits.WithLabelValues(v.port.network, outcome).Inc()
	m.bytes.WithLabelValues("in").Add(float64(v.in))
	m.bytes.WithLabelValues("out").Add(float64(v.out))
	log := v.relay.refused
	if v.carried {
		log = v.relay.access
	}
	if log == nil {
		return
	}
	fields := []slog.Attr{
		slog.Any("from", v.visitor.Addr()),
		slog.String("port", v.port.String()),
		slog.Int64("in", v.in),
		slog.Int64("out", v.out),
		slog.Float64("ms", float64(time.Since(v.start).Microseconds())/1000),
	}
	if v.dropped > 0 {
		fields = append(fields, slog.Int64("dropped", v.dropped))
	}
	if v.fault != nil {
		fields = append(fields, slog.String("error", v.fault.Error()))
	}
	log.LogAttrs(context.Background(), slog.LevelInfo, "port visit", fields...)
}
