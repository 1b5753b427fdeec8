package relay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/devproxy/devproxy/tunnel/budget"
)

func prefixOf(i int) netip.Prefix {
	return budget.NetworkOf(netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}))
}

// taker takes slots in a test's bubble.
type taker struct {
	*slots
	t *testing.T
}

func newTaker(t *testing.T, total, perNetwork int) taker {
	return taker{newSlots(Limits{RequestsPerShare: total, RequestsPerVisitor: perNetwork}), t}
}

// atOnce takes a free slot; nil when there is none at once.
func (k taker) atOnce(from int) *slot {
	k.t.Helper()
	ctx, cancel := context.WithTimeout(k.t.Context(), time.Millisecond)
	defer cancel()
	p, err := k.take(ctx, prefixOf(from))
	if err != nil && !errors.Is(err, errBusy) {
		k.t.Errorf("take fails with %v", err)
	}
	return p
}

// stalled takes n slots for stalled uploads; evicting one releases it.
func (k taker) stalled(from, n int) []*slot {
	k.t.Helper()
	var all []*slot
	for range n {
		p := k.atOnce(from)
		if p == nil {
			k.t.Fatalf("no slot for network %d", from)
		}
		p.uploading.Store(true)
		p.onEviction(func() { go p.release() }) // as a handler does, later
		all = append(all, p)
	}
	return all
}

func evicted(all []*slot) (n int) {
	for _, p := range all {
		if p.evicted.Load() {
			n++
		}
	}
	return n
}

func TestSlotsPerNetwork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newTaker(t, 10, 3)
		first := k.stalled(1, 3)
		time.Sleep(time.Hour)
		if k.atOnce(1) != nil {
			t.Error("a network has a fourth slot of three")
		}
		if evicted(first) > 0 {
			t.Error("a slot was evicted in a share that is not full")
		}
		if k.atOnce(2) == nil {
			t.Error("another network has none")
		}
		got := make(chan *slot)
		go func() {
			p, _ := k.take(t.Context(), prefixOf(1))
			got <- p
		}()
		synctest.Wait()
		first[0].release()
		if p := <-got; p == nil {
			t.Error("the waiting request does not get the free slot")
		}
		if k.inUse() != 4 {
			t.Errorf("%d are under way", k.inUse())
		}
	})
}

func TestSlotsQueueIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newTaker(t, 10, 2)
		k.stalled(1, 2)
		ctx, cancel := context.WithCancel(t.Context())
		var group sync.WaitGroup
		for range 2 {
			group.Go(func() { _, _ = k.take(ctx, prefixOf(1)) })
		}
		synctest.Wait()
		start := time.Now()
		if _, err := k.take(t.Context(), prefixOf(1)); !errors.Is(err, errBusy) || time.Since(start) > 0 {
			t.Errorf("the third in a queue of two: %v after %v", err, time.Since(start))
		}
		if k.atOnce(2) == nil {
			t.Error("another network is in the same queue")
		}
		cancel()
		group.Wait()
		if len(k.waiting) != 0 {
			t.Error("something still waits")
		}
	})
}

// TestSlotsEviction: what a full share evicts, and under which conditions.
func TestSlotsEviction(t *testing.T) {
	for _, c := range []struct {
		name    string
		prepare func(all []*slot)
		rest    time.Duration
		want    int
	}{
		{"an upload that rests", nil, stalledUpload, 1},
		{"one that moved just now", nil, stalledUpload - 2*time.Millisecond, 0},
		{"an answer that rests", func(all []*slot) { notUploading(all) }, stalledExchange, 1},
		{"one that moved within ten seconds", func(all []*slot) { notUploading(all) }, stalledExchange - 2*time.Millisecond, 0},
		{"one that cannot be ended yet", func(all []*slot) {
			for _, p := range all {
				p.onEviction(nil)
			}
		}, time.Hour, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := newTaker(t, 6, 4)
				most, fewer := k.stalled(1, 4), k.stalled(2, 2)
				if c.prepare != nil {
					c.prepare(most)
				}
				time.Sleep(c.rest)
				p := k.atOnce(3)
				if evicted(most) != c.want || (p != nil) != (c.want > 0) {
					t.Errorf("%d were evicted, want %d; the new one has a slot: %v", evicted(most), c.want, p != nil)
				}
				if evicted(fewer) > 0 {
					t.Error("the network with fewer gave one up")
				}
			})
		})
	}
}

