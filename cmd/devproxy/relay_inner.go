package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"

	"github.com/devproxy/devproxy/devproxy"
	"github.com/devproxy/devproxy/tunnel/agent"
	"github.com/devproxy/devproxy/tunnel/relay"
)

// devWord is the --relay that is part of `up` itself: its links work on this
// machine only, for a look at what a visitor gets.
const devWord = "dev"

// innerRelay is a relay like `devproxy relay --dev`, inside of `up`. It keeps nothing.
type innerRelay struct {
	run   *relayRun
	state string // a folder
}

// openInnerRelay starts one on a free port.
func openInnerRelay(ctx context.Context) (*innerRelay, error) {
	folder, err := os.MkdirTemp("", "devproxy-relay-") // mode 0700
	if err != nil {
		return nil, failf("see that there is space left for temporary files", "cannot make a folder for a relay: %w", err)
	}
	d := &innerRelay{state: folder}
	options := relayOptions{dev: true, state: filepath.Join(folder, "relay.db"), congestion: "system", namesPerKey: 10, memory: relay.DefaultMemory >> 20}
	cfg, err := options.check(false)
	if err == nil {
		d.run = &relayRun{cfg: cfg, log: slog.New(slog.DiscardHandler), failed: make(chan error, 4)}
		err = d.run.start(ctx, nil)
		limitMemory(devproxy.BodyMemory + agent.Memory + relay.DefaultMemory) // of the two together
	}
	if err != nil {
		d.close()
		return nil, err
	}
	return d, nil
}

// name is what an agent dials.
func (d *innerRelay) name() string {
	return net.JoinHostPort(devDomain, fmt.Sprint(portOf(d.run.sockets.https)))
}

// close ends it; of nil it does nothing.
func (d *innerRelay) close() {
	if d == nil {
		return
	}
	if d.run != nil {
		d.run.close()
	}
	_ = os.RemoveAll(d.state) // nobody else looks for it
}

// findRelays is findRelays for this share, with a relay of its own for "dev".
func (s *sharing) findRelays(flag string, file []string) ([]rememberedRelay, error) {
	relays, err := findRelays(s.home, flag, file)
	if err != nil {
		return nil, err
	}
	for i, relay := range relays {
		if relay.Relay != devWord {
			continue
		}
		if s.inner == nil {
			if s.inner, err = openInnerRelay(context.Background()); err != nil {
				return nil, err
			}
		}
		relays[i] = rememberedRelay{Relay: s.inner.name(), Token: s.inner.run.cfg.token}
	}
	return relays, nil
}
