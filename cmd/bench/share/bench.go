package share

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"slices"

	"github.com/devproxy/devproxy/tunnel/wan"
)

func (b bench) run(ctx context.Context) error {
	if !b.raw && !b.probe {
		var err error
		if b.devproxy, err = findDevproxy(b.devproxy); err != nil {
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
		b.print(cost, func(w io.Writer) { printCPU(w, cost) })
	}
	if b.memory || all {
		cost, err := b.measureMemory(ctx)
		if err != nil {
			return fmt.Errorf("memory: %w", err)
		}
		b.print(cost, func(w io.Writer) { printMemory(w, cost) })
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

// measure runs every row as often as is asked for, each time on a new path
// with new programs.
func (b bench) measure(ctx context.Context, s system) (column, error) {
	col := column{System: s.name, CC: s.cc, Runs: b.repeats, Warm: b.warm}
	rows := slices.DeleteFunc(slices.Clone(b.rows), func(r row) bool { return r.Kind == s.cannot })
	groups := slices.Collect(slices.Chunk(rows, 1))
	if b.warm {
		groups = [][]row{rows}
	}
	for _, group := range groups {
		results, err := b.repeat(ctx, s, group)
		if err != nil {
			return col, fmt.Errorf("%s, %s: %w", s.name, s.cc, err)
		}
		col.Rows = append(col.Rows, results...)
	}
	return col, nil
}

// repeat gives the medians of rows that are measured one after the other.
func (b bench) repeat(ctx context.Context, s system, rows []row) ([]result, error) {
	runs := make([][]result, len(rows))
	for range b.repeats {
		results, err := b.once(ctx, s, rows)
		if err != nil {
			return nil, err
		}
		for i, r := range results {
			runs[i] = append(runs[i], r)
		}
	}
	var medians []result
	for _, r := range runs {
		medians = append(medians, median(r))
	}
	return medians, nil
}

func (b bench) once(ctx context.Context, s system, rows []row) (results []result, err error) {
	path := b.path
	path.Congestion = s.cc
	link, err := wan.Open(ctx, path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, link.Close()) }()
	load, stop, err := s.open(ctx, link, rows)
	if err != nil {
		return nil, err
	}
	defer stop()
	for range rows {
		var m message
		if err := load.Next(&m); err != nil {
			return nil, err
		}
		results = append(results, *m.Result)
		if b.verbose {
			fmt.Fprintf(os.Stderr, "%s: %+v %+v\n", s.name, *m.Result, m.Result.Session)
		}
	}
	return results, ctx.Err()
}