func notUploading(all []*slot) {
	for _, p := range all {
		p.uploading.Store(false)
	}
}

// TestSlotsEvictTheLongest: of the network with most, the one that has been stalled
// for longest is evicted; once, although it takes some time.
func TestSlotsEvictTheLongest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newTaker(t, 3, 3)
		all := k.stalled(1, 3)
		calls := make([]int, len(all))
		for i, p := range all {
			p.onEviction(func() { calls[i]++ })
		}
		time.Sleep(time.Minute)
		all[0].touch()
		all[2].touch()
		time.Sleep(stalledUpload)
		k.atOnce(2)
		if fmt.Sprint(calls) != "[0 1 0]" {
			t.Fatalf("evicted: %v", calls)
		}
		time.Sleep(time.Second)
		k.atOnce(2)
		if calls[1] != 1 {
			t.Errorf("one was evicted %d times", calls[1])
		}
	})
}

// TestSlotsOneForOne: until the evicted request has ended, no other is evicted.
func TestSlotsOneForOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newTaker(t, 4, 4)
		all := k.stalled(1, 4)
		for _, p := range all {
			p.onEviction(func() {})
		}
		time.Sleep(time.Minute)
		got := make(chan *slot)
		go func() {
			p, _ := k.take(t.Context(), prefixOf(2))
			got <- p
		}()
		time.Sleep(time.Minute)
		if n := evicted(all); n != 1 {
			t.Errorf("%d were evicted for one", n)
		}
		for _, p := range all {
			if p.evicted.Load() {
				p.release()
			}
		}
		if p := <-got; p == nil || evicted(all) != 1 {
			t.Errorf("%d were evicted", evicted(all))
		}
	})
}

// TestSlotsNextVictim: when the freed slot went to a network with fewer, another request
// is evicted.
func TestSlotsNextVictim(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newTaker(t, 5, 5)
		all := k.stalled(1, 4)
		for _, p := range all {
			p.onEviction(func() {})
		}
		k.stalled(2, 1)
		time.Sleep(time.Minute)
		take := func(from int) <-chan *slot {
			got := make(chan *slot, 1)
			go func() {
				p, _ := k.take(t.Context(), prefixOf(from))
				got <- p
			}()
			synctest.Wait()
			return got
		}
		release := func() {
			for i, p := range all {
				if p.evicted.Load() {
					p.release()
					all = append(all[:i:i], all[i+1:]...)
					return
				}
			}
			t.Fatal("none was evicted")
		}
		second := take(2)
		for _, p := range all {
			p.touch()
		}
		third := take(3) // finds none that is stalled
		release()
		if <-third == nil || len(second) > 0 {
			t.Fatal("the network without a slot has not got the one that was free")
		}
		time.Sleep(stalledUpload + retryEvery)
		synctest.Wait()
		release()
		if <-second == nil {
			t.Error("the one that waits has no slot")
		}
	})
}

// TestUncounted: the slot of a request that is not counted is never evicted.
func TestUncounted(t *testing.T) {
	p := uncounted()
	p.onEviction(func() { t.Error("evicted") })
	p.touch()
	p.release()
}

// TestSlotsLookAgain: a waiting request gets the slot of one that stalls meanwhile.
func TestSlotsLookAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newTaker(t, 2, 2)
		all := k.stalled(1, 2)
		start := time.Now()
		p, err := k.take(t.Context(), prefixOf(2))
		if took := time.Since(start); err != nil || p == nil || took > stalledUpload+retryEvery || evicted(all) != 1 {
			t.Errorf("%v after %v, %d evicted", err, took, evicted(all))
		}
	})
}

