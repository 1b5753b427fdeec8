package main

import (
	"context"
	"runtime"
	"time"

	"github.com/devproxy/devproxy/localca"
	"github.com/devproxy/devproxy/localca/trust"
)

// browserPatience bounds asking the browsers' stores before the banner ends.
const browserPatience = time.Second

// browsersTrust reports whether the browsers of this machine accept the CA, as
// far as their stores tell. On Linux they have stores of their own; elsewhere
// they read the system's.
func browsersTrust(ctx context.Context, ca *localca.CA) bool {
	ctx, cancel := context.WithTimeout(ctx, browserPatience)
	defer cancel()
	wanted := []string{"chromium", "firefox"}
	if runtime.GOOS != "linux" {
		wanted = []string{"system"}
	}
	stores, err := pickStores(ca, trustOptions{stores: wanted})
	if err != nil {
		return false
	}
	trusted := false
	for _, store := range stores {
		switch store.Check(ctx).State {
		case trust.Trusted:
			trusted = true
		case trust.Untrusted:
			return false
		}
	}
	return trusted
}
