package share

import (
	"maps"
	"slices"
	"sync"
	"time"
)

// result is what was measured of a row. Times are in milliseconds.
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
	// BesideMBs is the rate of the download that ran beside the requests.
	BesideMBs float64 `json:"beside_mb_s,omitempty"`
	// Ratio is the rate beside stalled visitors to that without.
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

func (r *result) fail(err error) {
	if r.Errors == nil {
		r.Errors = map[string]int{}
	}
	r.Errors[err.Error()]++
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
	return result{
		Row: row, OK: len(m.took), Total: milliseconds(total),
		P50: m.quantile(0.5), P95: m.quantile(0.95), P99: m.quantile(0.99), Max: m.quantile(1),
		MBs: megabytes(m.bytes, total), Errors: maps.Clone(m.errors),
	}
}

// quantile is of the sorted times.
func (m *meter) quantile(q float64) float64 {
	if len(m.took) == 0 {
		return 0
	}
	return milliseconds(m.took[min(len(m.took)-1, int(q*float64(len(m.took))))])
}

func milliseconds(d time.Duration) float64 { return float64(d.Round(10*time.Microsecond)) / 1e6 }

func megabytes(n int64, in time.Duration) float64 { return float64(n) / 1e6 / in.Seconds() }

// median takes the median of each figure of several runs of one row.
func median(runs []result) result {
	of := func(figure func(result) float64) float64 {
		all := make([]float64, 0, len(runs))
		for _, r := range runs {
			all = append(all, figure(r))
		}
		slices.Sort(all)
		return all[len(all)/2]
	}
	m := result{Row: runs[0].Row, OK: runs[0].OK, Session: runs[len(runs)-1].Session}
	m.Total = of(func(r result) float64 { return r.Total })
	m.P50 = of(func(r result) float64 { return r.P50 })
	m.P95 = of(func(r result) float64 { return r.P95 })
	m.P99 = of(func(r result) float64 { return r.P99 })
	m.Max = of(func(r result) float64 { return r.Max })
	m.MBs = of(func(r result) float64 { return r.MBs })
	m.BesideMBs = of(func(r result) float64 { return r.BesideMBs })
	m.Ratio = of(func(r result) float64 { return r.Ratio })
	m.Errors = map[string]int{}
	for _, r := range runs {
		m.OK = min(m.OK, r.OK)
		for text, n := range r.Errors {
			m.Errors[text] += n
		}
	}
	return m
}
