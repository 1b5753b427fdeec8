package forward

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/devproxy/devproxy/devproxy/plan"
	"github.com/devproxy/devproxy/tunnel/budget"
	"github.com/devproxy/devproxy/tunnel/splice"
)

// pollHandler answers /poll when release is closed, everything else at once.
func pollHandler(release <-chan struct{}, polling *sync.WaitGroup) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/poll" {
			polling.Done()
			<-release
		}
		_, _ = io.WriteString(w, "ok")
	})
}

func get(t *testing.T, p *proxy, path string) {
	t.Helper()
	res, err := p.client().Get(p.URL + path)
	if err != nil {
		t.Error(err)
		return
	}
	defer res.Body.Close()
	if body, err := io.ReadAll(res.Body); err != nil || string(body) != "ok" {
		t.Errorf("%s: %s %q, %v", path, res.Status, body, err)
	}
}

func medianGet(t *testing.T, p *proxy, n int) time.Duration {
	t.Helper()
	var took []time.Duration
	for range n {
		start := time.Now()
		get(t, p, "/")
		took = append(took, time.Since(start))
	}
	slices.Sort(took)
	return took[n/2]
}

// TestBodyCost: a body counts as its window, its buffer, and what is kept of
// it, and as no more than it has bytes.
func TestBodyCost(t *testing.T) {
	for _, c := range []struct {
		major  int
		length int64
		want   int
	}{
		{1, -1, splice.BlockSize + maxReplay},
		{1, 10, splice.BlockSize + 10},
		{1, maxReplay, splice.BlockSize + maxReplay},
		{1, maxReplay + 1, splice.BlockSize + maxReplay},
		{1, 1 << 40, splice.BlockSize + maxReplay},
		{2, -1, splice.BlockSize + maxReplay + UploadWindow},
		{2, 10, splice.BlockSize + 20},
		{2, UploadWindow, splice.BlockSize + maxReplay + UploadWindow},
		{2, UploadWindow - 1, splice.BlockSize + maxReplay + UploadWindow - 1},
		{2, UploadWindow + 1, splice.BlockSize + maxReplay + UploadWindow},
		{2, 1 << 40, splice.BlockSize + maxReplay + UploadWindow},
	} {
		if got := bodyCost(&http.Request{ProtoMajor: c.major, ContentLength: c.length}); got != c.want {
			t.Errorf("HTTP/%d, %d bytes: %d; want %d", c.major, c.length, got, c.want)
		}
	}
}

// TestOwner: the visitor's address where it is known, else the client's.
func TestOwner(t *testing.T) {
	for _, c := range []struct {
		x    Exchange
		from string
		want string
	}{
		{Exchange{}, "192.0.2.1:99", "192.0.2.1/32"},
		{Exchange{}, "[2001:db8::1]:99", "2001:db8::/64"},
		{Exchange{Visitor: netip.MustParseAddr("198.51.100.1")}, "192.0.2.1:99", "198.51.100.1/32"},
		{Exchange{Visitor: netip.MustParseAddr("198.51.100.1"), PublicHost: "x"}, "tunnel", "198.51.100.1/32"},
		{Exchange{PublicHost: "x"}, "192.0.2.1:99", "invalid Prefix"},
		{Exchange{}, "tunnel", "invalid Prefix"},
	} {
		f := &forwarding{Exchange: c.x, r: &http.Request{RemoteAddr: c.from}}
		if o := ownerOf(f); o.Address.String() != c.want || o.Key != c.from {
			t.Errorf("%+v from %s: %v", c.x, c.from, o)
		}
	}
}

// TestStalledUploads: uploads that no one reads, and those that are held, share
// one bound. The connection with the most of them loses some; another client's
// upload goes on.
func TestStalledUploads(t *testing.T) {
	for _, visitor := range []string{"h1", "h2"} {
		for _, kind := range []string{"unread", "held"} {
			t.Run(visitor+" "+kind, func(t *testing.T) { stalledUploads(t, visitor, kind == "held") })
		}
	}
}

func stalledUploads(t *testing.T, visitor string, held bool) {
	const room = 8
	cost := bodyCost(&http.Request{ProtoMajor: map[string]int{"h1": 1, "h2": 2}[visitor], ContentLength: -1})
	memory := budget.New(budget.Limits{Total: int64(room * cost)})
	release, reading := make(chan struct{}), make(chan struct{}, 100)
	up := startUpstream(t, "http", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/stall" {
			reading <- struct{}{}
			select {
			case <-release:
			case <-r.Context().Done():
			}
			return
		}
		n, _ := io.Copy(io.Discard, r.Body)
		fmt.Fprint(w, n)
	}))
	opts := Options{Memory: memory}
	p := newProxy(t, visitor, opts, up)
	if held {
		p = newProxy(t, visitor, opts, plan.Member{Scheme: plan.SchemeHTTP, Network: "tcp", Text: ":1", Addrs: []string{closedPort(t)}})
		p.route.Hold = time.Hour
	}
	attacker := newClient(t, p)
	results := make(chan error, 100)
	const uploads = 2 * room
	ctx, cancel := context.WithCancel(t.Context())
	for range uploads {
		go func() {
			req, _ := http.NewRequestWithContext(ctx, http.MethodPost, p.URL+"/stall", endless{})
			res, err := attacker.Do(req)
			if err == nil {
				res.Body.Close()
			}
			results <- err
		}()
		if memory.Used() > int64((uploads+1)*cost) {
			t.Fatalf("%d bytes", memory.Used())
		}
	}
	evicted := 0
	for range uploads - room {
		select {
		case err := <-results:
			if err == nil {
				t.Error("an upload that was cut off was answered")
			}
			evicted++
		case <-time.After(20 * time.Second):
			t.Fatalf("%d uploads were cut off; want %d", evicted, uploads-room)
		}
	}
	// The visitor learns of the end a moment before the last of it is let go.
	eventually(t, func() bool { return memory.Used() <= int64(room*cost) })
	if !held {
		res, err := newClient(t, p).Post(p.URL+"/", "text/plain", struct{ io.Reader }{strings.NewReader(strings.Repeat("y", 300_000))})
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(res.Body)
		res.Body.Close()
		if string(got) != "300000" || err != nil {
			t.Errorf("another client's upload: %s %q, %v", res.Status, got, err)
		}
	}
	cancel()
	close(release)
	p.upstream.Retire() // of a client over HTTP/1.1 it is not known that it has left, while its body is unread
	wantNothingHeld(t, memory)
	select {
	case err := <-p.errs:
		if !errors.Is(err, ErrEvicted) || !errors.Is(err, ErrAborted) {
			t.Errorf("the exchange ended with %v", err)
		}
	default:
		t.Error("no exchange has ended")
	}
}

// endless is a body without an end.
type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

// newClient is a client with connections of its own.
func newClient(t *testing.T, p *proxy) *http.Client {
	transport := p.Client().Transport.(*http.Transport).Clone()
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// closedPort is an address on which nothing listens.
func closedPort(t *testing.T) string {
	srv := httptest.NewServer(nil)
	defer srv.Close()
	return srv.Listener.Addr().String()
}

// wantNothingHeld waits until every account is zero.
func wantNothingHeld(t *testing.T, memory *budget.Budget) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); memory.Accounts() > 0 && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
	if memory.Used() != 0 || memory.Accounts() != 0 {
		t.Errorf("%d bytes are counted in %d accounts", memory.Used(), memory.Accounts())
	}
}
