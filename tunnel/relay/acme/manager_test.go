package acme

import (
	"context"
	"crypto/tls"
	"errors"
	"io/fs"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/devproxy/devproxy/tunnel"
	"github.com/devproxy/devproxy/tunnel/relay/acme/pebble"
	"github.com/devproxy/devproxy/tunnel/relay/zone"
)

// patience bounds what depends on pebble; only a failing test waits for it.
const patience = time.Minute

// setup is a manager with its own DNS server, and an authority that asks it.
type setup struct {
	*Manager
	t         *testing.T
	authority *pebble.Authority
	zone      *zone.Zone
	log       *logBuffer
	opts      Options
	stop      func()
}

func newSetup(t *testing.T, o pebble.Options) *setup {
	t.Helper()
	return newSetupWithDNS(t, o, func(relay string) string { return relay })
}

// newSetupWithDNS makes a setup whose authority asks the server that resolver returns, for
// the address of the relay's own.
func newSetupWithDNS(t *testing.T, o pebble.Options, resolver func(relay string) string) *setup {
	t.Helper()
	z, err := zone.New(zone.Options{Domain: "t.example.com", Addresses: []netip.Addr{netip.MustParseAddr("127.0.0.1")}})
	if err != nil {
		t.Fatal(err)
	}
	o.DNS = resolver(serveZone(t, z))
	s := &setup{t: t, authority: pebble.New(t, o), zone: z, log: &logBuffer{}}
	s.opts = Options{
		Domain: "t.example.com", Authority: s.authority.URL, Roots: s.authority.Roots, Folder: filepath.Join(t.TempDir(), "certificates"),
		Texts: z, Log: slog.New(slog.NewJSONHandler(s.log, nil)),
	}
	s.open()
	t.Cleanup(func() {
		s.close()
		if t.Failed() {
			t.Log(s.log.String())
		}
	})
	return s
}

// serveZone serves a zone on a port that is free for UDP and TCP.
func serveZone(t *testing.T, z *zone.Zone) string {
	t.Helper()
	for {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		packets, err := net.ListenPacket("udp", ln.Addr().String())
		if err != nil {
			ln.Close()
			continue
		}
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		server := zone.NewServer(z, slog.New(slog.DiscardHandler))
		go func() {
			done <- server.Serve(ctx, zone.Sockets{Packets: []net.PacketConn{packets}, Listeners: []net.Listener{ln}})
		}()
		t.Cleanup(func() {
			cancel()
			if err := <-done; err != nil {
				t.Error(err)
			}
			ln.Close()
			packets.Close()
		})
		return ln.Addr().String()
	}
}

func (s *setup) open() {
	s.t.Helper()
	m, err := New(s.opts)
	if err != nil {
		s.t.Fatal(err)
	}
	s.Manager = m
}

// run starts the manager, until close.
func (s *setup) run() {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.Run(ctx)
	}()
	s.stop = func() {
		cancel()
		<-done
	}
}

func (s *setup) close() {
	if s.stop != nil {
		s.stop()
		s.stop = nil
	}
}

// first waits for the relay's own certificates.
func (s *setup) first() error {
	s.t.Helper()
	select {
	case err := <-s.First():
		return err
	case <-time.After(patience):
		s.t.Fatal("no certificates")
		return nil
	}
}

// until waits for a state.
func (s *setup) until(what string, reached func() bool) {
	s.t.Helper()
	for deadline := time.Now().Add(patience); !reached(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			s.t.Fatal("never: " + what)
		}
	}
}

func (s *setup) serial(name string) string {
	cert, err := s.GetCertificate(&tls.ClientHelloInfo{ServerName: name})
	if err != nil {
		s.t.Fatal(err)
	}
	return cert.Leaf.SerialNumber.String()
}

