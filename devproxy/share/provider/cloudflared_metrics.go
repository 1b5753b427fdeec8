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

// link is the public address of the quick tunnel.
func (m *cloudflaredMetrics) link(ctx context.Context) (link, error) {
	status, body, err := m.get(ctx, "/quicktunnel")
	if err != nil {
		return link{}, err
	}
	var answer struct{ Hostname string }
	if err := json.Unmarshal(body, &answer); status != http.StatusOK || err != nil || answer.Hostname == "" || len(answer.Hostname) > maxName {
		return link{}, errBadName
	}
	public, err := parseLink("https://" + strings.TrimPrefix(answer.Hostname, "https://")) // quick_tunnel.go has both forms
	if err != nil {
		return link{}, fmt.Errorf("%w: %w", errBadName, err)
	}
	return public, nil
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
