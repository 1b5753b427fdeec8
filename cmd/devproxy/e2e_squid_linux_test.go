//go:build e2e

package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/devproxy/devproxy/tunnel/wan"
)

const (
	squidRelay    = "t.test:8443"
	squidToken    = "0123456789abcdef"
	squidPassword = "s3cret%p@ss"
	squidUser     = "http://jane:s3cret%25p%40ss@"
	// squidBytes go each way, and are compared.
	squidBytes = 20 << 20
)

// squidNet is a network whose only way out is a Squid that asks for a password:
// devproxy is on side B, Squid and the relay on side A, on whose loopback no
// one else can reach it. Names resolve on side B only for Squid.
type squidNet struct {
	t    *testing.T
	link *wan.Link
	dir  string   // what Squid reads and writes; world-accessible, as it drops root
	env  []string // of every devproxy
	ca   string   // the file of the CA of the relay's certificate
	pool *x509.CertPool
}

// TestE2ESquid shares from a company's network.
func TestE2ESquid(t *testing.T) {
	needRoot(t, "to make network namespaces")
	needTool(t, "squid")
	link, err := wan.Open(t.Context(), wan.Config{RTT: 20 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { link.Close() })
	n := &squidNet{t: t, link: link, dir: shortDir(t)}
	if err := os.Chmod(n.dir, 0o777); err != nil {
		t.Fatal(err)
	}
	_, _, n.env = privateState(t)
	n.certificates()
	squid := n.squid()

	// Every way in which it does not work says why, and tells no password.
	n.refused("", squidRelay, "cannot look up t.test", "nslookup t.test")
	n.refused("http://198.18.0.1:3128", squidRelay, "it requires a user name and a password", "export HTTPS_PROXY=http://USER:PASSWORD@198.18.0.1:3128")
	n.refused("http://jane:wrong@198.18.0.1:3128", squidRelay, "it does not accept the user name and the password of HTTPS_PROXY", "correct them")
	n.refused(squidUser+"198.18.0.1:3128", "t.test:22", "it forbids that (403", "allow CONNECT to t.test:22")
	n.refused(squidUser+"198.18.0.1:3128", squidRelay, "it answers 503", "whether the proxy can reach it")
	n.refused(squidUser+"198.18.0.1:3129", squidRelay, "cannot connect to the proxy 198.18.0.1:3129", "check HTTPS_PROXY")

	n.relay()
	public := n.share()
	client := n.visitor()
	n.bothWays(client, public)

	// The proxy goes away, and visitors wait for it to be back.
	if err := squid.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = squid.Wait() // killed
	waited := make(chan error, 1)
	go func() { waited <- n.get(client, public+"hello", "hello") }()
	n.squid()
	if err := <-waited; err != nil {
		t.Errorf("a visitor who waited: %v", err)
	}
	n.bothWays(client, public)
}

// command runs a program on a side until the test ends, and returns its output
// as it comes.
func (n *squidNet) command(side wan.Side, env []string, name string, args ...string) (*exec.Cmd, *outputBuffer) {
	n.t.Helper()
	cmd := n.link.Command(context.Background(), side, name, args...)
	out := &outputBuffer{}
	cmd.Env, cmd.Stdout, cmd.Stderr = append(n.env[:len(n.env):len(n.env)], env...), out, out
	if err := cmd.Start(); err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() {
		if cmd.ProcessState == nil {
			_ = cmd.Process.Signal(os.Interrupt)
			killer := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
			_ = cmd.Wait()
			killer.Stop()
		}
		if n.t.Failed() {
			n.t.Logf("%s:\n%s", name, out)
		}
	})
	return cmd, out
}

// squid starts Squid and waits until it listens.
func (n *squidNet) squid() *exec.Cmd {
	n.t.Helper()
	hash, err := exec.Command("openssl", "passwd", "-apr1", squidPassword).Output()
	if err != nil {
		n.t.Fatal(err)
	}
	for name, text := range map[string]string{
		"passwd": "jane:" + string(hash),
		"hosts":  "127.0.0.1 localhost t.test\n",
		"conf": strings.ReplaceAll(`
http_port 198.18.0.1:3128
hosts_file DIR/hosts
auth_param basic program /usr/lib/squid/basic_ncsa_auth DIR/passwd
auth_param basic realm company
acl known proxy_auth REQUIRED
acl relay port 8443
http_access deny CONNECT !relay
http_access allow known
http_access deny all
cache deny all
access_log stdio:DIR/access.log
cache_log DIR/cache.log
coredump_dir DIR
pid_filename none
pinger_enable off
shutdown_lifetime 0 seconds
visible_hostname proxy.test
`, "DIR", n.dir),
	} {
		if err := os.WriteFile(filepath.Join(n.dir, name), []byte(text), 0o644); err != nil {
			n.t.Fatal(err)
		}
	}
	cmd, _ := n.command(wan.A, nil, "squid", "-N", "-f", filepath.Join(n.dir, "conf"))
	for deadline := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		conn, err := n.dial(wan.B, "198.18.0.1:3128")
		if err == nil {
			conn.Close()
			return cmd
		}
		if time.Now().After(deadline) {
			text, _ := os.ReadFile(filepath.Join(n.dir, "cache.log"))
			n.t.Fatalf("squid does not listen: %v\n%s", err, text)
		}
	}
}

