package share

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/devproxy/devproxy/cmd/bench/harness"
	"github.com/devproxy/devproxy/tunnel/wan"
)

// system is something to measure.
type system struct {
	name string
	cc   string
	// cannot is a kind of row that it has nothing for; empty for none.
	cannot kind
	// open starts it on a path that has just been made. The child tells a
	// result for each row.
	open func(ctx context.Context, l *wan.Link, rows []row) (load *harness.Child, stop func(), err error)
}

func (b bench) systems(cc string) []system {
	var all []system
	if b.raw {
		name := "tunnel"
		if b.bbr {
			name = "tunnel asking for BBR"
		}
		all = append(all, b.pair(name, cc, spec{Role: "tunnel", Tune: b.tune()}))
	}
	if b.probe {
		for _, n := range b.lanes {
			s := b.pair(fmt.Sprintf("%d sockets", n), cc, spec{Role: "probe", Lanes: n})
			s.cannot = stalled
			all = append(all, s)
		}
	}
	if !b.raw && !b.probe {
		all = append(all, b.share(cc))
		all = append(all, b.peers(cc)...)
	}
	return all
}

func (b bench) tune() string {
	if b.bbr {
		return "bbr"
	}
	return "system"
}

// pair is a system of two children of ours: the loading one beside the relay,
// and the one that answers.
func (b bench) pair(name, cc string, s spec) system {
	s.Addr, s.Verbose = wan.DefaultAddr(wan.A).String()+":443", b.verbose
	return system{name: name, cc: cc, open: func(ctx context.Context, l *wan.Link, rows []row) (*harness.Child, func(), error) {
		s.Rows = rows
		load, err := b.role(ctx, l, wan.A, s, "-load")
		if err != nil {
			return nil, nil, err
		}
		var m message
		if err := load.Next(&m); err != nil {
			return nil, nil, err
		}
		serve, err := b.role(ctx, l, wan.B, s, "-serve")
		if err != nil {
			load.Stop()
			return nil, nil, err
		}
		return load, func() { load.Stop(); serve.Stop() }, nil
	}}
}

// role starts this program again, in a namespace.
func (b bench) role(ctx context.Context, l *wan.Link, side wan.Side, s spec, suffix string) (*harness.Child, error) {
	s.Role += suffix
	if b.profile != "" {
		dir, err := filepath.Abs(b.profile)
		if err != nil {
			return nil, err
		}
		s.Profile = filepath.Join(dir, s.Role+".pprof")
	}
	text, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := l.Command(ctx, side, self)
	cmd.Env = append(os.Environ(), specVariable+"="+string(text))
	return harness.Start(s.Role, cmd, b.verbose)
}
