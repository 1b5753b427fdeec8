package provider

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"time"
)

const (
	// metricsTimeout is how long cloudflared may take for an answer about itself.
	metricsTimeout = 5 * time.Second
	// maxMetrics is how much of an answer is read, in bytes.
	maxMetrics = 4 << 10
)

// cloudflaredMetrics asks a cloudflared about itself (metrics/metrics.go,
// newMetricsHandler). The server is on loopback and without access control: every
// user of this machine can read the name of the tunnel there.
type cloudflaredMetrics struct {
	addr   netip.AddrPort
	client *http.Client
}

func newCloudflaredMetrics(addr netip.AddrPort) *cloudflaredMetrics {
	return &cloudflaredMetrics{addr, &http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true, MaxResponseHeaderBytes: maxMetrics}, // without a proxy
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Timeout:       metricsTimeout,
	}}
}

// errBadName is a quick tunnel without a name that can be used.
var errBadName = errors.New("it has no public name")

// hostname is the public name of the quick tunnel.
func (m *cloudflaredMetrics) hostname(ctx context.Context) (string, error) {
	status, body, err := m.get(ctx, "/quicktunnel")
	if err != nil {
		return "", err
	}
	var answer struct{ Hostname string }
	if err := json.Unmarshal(body, &answer); status != http.StatusOK || err != nil || answer.Hostname == "" {
		return "", errBadName
	}
	name := strings.ToLower(strings.TrimPrefix(answer.Hostname, "https://"))
	if !isPublicName(name) {
		return "", fmt.Errorf("%w: %.80q", errBadName, name)
	}
	return name, nil
}

// isReady reports whether the tunnel has a connection to Cloudflare
// (metrics/readiness.go: 200, or 503).
func (m *cloudflaredMetrics) isReady(ctx context.Context) bool {
	status, _, err := m.get(ctx, "/ready")
	return err == nil && status == http.StatusOK
}

func (m *cloudflaredMetrics) get(ctx context.Context, path string) (status int, body []byte, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+m.addr.String()+path, nil)
	if err != nil {
		return 0, nil, err
	}
	resp, err := m.client.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	body, err = io.ReadAll(io.LimitReader(resp.Body, maxMetrics))
	return resp.StatusCode, body, err
}

// isPublicName reports whether name, in lower case, is a DNS name that can mean a
// host on the internet: two labels or more, and not one that always means this
// machine, this network or an address.
func isPublicName(name string) bool {
	labels := strings.Split(name, ".")
	if len(name) > 253 || len(labels) < 2 {
		return false
	}
	for _, label := range labels {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' || strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
			return false
		}
	}
	switch last := labels[len(labels)-1]; last {
	case "localhost", "local", "internal", "test", "invalid", "example", "onion", "arpa": // RFC 6761, 6762, 7686; ICANN's private-use TLD
		return false
	default:
		return strings.Trim(last, "0123456789") != "" // RFC 3696 section 2: not an address
	}
}