func (n *squidNet) dial(side wan.Side, address string) (conn net.Conn, err error) {
	err = n.link.Enter(side, func() (err error) {
		conn, err = net.DialTimeout("tcp", address, time.Second)
		return err
	})
	return conn, err
}

// refused has `relay login` fail.
func (n *squidNet) refused(proxy, relay, text, fix string) {
	n.t.Helper()
	cmd := n.link.Command(n.t.Context(), wan.B, devproxyBinary(n.t), "relay", "login", relay, "--token", squidToken)
	cmd.Dir = n.dir
	cmd.Env = append(n.env[:len(n.env):len(n.env)], "HTTPS_PROXY="+proxy)
	out, err := cmd.CombinedOutput()
	said := string(out)
	if err == nil || !strings.Contains(said, text) || !strings.Contains(said, fix) || strings.Contains(said, "s3cret") {
		n.t.Errorf("through %q to %s: %v\n%s\nwant %q and %q", proxy, relay, err, said, text, fix)
	}
}

// certificates makes those of the relay.
func (n *squidNet) certificates() {
	n.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		n.t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "t.test"}, DNSNames: []string{"t.test", "*.t.test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		n.t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		n.t.Fatal(err)
	}
	n.ca, n.pool = filepath.Join(n.dir, "ca.pem"), x509.NewCertPool()
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	n.pool.AppendCertsFromPEM(text)
	for path, text := range map[string][]byte{n.ca: text, n.ca + ".key": pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})} {
		if err := os.WriteFile(path, text, 0o600); err != nil {
			n.t.Fatal(err)
		}
	}
	n.env = append(n.env, "SSL_CERT_FILE="+n.ca)
}

// relay starts the relay on a loopback that only Squid can reach.
func (n *squidNet) relay() {
	n.t.Helper()
	_, out := n.command(wan.A, []string{"DEVPROXY_HOME=" + shortDir(n.t)}, devproxyBinary(n.t), "relay", "--domain", "t.test",
		"--listen", "127.0.0.1:8443", "--http", "none", "--cert", n.ca, "--key", n.ca+".key", "--token", squidToken, "--json")
	n.awaitText(out, `"event":"ready"`)
}

func (n *squidNet) awaitText(out *outputBuffer, text string) string {
	n.t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if _, after, found := strings.Cut(out.String(), text); found {
			return after
		}
	}
	n.t.Fatalf("%q never came:\n%s", text, out)
	return ""
}

// share logs in, shares an upstream and returns its public address.
func (n *squidNet) share() string {
	n.t.Helper()
	var ln net.Listener
	if err := n.link.Enter(wan.B, func() (err error) { ln, err = net.Listen("tcp", "127.0.0.1:0"); return err }); err != nil {
		n.t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(squidUpstream)}
	n.t.Cleanup(func() { server.Close() })
	go func() { _ = server.Serve(ln) }()
	project := projectDir(n.t, fmt.Sprintf("host \"shop.localhost\" { upstream = \"http://%s\" }\n", ln.Addr()))
	env := []string{"HTTPS_PROXY=" + squidUser + "198.18.0.1:3128"}

	login, out := n.command(wan.B, env, devproxyBinary(n.t), "relay", "login", squidRelay, "--token", squidToken, "-C", project)
	if err := login.Wait(); err != nil {
		n.t.Fatalf("%v\n%s", err, out)
	}
	_, out = n.command(wan.B, env, devproxyBinary(n.t), "up", "--share", "--json", "--https", ":0", "-C", project)
	public, _, _ := strings.Cut(n.awaitText(out, `"event":"shared","url":"`), `"`)
	return strings.TrimSuffix(public, "/") + "/"
}

// squidUpstream answers with the checksum of the request's body, and sends a
// long response.
func squidUpstream(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/hello":
		io.WriteString(w, "hello")
	case "/much":
		_, _ = w.Write(squidText())
	default:
		sum := sha256.New()
		_, _ = io.Copy(sum, r.Body)
		fmt.Fprintf(w, "%x", sum.Sum(nil))
	}
}

func squidText() []byte { return bytes.Repeat([]byte("sixteen bytes..\n"), squidBytes/16) }

// visitor is a client next to the relay.
func (n *squidNet) visitor() *http.Client {
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: n.pool},
		DialContext:     func(context.Context, string, string) (net.Conn, error) { return n.dial(wan.A, "127.0.0.1:8443") },
	}
	n.t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: 2 * patience}
}

func (n *squidNet) get(client *http.Client, url, want string) error {
	response, err := client.Get(url)
	if err != nil {
		return err
	}
	return answers(response, want)
}

func answers(response *http.Response, want string) error {
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK || string(body) != want {
		return fmt.Errorf("status %d with %d bytes: %.80q", response.StatusCode, len(body), body)
	}
	return nil
}

// bothWays compares what goes up and down.
func (n *squidNet) bothWays(client *http.Client, public string) {
	n.t.Helper()
	text := squidText()
	if err := n.get(client, public+"much", string(text)); err != nil {
		n.t.Errorf("down: %v", err)
	}
	response, err := client.Post(public+"sum", "application/octet-stream", bytes.NewReader(text))
	if err == nil {
		err = answers(response, fmt.Sprintf("%x", sha256.Sum256(text)))
	}
	if err != nil {
		n.t.Errorf("up: %v", err)
	}
}
