package forward

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"slices"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// playedAddresses is a Dial that plays several addresses: refused, silent, or one
// that leads to real.
type playedAddresses struct {
	real  string
	kinds map[string]string // by address: "refuses", "silent", "missing", "answers"

	mu    sync.Mutex
	tried []string
}

func (a *playedAddresses) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	a.mu.Lock()
	a.tried = append(a.tried, addr)
	kind := a.kinds[addr]
	a.mu.Unlock()
	switch kind {
	case "refuses":
		return nil, &net.OpError{Op: "dial", Net: network, Err: syscall.ECONNREFUSED}
	case "missing":
		return nil, &net.OpError{Op: "dial", Net: network, Err: syscall.EADDRNOTAVAIL}
	case "silent":
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return (&net.Dialer{}).DialContext(ctx, "tcp", a.real)
}

func (a *playedAddresses) take() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	tried := a.tried
	a.tried = nil
	return tried
}

func TestBothLoopbackAddressesAreTriedAndTheOneThatAnswersIsRemembered(t *testing.T) {
	const four, six = "127.0.0.1:5173", "[::1]:5173"
	for _, other := range []string{"refuses", "missing", "silent"} {
		for _, answers := range []string{four, six} {
			t.Run(fmt.Sprintf("%s answers, the other %s", answers, other), func(t *testing.T) {
				up := startUpstream(t, "http", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					w.Header().Set("Connection", "close") // so that each request dials
				}))
				a := &playedAddresses{real: up.Addrs[0], kinds: map[string]string{four: other, six: other}}
				a.kinds[answers] = "answers"
				up.Addrs = []string{four, six}
				p := newProxy(t, "h1", Options{Dial: a.dial}, up)
				for i := range 3 {
					start := time.Now()
					if res, _ := p.get(t, "/"); res.StatusCode != http.StatusOK {
						t.Fatalf("got %s", res.Status)
					}
					if took := time.Since(start); took > 3*time.Second {
						t.Errorf("request %d was stalled for %v", i, took)
					}
					if tried := a.take(); i > 0 && (len(tried) != 1 || tried[0] != answers) {
						t.Errorf("request %d dialled %v, want %s alone", i, tried, answers)
					}
				}
			})
		}
	}
}

func TestASilentAddressAloneIsNotHeldForever(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &playedAddresses{kinds: map[string]string{"127.0.0.1:1": "silent", "[::1]:1": "silent"}}
		d := newDialer(a.dial, "127.0.0.1:1", "[::1]:1")
		start := time.Now()
		if _, err := d.connect(t.Context()); err == nil || time.Since(start) != dialTimeout {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
		if tried := slices.Compact(slices.Sorted(slices.Values(a.tried))); len(tried) != 2 || len(a.tried) > 120 {
			t.Errorf("tried %v, %d times", tried, len(a.tried))
		}
		synctest.Wait()
	})
}

func newDialer(dial dialFunc, addrs ...string) *dialer {
	return &dialer{network: "tcp", addrs: addrs, dial: dial}
}
