package relay

import (
	"testing"
	"time"
)

// TestLimitDefaults: what depends on the number of descriptors, and that what is
// set stays.
func TestLimitDefaults(t *testing.T) {
	names := Quota{PlainPerKey: plainPerKey, PlainPerNetwork: plainPerNetwork, PerKey: namesPerKey, PerNetwork: namesPerNetwork, Total: namesTotal}
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
		Names: Quota{1, 2, 3, 4, 5}, BodyBytes: 15, Memory: 16, Wait: 17 * time.Second,
	}
	if got := set.withDefaults(); got != set {
		t.Errorf("%+v, want %+v", got, set)
	}
}
