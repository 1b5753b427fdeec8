package check

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"time"

	"github.com/coder/websocket"

	"github.com/devproxy/devproxy/tunnel/neterror"
)

// visitor is a client outside of the project.
type visitor struct {
	http  *http.Client // does not follow redirects
	roots *x509.CertPool
	token string
	proxy func(*http.Request) (*url.URL, error)
}

func newVisitor(roots *x509.CertPool, token string, proxy func(*http.Request) (*url.URL, error)) *visitor {
	jar, _ := cookiejar.New(nil) // never fails
	v := &visitor{roots: roots, token: token, proxy: proxy}
	transport := &http.Transport{
		Proxy: v.proxy, DialContext: dial, TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout: stepTimeout, ResponseHeaderTimeout: uploadTimeout, DisableCompression: true,
	}
	v.http = &http.Client{Transport: transport, Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return v
}

func (v *visitor) close() { v.http.CloseIdleConnections() }

// proxyOf is http.ProxyFromEnvironment, except that names of this machine need no proxy.
func proxyOf(r *http.Request) (*url.URL, error) {
	if isLocal(r.URL.Hostname()) {
		return nil, nil
	}
	return http.ProxyFromEnvironment(r)
}

// isLocal reports whether a host means the visitor's own machine: localhost, the names
// below it (RFC 6761 section 6.3), and loopback addresses.
func isLocal(host string) bool {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	ip := net.ParseIP(host)
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || ip != nil && (ip.IsLoopback() || ip.IsUnspecified())
}

// loopback are the addresses of local names, as in browsers.
var loopback = []string{"127.0.0.1", "::1"}

// dial connects as a browser does: it asks no resolver for a name below localhost.
func dial(ctx context.Context, network, addr string) (net.Conn, error) {
	var d net.Dialer
	name, port, err := net.SplitHostPort(addr)
	if err != nil || !isLocal(name) {
		return d.DialContext(ctx, network, addr)
	}
	var first error
	for _, ip := range loopback {
		conn, err := d.DialContext(ctx, network, net.JoinHostPort(ip, port))
		if err == nil {
			return conn, nil
		}
		if first == nil {
			first = err
		}
	}
	return nil, first
}

// throughProxy returns the proxy that carries requests to u, without its credentials;
// empty for none.
func (v *visitor) throughProxy(u *url.URL) string {
	at, err := v.proxy(&http.Request{URL: u})
	if err != nil || at == nil {
		return ""
	}
	return at.Host
}

// do sends a request, with the token of the check if it is for a probe. The caller closes
// the body.
func (v *visitor) do(ctx context.Context, method, address string, body io.Reader, probe bool, fields ...string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, address, body)
	if err != nil {
		return nil, err
	}
	if probe {
		req.Header.Set("Authorization", "Bearer "+v.token)
	}
	for i := 0; i+1 < len(fields); i += 2 {
		req.Header.Set(fields[i], fields[i+1])
	}
	return v.http.Do(req)
}

// reason describes an error of the network in one line, without addresses that a person
// did not write.
func reason(err error) string {
	if failed, ok := errors.AsType[*url.Error](err); ok {
		err = failed.Err
	}
	switch {
	case errors.Is(err, context.DeadlineExceeded) || isTimeout(err):
		return "no answer in time"
	case neterror.Refused(err):
		return "the connection is refused"
	case neterror.Unreachable(err), neterror.HostUnreachable(err):
		return "no route leads there"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), neterror.Broken(err):
		return "the connection was closed"
	}
	return strings.TrimSpace(strings.SplitN(err.Error(), "\n", 2)[0])
}

func isTimeout(err error) bool {
	e, ok := errors.AsType[net.Error](err)
	return ok && e.Timeout()
}

// certificateFault says what is wrong with a certificate that was refused; ok is false
// for another error.
func certificateFault(err error, now time.Time) (text, fix string, ok bool) {
	const renew = "look at the relay's log: it names the certificate that it uses, and why it has no better one"
	if e, is := errors.AsType[x509.HostnameError](err); is {
		return "the certificate is for " + strings.Join(e.Certificate.DNSNames, ", ") + ", not for " + e.Host, "start the relay with a certificate for it: devproxy relay --cert FILE --key FILE", true
	}
	if e, is := errors.AsType[x509.CertificateInvalidError](err); is && e.Reason == x509.Expired && e.Cert != nil {
		if now.Before(e.Cert.NotBefore) {
			return "the certificate is valid from " + day(e.Cert.NotBefore) + ", and this machine's clock says " + day(now), "set this machine's clock", true
		}
		return "the certificate has expired on " + day(e.Cert.NotAfter), renew, true
	}
	if e, is := errors.AsType[x509.UnknownAuthorityError](err); is {
		issuer := "an unknown authority"
		if e.Cert != nil && e.Cert.Issuer.CommonName != "" {
			issuer = fmt.Sprintf("%q", e.Cert.Issuer.CommonName)
		}
		return "the certificate is signed by " + issuer + ", which visitors' machines do not trust", "start the relay with a public certificate; if this is the authority of a proxy that reads your traffic, add it to this machine's trust store", true
	}
	if e, is := errors.AsType[*tls.CertificateVerificationError](err); is {
		return "the certificate is refused: " + e.Err.Error(), renew, true
	}
	return "", "", false
}

func day(t time.Time) string { return t.Local().Format("2 January 2006") }

// socket opens a WebSocket. status is that of an answer which refuses it; 0 without one.
func (v *visitor) socket(ctx context.Context, address, protocol string, header http.Header) (conn *websocket.Conn, status int, err error) {
	options := &websocket.DialOptions{HTTPClient: v.http, HTTPHeader: header}
	if protocol != "" {
		options.Subprotocols = []string{protocol}
	}
	conn, res, err := websocket.Dial(ctx, address, options)
	if err != nil && res != nil {
		_ = res.Body.Close() // what Dial has kept of it
		status = res.StatusCode
	}
	return conn, status, err
}
