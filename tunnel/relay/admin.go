package relay

import (
	"cmp"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

const metricPrefix = "devproxy_relay_"

// metrics are the relay's metrics. No label contains a name or a key: strangers
// choose how many there are, and names are secrets.
type metrics struct {
	registry   *prometheus.Registry   // of all metrics
	requests   *prometheus.CounterVec // by status class
	duration   prometheus.Histogram
	bytes      *prometheus.CounterVec // of bodies, by direction
	sessions   prometheus.Counter
	refused    *prometheus.CounterVec // by tunnel.Code
	handshakes *prometheus.CounterVec // by outcome
	limited    *prometheus.CounterVec // by limit
	portVisits *prometheus.CounterVec // by network and outcome
}

func newMetrics(r *Relay) *metrics {
	registry := prometheus.NewRegistry()
	register := promauto.With(registry)
	counter := func(name, help, label string) *prometheus.CounterVec {
		return register.NewCounterVec(prometheus.CounterOpts{Name: metricPrefix + name, Help: help}, []string{label})
	}
	gauge := func(name, help string, value func() int) {
		register.NewGaugeFunc(prometheus.GaugeOpts{Name: metricPrefix + name, Help: help}, func() float64 { return float64(value()) })
	}
	gauge("sessions", "Connected agents.", func() int { return len(r.shares.all()) })
	gauge("visitor_connections", "Connections of visitors.", func() int { _, n, _ := r.conns.counts(); return n })
	gauge("ports", "Open TCP and UDP ports of shares.", func() int { return r.ports.count() })
	gauge("udp_flows", "Clients of UDP ports.", func() int { return r.ports.flows.count() })
	gauge("memory_bytes", "Bytes in use for agents and visitors.", func() int { return int(r.memory.Used()) })
	gauge("lanes", "Connections of agents.", func() int { _, _, n := r.conns.counts(); return n })
	register.NewCounterFunc(prometheus.CounterOpts{Name: metricPrefix + "evicted_total", Help: "Connections closed to make room for another network."},
		func() float64 { return float64(r.conns.evicted.Load()) })
	if r.opts.Certificates != nil {
		registry.MustRegister(prometheus.CollectorFunc(r.collectValidity))
	}
	registry.MustRegister(r.opts.Collectors...)
	return &metrics{
		registry: registry,
		requests: counter("requests_total", "Requests of visitors, by status class.", "class"),
		duration: register.NewHistogram(prometheus.HistogramOpts{
			Name: metricPrefix + "request_seconds", Help: "Time from the head of a request to the end of its response.",
			Buckets: []float64{.01, .03, .1, .3, 1, 3, 10, 30, 100},
		}),
		bytes:      counter("body_bytes_total", "Bytes in the bodies of requests (in) and responses (out), and on ports.", "direction"),
		portVisits: register.NewCounterVec(prometheus.CounterOpts{Name: metricPrefix + "port_visits_total", Help: "Connections and clients of ports, by network and outcome."}, []string{"network", "outcome"}),
		sessions:   register.NewCounter(prometheus.CounterOpts{Name: metricPrefix + "sessions_total", Help: "Sessions of agents since the start."}),
		refused:    counter("refused_total", "Refused requests of agents, by the tunnel's error code.", "code"),
		handshakes: counter("handshakes_total", "TLS handshakes, by outcome.", "outcome"),
		limited:    counter("limited_total", "Connections, requests and datagrams beyond a limit.", "limit"),
	}
}

func statusClass(status int) string { return strconv.Itoa(status/100) + "xx" }

// collectValidity collects the validity of the certificates in use. There are few, and
// the operator chooses their names.
func (r *Relay) collectValidity(to chan<- prometheus.Metric) {
	leaves := r.opts.Certificates()
	for _, name := range slices.Sorted(maps.Keys(leaves)) {
		leaf, name := leaves[name], strings.ToValidUTF8(name, "�")
		to <- prometheus.MustNewConstMetric(certificateTime("before"), prometheus.GaugeValue, float64(leaf.NotBefore.Unix()), name)
		to <- prometheus.MustNewConstMetric(certificateTime("after"), prometheus.GaugeValue, float64(leaf.NotAfter.Unix()), name)
	}
}

// certificateTime describes the metric of a certificate's notBefore or notAfter.
func certificateTime(end string) *prometheus.Desc {
	return prometheus.NewDesc(metricPrefix+"certificate_not_"+end+"_timestamp_seconds",
		"The certificate in use is not valid "+end+" this time, in seconds since 1970.", []string{"file"}, nil)
}

// Admin serves /healthz, /metrics and, for a File, /keys. Only the relay's operator
// should be able to connect to it.
func (r *Relay) Admin() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		if r.leaving() {
			http.Error(w, "stopping", http.StatusServiceUnavailable)
			return
		}
		if r.opts.Ready != nil && !r.opts.Ready() {
			http.Error(w, "waiting for a certificate", http.StatusServiceUnavailable)
			return
		}
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = io.WriteString(w, "ok\n") // fails only when the client has disconnected
	})
	mux.HandleFunc("GET /keys", r.serveKeys)
	mux.Handle("GET /metrics", promhttp.HandlerFor(r.metrics.registry, promhttp.HandlerOpts{}))
	return mux
}

