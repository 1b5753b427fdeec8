package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// writeCert makes a certificate for names, its own authority, and returns its
// files.
func writeCert(t *testing.T, dir, base string, names ...string) (cert, key string) {
	t.Helper()
	return writeCertBetween(t, dir, base, time.Time{}, time.Now().Add(time.Hour*24*365), names...)
}

func writeCertBetween(t *testing.T, dir, base string, begins, ends time.Time, names ...string) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), NotBefore: begins, NotAfter: ends, DNSNames: names}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(dir, base+".pem"), filepath.Join(dir, base+".key")
	for path, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

func TestRelayCertFiles(t *testing.T) {
	dir := t.TempDir()
	cert, key := writeCert(t, dir, "relay", "t.example.com", "*.t.example.com")
	zoneCert, zoneKey := writeCert(t, dir, "zone", "*.shop.t.example.com")
	c, err := openCerts([]string{cert, zoneCert}, []string{key, zoneKey}, "t.example.com")
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"t.example.com": "t.example.com", "x.t.example.com": "t.example.com", "x.shop.t.example.com": "*.shop.t.example.com",
		"x.y.t.example.com": "t.example.com", "": "t.example.com", // the first says what this server is
	} {
		got, err := c.GetCertificate(&tls.ClientHelloInfo{ServerName: name})
		if err != nil || got.Leaf.DNSNames[0] != want {
			t.Errorf("%q gets %v, %v; want %s", name, got, err, want)
		}
	}
	if c.Covers("x.y.t.example.com") || !c.Covers("admin.shop.t.example.com") {
		t.Error("Covers is wrong")
	}

	// Renewed files are read; broken ones change nothing.
	before := c.names()
	if changed, err := c.load(time.Now()); changed || err != nil {
		t.Errorf("nothing changed, yet %v, %v", changed, err)
	}
	writeCert(t, dir, "zone", "*.other.t.example.com")
	if changed, err := c.load(time.Now()); !changed || err != nil || !c.Covers("x.other.t.example.com") {
		t.Errorf("a renewed certificate: %v, %v", changed, err)
	}
	if err := os.WriteFile(key, []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := c.load(time.Now()); err == nil || !c.Covers("t.example.com") {
		t.Errorf("a broken key: %v, and the names are %s, before %s", err, c.names(), before)
	}
}

func TestRelayCertsRefused(t *testing.T) {
	dir := t.TempDir()
	cert, key := writeCert(t, dir, "a", "t.example.com")
	_, otherKey := writeCert(t, dir, "b", "t.example.com")
	for name, c := range map[string]struct{ key, want string }{
		"no wildcard":  {key, "no certificate of --cert is for *.t.example.com; they are for t.example.com"},
		"another key":  {otherKey, "cannot use"},
		"no such file": {filepath.Join(dir, "none"), "cannot read a certificate"},
	} {
		if _, err := openCerts([]string{cert}, []string{c.key}, "t.example.com"); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v; want %q", name, err, c.want)
		}
	}
}

// TestRelayCertsOutOfDate: a certificate that is not valid now never takes the
// place of one that is, and is taken as soon as it is valid or nothing better is
// there.
func TestRelayCertsOutOfDate(t *testing.T) {
	const day = 24 * time.Hour
	now := time.Now()
	for name, c := range map[string]struct {
		begins, ends time.Duration
		says         string
		later        time.Duration // when it is looked at again
		takenThen    bool
	}{
		"ended":         {-2 * day, -day, "expired at ", day, false},
		"not valid yet": {day, 3 * day, "check this machine's clock", 2 * day, true},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			cert, key := writeCertBetween(t, dir, "relay", now.Add(-day), now.Add(60*day), "t.example.com", "*.t.example.com")
			files, err := openCerts([]string{cert}, []string{key}, "t.example.com")
			if err != nil {
				t.Fatal(err)
			}
			good := files.inUse()[cert]
			writeCertBetween(t, dir, "relay", now.Add(c.begins), now.Add(c.ends), "t.example.com", "*.t.example.com")
			changed, err := files.load(now)
			if changed || err == nil || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), cert) {
				t.Errorf("%v, %v; want an error with %q", changed, err, c.says)
			}
			if !files.inUse()[cert].Equal(good) {
				t.Error("the certificate in use is another")
			}
			if changed, _ := files.load(now.Add(c.later)); changed != c.takenThen {
				t.Errorf("later it is taken: %v, want %v", changed, c.takenThen)
			}
			// When the old one has ended too, what the file says counts.
			if changed, err := files.load(now.Add(90 * day)); err != nil || changed == c.takenThen || files.inUse()[cert].Equal(good) {
				t.Errorf("after the end of the good one: %v, %v", changed, err)
			}
		})
	}
}

