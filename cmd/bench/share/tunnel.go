package share

import (
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/devproxy/devproxy/cmd/bench/harness"
	"github.com/devproxy/devproxy/tunnel"
)

// requestSize is that of a browser's request without a long cookie.
const requestSize = 200

// tunnelClient makes exchanges over the streams of a session, without HTTP.
type tunnelClient struct {
	session *tunnel.Session
}

func (c tunnelClient) get(ctx context.Context, size int) (int64, error) {
	st, stop, err := c.open(ctx, size)
	if err != nil {
		return 0, err
	}
	defer stop()
	defer st.Close()
	return io.Copy(io.Discard, st)
}

func (c tunnelClient) stall(ctx context.Context, size int) error {
	st, stop, err := c.open(ctx, size)
	if err != nil {
		return err
	}
	if _, err := io.ReadFull(st, make([]byte, 1)); err != nil {
		stop()
		return err
	}
	context.AfterFunc(ctx, func() { stop() })
	return nil
}

// open sends a request. The stream is reset when ctx is done, until stop is called.
func (c tunnelClient) open(ctx context.Context, size int) (*tunnel.Stream, func() bool, error) {
	st, err := c.session.Open([]byte("head"))
	if err != nil {
		return nil, nil, err
	}
	stop := context.AfterFunc(ctx, st.Reset)
	request := make([]byte, requestSize)
	binary.BigEndian.PutUint32(request, uint32(size))
	if _, err := st.Write(request); err != nil {
		stop()
		st.Reset()
		return nil, nil, fmt.Errorf("send a request: %w", err)
	}
	return st, stop, nil
}

// answer serves one stream: as many zeros as the request says.
func answer(rw io.ReadWriteCloser) {
	defer rw.Close()
	request := make([]byte, requestSize)
	if _, err := io.ReadFull(rw, request); err != nil {
		return
	}
	_, _ = io.CopyN(rw, zeros{}, int64(binary.BigEndian.Uint32(request))) // the reader reports an error
}

// tunnelLoad is the relay's end: it listens, opens streams, and measures.
func tunnelLoad(ctx context.Context, s spec) error {
	listener, err := net.Listen("tcp", s.Addr)
	if err != nil {
		return err
	}
	defer listener.Close()
	established := make(chan *tunnel.Session, 1)
	a := &tunnel.Acceptor{
		Admit:       func(context.Context, ed25519.PublicKey, []byte, net.Addr) ([]byte, error) { return nil, nil },
		Established: func(s *tunnel.Session) { established <- s },
		Log:         s.log(),
	}
	var used sync.Map // congestion control of the lanes
	go acceptLanes(ctx, a, listener, s.Tune, &used)
	if err := tell(message{Ready: listener.Addr().String()}); err != nil {
		return err
	}
	var session *tunnel.Session
	select {
	case <-ctx.Done():
		return ctx.Err()
	case session = <-established:
	}
	defer session.Close(nil)
	err = s.tellRows(ctx, tunnelClient{session}, func() *sessionFacts {
		stats := session.Stats()
		var names []string
		used.Range(func(name, _ any) bool { names = append(names, name.(string)); return true })
		slices.Sort(names)
		return &sessionFacts{Lanes: stats.Lanes, RTT: milliseconds(stats.RTT), Lossy: stats.Lossy, Resent: stats.Resent, Congestion: strings.Join(names, ",")}
	})
	if err != nil {
		return errors.Join(err, session.Err())
	}
	return nil
}

func acceptLanes(ctx context.Context, a *tunnel.Acceptor, listener net.Listener, tune string, used *sync.Map) {
	cert, err := harness.MakeCertificate()
	if err != nil {
		slog.Error("make a certificate", "error", err)
		return
	}
	config := &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS13, NextProtos: []string{tunnel.ALPN}}
	for {
		conn, err := listener.Accept()
		if err != nil {
			return // closed
		}
		go func() {
			raw := conn.(*net.TCPConn)
			tunnel.Tune(raw, tune)
			used.Store(harness.Congestion(raw), true)
			lane, err := laneOf(ctx, tls.Server(raw, config), raw)
			if err == nil {
				err = a.Join(ctx, lane)
			}
			if err != nil && ctx.Err() == nil {
				slog.Warn("a lane failed", "error", err)
			}
		}()
	}
}

// tunnelServe is the agent's end: it dials, and answers streams.
func tunnelServe(ctx context.Context, s spec) error {
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		return err
	}
	// The certificate is made up, and the path is a test's.
	config := &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS13, NextProtos: []string{tunnel.ALPN}}
	dial := func(ctx context.Context) (tunnel.Lane, error) {
		return dialLane(ctx, s.Addr, netip.Addr{}, s.Tune, config)
	}
	const patience = 20 * time.Second // the first packets may be lost
	dialCtx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	session, _, err := tunnel.Dial(dialCtx, tunnel.Config{Key: key, Dial: dial, Log: s.log()})
	if err != nil {
		return err
	}
	defer session.Close(nil)
	for {
		st, err := session.Accept(ctx)
		if err != nil {
			return nil // the other end is finished, or reports why not
		}
		go answer(st)
	}
}

// dialLane dials the relay. The zero from leaves the address to dial from to the system;
// tune is the congestion control, empty to leave it.
func dialLane(ctx context.Context, addr string, from netip.Addr, tune string, config *tls.Config) (tunnel.Lane, error) {
	dialer := &net.Dialer{}
	if from.IsValid() {
		dialer.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(from, 0))
	}
	conn, err := dialer.DialContext(ctx, "tcp", addr)
	if err != nil {
		return tunnel.Lane{}, err
	}
	raw := conn.(*net.TCPConn)
	if tune != "" {
		tunnel.Tune(raw, tune)
	}
	return laneOf(ctx, tls.Client(raw, config), raw)
}

func laneOf(ctx context.Context, conn *tls.Conn, raw *net.TCPConn) (tunnel.Lane, error) {
	err := conn.HandshakeContext(ctx)
	if err != nil {
		return tunnel.Lane{}, errors.Join(err, raw.Close())
	}
	binding, err := tunnel.Binding(conn.ConnectionState())
	return tunnel.Lane{Conn: conn, Binding: binding, TCP: raw}, err
}

func (s spec) log() *slog.Logger {
	if !s.Verbose {
		return nil
	}
	return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
}
