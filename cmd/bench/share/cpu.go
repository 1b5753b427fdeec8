package share

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/devproxy/devproxy/cmd/bench/harness"
	"github.com/devproxy/devproxy/tunnel/wan"
)

// cpuRequests stays below the burst that a relay grants one address.
const cpuRequests = 2400

// cpuRow is what is asked for to see what a request costs.
func cpuRow() row { return row{"cpu", "4 KB", cpuRequests, 4 << 10, 6, alone} }

// cpuCost is processor time of one request, in microseconds.
type cpuCost struct {
	Local float64 `json:"local_us"` // `up`, asked on this machine
	Agent float64 `json:"agent_us"` // `up`, asked through the link
	Relay float64 `json:"relay_us"`
}

// measureCPU compares requests on this machine with requests through a link
// whose both ends are here too.
func (b bench) measureCPU(ctx context.Context) (cost cpuCost, err error) {
	var runs []cpuCost
	for range b.repeats {
		run, err := b.onceCPU(ctx)
		if err != nil {
			return cost, err
		}
		runs = append(runs, run)
	}
	of := func(figure func(cpuCost) float64) float64 {
		all := make([]float64, 0, len(runs))
		for _, r := range runs {
			all = append(all, figure(r))
		}
		slices.Sort(all)
		return all[len(all)/2]
	}
	return cpuCost{
		Local: of(func(c cpuCost) float64 { return c.Local }),
		Agent: of(func(c cpuCost) float64 { return c.Agent }),
		Relay: of(func(c cpuCost) float64 { return c.Relay }),
	}, nil
}

func (b bench) onceCPU(ctx context.Context) (cost cpuCost, err error) {
	s, done, err := b.openHere(ctx)
	if err != nil {
		return cost, err
	}
	defer func() { err = errors.Join(err, done()) }()
	local := spec{Role: "visitors", URL: "https://shop.localhost", Dial: "127.0.0.1:443", Rows: []row{cpuRow()}}
	used, err := s.cpuDuring(ctx, local)
	if err != nil {
		return cost, fmt.Errorf("on this machine: %w", err)
	}
	cost.Local = used[s.up]
	if used, err = s.cpuDuring(ctx, s.visitors([]row{cpuRow()})); err != nil {
		return cost, fmt.Errorf("through the link: %w", err)
	}
	cost.Agent, cost.Relay = used[s.up], used[s.relay]
	return cost, nil
}

// openHere opens a share with both ends beside each other: packets between
// them do not leave the namespace.
func (b bench) openHere(ctx context.Context) (s *share, done func() error, err error) {
	link, err := wan.Open(ctx, wan.Config{Hosts: b.path.Hosts})
	if err != nil {
		return nil, nil, err
	}
	s, err = b.openShare(ctx, link, wan.A)
	if err != nil {
		return nil, nil, errors.Join(err, link.Close())
	}
	return s, func() error {
		s.stop()
		return link.Close()
	}, nil
}

// cpuDuring is what relay and agent use for each of the visitors' requests, in microseconds.
func (s *share) cpuDuring(ctx context.Context, visitors spec) (map[*harness.Child]float64, error) {
	programs := []*harness.Child{s.up, s.relay}
	before := map[*harness.Child]time.Duration{}
	for _, c := range programs {
		var err error
		if before[c], err = c.CPU(); err != nil {
			return nil, err
		}
	}
	if err := s.visit(ctx, visitors); err != nil {
		return nil, err
	}
	used := map[*harness.Child]float64{}
	for _, c := range programs {
		after, err := c.CPU()
		if err != nil {
			return nil, err
		}
		used[c] = float64((after - before[c]).Microseconds()) / cpuRequests
	}
	return used, nil
}

// visit has visitors come, whose every request has to succeed.
func (s *share) visit(ctx context.Context, visitors spec) error {
	load, err := s.bench.role(ctx, s.link, wan.A, visitors, "")
	if err != nil {
		return err
	}
	defer load.Stop()
	for range visitors.Rows {
		var m message
		if err := load.Next(&m); err != nil {
			return err
		}
		if len(m.Result.Errors) > 0 {
			return fmt.Errorf("requests failed: %s", errorsText(m.Result.Errors))
		}
	}
	return nil
}
