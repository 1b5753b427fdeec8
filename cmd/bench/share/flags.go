package share

import (
	"flag"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/devproxy/devproxy/tunnel/wan"
)

// bench is what is asked for on the command line.
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
	sessions int // 0: what the relay's descriptor limit allows
	profile  string
}

func parse(args []string) (bench, error) {
	b := bench{rows: allRows()}
	flags := flag.NewFlagSet("bench share", flag.ContinueOnError)
	b.pathFlags(flags)
	b.whatFlags(flags)
	flags.StringVar(&b.devproxy, "devproxy", "bin/devproxy", "the devproxy to measure")
	flags.IntVar(&b.repeats, "n", 3, "runs, of whose figures the median is told")
	flags.BoolVar(&b.warm, "warm", false, "all rows one after the other on one session: what loss has done to congestion windows stays")
	flags.BoolVar(&b.json, "json", false, "print one JSON object a line instead of a table")
	flags.BoolVar(&b.verbose, "v", false, "show what the programs say")
	flags.StringVar(&b.profile, "profile", "", "folder for CPU profiles of our own programs")
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

func (b *bench) pathFlags(flags *flag.FlagSet) {
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
}

func (b *bench) whatFlags(flags *flag.FlagSet) {
	flags.BoolVar(&b.raw, "raw", false, "only the tunnel, without HTTP")
	flags.BoolVar(&b.probe, "probe", false, "only parallel sockets without a tunnel: the upper bound")
	flags.BoolVar(&b.cpu, "cpu", false, "only the processor time of a request, beside that of a local one")
	flags.BoolVar(&b.memory, "memory", false, "only the memory of sleeping shares")
	flags.IntVar(&b.sessions, "sessions", 0, "sleeping shares; 0 is what the descriptor limit allows, at most 2000")
	flags.BoolVar(&b.bbr, "bbr", false, "have relay and tunnel ask the kernel for BBR, whatever the path has")
	flags.Func("lanes", "with --probe: sockets (default 8,16)", b.parseLanes)
	flags.Func("row", "only these rows, by name: "+names(b.rows), b.pickRows)
}

func (b *bench) parseLanes(text string) error {
	for _, word := range strings.Split(text, ",") {
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
	for _, name := range strings.Split(text, ",") {
		i := slices.IndexFunc(allRows(), func(r row) bool { return r.Name == name })
		if i < 0 {
			return fmt.Errorf("there is no row %q: the rows are %s", name, names(allRows()))
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
