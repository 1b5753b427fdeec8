package share

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/devproxy/devproxy/cmd/bench/harness"
	"github.com/devproxy/devproxy/tunnel"
	"github.com/devproxy/devproxy/tunnel/wan"
)

// here opens a share with both ends on one machine, without a path between them, and
// calls measure with it.
func (b bench) here(ctx context.Context, measure func(*share) error) error {
	return b.on(ctx, wan.Config{Hosts: b.path.Hosts}, func(run *programs) error {
		s, err := openShare(ctx, run, wan.A)
		if err != nil {
			return err
		}
		return measure(s)
	})
}

// cpuRequests and pageRequests, twice, stay below the burst that a relay grants one
// address.
const (
	cpuRequests  = 1200
	pageRequests = 600
)

// cpuRow is the load for which a request's cost is measured.
func cpuRow() row { return row{"cpu", "4 KB", cpuRequests, 4 << 10, 6, alone} }

// pageRow is the load for which the cost of replacing URLs is measured.
func pageRow() row { return row{"page", "100 KiB", pageRequests, 100 << 10, 6, alone} }

// cpuCost is processor time of one request, in microseconds.
type cpuCost struct {
	Local float64 `json:"local_us"` // `up`, for a request on this machine
	Agent float64 `json:"agent_us"` // `up`, for one through the link
	Relay float64 `json:"relay_us"`
	// Unchanged and HTML are those of agent and relay for the same 100 KiB of HTML: as
	// they are, and with their URLs replaced by the agent.
	Unchanged float64 `json:"unchanged_us"`
	HTML      float64 `json:"html_us"`
}

func (c cpuCost) print(w io.Writer) {
	fmt.Fprintf(w, "\nProcessor time of a 4 KB request on one machine: %.0f µs locally; through the link the agent takes %.0f µs (%.2f ×), the relay %.0f µs (%.2f ×).\n",
		c.Local, c.Agent, c.Agent/c.Local, c.Relay, c.Relay/c.Local)
	fmt.Fprintf(w, "For 100 KiB of HTML agent and relay take %.0f µs, and %.0f µs if the agent replaces URLs (%.2f ×).\n", c.Unchanged, c.HTML, c.HTML/c.Unchanged)
}

// measureCPU compares requests on this machine with requests through a link
// that has both ends on it.
func (b bench) measureCPU(ctx context.Context) (cost cpuCost, err error) {
	var runs []cpuCost
	for range b.repeats {
		err := b.here(ctx, func(s *share) error {
			run, err := s.cpu(ctx)
			runs = append(runs, run)
			return err
		})
		if err != nil {
			return cost, err
		}
	}
	return medians(runs), nil
}

func (s *share) cpu(ctx context.Context) (cost cpuCost, err error) {
	local := spec{Role: "visitors", URL: "https://shop.localhost", Dial: "127.0.0.1:443", Rows: []row{cpuRow()}}
	if cost.Local, _, err = s.cpuDuring(ctx, local); err != nil {
		return cost, fmt.Errorf("on this machine: %w", err)
	}
	if cost.Agent, cost.Relay, err = s.cpuDuring(ctx, s.visitors([]row{cpuRow()})); err != nil {
		return cost, fmt.Errorf("through the link: %w", err)
	}
	long := s.visitors([]row{pageRow()})
	long.Path = unchangedPath
	var relay float64
	if cost.Unchanged, relay, err = s.cpuDuring(ctx, long); err != nil {
		return cost, fmt.Errorf("unchanged pages through the link: %w", err)
	}
	cost.Unchanged += relay
	long.Path = htmlPath
	if cost.HTML, relay, err = s.cpuDuring(ctx, long); err != nil {
		return cost, fmt.Errorf("pages through the link: %w", err)
	}
	cost.HTML += relay
	return cost, nil
}

// cpuDuring is what `up` and the relay use for each of the visitors' requests, in
// microseconds. Every request has to succeed.
func (s *share) cpuDuring(ctx context.Context, visitors spec) (up, relay float64, err error) {
	children := []*harness.Child{s.up, s.relay}
	used := make([]time.Duration, len(children))
	read := func() error {
		for i, c := range children {
			now, err := c.CPU()
			if err != nil {
				return err
			}
			used[i] = now - used[i]
		}
		return nil
	}
	if err := read(); err != nil {
		return 0, 0, err
	}
	load, err := s.role(ctx, wan.A, visitors)
	if err != nil {
		return 0, 0, err
	}
	var m message
	if err := load.Next(&m); err != nil {
		return 0, 0, err
	}
	if len(m.Result.Errors) > 0 {
		return 0, 0, fmt.Errorf("requests failed: %s", errorsText(m.Result.Errors))
	}
	if err := read(); err != nil {
		return 0, 0, err
	}
	each := func(i int) float64 { return float64(used[i].Microseconds()) / float64(visitors.Rows[0].Requests) }
	return each(0), each(1), nil
}

