package forward

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// behaviour is how addresses answer.
type behaviour struct {
	delay map[string]time.Duration // before it answers; negative: never
	fails map[string]error
}

// addresses is a Dial that knows how each address behaves.
type addresses struct {
	behaviour

	mu    sync.Mutex
	tried []string
	open  int // connections
}

type countedConn struct {
	net.Conn
	a *addresses
}

func (c countedConn) Close() error {
	c.a.count(-1)
	return nil
}

func (a *addresses) count(n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.open += n
}

func (a *addresses) dial(ctx context.Context, _, addr string) (net.Conn, error) {
	a.mu.Lock()
	a.tried = append(a.tried, addr)
	a.mu.Unlock()
	delay := a.delay[addr]
	if delay < 0 {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	time.Sleep(delay) // deaf to ctx, as a connection that is just being made
	if err := a.fails[addr]; err != nil {
		return nil, err
	}
	a.count(1)
	return countedConn{nil, a}, nil
}

func TestDialTriesEachAddressAndRemembersTheOneThatAnswered(t *testing.T) {
	refused := syscall.ECONNREFUSED
	for _, test := range []struct {
		name  string
		a     behaviour
		takes time.Duration
		want  string // addresses tried by two dials
	}{
		{"the first answers", behaviour{}, 0, "v4 v4"},
		{"the first refuses", behaviour{fails: map[string]error{"v4": refused}}, 0, "v4 v6 v6"},
		{"the first swallows packets", behaviour{delay: map[string]time.Duration{"v4": -1}}, dialStagger, "v4 v6 v6"},
		{"the first is slow and loses", behaviour{delay: map[string]time.Duration{"v4": time.Second}}, dialStagger, "v4 v6 v6"},
		{"the first is slow and wins", behaviour{delay: map[string]time.Duration{"v4": 300 * time.Millisecond, "v6": time.Second}}, 300 * time.Millisecond, "v4 v6 v4 v6"},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := addresses{behaviour: test.a}
				d := dialer{dial: a.dial, network: "tcp", addrs: []string{"v4", "v6"}}
				start := time.Now()
				for i := range 2 {
					conn, err := d.connect(t.Context())
					if err != nil {
						t.Fatal(err)
					}
					if took := time.Since(start); i == 0 && took != test.takes {
						t.Errorf("took %v, want %v", took, test.takes)
					}
					conn.Close()
				}
				time.Sleep(time.Minute)
				synctest.Wait()
				if got := strings.Join(a.tried, " "); got != test.want || a.open != 0 {
					t.Errorf("tried %q, want %q; %d connections left open", got, test.want, a.open)
				}
			})
		})
	}
}

func TestDialGivesUpWithEveryCause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := addresses{behaviour: behaviour{delay: map[string]time.Duration{"v4": -1}, fails: map[string]error{"v6": syscall.ENETUNREACH}}}
		d := dialer{dial: a.dial, network: "tcp", addrs: []string{"v4", "v6"}}
		start := time.Now()
		_, err := d.connect(t.Context())
		if err == nil || err.Error() != "v4: no answer, v6: network is unreachable" || time.Since(start) != dialTimeout {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
	})
}

func TestWhatCountsAsRefused(t *testing.T) {
	op := func(err error) error { return &net.OpError{Op: "dial", Err: err} }
	for _, test := range []struct {
		errs []error
		want bool
	}{
		{[]error{op(syscall.ECONNREFUSED)}, true},
		{[]error{op(syscall.ENOENT)}, true},
		{[]error{op(syscall.ECONNREFUSED), op(syscall.EADDRNOTAVAIL)}, true},
		{[]error{op(syscall.EADDRNOTAVAIL)}, false},
		{[]error{op(syscall.ECONNREFUSED), context.DeadlineExceeded}, false},
		{[]error{&net.DNSError{Err: "no such host"}}, false},
		{[]error{io.EOF}, false},
	} {
		var attempts []Attempt
		for _, err := range test.errs {
			attempts = append(attempts, Attempt{"a", err})
		}
		if _, got := asRefused(errors.Join(&dialError{attempts})); got != test.want {
			t.Errorf("%v: got %v", test.errs, got)
		}
	}
}

// TestSocketStays: a unix socket behind a link that leads elsewhere than when
// the plan was made is not connected to.
func TestSocketStays(t *testing.T) {
	base, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	inside, outside := filepath.Join(base, "in"), filepath.Join(base, "out")
	for _, dir := range []string{inside, outside} {
		if err := errors.Join(os.Mkdir(dir, 0o700), os.WriteFile(filepath.Join(dir, "real"), nil, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	for link, target := range map[string]string{"in/here": "real", "in/away": "../out/real", "in/dir": "../out"} {
		if err := os.Symlink(target, filepath.Join(base, link)); err != nil {
			t.Skip("this system has no links: ", err)
		}
	}
	for _, tt := range []struct {
		path, within string
		dials        bool
	}{
		{"in/real", "in", true}, {"in/here", "in", true}, {"in/missing", "in", true}, {"out/real", "out/real", true},
		{"in/away", "in", false}, {"in/dir/real", "in", false}, {"in/away", "out/real", true}, {"out/real", "in", false}, {"in/away", "", true},
	} {
		dialled := false
		d := dialer{network: "unix", addrs: []string{filepath.Join(base, tt.path)}, dial: func(context.Context, string, string) (net.Conn, error) {
			dialled = true
			return nil, errors.New("nobody is there")
		}}
		if tt.within != "" {
			d.within = filepath.Join(base, tt.within)
		}
		if _, err := d.connect(t.Context()); err == nil || dialled != tt.dials || errors.Is(err, errLinkChanged) == tt.dials {
			t.Errorf("%s within %q: dialled %t, %v", tt.path, tt.within, dialled, err)
		}
	}
}
