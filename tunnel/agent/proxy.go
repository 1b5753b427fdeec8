package agent

import (
	"bufio"
	"cmp"
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

	"golang.org/x/net/http/httpproxy"
	xproxy "golang.org/x/net/proxy"
)

// maxProxyHead limits a proxy's response before the tunnel begins, in bytes.
const maxProxyHead = 64 << 10

// proxy is the proxy that all connections to the relay must go through.
type proxy struct {
	*url.URL
	variable string // of the environment, that names it
}

// proxyVariables are looked at in this order, as curl does. HTTP_PROXY is not among
// them: connections to a relay use TLS.
var proxyVariables = [...]string{"https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"}

// proxyPorts are the ports of proxies that name none.
var proxyPorts = map[string]string{"http": "80", "https": "443", "socks5": "1080", "socks5h": "1080"}

// proxyFor returns the proxy that the environment names for a relay; nil for none.
// A user who names a proxy may not want to be seen anywhere else, so nothing is
// dialled directly then, except what NO_PROXY lists.
func proxyFor(t target, getenv func(string) string) (*proxy, error) {
	if getenv == nil || isLocal(t.host) {
		return nil, nil
	}
	for _, variable := range proxyVariables {
		text := getenv(variable)
		if text == "" {
			continue
		}
		if !isURL(text) {
			return checkProxy(nil, variable) // httpproxy would report no error
		}
		rules := httpproxy.Config{HTTPSProxy: text, NoProxy: cmp.Or(getenv("no_proxy"), getenv("NO_PROXY"))}
		found, err := rules.ProxyFunc()(&url.URL{Scheme: "https", Host: t.address()})
		if found == nil || err != nil {
			return nil, err // NO_PROXY lists it; it has no errors for https
		}
		return checkProxy(found, variable)
	}
	return nil, nil
}

// isURL reports whether text is a URL, in which http:// may be missing.
func isURL(text string) bool {
	if !strings.Contains(text, "://") {
		text = "http://" + text
	}
	u, err := url.Parse(text)
	return err == nil && u.Host != ""
}

// checkProxy refuses proxies that cannot be used. The error contains nothing of the
// variable, which may have a password in it.
func checkProxy(u *url.URL, variable string) (*proxy, error) {
	refuse := func(reason string) (*proxy, error) {
		return nil, &Error{Reason: ReasonProxy, Op: "use", Addr: variable, Err: errors.New(reason), Fix: "write it as " + variable + "=http://USER:PASSWORD@HOST:PORT"}
	}
	if u == nil || u.Hostname() == "" {
		return refuse("it names no proxy")
	}
	if _, known := proxyPorts[u.Scheme]; !known {
		return refuse(fmt.Sprintf("it names a proxy of the kind %q; http, https and socks5 are known", u.Scheme))
	}
	return &proxy{u, variable}, nil
}

func (p *proxy) port() string { return cmp.Or(p.Port(), proxyPorts[p.Scheme]) }

// String is the proxy without its password.
func (p *proxy) String() string { return net.JoinHostPort(p.Hostname(), p.port()) }

// throughProxy connects to the relay through the proxy.
func (d *dialer) throughProxy(ctx context.Context) (*socket, error) {
	s, err := d.reach(ctx, strings.ToLower(d.proxy.Hostname()), d.proxy.port())
	if err != nil {
		return nil, d.proxy.unreached(err)
	}
	stop := context.AfterFunc(ctx, func() { s.Close() })
	way, err := d.connectVia(ctx, s)
	if !stop() && err == nil {
		err = context.Cause(ctx)
	}
	if err == nil {
		return way, nil
	}
	s.Close()
	if known := asError(err); known != nil {
		return nil, known
	}
	if ctx.Err() != nil {
		err = fmt.Errorf("no answer within %v", connectTimeout)
	}
	return nil, d.proxy.failed(d.target, err)
}

// connectVia has the proxy at s connect to the relay.
func (d *dialer) connectVia(ctx context.Context, s *socket) (*socket, error) {
	switch d.proxy.Scheme {
	case "http":
		return s, d.proxy.connect(s, d.target, d.greeted)
	case "https":
		conn := tls.Client(s, &tls.Config{MinVersion: tls.VersionTLS12, ServerName: d.proxy.Hostname(), RootCAs: d.proxyRoots, NextProtos: []string{"http/1.1"}})
		if err := conn.HandshakeContext(ctx); err != nil {
			return nil, fmt.Errorf("the TLS handshake with it failed: %w", err)
		}
		return &socket{conn, s.tcp}, d.proxy.connect(conn, d.target, d.greeted)
	}
	return s, d.proxy.socks(ctx, s, d.target)
}

