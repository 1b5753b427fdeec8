package share

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/devproxy/devproxy/tunnel"
	"github.com/devproxy/devproxy/tunnel/wan"
)

const (
	// lanesAsleep is how many connections a session without traffic has.
	lanesAsleep = 2
	// spareFiles are the descriptors that are not a sleeping share's.
	spareFiles = 256
	// mostSessions is where more would only take longer.
	mostSessions = 2000
	// calm is how long the relay is left alone before its memory is read.
	calm = 10 * time.Second
)

// memoryCost is what sleeping shares cost a relay.
type memoryCost struct {
	Sessions    int     `json:"sessions"`
	Descriptors int64   `json:"descriptor_limit"`
	Before      int64   `json:"before_kb"`
	After       int64   `json:"after_kb"`
	Each        float64 `json:"each_kb"`
}

// measureMemory has many shares sleep on one relay.
func (b bench) measureMemory(ctx context.Context) (cost memoryCost, err error) {
	s, done, err := b.openHere(ctx)
	if err != nil {
		return cost, err
	}
	defer func() { err = errors.Join(err, done()) }()
	if cost.Descriptors, err = s.relay.DescriptorLimit(); err != nil {
		return cost, err
	}
	cost.Sessions = min(mostSessions, int(cost.Descriptors-spareFiles)/lanesAsleep)
	if b.sessions > 0 {
		cost.Sessions = b.sessions
	}
	if cost.Before, err = s.relay.ResidentKB(); err != nil {
		return cost, err
	}
	sleepers, err := b.role(ctx, s.link, wan.A, spec{
		Role: "sleepers", Addr: s.link.Addr(wan.A).String() + ":443", Root: s.file("cert.pem"), Sessions: cost.Sessions,
	}, "")
	if err != nil {
		return cost, err
	}
	defer sleepers.Stop()
	var m message
	if err := sleepers.Next(&m); err != nil {
		return cost, err
	}
	time.Sleep(calm)
	cost.After, err = s.relay.ResidentKB()
	cost.Each = float64(cost.After-cost.Before) / float64(cost.Sessions)
	return cost, err
}

// sleep opens sessions, each of a key of its own with a link of its own, and
// keeps them.
func sleep(s spec) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	text, err := os.ReadFile(s.Root)
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(text)
	config := &tls.Config{RootCAs: roots, ServerName: relayDomain, MinVersion: tls.VersionTLS13, NextProtos: []string{tunnel.ALPN}}
	sessions, err := openSessions(ctx, s, config)
	defer func() {
		for _, session := range sessions {
			session.Close(nil)
		}
	}()
	if err != nil {
		return err
	}
	for _, session := range sessions {
		for session.Stats().Lanes < lanesAsleep && session.Err() == nil {
			time.Sleep(time.Millisecond)
		}
		if err := session.Err(); err != nil {
			return fmt.Errorf("a session ended: %w", err)
		}
	}
	if err := tell(message{Ready: s.Addr}); err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}

func openSessions(ctx context.Context, s spec, config *tls.Config) (sessions []*tunnel.Session, err error) {
	const atOnce = 16
	var (
		mu    sync.Mutex
		group sync.WaitGroup
		turn  = make(chan struct{}, atOnce)
	)
	for range s.Sessions {
		turn <- struct{}{}
		group.Go(func() {
			defer func() { <-turn }()
			session, failed := openSession(ctx, s.Addr, config)
			mu.Lock()
			defer mu.Unlock()
			if failed != nil {
				err = failed
				return
			}
			sessions = append(sessions, session)
		})
	}
	group.Wait()
	return sessions, err
}

func openSession(ctx context.Context, addr string, config *tls.Config) (*tunnel.Session, error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	hello, err := json.Marshal(tunnel.Claim{Enrol: relayToken, Project: "shop", Link: tunnel.Link(key, 0), Hosts: []string{""}})
	if err != nil {
		return nil, err
	}
	session, _, err := tunnel.Dial(ctx, tunnel.Config{Key: key, Hello: hello, Dial: func(ctx context.Context) (tunnel.Lane, error) {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
		if err != nil {
			return tunnel.Lane{}, err
		}
		return laneOf(ctx, tls.Client(conn, config), conn.(*net.TCPConn))
	}})
	return session, err
}
