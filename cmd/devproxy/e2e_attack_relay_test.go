//go:build e2e && linux

package main

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/devproxy/devproxy/tunnel"
)

const (
	// relayMemory is the limit on a relay's resident memory, in bytes; without
	// an attack it has 25 MB.
	relayMemory = 512 << 20
	// upMemory is the same for devproxy up.
	upMemory = 512 << 20
)

// keyNumber is a key that is the same in every run.
func keyNumber(text string, i int) ed25519.PrivateKey {
	seed := sha256.Sum256(fmt.Appendf(nil, "%s %d", text, i))
	return ed25519.NewKeyFromSeed(seed[:])
}

// logged is the size of a process's standard error, in bytes.
func (u *upProcess) logged() int { return len(u.stderr.String()) }

// TestE2EAttackSettings changes SETTINGS_HEADER_TABLE_SIZE all the time while
// it requests pages of the relay's own, and of devproxy up's own HTTPS
// listener. Before Go 1.26.9 that crashed both (CVE-2026-97032). Both have the
// race detector: what it finds makes their exit code 66.
func TestE2EAttackSettings(t *testing.T) {
	s := besiege(t, siegeOptions{program: devproxyBinary(t)})
	local := func(ctx context.Context, from string) (*rawH2, error) {
		conn, err := (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}).DialContext(ctx, "tcp", s.project.addr.String())
		if err != nil {
			return nil, err
		}
		return newRawH2(tls.Client(conn, &tls.Config{RootCAs: s.project.roots, ServerName: "shop.localhost", NextProtos: []string{"h2"}}))
	}
	remote := func(ctx context.Context, from string) (*rawH2, error) { return s.relay.dialH2(ctx, from, s.relay.name) }
	for _, target := range []struct {
		name, authority string
		dial            func(context.Context, string) (*rawH2, error)
	}{
		{"relay", s.relay.name, remote},
		{"up", fmt.Sprintf("shop.localhost:%d", s.project.addr.Port()), local},
	} {
		t.Run(target.name, func(t *testing.T) {
			var rounds atomic.Int64
			withstand(t, func(ctx context.Context, underWay func()) {
				var group sync.WaitGroup
				for i := range 3 {
					group.Go(func() {
						for ctx.Err() == nil {
							h, err := target.dial(ctx, attackerAddress(i))
							if err != nil {
								continue
							}
							underWay()
							changeSettings(ctx, h, target.authority, &rounds)
							h.close()
						}
					})
				}
				group.Wait()
			}, s.clients())
			if rounds.Load() < 100 {
				t.Errorf("the attack made %d requests only", rounds.Load())
			}
		})
	}
	if text := s.relay.stderr.String() + s.project.stderr.String(); strings.Contains(text, "DATA RACE") || strings.Contains(text, "panic") {
		t.Errorf("a process says\n%s", text)
	}
}

func changeSettings(ctx context.Context, h *rawH2, authority string, rounds *atomic.Int64) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	paced(ctx, 300, func(i int) {
		if h.isGone() {
			cancel()
			return
		}
		size := uint32(i%2) * uint32(64+i)
		_ = h.settings(http2.Setting{ID: http2.SettingHeaderTableSize, Val: size})
		if _, err := h.request("GET", authority, fmt.Sprintf("/nothing-%d", i), true); err == nil {
			rounds.Add(1)
		}
		_ = h.settings(http2.Setting{ID: http2.SettingHeaderTableSize, Val: 4096 - size})
	})
}

// TestE2EAttackReset gives requests up as soon as they are sent (CVE-2023-44487).
func TestE2EAttackReset(t *testing.T) {
	s := besiege(t, siegeOptions{})
	before := s.relay.logged()
	var sent atomic.Int64
	withstand(t, func(ctx context.Context, underWay func()) {
		var group sync.WaitGroup
		for i := range 2 {
			group.Go(func() {
				for ctx.Err() == nil {
					h, err := s.relay.dialH2(ctx, attackerAddress(i), s.project.host("shop.localhost"))
					if err != nil {
						continue
					}
					paced(until(ctx, h.gone), 400, func(int) {
						for range 5 {
							if stream, err := h.request("GET", s.project.host("shop.localhost"), "/", true); err == nil {
								_ = h.reset(stream)
							}
						}
						if sent.Add(5) > 5000 {
							underWay()
						}
					})
					h.close()
				}
			})
		}
		group.Wait()
	}, s.clients(), s.process(relayMemory), s.agentProcess(upMemory))
	checkLogged(t, s, before, sent.Load())
}