// TestRelayCertsOtherNames: a certificate without the relay's names does not take
// the place of one with them.
func TestRelayCertsOtherNames(t *testing.T) {
	dir := t.TempDir()
	cert, key := writeCert(t, dir, "relay", "t.example.com", "*.t.example.com")
	files, err := openCerts([]string{cert}, []string{key}, "t.example.com")
	if err != nil {
		t.Fatal(err)
	}
	writeCert(t, dir, "relay", "t.example.com")
	if changed, err := files.load(time.Now()); changed || err == nil || !strings.Contains(err.Error(), "*.t.example.com") {
		t.Errorf("%v, %v", changed, err)
	}
	if !files.Covers("x.t.example.com") {
		t.Error("the wildcard is not in use any more")
	}
}

// TestRelayCertPreferred: of two certificates for a name, the valid one is shown.
func TestRelayCertPreferred(t *testing.T) {
	dir, now := t.TempDir(), time.Now()
	names := []string{"t.example.com", "*.t.example.com"}
	old, oldKey := writeCertBetween(t, dir, "old", now.Add(-48*time.Hour), now.Add(-time.Hour), names...)
	next, nextKey := writeCertBetween(t, dir, "next", now.Add(-time.Hour), now.Add(time.Hour), names...)
	files, err := openCerts([]string{old, next}, []string{oldKey, nextKey}, "t.example.com")
	if err != nil {
		t.Fatal(err)
	}
	got, err := files.GetCertificate(&tls.ClientHelloInfo{ServerName: "x.t.example.com"})
	if err != nil || !got.Leaf.Equal(files.inUse()[next]) {
		t.Errorf("%v, %v is shown, not the valid certificate", got.Leaf.NotAfter, err)
	}
}

// TestRelayCertWarnings: the warnings about a certificate, and their times.
func TestRelayCertWarnings(t *testing.T) {
	const day = 24 * time.Hour
	now := time.Now()
	for name, c := range map[string]struct {
		begins, ends time.Duration
		level, text  string // empty for nothing
	}{
		"long":                {-30 * day, 60 * day, "", ""},
		"ends in 15 days":     {-75 * day, 15 * day, "", ""},
		"ends in 13 days":     {-77 * day, 13 * day, "WARN", "certificate expires soon"},
		"ends tomorrow":       {-89 * day, day, "WARN", "certificate expires soon"},
		"lives for six days":  {-2 * day, 4 * day, "", ""},
		"the last of its six": {-5 * day, day, "WARN", "certificate expires soon"},
		"has ended":           {-91 * day, -day, "ERROR", "certificate has expired"},
		"is not valid yet":    {2 * day, 4 * day, "ERROR", "check this machine's clock"},
	} {
		t.Run(name, func(t *testing.T) {
			cert, key := writeCertBetween(t, t.TempDir(), "relay", now.Add(c.begins), now.Add(c.ends), "t.example.com", "*.t.example.com")
			files, err := openCerts([]string{cert}, []string{key}, "t.example.com")
			if err != nil {
				t.Fatal(err) // nothing better is there, so it is used
			}
			var log strings.Builder
			logger := slog.New(slog.NewJSONHandler(&log, nil))
			files.warn(logger, now)
			files.warn(logger, now.Add(time.Minute)) // said already
			switch {
			case c.text == "" && log.Len() > 0:
				t.Errorf("it says %s", log.String())
			case c.text != "" && (strings.Count(log.String(), "\n") != 1 || !strings.Contains(log.String(), c.text) || !strings.Contains(log.String(), `"level":"`+c.level+`"`)):
				t.Errorf("it says %q, want %s %q once", log.String(), c.level, c.text)
			}
			before := strings.Count(log.String(), "\n")
			files.warn(logger, now.Add(12*time.Hour+certWarnEvery/2+time.Minute))
			if c.text != "" && strings.Count(log.String(), "\n") != before+1 {
				t.Errorf("a day later it says nothing more:\n%s", log.String())
			}
		})
	}
}

// TestRelayCertComplaintsOnce: the same complaint is logged once, and a good file
// after it.
func TestRelayCertComplaintsOnce(t *testing.T) {
	dir, now := t.TempDir(), time.Now()
	names := []string{"t.example.com", "*.t.example.com"}
	cert, key := writeCert(t, dir, "relay", names...)
	files, err := openCerts([]string{cert}, []string{key}, "t.example.com")
	if err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	logger := slog.New(slog.NewJSONHandler(&log, nil))
	writeCertBetween(t, dir, "relay", now.Add(-2*time.Hour), now.Add(-time.Hour), names...)
	for range 3 {
		files.poll(logger, now)
	}
	if strings.Count(log.String(), "\n") != 1 || !strings.Contains(log.String(), "stays in use") {
		t.Errorf("the log is\n%s", log.String())
	}
	writeCert(t, dir, "relay", names...)
	files.poll(logger, now)
	if strings.Count(log.String(), "\n") != 2 || !strings.Contains(log.String(), "certificates read again\",\"names") {
		t.Errorf("the log is\n%s", log.String())
	}
}
