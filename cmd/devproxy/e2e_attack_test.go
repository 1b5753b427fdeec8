//go:build e2e && linux

package main

import (
	"context"
	"testing"
)

// TestE2EAttackNone holds the harness itself: without an attacker nothing gets
// slower.
func TestE2EAttackNone(t *testing.T) {
	s := besiege(t, siegeOptions{})
	withstand(t, func(ctx context.Context, underWay func()) {
		underWay()
		<-ctx.Done()
	}, s.clients(), s.process(0), s.agentProcess(0))
}