// TestSlotsFairness: the network with the most loses requests, and only to one
// with fewer.
func TestSlotsFairness(t *testing.T) {
	for range 20 { // maps are in no order
		synctest.Test(t, func(t *testing.T) {
			k := newTaker(t, 12, 4)
			one, two, three, four := k.stalled(1, 2), k.stalled(2, 4), k.stalled(3, 3), k.stalled(4, 3)
			time.Sleep(time.Minute)
			if k.stalled(5, 1); evicted(one) > 0 || evicted(two) != 1 || evicted(three)+evicted(four) > 0 {
				t.Errorf("evicted: %d %d %d %d", evicted(one), evicted(two), evicted(three), evicted(four))
			}
			k.stalled(5, 1)
			if n := evicted(two) + evicted(three) + evicted(four); evicted(one) > 0 || n != 2 {
				t.Errorf("evicted: %d of the least, %d of the others", evicted(one), n)
			}
		})
	}
	synctest.Test(t, func(t *testing.T) {
		k := newTaker(t, 4, 4)
		one, two := k.stalled(1, 2), k.stalled(2, 2)
		time.Sleep(time.Minute)
		p := k.stalled(3, 1)
		if evicted(one)+evicted(two) != 1 {
			t.Errorf("evicted: %d and %d", evicted(one), evicted(two))
		}
		if k.atOnce(3) != nil {
			t.Error("a network has as many as the one that gave one up")
		}
		p[0].release()
		k.stalled(1, 1)
		if k.makeRoom(p[0]); evicted(one)+evicted(two) != 1 {
			t.Error("a slot that was granted makes others give way")
		}
	})
}

// TestSlotsWaitingIsNoRest: the time of waiting for a slot does not count as stalled.
func TestSlotsWaitingIsNoRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newTaker(t, 3, 3)
		first := k.stalled(1, 3)
		for _, p := range first {
			p.onEviction(nil)
		}
		got := make(chan *slot)
		go func() {
			p, _ := k.take(t.Context(), prefixOf(1))
			got <- p
		}()
		time.Sleep(time.Minute)
		first[0].release()
		p := <-got
		p.uploading.Store(true)
		p.onEviction(func() {})
		time.Sleep(stalledUpload / 2)
		if k.atOnce(2); p.evicted.Load() {
			t.Error("it was evicted for the time that it waited")
		}
		time.Sleep(stalledUpload / 2)
		if k.atOnce(2); !p.evicted.Load() {
			t.Error("it was not evicted, although it is stalled")
		}
	})
}

// TestSlotsGoToTheFewest: a free slot goes to the network that has fewest, and in a
// network to the request that has waited for longest.
func TestSlotsGoToTheFewest(t *testing.T) {
	for range 20 { // maps are in no order
		synctest.Test(t, func(t *testing.T) {
			k := newTaker(t, 12, 8)
			first, second := k.stalled(1, 8), k.stalled(2, 4)
			for _, p := range append(first, second...) {
				p.onEviction(nil)
			}
			order := make(chan string, 10)
			ctx, cancel := context.WithCancel(t.Context())
			var group sync.WaitGroup
			for i, who := range []int{1, 2, 1, 2, 3, 3} {
				group.Go(func() {
					if _, err := k.take(ctx, prefixOf(who)); err == nil {
						order <- fmt.Sprint(who, "-", i)
					}
				})
				time.Sleep(time.Millisecond)
			}
			for _, p := range first[:3] { // 5, 4 and 0 are left
				p.release()
				p.release() // counts once
				synctest.Wait()
				if k.inUse() != 12 {
					t.Errorf("%d are under way", k.inUse())
				}
			}
			for _, want := range []string{"3-4", "3-5", "2-1"} {
				if got := <-order; got != want {
					t.Errorf("a slot went to %s, want %s", got, want)
				}
			}
			cancel()
			group.Wait()
		})
	}
}

