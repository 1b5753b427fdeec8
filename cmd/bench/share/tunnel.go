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
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/devproxy/devproxy/cmd/bench/harness"
	"github.com/devproxy/devproxy/tunnel"
)

// requestSize is that of a browser's request, without a long cookie.
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

// open sends a request. The stream is given up when ctx is done, until stop.
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

func (c tunnelClient) facts() *sessionFacts {
	s := c.session.Stats()
	return &sessionFacts{Lanes: s.Lanes, RTT: milliseconds(s.RTT), Lossy: s.Lossy, Resent: s.Resent}
}

// answer serves one stream: so many zeros as the request asks for.
func answer(rw io.ReadWriteCloser) {
	defer rw.Close()
	request := make([]byte, requestSize)
	if _, err := io.ReadFull(rw, request); err != nil {
		return
	}
	_, _ = io.CopyN(rw, zeros{}, int64(binary.BigEndian.Uint32(request))) // the reader tells
}

// zeros reads as zeros for ever.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// tunnelLoad is the relay's end: it listens, opens streams, and measures.
func tunnelLoad(s spec) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
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
	select {
	case <-ctx.Done():
		return ctx.Err()
	case session := <-established:
		return measureTunnel(ctx, tunnelClient{session}, s, &used)
	}
}

func measureTunnel(ctx context.Context, c tunnelClient, s spec, used *sync.Map) error {
	defer c.session.Close(nil)
	for _, r := range s.Rows {
		res, err := r.run(ctx, c)
		if err != nil {
			return errors.Join(err, c.session.Err())
		}
		res.Session = c.facts()
		res.Session.Congestion = strings.Join(namesIn(used), ",")
		if err := tell(message{Result: &res}); err != nil {
			return err
		}
	}
	return nil
}

func namesIn(set *sync.Map) (all []string) {
	set.Range(func(name, _ any) bool { all = append(all, name.(string)); return true })
	slices.Sort(all)
	return all
}

func acceptLanes(ctx context.Context, a *tunnel.Acceptor, listener net.Listener, tune string, used *sync.Map) {
	config, err := selfSigned()
	if err != nil {
		slog.Error("make a certificate", "error", err)
		return
	}
	for {
		conn, err := listener.Accept()
		if err != nil {
			return // closed
		}
		go func() {
			raw := conn.(*net.TCPConn)
			tunnel.Tune(raw, tune)
			used.Store(congestionOf(raw), true)
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
func tunnelServe(s spec) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		return err
	}
	session, err := dialSession(ctx, s, key)
	if err != nil {
		return err
	}
	defer session.Close(nil)
	for {
		st, err := session.Accept(ctx)
		if err != nil {
			return nil // the other end has what it wants, or says why not
		}
		go answer(st)
	}
}

func dialSession(ctx context.Context, s spec, key ed25519.PrivateKey) (*tunnel.Session, error) {
	dial := func(ctx context.Context) (tunnel.Lane, error) {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", s.Addr)
		if err != nil {
			return tunnel.Lane{}, err
		}
		raw := conn.(*net.TCPConn)
		tunnel.Tune(raw, s.Tune)
		// The certificate is made up, and the path is ours.
		config := &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS13, NextProtos: []string{tunnel.ALPN}}
		return laneOf(ctx, tls.Client(raw, config), raw)
	}
	const patience = 20 * time.Second // the first packets may be lost
	dialCtx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	session, _, err := tunnel.Dial(dialCtx, tunnel.Config{Key: key, Dial: dial, Log: s.log()})
	return session, err
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

// selfSigned is a server's configuration with a certificate that is its own root.
func selfSigned() (*tls.Config, error) {
	cert, err := harness.MakeCertificate()
	if err != nil {
		return nil, err
	}
	return &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS13, NextProtos: []string{tunnel.ALPN}}, nil
}
