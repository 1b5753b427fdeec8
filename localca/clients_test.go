package localca

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// client is a program that trusts one root and asks for https://NAME at addr.
type client struct {
	name string
	get  func(t *testing.T, rootFile, name string, addr netip.AddrPort) error
}

// clients have certificate verification of three kinds: Go's own, OpenSSL's as
// most programs use it, and OpenSSL's as Node does, with name checks of its own.
// Chromium is for a test that can install trust.
var clients = []client{{"go", goGet}, {"curl", curlGet}, {"openssl", opensslGet}, {"node", nodeGet}}

func TestClientsAccept(t *testing.T) {
	ca := mustOpen(t, t.TempDir())
	config := &tls.Config{GetCertificate: ca.GetCertificate}
	v4 := serve(t, "127.0.0.1", config)
	for _, name := range []string{"localhost", "shop.localhost", "a.b.shop.localhost", "127.0.0.1", "::1"} {
		for _, client := range clients {
			t.Run(client.name+"/"+name, func(t *testing.T) {
				addr := v4
				if name == "::1" {
					addr = serve(t, "::1", config)
				}
				if err := client.get(t, ca.RootFile(), name, addr); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

// TestClientsRefuse has a thief of the key sign for names outside of the
// constraints. The same thief's leaf for a name inside is accepted, so that it
// is the name, and no mistake of the thief's, that is refused.
func TestClientsRefuse(t *testing.T) {
	tryForgeries(t, mustOpen(t, t.TempDir()), []forgery{
		{"inside.localhost", true, func(c *x509.Certificate) { c.DNSNames = []string{"inside.localhost"} }},
		{"127.0.0.1", true, func(c *x509.Certificate) { c.IPAddresses = []net.IP{{127, 0, 0, 1}} }},
		{"example.com", false, func(c *x509.Certificate) { c.DNSNames = []string{"example.com"} }},
		{"notlocalhost", false, func(c *x509.Certificate) { c.DNSNames = []string{"notlocalhost"} }},
		{"example.com", false, func(c *x509.Certificate) { c.DNSNames = []string{"localhost", "example.com"} }},
		{"example.com", false, func(c *x509.Certificate) { c.Subject.CommonName = "example.com" }},
		{"192.0.2.1", false, func(c *x509.Certificate) { c.IPAddresses = []net.IP{{192, 0, 2, 1}} }},
		{"inside.localhost", false, func(c *x509.Certificate) {
			c.DNSNames = []string{"inside.localhost"}
			c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
		}},
	})
}

// forgery is a leaf that a thief of the key signs, and whether clients accept it.
type forgery struct {
	name string // asked for
	ok   bool
	sign func(*x509.Certificate)
}

// tryForgeries has every client connect to a server with each leaf.
func tryForgeries(t *testing.T, ca *CA, tests []forgery) {
	t.Helper()
	for i, test := range tests {
		cert := signByHand(t, ca, test.sign)
		addr := serve(t, "127.0.0.1", &tls.Config{Certificates: []tls.Certificate{*cert}})
		for _, client := range clients {
			t.Run(fmt.Sprintf("%s/%d_%s", client.name, i, test.name), func(t *testing.T) {
				err := client.get(t, ca.RootFile(), test.name, addr)
				if test.ok && err != nil {
					t.Error(err)
				}
				if !test.ok && !errors.Is(err, errRefused) {
					t.Errorf("got %v, want the certificate to be refused", err)
				}
			})
		}
	}
}

// TestNoIntermediate: the key cannot make another CA without the constraints.
func TestNoIntermediate(t *testing.T) {
	ca := mustOpen(t, t.TempDir())
	middle := signByHand(t, ca, func(c *x509.Certificate) {
		c.Subject.CommonName = "intermediate"
		c.IsCA, c.KeyUsage = true, x509.KeyUsageCertSign
	})
	fake := &CA{root: middle.Leaf, key: mustKey(t, middle), domain: suffix, file: ca.file, now: time.Now}
	end := signByHand(t, fake, func(c *x509.Certificate) { c.DNSNames = []string{"a.localhost"} })
	end.Certificate = append(end.Certificate, middle.Certificate[0])
	addr := serve(t, "127.0.0.1", &tls.Config{Certificates: []tls.Certificate{*end}})
	for _, client := range clients {
		t.Run(client.name, func(t *testing.T) {
			if err := client.get(t, ca.RootFile(), "a.localhost", addr); !errors.Is(err, errRefused) {
				t.Errorf("got %v, want the chain to be refused", err)
			}
		})
	}
}

// errRefused is wrapped by the errors of clients that did not trust the server.
var errRefused = errors.New("certificate refused")

// serve answers every request over TLS until the test ends.
func serve(t *testing.T, ip string, config *tls.Config) netip.AddrPort {
	t.Helper()
	listener, err := net.Listen("tcp", net.JoinHostPort(ip, "0"))
	if err != nil {
		if ip == "::1" {
			missingHere(t, "this machine has no ::1: "+err.Error())
		}
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "hello")
	}))
	server.Listener.Close()
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError) // the refusals are wanted
	server.Listener = tls.NewListener(listener, config)
	server.Start()
	t.Cleanup(server.Close)
	return listener.Addr().(*net.TCPAddr).AddrPort()
}

// urlHost is a name as it is written in a URL.
func urlHost(name string) string {
	if strings.Contains(name, ":") {
		return "[" + name + "]"
	}
	return name
}

func goGet(t *testing.T, rootFile, name string, addr netip.AddrPort) error {
	text, err := os.ReadFile(rootFile)
	if err != nil {
		return err
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(text)
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: pool},
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, addr.String())
		},
	}
	defer transport.CloseIdleConnections()
	response, err := (&http.Client{Transport: transport}).Get("https://" + urlHost(name) + "/")
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return fmt.Errorf("%w: %w", errRefused, err)
	}
	if err != nil {
		return err
	}
	return response.Body.Close()
}