// checkLogged wants a flood to have left little in the log.
func checkLogged(t *testing.T, s *siege, before int, requests int64) {
	t.Helper()
	wrote := s.relay.logged() - before
	t.Logf("%d requests, %d bytes of log", requests, wrote)
	// The lines that a handful of networks may cause, and summaries.
	if wrote > 1<<20 {
		t.Errorf("%d bytes of log for %d requests of attackers", wrote, requests)
	}
}

// until ends with ctx, or when gone is closed.
func until(ctx context.Context, gone <-chan struct{}) context.Context {
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		defer cancel()
		select {
		case <-gone:
		case <-ctx.Done():
		}
	}()
	return ctx
}

// TestE2EAttackNames claims names as fast as it can, under one key and under many.
func TestE2EAttackNames(t *testing.T) {
	s := besiege(t, siegeOptions{})
	wanted := strings.Fields("www wpad autoconfig autodiscover mta-sts login admin api mail ns1 smtp postmaster")
	for i := range 288 {
		wanted = append(wanted, fmt.Sprintf("wanted%d", i))
	}
	granted := map[string]map[string]bool{} // names by key
	var mu sync.Mutex
	claim := func(ctx context.Context, who string, key ed25519.PrivateKey, name string) {
		session, err := s.relay.dialSession(ctx, attackerAddress(0), key, tunnel.Claim{Name: name, Hosts: []string{"", "a", "b"}})
		if err != nil {
			return
		}
		session.Close(nil)
		<-session.Done()
		mu.Lock()
		defer mu.Unlock()
		if granted[who] == nil {
			granted[who] = map[string]bool{}
		}
		granted[who][name] = true
	}
	withstand(t, func(ctx context.Context, underWay func()) {
		var group sync.WaitGroup
		group.Go(func() {
			paced(ctx, 100, func(i int) {
				if i == len(wanted) {
					underWay()
				}
				claim(ctx, "one", keyNumber("one", 0), wanted[i%len(wanted)])
			})
		})
		group.Go(func() {
			paced(ctx, 50, func(i int) {
				claim(ctx, fmt.Sprint("many", i), keyNumber("many", i), fmt.Sprintf("many%d", i))
			})
		})
		group.Wait()
	}, s.clients(), s.process(relayMemory))
	all := 0
	for who, names := range granted {
		all += len(names)
		if len(names) > 10 {
			t.Errorf("the key %s has %d names", who, len(names))
		}
		for _, name := range wanted[:12] {
			if names[name] {
				t.Errorf("%s was given the name %s", who, name)
			}
		}
	}
	t.Logf("%d names were granted", all)
	if all > 40 {
		t.Errorf("one address was given %d names within seconds", all)
	}
	info, err := os.Stat(filepath.Join(s.relay.state, "relay.db"))
	if err != nil {
		t.Fatal(err)
	}
	if t.Logf("the state file has %d bytes", info.Size()); info.Size() > 1<<20 {
		t.Errorf("the state file has %d bytes", info.Size())
	}
}

// TestE2EAttackLanes opens more sessions from one address than the relay has
// descriptors for.
func TestE2EAttackLanes(t *testing.T) {
	s := besiege(t, siegeOptions{files: 512})
	var opened atomic.Int64
	withstand(t, func(ctx context.Context, underWay func()) {
		var sessions []*tunnel.Session
		defer func() {
			for _, session := range sessions {
				session.Close(nil)
				<-session.Done()
			}
		}()
		refused := 0
		paced(ctx, 200, func(i int) {
			if refused > 20 {
				underWay()
				if i%20 > 0 {
					return // goes on, with less strength than the machine has
				}
			}
			session, err := s.relay.dialSession(ctx, attackerAddress(0), keyNumber("lanes", i), tunnel.Claim{
				Project: "x", Link: tunnel.Link(keyNumber("lanes", i), 0), Hosts: []string{""},
			})
			if err != nil {
				refused++
				return
			}
			sessions = append(sessions, session)
			opened.Add(1)
		})
	}, s.clients(), s.process(relayMemory))
	t.Logf("%d sessions of one address were opened", opened.Load())
}