// KeyInfo describes a key in the registry, for the relay's operator.
type KeyInfo struct {
	Key Key `json:"key"`
	// Standing is "enrolled" or "revoked". It is empty for a key that the registry
	// knows only by its names, such as one of an authorized_keys file.
	Standing string `json:"standing,omitempty"`
	// Names are the key's plain names, sorted. Unguessable names are secrets, so
	// Links is only their number.
	Names []string `json:"names,omitempty"`
	Links int      `json:"links,omitempty"`
	// Ports are the reserved ports with the names that the key claims them by, sorted:
	// "tcp:20017 postgres".
	Ports []string `json:"ports,omitempty"`
	// Seen is when one of its names was last in use, to the day; zero for never.
	Seen time.Time `json:"seen,omitzero"`
}

// ErrInUse reports that a relay has the registry open.
var ErrInUse = errors.New("a relay has it open")

// ReadKeys lists the keys in the registry at path, sorted. It fails with ErrInUse
// while a relay runs with it; that relay's /keys has the same list.
func ReadKeys(path string) ([]KeyInfo, error) {
	if _, err := os.Stat(path); err != nil {
		return nil, err // bbolt would make the file
	}
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: lockWait, ReadOnly: true})
	if errors.Is(err, bolterrors.ErrTimeout) {
		return nil, ErrInUse
	}
	if err != nil {
		return nil, err
	}
	defer db.Close()
	return listKeys(db)
}

// listKeys lists the keys in the file of a registry.
func listKeys(db *bbolt.DB) ([]KeyInfo, error) {
	var all map[Key]KeyInfo
	err := db.View(func(tx *bbolt.Tx) error {
		names, standings := readAll(tx)
		all = names.keyInfos(time.Now())
		for key, standing := range standings {
			info := all[key]
			info.Key, info.Standing = key, [...]string{Enrolled: "enrolled", Revoked: "revoked"}[standing]
			all[key] = info
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	list := slices.AppendSeq([]KeyInfo{}, maps.Values(all))
	slices.SortFunc(list, func(a, b KeyInfo) int { return cmp.Compare(a.Key.String(), b.Key.String()) })
	return list, nil
}

// keyInfos lists the owners of names.
func (t *nameTable) keyInfos(now time.Time) map[Key]KeyInfo {
	all := map[Key]KeyInfo{}
	for key, names := range t.keys {
		info := KeyInfo{Key: key}
		for _, name := range slices.Sorted(maps.Keys(names)) {
			r, known := t.lookup(name, now)
			switch {
			case !known:
				continue
			case isPortEntry(name):
				info.Ports = append(info.Ports, name+" "+r.Port)
			case masked(name) == name:
				info.Names = append(info.Names, name)
			default:
				info.Links++
			}
			if r.Seen.After(info.Seen) {
				info.Seen = r.Seen
			}
		}
		if len(info.Names)+info.Links+len(info.Ports) > 0 {
			all[key] = info
		}
	}
	return all
}

// serveKeys answers GET /keys with a KeyInfo for each key, as JSON. It refuses
// requests to a name, which a web page could send (DNS rebinding).
func (r *Relay) serveKeys(w http.ResponseWriter, req *http.Request) {
	file, ok := r.opts.Registry.(*File)
	if !ok || !isAddress(req.Host) {
		http.Error(w, "use the IP address instead of a name", http.StatusMisdirectedRequest)
		return
	}
	list, err := file.listKeys()
	if err != nil {
		r.log.Error("keys not listed", "error", err)
		http.Error(w, "cannot read the keys; the relay's log says why", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(list) // fails only when the client has disconnected
}

// isAddress reports whether a Host names an IP address or this machine.
func isAddress(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	_, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil || strings.EqualFold(host, "localhost")
}
