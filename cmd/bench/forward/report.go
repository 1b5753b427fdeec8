package forward

import (
	"fmt"
	"io"
	"strings"

	"github.com/devproxy/devproxy/cmd/bench/harness"
)

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
