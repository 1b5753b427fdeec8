package relay

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/devproxy/devproxy/tunnel"
)

// counting is a registry that counts its calls.
type counting struct {
	brokenRegistry
	mu      sync.Mutex
	renewed []string
	sweeps  int
	lookups int
}

func (c *counting) Lookup(ctx context.Context, name string) (Record, bool, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lookups++
	return c.brokenRegistry.Lookup(ctx, name)
}

func (c *counting) Renew(ctx context.Context, owner Key, names []string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.renewed = append(c.renewed, names...)
	return c.brokenRegistry.Renew(ctx, owner, names)
}

func (c *counting) Sweep(ctx context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sweeps++
	return c.brokenRegistry.Sweep(ctx)
}

// fail makes it fail from now on.
func (c *counting) fail(renew, sweep error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.renew, c.sweep = renew, sweep
}

// counts are the sweeps so far, and the names renewed.
func (c *counting) counts() (sweeps int, renewed []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.sweeps, slices.Clone(c.renewed)
}

// TestMaintenance: periodic work is done in time, until the relay ends.
func TestMaintenance(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log syncBuffer
		registry := &counting{brokenRegistry: brokenRegistry{Memory: NewMemory()}}
		r, err := New(Options{
			Domain: domain, Certificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return nil, nil },
			Registry: registry, Log: slog.New(slog.NewTextHandler(&log, nil)),
		})
		if err != nil {
			t.Fatal(err)
		}
		here, gone := &share{key: Key{1}, session: &tunnel.Session{}}, &share{key: Key{2}, session: &tunnel.Session{}}
		r.shares.put(here, &claimed{root: "here." + domain, hosts: []string{"here." + domain}})
		r.shares.put(gone, &claimed{root: "gone." + domain, hosts: []string{"gone." + domain}})
		r.group.Go(r.maintain)
		synctest.Wait()
		if sweeps, renewed := registry.counts(); sweeps != 1 || len(renewed) != 0 {
			t.Errorf("at the start: %d sweeps, renewed %q", sweeps, renewed)
		}
		r.shares.sessionEnded(gone, time.Now())
		held := func() bool {
			_, ok, _ := r.shares.find("gone." + domain)
			return ok
		}
		if time.Sleep(recentlyGone); !held() {
			t.Error("a session that was just lost is forgotten")
		}
		time.Sleep(2 * sweepEvery)
		if synctest.Wait(); held() || r.shares.forKey(gone.key) != nil {
			t.Error("a session that was lost stays")
		}
		if r.shares.forKey(here.key) != here {
			t.Error("a running session is forgotten")
		}
		time.Sleep(renewEvery)
		synctest.Wait()
		if sweeps, renewed := registry.counts(); sweeps != 2 || !slices.Equal(renewed, []string{"here." + domain}) {
			t.Errorf("after %v: %d sweeps, renewed %q", renewEvery, sweeps, renewed)
		}

		// A suspended registry is not reported.
		registry.fail(ErrSuspended, ErrSuspended)
		time.Sleep(renewEvery)
		if synctest.Wait(); log.String() != "" {
			t.Errorf("logged %s", log.String())
		}
		registry.fail(errors.New("the disk is full"), errors.New("the disk is gone"))
		time.Sleep(renewEvery)
		synctest.Wait()
		for _, part := range []string{"names not renewed", "the disk is full", "unused names not forgotten", "the disk is gone"} {
			if !strings.Contains(log.String(), part) {
				t.Errorf("no %q in %s", part, log.String())
			}
		}

		// Omitted lines are counted each time, and at the end.
		leftOut := func() int { return strings.Count(log.String(), "log lines omitted") }
		for range linesBurst + 1 {
			r.log.Info("strangers knock")
		}
		time.Sleep(summaryEvery)
		if synctest.Wait(); leftOut() != 1 {
			t.Errorf("%d summaries", leftOut())
		}
		for range linesBurst + 1 {
			r.log.Info("strangers knock again")
		}
		r.Close()
		if leftOut() != 2 {
			t.Errorf("%d summaries at the end", leftOut())
		}
		sweeps, _ := registry.counts()
		time.Sleep(3 * renewEvery)
		if n, _ := registry.counts(); n != sweeps {
			t.Error("the relay continues after its end")
		}
	})
}
