package share

import (
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/devproxy/devproxy/cmd/bench/harness"
)

// result has the figures of a row. Times are in milliseconds.
type result struct {
	Row     string         `json:"row"`
	OK      int            `json:"ok"`
	Total   float64        `json:"total_ms"`
	P50     float64        `json:"p50_ms"`
	P95     float64        `json:"p95_ms"`
	P99     float64        `json:"p99_ms"`
	Max     float64        `json:"max_ms"`
	MBs     float64        `json:"mb_s"`
	Errors  map[string]int `json:"errors,omitempty"`
	Session *sessionFacts  `json:"session,omitempty"`
	// DownloadMBs is the rate of the download that ran during the requests.
	DownloadMBs float64 `json:"download_mb_s,omitempty"`
	// Ratio is the rate with stalled visitors to that without.
	Ratio float64 `json:"ratio,omitempty"`
}

// sessionFacts are the tunnel's own figures after a row.
type sessionFacts struct {
	Lanes      int     `json:"lanes"`
	RTT        float64 `json:"rtt_ms"`
	Lossy      bool    `json:"lossy"`
	Resent     uint64  `json:"resent_bytes"`
	Congestion string  `json:"congestion"`
}

// meter collects exchanges. It is safe for concurrent use.
type meter struct {
	start time.Time

	mu     sync.Mutex
	took   []time.Duration
	bytes  int64
	errors map[string]int
}

func newMeter() *meter { return &meter{start: time.Now(), errors: map[string]int{}} }

func (m *meter) add(took time.Duration, bytes int64, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.bytes += bytes
	if err != nil {
		m.errors[err.Error()]++
		return
	}
	m.took = append(m.took, took)
}

func (m *meter) result(row string) result {
	total := time.Since(m.start)
	m.mu.Lock()
	defer m.mu.Unlock()
	slices.Sort(m.took)
	quantile := func(q float64) float64 { return milliseconds(harness.Quantile(m.took, q)) }
	return result{
		Row: row, OK: len(m.took), Total: milliseconds(total),
		P50: quantile(0.5), P95: quantile(0.95), P99: quantile(0.99), Max: quantile(1),
		MBs: megabytes(m.bytes, total), Errors: maps.Clone(m.errors),
	}
}

func milliseconds(d time.Duration) float64 { return float64(d.Round(10*time.Microsecond)) / 1e6 }

func megabytes(n int64, in time.Duration) float64 { return float64(n) / 1e6 / in.Seconds() }

// median takes the median of each figure of several runs of one row.
func median(runs []result) result {
	m := medians(runs)
	m.Row, m.OK, m.Session, m.Errors = runs[0].Row, runs[0].OK, runs[len(runs)-1].Session, map[string]int{}
	for _, r := range runs {
		m.OK = min(m.OK, r.OK)
		for text, n := range r.Errors {
			m.Errors[text] += n
		}
	}
	return m
}

// medians has the median of each field of several runs that is a float64.
func medians[T any](runs []T) (m T) {
	into := reflect.ValueOf(&m).Elem()
	for i := range into.NumField() {
		if into.Field(i).Kind() != reflect.Float64 {
			continue
		}
		all := make([]float64, len(runs))
		for j, run := range runs {
			all[j] = reflect.ValueOf(run).Field(i).Float()
		}
		into.Field(i).SetFloat(harness.Median(all))
	}
	return m
}

// column is a system with the medians of its rows.
type column struct {
	System string   `json:"system"`
	CC     string   `json:"cc"`
	Runs   int      `json:"runs"`
	Warm   bool     `json:"warm,omitempty"`
	Rows   []result `json:"rows"`
}

// printTable prints the measurements, as Markdown.
func printTable(w io.Writer, b bench, columns []column) {
	p := b.path
	how := "each row on a new session"
	if b.warm {
		how = "all rows on one session"
	}
	fmt.Fprintf(w, "%v round trip, %v %% loss each way, %v Mbit/s, queue %v; %s; median of %d\n\n", p.RTT, p.Loss, p.Rate, p.Queue, how, b.repeats)
	fmt.Fprintln(w, "| what | system | total | p50 | p95 | p99 | MB/s | next to it | errors |")
	fmt.Fprintln(w, "|---|---|---|---|---|---|---|---|---|")
	for _, r := range b.rows {
		for _, c := range columns {
			for _, res := range c.Rows {
				if res.Row == r.Name {
					fmt.Fprintf(w, "| %s | %s, %s | %.2f s | %.0f ms | %.0f ms | %.0f ms | %.2f | %s | %s |\n",
						r.Title, c.System, c.CC, res.Total/1e3, res.P50, res.P95, res.P99, res.MBs, res.nextTo(), errorsText(res.Errors))
				}
			}
		}
	}
}

// nextTo has the measurements of the load that ran during the requests.
func (r result) nextTo() string {
	switch {
	case r.Ratio > 0:
		return fmt.Sprintf("%.2f of alone", r.Ratio)
	case r.DownloadMBs > 0:
		return fmt.Sprintf("%.2f MB/s", r.DownloadMBs)
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
