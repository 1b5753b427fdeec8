package relay

import (
	"net/http"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// metrics are what a relay counts. No label has a name or a key in it: their
// number is strangers' to choose, and names are secrets.
type metrics struct {
	requests   *prometheus.CounterVec // by status class
	duration   prometheus.Histogram
	bytes      *prometheus.CounterVec // of bodies, by direction
	sessions   prometheus.Counter
	refused    *prometheus.CounterVec // agents, by tunnel.Code
	handshakes *prometheus.CounterVec // by outcome
	limited    *prometheus.CounterVec // by limit
}

func newMetrics(r *Relay) (*metrics, error) {
	const prefix = "devproxy_relay_"
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: prefix + name, Help: help}, labels)
	}
	m := &metrics{
		requests: counter("requests_total", "Requests of visitors, by class of the status.", "class"),
		duration: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: prefix + "request_seconds", Help: "Time from the head of a request to the end of its response.",
			Buckets: []float64{.01, .03, .1, .3, 1, 3, 10, 30, 100},
		}),
		bytes:      counter("body_bytes_total", "Bytes of requests' (in) and responses' (out) bodies.", "direction"),
		sessions:   prometheus.NewCounter(prometheus.CounterOpts{Name: prefix + "sessions_total", Help: "Sessions of agents, since the start."}),
		refused:    counter("refused_total", "What agents were refused, by the tunnel's code.", "code"),
		handshakes: counter("handshakes_total", "Connections, by what their TLS handshake showed.", "outcome"),
		limited:    counter("limited_total", "Connections and requests beyond a limit.", "limit"),
	}
	gauge := func(name, help string, value func() float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: prefix + name, Help: help}, value)
	}
	collectors := []prometheus.Collector{
		m.requests, m.duration, m.bytes, m.sessions, m.refused, m.handshakes, m.limited,
		gauge("sessions", "Agents connected.", func() float64 { return float64(len(r.shares.all())) }),
		gauge("visitor_connections", "Connections of visitors.", func() float64 { _, n, _ := r.conns.counts(); return float64(n) }),
		prometheus.NewCounterFunc(prometheus.CounterOpts{Name: prefix + "evicted_total", Help: "Connections closed to make room for another network's."},
			func() float64 { return float64(r.conns.evictions()) }),
		gauge("memory_bytes", "Bytes held for agents and visitors.", func() float64 { return float64(r.memory.Used()) }),
		gauge("lanes", "Connections of agents.", func() float64 { _, _, n := r.conns.counts(); return float64(n) }),
	}
	if r.opts.Certificates != nil {
		collectors = append(collectors, newCertificateTimes(prefix, r.opts.Certificates))
	}
	for _, c := range collectors {
		if err := r.opts.Metrics.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// Admin serves /healthz, /metrics and, of a File, /keys. It is for an address that only the
// relay's owner reaches.
func (r *Relay) Admin() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		if r.leaving() {
			http.Error(w, "stopping", http.StatusServiceUnavailable)
			return
		}
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = w.Write([]byte("ok\n")) // whoever asked is gone otherwise
	})
	mux.HandleFunc("GET /keys", r.serveKeys)
	mux.Handle("GET /metrics", promhttp.HandlerFor(r.opts.Metrics, promhttp.HandlerOpts{}))
	return mux
}

func statusClass(status int) string { return strconv.Itoa(status/100) + "xx" }