// TestE2EAttackHog fills a share with requests whose bodies never come.
func TestE2EAttackHog(t *testing.T) {
	s := besiege(t, siegeOptions{app: func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, "hello")
	}})
	for _, networks := range []int{1, 5} { // fewer than fill the share, and more
		t.Run(fmt.Sprint(networks, " networks"), func(t *testing.T) {
			withstand(t, func(ctx context.Context, underWay func()) {
				var group sync.WaitGroup
				var ready sync.WaitGroup
				ready.Add(networks)
				for i := range networks {
					group.Go(func() {
						begun := sync.OnceFunc(ready.Done)
						defer begun()
						var open []*rawH2
						defer func() {
							for _, h := range open {
								h.close()
							}
						}()
						for range 2 {
							h, err := s.relay.dialH2(ctx, attackerAddress(i), s.project.host("shop.localhost"))
							if err != nil {
								return
							}
							open = append(open, h)
							for range 990 {
								_, _ = h.request("POST", s.project.host("shop.localhost"), "/", false, "content-length", "10")
							}
						}
						// They count as stalled after a second.
						select {
						case <-time.After(1500 * time.Millisecond):
						case <-ctx.Done():
						}
						begun()
						paced(ctx, 50, func(int) {
							for _, h := range open {
								_, _ = h.request("POST", s.project.host("shop.localhost"), "/", false, "content-length", "10")
							}
						})
					})
				}
				ready.Wait()
				underWay()
				group.Wait()
			}, s.clients(), s.process(relayMemory), s.agentProcess(upMemory))
		})
	}
}

// TestE2EAttackLog makes the relay refuse: requests to names that are not there,
// handshakes without a name, agents that lie.
func TestE2EAttackLog(t *testing.T) {
	s := besiege(t, siegeOptions{})
	before := s.relay.logged()
	var sent atomic.Int64
	withstand(t, func(ctx context.Context, underWay func()) {
		var group sync.WaitGroup
		for i := range 3 {
			group.Go(func() {
				for ctx.Err() == nil {
					h, err := s.relay.dialH2(ctx, attackerAddress(i), s.relay.name)
					if err != nil {
						continue
					}
					paced(until(ctx, h.gone), 300, func(n int) {
						_, _ = h.request("GET", s.relay.name, "/"+strings.Repeat("x", 4000)+fmt.Sprint(n), true)
						_, _ = h.request("G\x01", "nobody."+s.relay.name, "/", true)
						if sent.Add(2) > 2000 {
							underWay()
						}
					})
					h.close()
				}
			})
		}
		group.Go(func() {
			paced(ctx, 30, func(i int) {
				session, err := s.relay.dialSession(ctx, attackerAddress(9), keyNumber("log", i), tunnel.Claim{Name: "a--b", Hosts: []string{""}})
				if err == nil {
					session.Close(nil)
				}
			})
		})
		group.Wait()
	}, s.clients(), s.process(relayMemory))
	checkLogged(t, s, before, sent.Load())
}

// TestE2EAttackTokens guesses the enrolment token from several networks.
func TestE2EAttackTokens(t *testing.T) {
	const token = "5f2c9b7e0d4a8163"
	s := besiege(t, siegeOptions{token: token, relay: []string{"--token", token}})
	var looked, braked atomic.Int64
	withstand(t, func(ctx context.Context, underWay func()) {
		paced(ctx, 150, func(i int) {
			_, err := s.relay.dialSession(ctx, attackerAddress(i%5), keyNumber("tokens", i), tunnel.Claim{Enrol: fmt.Sprintf("guess number %08d", i), Hosts: []string{}})
			var refused *tunnel.Refusal
			switch {
			case !errors.As(err, &refused):
			case refused.Code == tunnel.CodeBadToken:
				looked.Add(1)
			case refused.Code == tunnel.CodeBusy:
				braked.Add(1)
			}
			if looked.Load()+braked.Load() > 80 {
				underWay()
			}
		})
	}, s.clients(), s.process(relayMemory))
	t.Logf("%d guesses were looked at, %d not", looked.Load(), braked.Load())
	if looked.Load() > 70 || braked.Load() == 0 {
		t.Errorf("%d guesses from 5 networks were looked at within seconds, %d not", looked.Load(), braked.Load())
	}
}
