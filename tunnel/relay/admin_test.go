package relay

import (
	"bytes"
	"crypto/x509"
	"encoding/json"
	"log/slog"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/devproxy/devproxy/tunnel"
)

// TestAdmin: metrics count, and neither they nor the log reveal a link.
func TestAdmin(t *testing.T) {
	var log syncBuffer
	w := start(t, func(o *Options) { o.Access = slog.New(slog.NewJSONHandler(&log, nil)) })
	key := testKey("a")
	host := w.agent(key, claimOf(key, ""), &recorder{}).grant.Hosts[0]
	res, err := w.client("h2").Post("https://"+host+"/page?secret=1", "", strings.NewReader("body"))
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	get(t, w.client("h1"), "https://nobody."+domain+"/")
	admin := httptest.NewServer(w.Admin())
	defer admin.Close()
	if status, body, h := get(t, admin.Client(), admin.URL+"/healthz"); status != 200 || body != "ok\n" || h.Get("Content-Type") != "text/plain; charset=utf-8" {
		t.Errorf("healthz: %d %q %v", status, body, h)
	}
	eventually(t, "both are counted", func() bool { return strings.Count(log.String(), "\n") == 2 })
	_, body, _ := get(t, admin.Client(), admin.URL+"/metrics")
	for _, line := range []string{
		`devproxy_relay_requests_total{class="2xx"} 1`,
		`devproxy_relay_requests_total{class="4xx"} 1`,
		`devproxy_relay_body_bytes_total{direction="in"} 4`,
		`devproxy_relay_body_bytes_total{direction="out"} 2`,
		`devproxy_relay_request_seconds_count 2`,
		`devproxy_relay_sessions 1`,
		`devproxy_relay_sessions_total 1`,
		`devproxy_relay_handshakes_total{outcome="visitor"} 2`,
	} {
		if !strings.Contains(body, line+"\n") {
			t.Errorf("no %s in\n%s", line, body)
		}
	}
	link := tunnel.Link(key, 0)
	if strings.Contains(body, link) || strings.Contains(log.String(), link) || strings.Contains(log.String(), "secret") {
		t.Errorf("a secret is in the metrics or the log:\n%s", log.String())
	}
	var line struct {
		From, Method, Host, Path, Proto string
		Status, Out                     int
	}
	if err := json.Unmarshal([]byte(log.String()[:strings.Index(log.String(), "\n")]), &line); err != nil {
		t.Fatal(err)
	}
	if line.From != "127.0.0.1" || line.Method != "POST" || line.Path != "/page" || line.Proto != "HTTP/2.0" || line.Status != 200 || line.Out != 2 ||
		!regexp.MustCompile(`^shop-....…\.t\.example\.com$`).MatchString(line.Host) {
		t.Errorf("%+v", line)
	}
	w.stopAccepting()
	if status, body, _ := get(t, admin.Client(), admin.URL+"/healthz"); status != 503 || body != "stopping\n" {
		t.Errorf("healthz of a relay that stops: %d %q", status, body)
	}
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// TestCertificateMetrics: the validity of the certificates in use is in the metrics.
func TestCertificateMetrics(t *testing.T) {
	leaf := &x509.Certificate{NotBefore: time.Unix(1_000_000, 0), NotAfter: time.Unix(2_000_000, 0)}
	w := start(t, func(o *Options) {
		o.Certificates = func() map[string]*x509.Certificate {
			return map[string]*x509.Certificate{"t.pem": leaf, "bad\xff": leaf}
		}
	})
	answer := httptest.NewRecorder()
	w.Admin().ServeHTTP(answer, httptest.NewRequest("GET", "/metrics", nil))
	for _, line := range []string{
		`devproxy_relay_certificate_not_before_timestamp_seconds{file="t.pem"} 1e+06`,
		`devproxy_relay_certificate_not_after_timestamp_seconds{file="t.pem"} 2e+06`,
	} {
		if !strings.Contains(answer.Body.String(), line+"\n") {
			t.Errorf("no %s in\n%s", line, answer.Body)
		}
	}
}

// TestAdminKeys: keys are listed with their plain names, links are only counted, and a
// web page under its own name gets nothing.
func TestAdminKeys(t *testing.T) {
	file, err := OpenFile(filepath.Join(t.TempDir(), "relay.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	w := start(t, func(o *Options) { o.Registry = file })
	key, barred := testKey("a"), publicKey(testKey("b"))
	link := w.agent(key, claimOf(key, ""), &recorder{}).grant.Hosts[0]
	w.agent(key, tunnel.Claim{Project: "shop", Name: "shop", Hosts: []string{""}}, &recorder{})
	if err := file.SetStanding(t.Context(), barred, Revoked); err != nil {
		t.Fatal(err)
	}
	ask := func(host string) *httptest.ResponseRecorder {
		r, answer := httptest.NewRequest("GET", "/keys", nil), httptest.NewRecorder()
		r.Host = host
		w.Admin().ServeHTTP(answer, r)
		return answer
	}
	for _, host := range []string{"127.0.0.1:9090", "[::1]:9090", "localhost:9090", "192.0.2.1"} {
		var list []KeyInfo
		answer := ask(host)
		if err := json.Unmarshal(answer.Body.Bytes(), &list); err != nil || len(list) != 2 {
			t.Fatalf("%s: %d %s", host, answer.Code, answer.Body)
		}
		if strings.Contains(answer.Body.String(), link) {
			t.Errorf("the link is in %s", answer.Body)
		}
		for _, info := range list {
			switch info.Key {
			case publicKey(key):
				if info.Standing != "" || len(info.Names) != 1 || info.Names[0] != "shop."+domain || info.Links != 1 || info.Seen.IsZero() {
					t.Errorf("%+v", info)
				}
			case barred:
				if info.Standing != "revoked" || info.Names != nil || info.Links != 0 {
					t.Errorf("%+v", info)
				}
			}
		}
	}
	for _, host := range []string{"evil.example", "evil.example:9090", "127.0.0.1.evil.example", ""} {
		if answer := ask(host); answer.Code != 421 {
			t.Errorf("%q: %d %s", host, answer.Code, answer.Body)
		}
	}
}
