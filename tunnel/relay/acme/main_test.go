package acme

import (
	"os"
	"testing"

	"github.com/devproxy/devproxy/tunnel/leaktest"
)

func TestMain(m *testing.M) {
	// certmagic keeps one goroutine for each authority and address, which limits the
	// rate of orders.
	os.Exit(leaktest.Run(m, "relay/acme.", "relay/zone.", "certmagic.(*Cache)", "certmagic.(*Config)", "certmagic.(*ACMEIssuer)"))
}