const (
	// lanesAsleep is how many connections a session without traffic has.
	lanesAsleep = 2
	// spareFiles are the descriptors for all but sleeping shares.
	spareFiles = 256
	// mostSessions is where more would only take longer.
	mostSessions = 2000
	// calm is how long the relay is left alone before its memory is read.
	calm = 10 * time.Second
)

// memoryCost is what sleeping shares cost a relay.
type memoryCost struct {
	Sessions    int     `json:"sessions"`
	Descriptors int64   `json:"descriptor_limit"`
	Before      int64   `json:"before_kb"`
	After       int64   `json:"after_kb"`
	Each        float64 `json:"each_kb"`
}

func (c memoryCost) print(w io.Writer) {
	fmt.Fprintf(w, "\nMemory of the relay: %d KB before, %d KB with %d sleeping shares: %.1f KB each (the descriptor limit is %d).\n",
		c.Before, c.After, c.Sessions, c.Each, c.Descriptors)
}

// measureMemory opens many sleeping shares on one relay.
func (b bench) measureMemory(ctx context.Context) (cost memoryCost, err error) {
	err = b.here(ctx, func(s *share) (err error) {
		if cost.Descriptors, err = s.relay.DescriptorLimit(); err != nil {
			return err
		}
		cost.Sessions = min(mostSessions, int(cost.Descriptors-spareFiles)/lanesAsleep)
		if b.sessions > 0 {
			cost.Sessions = b.sessions
		}
		if cost.Before, err = s.relay.ResidentKB(); err != nil {
			return err
		}
		_, _, err = s.readyRole(ctx, wan.A, spec{
			Role: "sleepers", Addr: s.link.Addr(wan.A).String() + ":443", Root: s.file("cert.pem"), Sessions: cost.Sessions,
		})
		if err != nil {
			return err
		}
		time.Sleep(calm)
		cost.After, err = s.relay.ResidentKB()
		cost.Each = float64(cost.After-cost.Before) / float64(cost.Sessions)
		return err
	})
	return cost, err
}

// sleep opens sessions, each with its own key and its own link, and keeps them.
func sleep(ctx context.Context, s spec) error {
	config, err := clientTLS(s.Root)
	if err != nil {
		return err
	}
	config.ServerName, config.MinVersion, config.NextProtos = relayDomain, tls.VersionTLS13, []string{tunnel.ALPN}
	sessions := make([]*tunnel.Session, s.Sessions)
	defer func() {
		for _, session := range sessions {
			if session != nil {
				session.Close(nil)
			}
		}
	}()
	var group errgroup.Group
	group.SetLimit(16)
	for i := range sessions {
		group.Go(func() (err error) {
			sessions[i], err = openSession(ctx, s.Addr, sleeperAddr(i), config)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	for _, session := range sessions {
		for session.Stats().Lanes < lanesAsleep && session.Err() == nil {
			time.Sleep(time.Millisecond)
		}
		if err := session.Err(); err != nil {
			return fmt.Errorf("a session ended: %w", err)
		}
	}
	if err := tell(message{Ready: s.Addr}); err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}

// sleepersPerAddress stays below the new names that a relay allows one address at once.
const sleepersPerAddress = 500

// sleeperAddr is the address that the i-th sleeping share dials from. The relay is on the
// same machine, where every address of 127.0.0.0/8 works.
func sleeperAddr(i int) netip.Addr {
	n := 1 + i/sleepersPerAddress
	return netip.AddrFrom4([4]byte{127, 0, byte(n >> 8), byte(n)})
}

// openSession opens a session with a key and a link of its own.
func openSession(ctx context.Context, addr string, from netip.Addr, config *tls.Config) (*tunnel.Session, error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	hello, err := json.Marshal(tunnel.Claim{Enrol: relayToken, Project: "shop", Link: tunnel.Link(key, 0), Hosts: []string{""}})
	if err != nil {
		return nil, err
	}
	session, _, err := tunnel.Dial(ctx, tunnel.Config{Key: key, Hello: hello, Dial: func(ctx context.Context) (tunnel.Lane, error) {
		return dialLane(ctx, addr, from, "", config)
	}})
	return session, err
}