type logBuffer struct {
	mu   sync.Mutex
	text strings.Builder
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// TestIssue: an authority that is away at the start is asked until it is there; the
// certificates are kept, and read again by the next process.
func TestIssue(t *testing.T) {
	s := newSetup(t, pebble.Options{Validity: time.Hour})
	if _, err := s.GetCertificate(&tls.ClientHelloInfo{}); err == nil {
		t.Error("there is a certificate before the first")
	}
	s.run()
	s.until("an order fails", func() bool { return s.LastError() != nil })
	if err := s.LastError().Error(); !strings.Contains(err, "the authority at "+s.opts.Authority+" can't be reached: ") {
		t.Errorf("the error is %q", err)
	}
	s.authority.Start()
	if err := s.first(); err != nil {
		t.Fatal(err)
	}
	if s.LastError() != nil {
		t.Errorf("the last error is still %v", s.LastError())
	}
	for name, covered := range map[string]bool{"t.example.com": true, "shop.t.example.com": true, "a.shop.t.example.com": false, "example.com": false} {
		if s.Covers(name) != covered {
			t.Errorf("%s is covered: %v", name, !covered)
		}
		cert, err := s.GetCertificate(&tls.ClientHelloInfo{ServerName: name})
		if err != nil || covered && cert.Leaf.VerifyHostname(name) != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	own, wild := s.serial("t.example.com"), s.serial("x.t.example.com")
	if own == wild || s.serial("") != own {
		t.Error("the domain and its wildcard are not what they should be")
	}
	for _, text := range []string{`"msg":"certificate not issued"`, `"msg":"certificate issued"`} {
		if !strings.Contains(s.log.String(), text) {
			t.Errorf("the log has no %s", text)
		}
	}
	s.close()

	// One that is stored, and has expired, is replaced.
	r := newRun(s.Manager)
	if err := r.obtain(t.Context(), "t.example.com", 0); err != nil {
		t.Fatal(err)
	}
	if r.load(t.Context(), "t.example.com"); s.serial("t.example.com") == own {
		t.Error("the stored certificate is not replaced")
	}
	r.close()
	s.authority.Stop()
	checkModes(t, s.opts.Folder)

	s.open()
	s.run()
	if err := s.first(); err != nil {
		t.Fatal(err)
	}
	if !s.Covers("x.t.example.com") {
		t.Error("the next process has no certificate")
	}
}

// checkModes checks that nobody else can read a folder.
func checkModes(t *testing.T, folder string) {
	t.Helper()
	err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestRefused: an authority that issues nothing for the domain is not asked again.
func TestRefused(t *testing.T) {
	s := newSetup(t, pebble.Options{Validity: time.Hour, Blocked: []string{"example.com"}})
	s.authority.Start()
	s.run()
	var failure *Failure
	err := s.first()
	if !errors.As(err, &failure) || !strings.Contains(failure.Error(), "the authority refuses: ") || failure.Fix() != "use another domain: --domain; or another authority: --acme-ca URL" {
		t.Errorf("the error is %v", err)
	}
}

// deaf loses the challenges.
type deaf struct{ Texts }

func (deaf) AddText(string, string) error { return nil }

// TestNotSeen: an authority that does not see the relay's answers is asked again a
// minute later, and the log says what to check.
func TestNotSeen(t *testing.T) {
	s := newSetup(t, pebble.Options{Validity: time.Hour})
	s.opts.Texts = deaf{s.zone}
	s.open()
	s.authority.Start()
	s.run()
	s.until("the order fails", func() bool { return s.LastError() != nil })
	failure, known := errors.AsType[*Failure](s.LastError())
	if !known || !strings.Contains(failure.Error(), "the authority doesn't see the relay's DNS answers: ") || failure.Fix() != "devproxy relay init t.example.com --check" || failure.pause(0) != time.Minute || failure.pause(100) != time.Hour {
		t.Errorf("the error is %v, %v", failure, failure.Fix())
	}
	s.until("it is logged", func() bool { return strings.Contains(s.log.String(), `"again_in":"1m0s"`) })
}

// TestZones: the zone of a key gets a certificate, once; it is kept, and read again by
// the next process.
func TestZones(t *testing.T) {
	s := newSetup(t, pebble.Options{Validity: time.Hour})
	s.authority.Start()
	s.run()
	network := netip.MustParsePrefix("198.51.100.1/32")
	err := s.CoverZone("abcdefgh.t.example.com", "key", network)
	var refusal *tunnel.Refusal
	if !errors.As(err, &refusal) || refusal.Code != tunnel.CodeBusy || !strings.Contains(refusal.Message, "the certificate for *.abcdefgh.t.example.com is being issued") {
		t.Fatalf("the first claim: %v", err)
	}
	s.until("the zone is covered", func() bool { return s.CoverZone("abcdefgh.t.example.com", "key", network) == nil })
	if !s.Covers("shop.abcdefgh.t.example.com") || s.zones.left(time.Now()) != zoneKind.perWeek-1 {
		t.Errorf("covered %v, left %d", s.Covers("shop.abcdefgh.t.example.com"), s.zones.left(time.Now()))
	}
	if issued := testutil.ToFloat64(s.orders.WithLabelValues(zoneKind.label, "issued")); issued != 1 {
		t.Errorf("%v orders, want 1", issued)
	}
	if err := s.first(); err != nil {
		t.Fatal(err)
	}
	if leaves := s.InUse(); len(leaves) != 3 || leaves["zones"] == nil {
		t.Errorf("in use are %v", leaves)
	}
	s.close()
	s.authority.Stop()
	s.open()
	s.run()
	s.until("the next process covers it", func() bool { return s.CoverZone("abcdefgh.t.example.com", "key", network) == nil })

	// A month later it is forgotten.
	s.close()
	r := newRun(s.Manager)
	defer r.close()
	r.load(t.Context(), "*.abcdefgh.t.example.com")
	r.forgetNames(t.Context(), r.zones, time.Now().Add(unused+time.Hour))
	if s.Covers("x.abcdefgh.t.example.com") || r.stored(t.Context(), "*.abcdefgh.t.example.com") || !s.Covers("x.t.example.com") {
		t.Error("the zone's certificate is still there")
	}
}

// TestNoZones: a relay whose domain stays with another DNS server refuses zones.
func TestNoZones(t *testing.T) {
	s := newSetup(t, pebble.Options{Validity: time.Hour})
	s.opts.NoZones = "because"
	s.open()
	err := s.CoverZone("abcdefgh.t.example.com", "key", netip.Prefix{})
	if err == nil || !strings.Contains(err.Error(), "this relay has no certificate for *.abcdefgh.t.example.com: because") || len(s.zones.queue) != 0 {
		t.Errorf("the zone is not refused: %v", err)
	}
}

// TestRehearsal: after a refusal, an order is tried where failures do not count.
func TestRehearsal(t *testing.T) {
	s := newSetup(t, pebble.Options{Validity: time.Hour})
	rehearsal := pebble.New(t, pebble.Options{Validity: time.Hour}) // which does not run
	s.opts.Rehearsal = rehearsal.URL
	s.open()
	s.authority.Start()
	r := newRun(s.Manager)
	defer r.close()
	if err := r.obtain(t.Context(), "t.example.com", 1); err == nil || !strings.Contains(err.Error(), rehearsal.URL) {
		t.Errorf("after a refusal: %v", err)
	}
	if err := r.obtain(t.Context(), "t.example.com", 0); err != nil {
		t.Errorf("without one: %v", err)
	}
}

// TestFolder: others cannot read what the folder will hold, and a file is not a
// folder.
func TestFolder(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := New(Options{Domain: "t.example.com", Folder: dir}); err != nil {
		t.Fatal(err)
	}
	checkModes(t, dir)
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := New(Options{Domain: "t.example.com", Folder: file}); err == nil {
		t.Error("a file is taken for a folder")
	}
	if err := os.WriteFile(filepath.Join(dir, zoneKind.file), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := New(Options{Domain: "t.example.com", Folder: dir}); err == nil || !strings.Contains(err.Error(), zoneKind.file) {
		t.Errorf("a broken list of zones: %v", err)
	}
}
