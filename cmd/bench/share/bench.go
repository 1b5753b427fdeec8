// Package share measures a share on an emulated path with loss, next to its
// peers and to parallel sockets. It needs Linux and root.
package share

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/devproxy/devproxy/tunnel/wan"
)

// bench is the command line.
type bench struct {
	path wan.Config
	// devproxy is the program to measure.
	devproxy string
	// Only these; when none is set, all but raw and probe, unless rows are picked.
	raw, probe, cpu, memory bool

	bbr      bool
	warm     bool
	json     bool
	verbose  bool
	cc       []string
	lanes    []int
	rows     []row
	repeats  int
	sessions int // 0: as many as the relay's descriptor limit allows
	profile  string
}

// Run measures what args say (see --help) and prints a table, or JSON. Call
// it on the main thread, locked, so that children end with this process.
func Run(ctx context.Context, args []string) error {
	b, err := parse(args)
	if err != nil {
		return err
	}
	return b.run(ctx)
}

func parse(args []string) (bench, error) {
	b := bench{rows: allRows()}
	flags := flag.NewFlagSet("bench share", flag.ContinueOnError)
	b.addFlags(flags)
	flags.StringVar(&b.devproxy, "devproxy", "bin/devproxy", "the devproxy to measure")
	flags.IntVar(&b.repeats, "n", 3, "runs; each figure is the median of its runs")
	flags.BoolVar(&b.warm, "warm", false, "all rows one after the other on one session: what loss has done to congestion windows stays")
	flags.BoolVar(&b.json, "json", false, "print one JSON object per line instead of a table")
	flags.BoolVar(&b.verbose, "v", false, "show what the programs print")
	flags.StringVar(&b.profile, "profile", "", "folder for CPU profiles of the benchmark's own programs")
	if err := flags.Parse(args); err != nil {
		return b, err
	}
	if flags.NArg() > 0 || b.repeats < 1 || b.sessions < 0 {
		return b, fmt.Errorf("cannot use %q: see --help", args)
	}
	if b.cc == nil {
		b.cc = []string{"cubic"}
	}
	if b.lanes == nil {
		b.lanes = []int{8, 16}
	}
	return b, nil
}

func (b *bench) addFlags(flags *flag.FlagSet) {
	flags.DurationVar(&b.path.RTT, "rtt", 80*time.Millisecond, "round-trip time of the path")
	flags.DurationVar(&b.path.Jitter, "jitter", 0, "largest extra delay each way")
	flags.Float64Var(&b.path.Loss, "loss", 1, "packets lost each way, in percent")
	flags.Float64Var(&b.path.Rate, "rate", 100, "bandwidth each way, in Mbit/s; 0 is unlimited")
	flags.DurationVar(&b.path.Queue, "queue", 100*time.Millisecond, "the router's queue, as time at the rate")
	flags.Uint64Var(&b.path.Seed, "seed", 0, "which packets are lost; 0 is another choice each time")
	flags.Func("cc", "TCP congestion control of the path, one or more of cubic,bbr,reno (default cubic)", func(text string) error {
		b.cc = strings.Split(text, ",")
		return nil
	})
	flags.BoolVar(&b.raw, "raw", false, "only the tunnel, without HTTP")
	flags.BoolVar(&b.probe, "probe", false, "only parallel sockets without a tunnel: the upper bound")
	flags.BoolVar(&b.cpu, "cpu", false, "only the processor time of a request, next to that of a local one")
	flags.BoolVar(&b.memory, "memory", false, "only the memory of sleeping shares")
	flags.IntVar(&b.sessions, "sessions", 0, "sleeping shares; 0 is what the descriptor limit allows, at most 2000")
	flags.BoolVar(&b.bbr, "bbr", false, "make relay and tunnel use BBR, whatever the path has")
	flags.Func("lanes", "with --probe: sockets (default 8,16)", b.parseLanes)
	flags.Func("row", "only these rows, by name: "+names(b.rows), b.pickRows)
}

func (b *bench) parseLanes(text string) error {
	for word := range strings.SplitSeq(text, ",") {
		n, err := strconv.Atoi(word)
		if err != nil || n < 1 || n > 64 {
			return fmt.Errorf("%q is not a number from 1 to 64", word)
		}
		b.lanes = append(b.lanes, n)
	}
	return nil
}

