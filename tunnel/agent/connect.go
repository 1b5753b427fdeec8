package agent

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"

	xproxy "golang.org/x/net/proxy"
)

// maxProxyHead bounds what a proxy may answer before the tunnel begins, in bytes.
const maxProxyHead = 64 << 10

// secureProxy shakes hands with a proxy that is spoken to over TLS.
func (d *dialer) secureProxy(ctx context.Context, s *socket) (*tls.Conn, error) {
	conn := tls.Client(s, &tls.Config{MinVersion: tls.VersionTLS12, ServerName: d.proxy.Hostname(), RootCAs: d.proxyRoots, NextProtos: []string{"http/1.1"}})
	if err := conn.HandshakeContext(ctx); err != nil {
		return nil, fmt.Errorf("the TLS handshake with it failed: %w", err)
	}
	return conn, nil
}

// connect has the proxy connect c to the relay (RFC 9110 section 9.3.6), with
// the credentials that its URL holds (RFC 7617). greets is whether the server there
// speaks first.
func (p *proxy) connect(c net.Conn, t target, greets bool) error {
	request := &http.Request{Method: http.MethodConnect, URL: &url.URL{Opaque: t.address()}, Host: t.address(), Header: http.Header{"User-Agent": {"devproxy"}}}
	if p.User != nil {
		password, _ := p.User.Password()
		request.Header.Set("Proxy-Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(p.User.Username()+":"+password)))
	}
	if err := request.Write(c); err != nil {
		return err
	}
	answer := io.Reader(c)
	if greets {
		answer = byteByByte{c} // what follows the answer is the server's
	}
	buffered := bufio.NewReader(io.LimitReader(answer, maxProxyHead))
	response, err := http.ReadResponse(buffered, request) //nolint:bodyclose // it has none, or the connection is given up
	if err != nil {
		return fmt.Errorf("its answer cannot be read: %w", plainly(err))
	}
	if response.StatusCode/100 != 2 {
		return p.denied(response, t)
	}
	if buffered.Buffered() > 0 {
		return errors.New("it sent something before it was its turn") // who dials speaks first in TLS
	}
	return nil
}

// byteByByte keeps a bufio.Reader from reading further than it is asked to.
type byteByByte struct{ io.Reader }

func (r byteByByte) Read(p []byte) (int, error) { return r.Reader.Read(p[:min(len(p), 1)]) }

// denied explains a proxy's no.
func (p *proxy) denied(response *http.Response, t target) *Error {
	e := &Error{Op: "reach " + t.String() + " through", Addr: "the proxy " + p.String()}
	switch response.StatusCode {
	case http.StatusProxyAuthRequired:
		e.Reason = ReasonProxyAuth
		e.Fix, e.Err = p.unwelcome(response.Header.Values("Proxy-Authenticate"))
	case http.StatusForbidden, http.StatusMethodNotAllowed:
		e.Reason, e.Err = ReasonProxyForbid, fmt.Errorf("it forbids that (%s)", printable(response.Status))
		e.Fix = fmt.Sprintf("have whoever runs it allow CONNECT to %s, or share from another network", t.address())
	default:
		e.Reason, e.Err = ReasonProxy, fmt.Errorf("it answers %s", printable(response.Status))
		e.Fix = "check the relay's name, and whether the proxy can reach it"
	}
	return e
}

// unwelcome is a proxy that wants other credentials, and what helps.
func (p *proxy) unwelcome(challenges []string) (fix string, err error) {
	schemes := make([]string, 0, len(challenges))
	for _, challenge := range challenges {
		scheme, _, _ := strings.Cut(strings.TrimSpace(challenge), " ")
		if strings.EqualFold(scheme, "Basic") {
			if p.User == nil {
				return fmt.Sprintf("export %s=%s://USER:PASSWORD@%s", p.variable, p.Scheme, p), errors.New("it asks for a user and a password")
			}
			return "correct them there; special characters are written as %XX", fmt.Errorf("it does not accept the user and the password of %s", p.variable)
		}
		schemes = append(schemes, printable(scheme))
	}
	return fmt.Sprintf("run a proxy on this machine that speaks it, such as px or cntlm, and name that in %s", p.variable),
		fmt.Errorf("it asks for credentials of the kind %s, and only Basic is known here", strings.Join(schemes, " or "))
}

// socks has the proxy connect c to the relay, whose name it looks up itself
// (RFC 1928), with the credentials that its URL holds (RFC 1929).
func (p *proxy) socks(ctx context.Context, c net.Conn, t target) error {
	var auth *xproxy.Auth
	if p.User != nil {
		password, _ := p.User.Password()
		auth = &xproxy.Auth{User: p.User.Username(), Password: password}
	}
	dialer, err := xproxy.SOCKS5("tcp", p.String(), auth, dialled{c})
	if err != nil {
		return err
	}
	_, err = dialer.(xproxy.ContextDialer).DialContext(ctx, "tcp", t.address())
	if err == nil {
		return nil
	}
	return p.socksDenied(err, t)
}

// socksDenied explains a SOCKS proxy's no, of which there is only the text.
func (p *proxy) socksDenied(err error, t target) error {
	var inner *net.OpError
	if errors.As(err, &inner) {
		err = inner.Err
	}
	e := &Error{Reason: ReasonProxy, Op: "reach " + t.String() + " through", Addr: "the proxy " + p.String(), Err: err, Fix: "check " + p.variable + ", and whether that proxy may reach the relay"}
	switch text := err.Error(); {
	case strings.Contains(text, "authentication"):
		e.Reason, e.Fix = ReasonProxyAuth, fmt.Sprintf("export %s=socks5://USER:PASSWORD@%s", p.variable, p)
	case strings.Contains(text, "not allowed"):
		e.Reason, e.Fix = ReasonProxyForbid, fmt.Sprintf("have whoever runs it allow %s, or share from another network", t.address())
	}
	return e
}

// dialled is a dialer of the one connection that is there.
type dialled struct{ conn net.Conn }

func (d dialled) Dial(string, string) (net.Conn, error) { return d.conn, nil }

func (d dialled) DialContext(context.Context, string, string) (net.Conn, error) { return d.conn, nil }