// TestSlotsOfManyNetworks: making room costs as much with many networks, or many
// moving requests, as with few: strangers can have any number.
func TestSlotsOfManyNetworks(t *testing.T) {
	cost := func(networks, each int) time.Duration {
		s := newSlots(Limits{RequestsPerShare: networks * each, RequestsPerVisitor: each})
		for i := range networks * each {
			p, err := s.take(t.Context(), budget.NetworkOf(netip.AddrFrom4([4]byte{10, 0, byte(i / each >> 8), byte(i / each)})))
			if err != nil {
				t.Fatal(err)
			}
			p.onEviction(func() { t.Error("a request that moves was evicted") })
		}
		p := &slot{slots: s, network: prefixOf(1), granted: make(chan struct{})}
		s.enqueue(p)
		best := time.Hour
		for range 5 {
			start := time.Now()
			for range 1000 {
				s.makeRoom(p)
			}
			best = min(best, time.Since(start))
		}
		return best
	}
	few := cost(2, 2)
	for name, many := range map[string]time.Duration{"networks": cost(4000, 1), "requests": cost(2, 2000)} {
		if many > 50*few {
			t.Errorf("with many %s it takes %v, with few %v", name, many, few)
		}
	}
}

// TestSlotsSearchAgain: a network without a request to evict is searched again
// later.
func TestSlotsSearchAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newTaker(t, 2, 2)
		all := k.stalled(1, 2)
		time.Sleep(stalledUpload - searchPause/2)
		if k.atOnce(2) != nil || evicted(all) != 0 {
			t.Error("one is evicted too early")
		}
		time.Sleep(searchPause / 2)
		if k.atOnce(3); evicted(all) != 0 {
			t.Error("the network is searched again at once")
		}
		time.Sleep(searchPause / 2)
		if k.atOnce(3) == nil || evicted(all) != 1 {
			t.Errorf("%d are evicted, want 1", evicted(all))
		}
	})
}

// TestSlotsAddUp takes and releases slots in any order.
func TestSlotsAddUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newTaker(t, 20, 6)
		var group sync.WaitGroup
		for i := range 200 {
			random := rand.New(rand.NewPCG(uint64(i), 2))
			group.Go(func() {
				time.Sleep(time.Duration(random.IntN(3000)) * time.Millisecond)
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(random.IntN(4000))*time.Millisecond)
				defer cancel()
				p, err := k.take(ctx, prefixOf(random.IntN(5)))
				if err != nil {
					return
				}
				gone := make(chan struct{})
				p.uploading.Store(random.IntN(2) == 0)
				p.onEviction(sync.OnceFunc(func() { close(gone) }))
				k.check()
				select {
				case <-gone:
				case <-time.After(time.Duration(random.IntN(20)) * time.Second):
				}
				p.release()
				k.check()
			})
		}
		group.Wait()
		if k.used != 0 || len(k.networks) != 0 || len(k.waiting) != 0 || len(k.bySize) != 0 || k.most != 0 {
			t.Errorf("left over: %d used, %d networks, %d waiting, by size %v", k.used, len(k.networks), len(k.waiting), k.bySize)
		}
	})
}

