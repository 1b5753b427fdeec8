package relay

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestLimitDefaults: what depends on the number of descriptors, and that what is
// set stays.
func TestLimitDefaults(t *testing.T) {
	names := Quota{PlainPerKey: plainPerKey, PlainPerNetwork: plainPerNetwork, PerKey: namesPerKey, PerNetwork: namesPerNetwork, Total: namesTotal,
		PortsPerKey: portsPerKey, PortsPerNetwork: portsPerNetwork}
	for descriptors, want := range map[int]Limits{
		1000:    {Connections: 750, ConnectionsPerAddress: 187, LanesPerAddress: 702, Handshakes: 125},
		1 << 20: {Connections: 786432, ConnectionsPerAddress: connectionsPerAddress, LanesPerAddress: lanesPerAddress, Handshakes: handshakes},
		// A quarter of three connections is none, but one has to be.
		4: {Connections: 3, ConnectionsPerAddress: 1, LanesPerAddress: 1},
	} {
		want.Descriptors = descriptors
		want.HandshakeTimeout, want.HeadTimeout, want.IdleTimeout, want.StallTimeout = handshakeTimeout, headTimeout, idleTimeout, stallTimeout
		want.HeadBytes, want.RequestsPerSecond, want.Burst = headBytes, requestsPerSecond, burst
		want.RequestsPerShare, want.RequestsPerVisitor = requestsPerShare, requestsPerShare/4
		want.Names, want.Memory, want.Wait = names, DefaultMemory, waitForAgent
		if got := (Limits{Descriptors: descriptors}).withDefaults(); got != want {
			t.Errorf("%d descriptors:\n%+v, want\n%+v", descriptors, got, want)
		}
	}
	if got := (Limits{RequestsPerShare: 2}).withDefaults(); got.RequestsPerVisitor != 1 {
		t.Errorf("a visitor may have %d of 2 requests", got.RequestsPerVisitor)
	}
	if got := (Limits{}).withDefaults(); got.Descriptors < 256 || got.BodyBytes != 0 {
		t.Errorf("%d descriptors, %d bytes of a body", got.Descriptors, got.BodyBytes)
	}
	set := Limits{
		Descriptors: 1, Connections: 2, ConnectionsPerAddress: 3, LanesPerAddress: 4, Handshakes: 5,
		HandshakeTimeout: 6 * time.Second, HeadTimeout: 7 * time.Second, IdleTimeout: 8 * time.Second, StallTimeout: 9 * time.Second,
		HeadBytes: 10, RequestsPerSecond: 11, Burst: 12, RequestsPerShare: 13, RequestsPerVisitor: 14,
		Names: Quota{1, 2, 3, 4, 5, 6, 7}, BodyBytes: 15, Memory: 16, Wait: 17 * time.Second,
	}
	if got := set.withDefaults(); got != set {
		t.Errorf("%+v, want %+v", got, set)
	}
}

// TestDescriptors: the total limit is reached with real connections. Agents and visitors
// of one address leave no room for more of it, and nothing breaks.
func TestDescriptors(t *testing.T) {
	w := start(t, func(o *Options) {
		o.Limits = Limits{Descriptors: 40, Connections: 40, ConnectionsPerAddress: 40, Handshakes: 40}
	})
	if w.conns.most != 20 {
		t.Fatalf("connections may have %d descriptors", w.conns.most)
	}
	key := testKey("a")
	hold := make(chan struct{})
	var begun sync.WaitGroup
	host := w.agent(key, claimOf(key, ""), http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/hold" {
			begun.Done()
			<-hold
		}
	})).grant.Hosts[0]
	eventually(t, "two lanes", func() bool { _, _, n := w.conns.counts(); return n == 2 })
	var group sync.WaitGroup
	for range 18 {
		begun.Add(1)
		group.Go(func() {
			if res, err := w.client("h1").Get("https://" + host + "/hold"); err == nil {
				res.Body.Close()
			} else {
				t.Errorf("one of those that fit: %v", err)
			}
		})
		begun.Wait()
	}
	c := dialTCP(t, w.addr)
	if _, err := c.Read(make([]byte, 1)); err == nil || strings.Contains(err.Error(), "timeout") {
		t.Errorf("one more than fit: %v, want it closed", err)
	}
	if !counts(w.Relay, `limited_total{limit="connections"} 1`) {
		t.Error("the one that was refused is not counted")
	}
	if h, v, l := w.conns.counts(); h+v+l > 20 {
		t.Errorf("%d + %d + %d connections of 20", h, v, l)
	}
	close(hold)
	group.Wait()
	if status, _, _ := get(t, w.client("h1"), "https://"+host+"/"); status != 200 {
		t.Errorf("afterwards: %d", status)
	}
}