// curlUntrusted is CURLE_PEER_FAILED_VERIFICATION.
const curlUntrusted = 60

func curlGet(t *testing.T, rootFile, name string, addr netip.AddrPort) error {
	host := urlHost(name)
	cmd := exec.CommandContext(t.Context(), needTool(t, "curl"),
		"--disable", "--silent", "--show-error", "--noproxy", "*", "--max-time", "30", "--cacert", rootFile,
		"--connect-to", fmt.Sprintf("%s:443:%s:%d", host, urlHost(addr.Addr().String()), addr.Port()),
		"https://"+host+"/")
	out, err := cmd.CombinedOutput()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.ExitCode() == curlUntrusted {
		return fmt.Errorf("%w: %s", errRefused, out)
	}
	if err == nil && string(out) != "hello" {
		return fmt.Errorf("curl got %q", out)
	}
	return wrapOutput(err, out)
}

// opensslGet fetches the chain by a handshake, and has the strictest of the
// command's checks judge it.
func opensslGet(t *testing.T, rootFile, name string, addr netip.AddrPort) error {
	openssl := needTool(t, "openssl")
	config := &tls.Config{InsecureSkipVerify: true, ServerName: name} // openssl verifies
	conn, err := tls.Dial("tcp", addr.String(), config)
	if err != nil {
		return err
	}
	defer conn.Close()
	chain := conn.ConnectionState().PeerCertificates
	leafFile := filepath.Join(t.TempDir(), "leaf.pem")
	restFile := filepath.Join(t.TempDir(), "rest.pem")
	writeFile(t, leafFile, string(encodePEM(certificateBlock, chain[0].Raw)))
	args := []string{"verify", "-x509_strict", "-purpose", "sslserver", "-CAfile", rootFile, "-no-CApath"}
	if len(chain) > 1 {
		writeFile(t, restFile, string(encodePEM(certificateBlock, chain[1].Raw)))
		args = append(args, "-untrusted", restFile)
	}
	if net.ParseIP(name) != nil {
		args = append(args, "-verify_ip", name)
	} else {
		args = append(args, "-verify_hostname", name)
	}
	out, err := exec.CommandContext(t.Context(), openssl, append(args, leafFile)...).CombinedOutput()
	if err != nil && strings.Contains(string(out), "verification failed") {
		return fmt.Errorf("%w: %s", errRefused, out)
	}
	return wrapOutput(err, out)
}

// nodeScript exits with 3 when the handshake fails by the certificate; Node's
// codes are OpenSSL's names for them, or its own for the wrong name.
const nodeScript = `
const [name, host, port] = process.argv.slice(1);
const isIP = require('net').isIP(name);
require('https').get({host, port, servername: isIP ? '' : name, headers: {host: name}}, r => {
  r.resume();
  r.on('end', () => process.exit(r.statusCode === 200 ? 0 : 1));
}).on('error', e => {
  console.error(e.code, e.message);
  process.exit(/subtree|path length|purpose|CA cert|^ERR_TLS_CERT/i.test(e.code + ' ' + e.message) ? 3 : 1);
});`

func nodeGet(t *testing.T, rootFile, name string, addr netip.AddrPort) error {
	cmd := exec.CommandContext(t.Context(), needTool(t, "node"), "-e", nodeScript, "--", name, addr.Addr().String(), fmt.Sprint(addr.Port()))
	cmd.Env = append(os.Environ(), "NODE_EXTRA_CA_CERTS="+rootFile, "NODE_OPTIONS=")
	out, err := cmd.CombinedOutput()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.ExitCode() == 3 {
		return fmt.Errorf("%w: %s", errRefused, out)
	}
	return wrapOutput(err, out)
}

func wrapOutput(err error, out []byte) error {
	if err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}