// connect has the proxy connect c to the relay (RFC 9110 section 9.3.6), with
// the credentials of its URL (RFC 7617). greets is set when the server there
// sends first.
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
		answer = byteByByte{c} // bytes after the answer are the server's
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
		return errors.New("it sent data too early") // in TLS, the client sends first
	}
	return nil
}

// byteByByte keeps a bufio.Reader from reading further than needed.
type byteByByte struct{ io.Reader }

func (r byteByByte) Read(p []byte) (int, error) { return r.Reader.Read(p[:min(len(p), 1)]) }

// socks has the proxy connect c to the relay, whose name the proxy looks up
// (RFC 1928), with the credentials of its URL (RFC 1929).
func (p *proxy) socks(ctx context.Context, c net.Conn, t target) error {
	dialer, err := xproxy.FromURL(p.URL, dialled{c})
	if err != nil {
		return err
	}
	if _, err := dialer.(xproxy.ContextDialer).DialContext(ctx, "tcp", t.address()); err != nil {
		return p.socksDenied(err, t)
	}
	return nil
}

// dialled is a dialer of the one connection that exists.
type dialled struct{ conn net.Conn }

func (d dialled) Dial(string, string) (net.Conn, error) { return d.conn, nil }

func (d dialled) DialContext(context.Context, string, string) (net.Conn, error) { return d.conn, nil }

// failed returns the error of a proxy that did not connect to the relay.
func (p *proxy) failed(t target, err error) *Error {
	return &Error{
		Reason: ReasonProxy, Op: "reach " + t.String() + " through", Addr: "the proxy " + p.String(), Err: err,
		Fix: "check " + p.variable + ", and whether that proxy may reach the relay",
	}
}

// unreached returns the error of a proxy that cannot be reached.
func (p *proxy) unreached(err error) *Error {
	e := unreached(p.Hostname(), p.String(), err)
	e.Reason, e.Addr = ReasonProxy, "the proxy "+e.Addr
	e.Fix = fmt.Sprintf("check %s, or unset it if this network needs no proxy", p.variable)
	return e
}

// denied explains a proxy's refusal.
func (p *proxy) denied(response *http.Response, t target) *Error {
	e := p.failed(t, fmt.Errorf("it answers %s", printable(response.Status)))
	switch response.StatusCode {
	case http.StatusProxyAuthRequired:
		e.Reason = ReasonProxyAuth
		e.Fix, e.Err = p.unauthorized(response.Header.Values("Proxy-Authenticate"))
	case http.StatusForbidden, http.StatusMethodNotAllowed:
		e.Reason, e.Err = ReasonProxyForbid, fmt.Errorf("it forbids that (%s)", printable(response.Status))
		e.Fix = fmt.Sprintf("have its operator allow CONNECT to %s, or share from another network", t.address())
	default:
		e.Fix = "check the relay's name, and whether the proxy can reach it"
	}
	return e
}

// unauthorized explains a proxy that requires other credentials.
func (p *proxy) unauthorized(challenges []string) (fix string, err error) {
	schemes := make([]string, 0, len(challenges))
	for _, challenge := range challenges {
		scheme, _, _ := strings.Cut(strings.TrimSpace(challenge), " ")
		if strings.EqualFold(scheme, "Basic") {
			if p.User == nil {
				return fmt.Sprintf("export %s=%s://USER:PASSWORD@%s", p.variable, p.Scheme, p), errors.New("it requires a user name and a password")
			}
			return "correct them there; special characters are written as %XX", fmt.Errorf("it does not accept the user name and the password of %s", p.variable)
		}
		schemes = append(schemes, printable(scheme))
	}
	return fmt.Sprintf("run a proxy on this machine that supports it, such as px or cntlm, and name that in %s", p.variable),
		fmt.Errorf("it asks for credentials of the kind %s, and only Basic is known here", strings.Join(schemes, " or "))
}

// socksDenied explains a SOCKS proxy's refusal, from its text alone.
func (p *proxy) socksDenied(err error, t target) *Error {
	if inner, ok := errors.AsType[*net.OpError](err); ok {
		err = inner.Err
	}
	e := p.failed(t, err)
	switch text := err.Error(); {
	case strings.Contains(text, "authentication"):
		e.Reason, e.Fix = ReasonProxyAuth, fmt.Sprintf("export %s=socks5://USER:PASSWORD@%s", p.variable, p)
	case strings.Contains(text, "not allowed"):
		e.Reason, e.Fix = ReasonProxyForbid, fmt.Sprintf("have its operator allow %s, or share from another network", t.address())
	}
	return e
}