func (k taker) check() {
	k.mu.Lock()
	defer k.mu.Unlock()
	used, most := 0, 0
	for network, n := range k.networks {
		used, most = used+len(n.used), max(most, len(n.used))
		if _, is := k.bySize[len(n.used)][n]; is != (len(n.used) > 0) {
			k.t.Errorf("%s has %d, and its size is not kept", network, len(n.used))
		}
		if len(n.used) > k.perNetwork || len(n.waiting) > k.perNetwork || (len(n.waiting) > 0) != (k.waiting[network] != nil) {
			k.t.Errorf("%s has %d and waits for %d", network, len(n.used), len(n.waiting))
		}
	}
	sizes, holders := 0, 0
	for size, networks := range k.bySize {
		sizes += len(networks)
		if size == 0 || len(networks) == 0 {
			k.t.Errorf("%d networks are kept with the size %d", len(networks), size)
		}
	}
	for _, n := range k.networks {
		if len(n.used) > 0 {
			holders++
		}
	}
	if sizes != holders {
		k.t.Errorf("%d sizes are kept of %d networks", sizes, holders)
	}
	if most != k.most {
		k.t.Errorf("the most is %d, counted %d", most, k.most)
	}
	if used != k.used || used > k.total {
		k.t.Errorf("%d used, counted %d, of %d", used, k.used, k.total)
	}
}

// TestSlotsAreFreed: at once after the response, and some time after a visitor has
// cancelled.
func TestSlotsAreFreed(t *testing.T) {
	w := start(t, nil)
	key := testKey("a")
	begun := make(chan struct{})
	host := w.agent(key, claimOf(key, ""), http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			begun <- struct{}{}
			<-r.Context().Done()
		}
	})).grant.Hosts[0]
	underWay := w.shares.forKey(publicKey(key)).slots.inUse
	for _, protocol := range protocols {
		get(t, w.client(protocol), "https://"+host+"/")
		eventually(t, "an answered request is counted out", func() bool { return underWay() == 0 })
		ctx, cancel := context.WithCancel(t.Context())
		request, _ := http.NewRequestWithContext(ctx, "GET", "https://"+host+"/slow", nil)
		failed := make(chan error, 1)
		go func() {
			_, err := w.client(protocol).Do(request)
			failed <- err
		}()
		within(t, "the request", begun)
		if underWay() != 1 {
			t.Errorf("%s: %d are under way", protocol, underWay())
		}
		cancel()
		within(t, "its end", failed)
		eventually(t, "one that was evicted is counted out", func() bool { return underWay() == 0 })
	}
}

// TestStalledUploadGivesWay: in a full share, a visitor of another network gets the
// slot of a stalled upload, whose visitor gets a response that says so. No other
// request is evicted for it.
func TestStalledUploadGivesWay(t *testing.T) {
	for _, protocol := range protocols {
		t.Run(protocol, func(t *testing.T) {
			w := start(t, func(o *Options) { o.Limits = Limits{RequestsPerShare: 2, RequestsPerVisitor: 2} })
			key := testKey("a")
			host := w.agent(key, claimOf(key, ""), http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
			})).grant.Hosts[0]
			slots := w.shares.forKey(publicKey(key)).slots
			type upload struct {
				end    io.Closer // of the body
				status int
			}
			answers := make(chan upload, 2)
			ends := map[io.Closer]bool{}
			for range 2 {
				body, end := io.Pipe()
				ends[end] = true
				go func() {
					res, err := w.client(protocol).Post("https://"+host+"/", "", struct {
						io.Reader
						io.Closer
					}{io.MultiReader(strings.NewReader("half"), body), body})
					if err != nil {
						answers <- upload{end, 0}
						return
					}
					res.Body.Close()
					answers <- upload{end, res.StatusCode}
				}()
			}
			defer func() {
				for end := range ends {
					end.Close()
				}
			}()
			eventually(t, "both are under way", func() bool { return slots.inUse() == 2 })
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			p, err := slots.take(ctx, prefixOf(9))
			if err != nil {
				t.Fatal(err)
			}
			first := within(t, "the answer", answers)
			if first.status != 503 || slots.inUse() != 2 {
				t.Errorf("the upload that gave way: %d; %d are under way", first.status, slots.inUse())
			}
			p.release()
			delete(ends, first.end)
			first.end.Close()
			for end := range ends {
				end.Close()
			}
			if second := within(t, "the answer", answers); second.status != 200 {
				t.Errorf("the other upload: %d", second.status)
			}
		})
	}
}

// inUse returns how many slots are taken.
func (s *slots) inUse() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.used
}
