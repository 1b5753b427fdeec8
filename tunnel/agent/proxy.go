package agent

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"

	"golang.org/x/net/http/httpproxy"
)

// proxy is what the environment says all connections to the relay must go
// through.
type proxy struct {
	*url.URL
	variable string // that names it
}

// proxyVariables are looked at in this order, as curl does. That of plain HTTP
// is none of them: what goes to a relay is TLS.
var proxyVariables = [...]string{"https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"}

// proxyFor is the proxy that the environment names for a relay; nil for none.
// Whoever names a proxy may have a reason to be seen nowhere else: so nothing is
// dialled directly then, but for what NO_PROXY says.
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
			return checkProxy(nil, variable) // httpproxy would say nothing
		}
		rules := httpproxy.Config{HTTPSProxy: text, NoProxy: firstOf(getenv("no_proxy"), getenv("NO_PROXY"))}
		found, err := rules.ProxyFunc()(&url.URL{Scheme: "https", Host: t.address()})
		if found == nil || err != nil {
			return nil, err // NO_PROXY says so; it has no errors for https
		}
		return checkProxy(found, variable)
	}
	return nil, nil
}

func firstOf(texts ...string) string {
	for _, text := range texts {
		if text != "" {
			return text
		}
	}
	return ""
}

// isURL reports whether text is an URL, for which http:// may be left out.
func isURL(text string) bool {
	if !strings.Contains(text, "://") {
		text = "http://" + text
	}
	u, err := url.Parse(text)
	return err == nil && u.Host != ""
}

// checkProxy refuses what cannot be used, without a word of what is in the
// variable: there may be a password in it.
func checkProxy(u *url.URL, variable string) (*proxy, error) {
	refuse := func(reason string) (*proxy, error) {
		return nil, &Error{Reason: ReasonProxy, Op: "use", Addr: variable, Err: errors.New(reason), Fix: "write it as " + variable + "=http://USER:PASSWORD@HOST:PORT"}
	}
	if u == nil || u.Hostname() == "" {
		return refuse("it names no proxy")
	}
	if _, known := proxyPorts[u.Scheme]; !known {
		return refuse(fmt.Sprintf("it names a proxy of the kind %q, and http, https and socks5 are known", u.Scheme))
	}
	return &proxy{u, variable}, nil
}

// proxyPorts are the ports of proxies that name none.
var proxyPorts = map[string]string{"http": "80", "https": "443", "socks5": "1080", "socks5h": "1080"}

func (p *proxy) port() string { return firstOf(p.Port(), proxyPorts[p.Scheme]) }

// String is the proxy without its password.
func (p *proxy) String() string { return net.JoinHostPort(p.Hostname(), p.port()) }

// throughProxy makes a way to the relay through the proxy.
func (d *dialer) throughProxy(ctx context.Context) (*socket, error) {
	s, err := d.reach(ctx, strings.ToLower(d.proxy.Hostname()), d.proxy.port())
	if err != nil {
		return nil, d.proxy.unreached(err)
	}
	stop := context.AfterFunc(ctx, func() { s.Close() })
	way, err := d.ask(ctx, s)
	if !stop() && err == nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		s.Close()
		return nil, d.unproxied(ctx, err)
	}
	return way, nil
}

// ask has the proxy connect to the relay.
func (d *dialer) ask(ctx context.Context, s *socket) (*socket, error) {
	switch d.proxy.Scheme {
	case "http":
		return s, d.proxy.connect(s, d.target, d.greeted)
	case "https":
		conn, err := d.secureProxy(ctx, s)
		if err != nil {
			return nil, err
		}
		return &socket{conn, s.tcp}, d.proxy.connect(conn, d.target, d.greeted)
	}
	return s, d.proxy.socks(ctx, s, d.target)
}

// unreached explains why there is no connection to the proxy.
func (p *proxy) unreached(err error) *Error {
	e := unreached(p.Hostname(), p.String(), err, func(Reason) string {
		return fmt.Sprintf("check %s, or unset it if this network needs no proxy", p.variable)
	})
	e.Reason, e.Addr = ReasonProxy, "the proxy "+e.Addr
	return e
}

// unproxied explains why a proxy did not do what it was asked for.
func (d *dialer) unproxied(ctx context.Context, err error) error {
	var known *Error
	if errors.As(err, &known) {
		return known
	}
	if ctx.Err() != nil {
		err = fmt.Errorf("no answer within %v", connectTimeout)
	}
	return &Error{Reason: ReasonProxy, Op: "reach " + d.target.String() + " through", Addr: "the proxy " + d.proxy.String(), Err: err, Fix: "check " + d.proxy.variable + ", and whether that proxy may reach the relay"}
}
