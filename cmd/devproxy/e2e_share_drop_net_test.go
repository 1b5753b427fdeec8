//go:build e2e && linux

package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/devproxy/devproxy/tunnel/wan"
)

const (
	dropDomain = "t.test"
	dropToken  = "a-token-of-one-test"
	// dropRTT is between agent and relay. Visitors are next to the relay.
	dropRTT = 40 * time.Millisecond
)

// dropNet is a share on an emulated path: relay and visitors on side A, agent
// and upstream on side B.
type dropNet struct {
	t        *testing.T
	link     *wan.Link
	dir      string // certificate and registry
	env      []string
	roots    *x509.CertPool
	upstream *dropUpstream
	relay    *dropProcess
	up       *dropProcess
	url      string // of the share, without a slash
	files    int    // how many the relay may have open; 0 for the machine's
}

// newDropNet starts all of it, and returns when the link works. files is how
// many the relay may have open; 0 leaves that to the machine.
func newDropNet(t *testing.T, files int) *dropNet {
	t.Helper()
	n := newDropPath(t, files)
	n.startUpstream()
	n.startRelay()
	n.startUp()
	return n
}

// newDropPath makes only the path.
func newDropPath(t *testing.T, files int) *dropNet {
	t.Helper()
	n := &dropNet{t: t, dir: shortDir(t), roots: x509.NewCertPool(), files: files}
	n.link = openDropLink(t)
	_, _, n.env = privateState(t)
	n.env = append(n.env, "DEVPROXY_RELAY_TOKEN="+dropToken, "SSL_CERT_FILE="+n.file("cert.pem"), "SSL_CERT_DIR="+n.dir)
	n.roots.AppendCertsFromPEM(writeCertificate(t, n.file("cert.pem"), n.file("key.pem"), dropDomain))
	return n
}

// openDropLink makes the path; without the rights to, the test is skipped, but
// not in CI.
func openDropLink(t *testing.T) *wan.Link {
	t.Helper()
	link, err := wan.Open(t.Context(), wan.Config{RTT: dropRTT, Hosts: map[string]netip.Addr{dropDomain: wan.DefaultAddr(wan.A)}})
	if errors.Is(err, wan.ErrUnsupported) && os.Getenv("CI") != "true" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := link.Close(); err != nil {
			t.Error(err)
		}
	})
	return link
}

// file is the path of a file of this share.
func (n *dropNet) file(name string) string { return filepath.Join(n.dir, name) }

// startUpstream serves on side B, in this process.
func (n *dropNet) startUpstream() {
	n.t.Helper()
	n.upstream = newDropUpstream()
	server := httptest.NewUnstartedServer(n.upstream)
	server.Listener.Close()
	if err := n.link.Enter(wan.B, func() (err error) {
		server.Listener, err = net.Listen("tcp", "127.0.0.1:0")
		return err
	}); err != nil {
		n.t.Fatal(err)
	}
	server.Start()
	n.upstream.address = server.URL
	n.t.Cleanup(server.Close)
}

// startRelay runs the relay, or the next one with the same names and keys.
func (n *dropNet) startRelay(more ...string) {
	n.t.Helper()
	at := n.link.Addr(wan.A).String()
	command := append(fewFiles(n.t, n.files), devproxyBinary(n.t), "relay", "--domain", dropDomain,
		"--listen", at+":443", "--http", "none", "--cert", n.file("cert.pem"), "--key", n.file("key.pem"),
		"--state", n.file("relay.db"), "--json")
	command = append(command, more...)
	n.relay = startDrop(n.t, n.link.Command(context.Background(), wan.A, command[0], command[1:]...), n.env, syscall.SIGTERM)
	n.relay.await("ready")
}

// fewFiles runs the command after it with a limit on open files.
func fewFiles(t *testing.T, files int) []string {
	t.Helper()
	if files == 0 {
		return nil
	}
	return []string{needTool(t, "prlimit"), fmt.Sprintf("--nofile=%d:%d", files, files)}
}

// startUp shares a project of one route.
func (n *dropNet) startUp() {
	n.t.Helper()
	n.startProject(fmt.Sprintf("host \"shop.localhost\" {\n  upstream = %q\n}\n", n.upstream.address))
}

// startProject shares the project of a Proxyfile, and returns the event that says so.
func (n *dropNet) startProject(file string, more ...string) dropEvent {
	n.t.Helper()
	command := append([]string{"up", "--share", "--relay", dropDomain, "--json", "--https", ":0", "-C", projectDir(n.t, file)}, more...)
	n.up = startDrop(n.t, n.link.Command(context.Background(), wan.B, devproxyBinary(n.t), command...), n.env, os.Interrupt)
	shared := n.up.await("shared")
	n.url = strings.TrimSuffix(shared.URL, "/")
	return shared
}

// client is a visitor, next to the relay, with its own connections: "h1" or
// "h2".
func (n *dropNet) client(protocol string) *http.Client {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(protocol == "h1")
	protocols.SetHTTP2(protocol == "h2")
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: n.roots},
		Protocols:       protocols,
		DialContext:     func(context.Context, string, string) (net.Conn, error) { return n.dial(nil) },
	}
	n.t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// dial connects to the relay from next to it; nil means from any address.
func (n *dropNet) dial(from *net.TCPAddr) (conn net.Conn, err error) {
	to := &net.TCPAddr{IP: n.link.Addr(wan.A).AsSlice(), Port: 443}
	err = n.link.Enter(wan.A, func() (err error) {
		conn, err = net.DialTCP("tcp4", from, to)
		return err
	})
	return conn, err
}
