package share

import (
	"fmt"
	"io"
	"strings"
)

// column is a system with the medians of its rows.
type column struct {
	System string   `json:"system"`
	CC     string   `json:"cc"`
	Runs   int      `json:"runs"`
	Warm   bool     `json:"warm,omitempty"`
	Rows   []result `json:"rows"`
}

// printTable prints what was measured, as markdown.
func printTable(w io.Writer, b bench, columns []column) {
	p := b.path
	how := "each row on a new session"
	if b.warm {
		how = "all rows on one session"
	}
	fmt.Fprintf(w, "%v round trip, %v %% loss each way, %v Mbit/s, queue %v; %s; median of %d\n\n", p.RTT, p.Loss, p.Rate, p.Queue, how, b.repeats)
	fmt.Fprintln(w, "| what | system | total | p50 | p95 | p99 | MB/s | beside | errors |")
	fmt.Fprintln(w, "|---|---|---|---|---|---|---|---|---|")
	for _, r := range b.rows {
		for _, c := range columns {
			for _, res := range c.Rows {
				if res.Row == r.Name {
					printRow(w, r, c, res)
				}
			}
		}
	}
}

func printRow(w io.Writer, r row, c column, res result) {
	cells := []string{
		r.Title, c.System + ", " + c.CC,
		fmt.Sprintf("%.2f s", res.Total/1e3),
		fmt.Sprintf("%.0f ms", res.P50), fmt.Sprintf("%.0f ms", res.P95), fmt.Sprintf("%.0f ms", res.P99),
		fmt.Sprintf("%.2f", res.MBs), besideText(res), errorsText(res.Errors),
	}
	fmt.Fprintf(w, "| %s |\n", strings.Join(cells, " | "))
}

func besideText(res result) string {
	switch {
	case res.Ratio > 0:
		return fmt.Sprintf("%.2f of alone", res.Ratio)
	case res.BesideMBs > 0:
		return fmt.Sprintf("%.2f MB/s", res.BesideMBs)
	}
	return ""
}

func errorsText(errors map[string]int) string {
	n, example := 0, ""
	for text, count := range errors {
		n, example = n+count, text
	}
	if n == 0 {
		return "0"
	}
	return fmt.Sprintf("%d: %s", n, strings.ReplaceAll(example, "|", "/"))
}

func printCPU(w io.Writer, c cpuCost) {
	fmt.Fprintf(w, "\nProcessor time of a 4 KB request on one machine: %.0f µs locally; through the link the agent takes %.0f µs (%.2f ×), the relay %.0f µs (%.2f ×).\n",
		c.Local, c.Agent, c.Agent/c.Local, c.Relay, c.Relay/c.Local)
}

func printMemory(w io.Writer, c memoryCost) {
	fmt.Fprintf(w, "\nMemory of the relay: %d KB before, %d KB with %d sleeping shares: %.1f KB each (the descriptor limit is %d).\n",
		c.Before, c.After, c.Sessions, c.Each, c.Descriptors)
}