func (b *bench) pickRows(text string) error {
	b.rows = nil
	for name := range strings.SplitSeq(text, ",") {
		i := slices.IndexFunc(allRows(), func(r row) bool { return r.Name == name })
		if i < 0 {
			return fmt.Errorf("unknown row %q: the rows are %s", name, names(allRows()))
		}
		b.rows = append(b.rows, allRows()[i])
	}
	return nil
}

func names(rows []row) string {
	var all []string
	for _, r := range rows {
		all = append(all, r.Name)
	}
	return strings.Join(all, ",")
}

func (b bench) run(ctx context.Context) error {
	if !b.raw && !b.probe {
		found, err := exec.LookPath(b.devproxy)
		if err != nil {
			return fmt.Errorf("%w: build it with `make build`, or name one with --devproxy", err)
		}
		if b.devproxy, err = filepath.Abs(found); err != nil {
			return err
		}
		b.path.Hosts = map[string]netip.Addr{relayDomain: wan.DefaultAddr(wan.A)}
	}
	all := !b.raw && !b.probe && !b.cpu && !b.memory && len(b.rows) == len(allRows())
	if !b.cpu && !b.memory {
		if err := b.runRows(ctx); err != nil {
			return err
		}
	}
	if b.cpu || all {
		cost, err := b.measureCPU(ctx)
		if err != nil {
			return fmt.Errorf("processor time: %w", err)
		}
		b.print(cost, cost.print)
	}
	if b.memory || all {
		cost, err := b.measureMemory(ctx)
		if err != nil {
			return fmt.Errorf("memory: %w", err)
		}
		b.print(cost, cost.print)
	}
	return nil
}

// print prints a result as JSON, or as text does.
func (b bench) print(result any, text func(io.Writer)) {
	if !b.json {
		text(os.Stdout)
		return
	}
	if line, err := json.Marshal(result); err == nil { // our own types
		fmt.Printf("%s\n", line)
	}
}

// runRows prints the table.
func (b bench) runRows(ctx context.Context) error {
	var columns []column
	for _, cc := range b.cc {
		for _, s := range b.systems(cc) {
			col, err := b.measure(ctx, s)
			if err != nil {
				return err
			}
			columns = append(columns, col)
			b.print(col, func(io.Writer) {})
		}
	}
	if !b.json {
		printTable(os.Stdout, b, columns)
	}
	return nil
}

// measure runs every row b.repeats times, each time on a new path
// with new programs.
func (b bench) measure(ctx context.Context, s system) (column, error) {
	col := column{System: s.name, CC: s.cc, Runs: b.repeats, Warm: b.warm}
	rows := slices.DeleteFunc(slices.Clone(b.rows), func(r row) bool { return slices.Contains(s.cannot, r.Kind) })
	groups := slices.Collect(slices.Chunk(rows, 1))
	if b.warm {
		groups = [][]row{rows}
	}
	for _, group := range groups {
		runs := make([][]result, len(group))
		for range b.repeats {
			results, err := b.once(ctx, s, group)
			if err != nil {
				return col, fmt.Errorf("%s, %s: %w", s.name, s.cc, err)
			}
			for i, r := range results {
				runs[i] = append(runs[i], r)
			}
		}
		for _, r := range runs {
			col.Rows = append(col.Rows, median(r))
		}
	}
	return col, nil
}

// once measures rows one after the other, on one path.
func (b bench) once(ctx context.Context, s system, rows []row) (results []result, err error) {
	path := b.path
	path.Congestion = s.cc
	err = b.on(ctx, path, func(run *programs) error {
		load, err := s.open(ctx, run, rows)
		if err != nil {
			return err
		}
		for range rows {
			var m message
			if err := load.Next(&m); err != nil {
				return err
			}
			results = append(results, *m.Result)
			if b.verbose {
				fmt.Fprintf(os.Stderr, "%s: %+v %+v\n", s.name, *m.Result, m.Result.Session)
			}
		}
		return ctx.Err()
	})
	return results, err
}
