// Package forward measures devproxy as a reverse proxy next to the peers that
// are on PATH: nginx, HAProxy and Caddy. All figures come from one run on one
// machine, so their ratios count, not their values.
//
// The upstream (nginx, static files) and the load generator (h2load, of the
// nghttp2 project) share one core; the proxy has another one to itself, with one
// worker. Every proxy has the same ECDSA P-256 certificate, except devproxy,
// which issues its own of that kind.
package forward

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/devproxy/devproxy/cmd/bench/harness"
)

// bench is the command line.
type bench struct {
	devproxy string
	peers    []string
	rows     []string
	duration time.Duration
	rounds   int
	json     string
	verbose  bool
	proxyCPU int
	loadCPU  int
}

// Run measures what args say (see --help). It prints a table to standard
// output, and writes the same as JSON to the file of --json. It returns an error
// when a program is missing or a request fails.
func Run(ctx context.Context, args []string) error {
	b, err := parse(args)
	if err != nil {
		return err
	}
	report, err := b.measure(ctx)
	if err != nil {
		return err
	}
	report.print(os.Stdout)
	if b.json == "" {
		return nil
	}
	text, err := json.MarshalIndent(report, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(b.json, append(text, '\n'), 0o644)
}

func parse(args []string) (bench, error) {
	b := bench{peers: peerNames(), rows: rowNames()}
	flags := flag.NewFlagSet("bench forward", flag.ContinueOnError)
	flags.StringVar(&b.devproxy, "devproxy", "bin/devproxy", "the devproxy to measure; several, separated by commas, are measured next to each other")
	flags.DurationVar(&b.duration, "d", 3*time.Second, "time of load for each figure")
	flags.IntVar(&b.rounds, "n", 2, "rounds; each figure is the median of its rounds")
	flags.StringVar(&b.json, "json", "", "also write the figures to this file, as JSON")
	flags.BoolVar(&b.verbose, "v", false, "show what the programs print")
	flags.IntVar(&b.loadCPU, "load-cpu", 0, "core of the load generator and the upstream")
	flags.IntVar(&b.proxyCPU, "proxy-cpu", 1, "core of the proxies")
	flags.Func("peers", "peers to measure, of "+strings.Join(b.peers, ",")+" (default: those on PATH)", some(&b.peers))
	flags.Func("row", "rows to measure, of "+strings.Join(b.rows, ",")+" (default: all)", some(&b.rows))
	if err := flags.Parse(args); err != nil {
		return b, err
	}
	if flags.NArg() > 0 || b.rounds < 1 || b.duration <= 0 {
		return b, fmt.Errorf("cannot use %q: see bench forward --help", args)
	}
	return b, nil
}

// some parses a flag that reduces names to some of them.
func some(names *[]string) func(string) error {
	all := *names
	return func(text string) error {
		*names = strings.Split(text, ",")
		for _, name := range *names {
			if !slices.Contains(all, name) {
				return fmt.Errorf("unknown name %q", name)
			}
		}
		return nil
	}
}

// measure starts the upstream and every proxy, and takes the rows one by one:
// all proxies in turn for each row, so that a change of the machine's speed
// affects all of them.
func (b bench) measure(ctx context.Context) (_ *report, err error) {
	lab, err := b.openLab(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, lab.close()) }()
	r := &report{Rounds: b.rounds, Seconds: b.duration.Seconds()}
	for _, p := range lab.proxies {
		r.Systems = append(r.Systems, system{Name: p.name, Version: p.version})
	}
	for _, row := range loadRows() {
		if !slices.Contains(b.rows, row.Name) {
			continue
		}
		for _, kind := range row.measures {
			r.Rows = append(r.Rows, figures{Row: row.Name + "/" + kind.name, Title: row.Title + ", " + kind.title, Unit: kind.unit})
		}
		at := len(r.Rows) - len(row.measures)
		for range b.rounds {
			for i, p := range lab.proxies {
				values, err := row.run(ctx, lab, p)
				if err != nil {
					return nil, fmt.Errorf("%s, %s: %w", p.name, row.Title, err)
				}
				for k, value := range values {
					r.Rows[at+k].add(i, value)
				}
				if b.verbose {
					fmt.Fprintf(os.Stderr, "%s, %s: %v\n", p.name, row.Name, values)
				}
			}
		}
	}
	return r, nil
}

// report holds the figures of one run.
type report struct {
	Rounds  int       `json:"rounds"`
	Seconds float64   `json:"seconds_each"`
	Systems []system  `json:"systems"`
	Rows    []figures `json:"rows"`
}

type system struct {
	Name    string `json:"name"`
	Version string `json:"version"`
}

// figures are one measure of every system.
type figures struct {
	Row   string `json:"row"`
	Title string `json:"title"`
	Unit  string `json:"unit"`
	// Values has the rounds of each system, in the order of report.Systems. A
	// system that cannot be measured has none.
	Values [][]float64 `json:"values"`
	// Medians and Ratios have one value for each system, 0 for none. Ratios are
	// to the first peer (nginx where it is on PATH).
	Medians []float64 `json:"medians"`
	Ratios  []float64 `json:"ratios"`
}

// add appends a value of the system at index; a negative one means "none".
func (f *figures) add(index int, value float64) {
	for len(f.Values) <= index {
		f.Values, f.Medians, f.Ratios = append(f.Values, nil), append(f.Medians, 0), append(f.Ratios, 0)
	}
	if value >= 0 {
		f.Values[index] = append(f.Values[index], value)
	}
	for i, values := range f.Values {
		f.Medians[i] = harness.Median(values)
	}
	for i, value := range f.Medians {
		f.Ratios[i] = 0
		if f.Medians[0] > 0 {
			f.Ratios[i] = value / f.Medians[0]
		}
	}
}

// print writes a Markdown table: the median of each system and, in brackets, its
// ratio to the first.
func (r *report) print(w io.Writer) {
	fmt.Fprintf(w, "Median of %d rounds of %.2g s. In brackets: the ratio to %s in the same run.\n\n| what | unit |", r.Rounds, r.Seconds, r.Systems[0].Name)
	for _, s := range r.Systems {
		fmt.Fprintf(w, " %s |", strings.TrimSpace(s.Name+" "+s.Version))
	}
	fmt.Fprintf(w, "\n|---|---|%s\n", strings.Repeat("---|", len(r.Systems)))
	for _, row := range r.Rows {
		fmt.Fprintf(w, "| %s | %s |", row.Title, row.Unit)
		for i := range r.Systems {
			fmt.Fprintf(w, " %s |", row.text(i))
		}
		fmt.Fprintln(w)
	}
}

func (f *figures) text(index int) string {
	if index >= len(f.Medians) || len(f.Values[index]) == 0 {
		return "–"
	}
	text := fmt.Sprintf("%.3g", f.Medians[index])
	if f.Medians[index] >= 100 {
		text = fmt.Sprintf("%.0f", f.Medians[index])
	}
	if index > 0 && f.Ratios[index] > 0 {
		text += fmt.Sprintf(" (%.2f)", f.Ratios[index])
	}
	return text
}
