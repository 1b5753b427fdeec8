package provider

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os/user"
	"strconv"
	"strings"
	"unicode"

	"github.com/devproxy/devproxy/tunnel/agent"
	"github.com/devproxy/devproxy/tunnel/neterror"
)

const (
	// sshScheme begins the URL of an SSH server.
	sshScheme = "ssh://"
	// sshPort is the port of SSH servers.
	sshPort = 22
	// webPort is the port whose forwarding means "give me a name" to sish,
	// localhost.run and serveo.
	webPort = 80
	// listenHere makes a server listen where ssh -R does with a port alone.
	listenHere = "localhost"
)

// sshServer is an SSH server that forwards a port, with the request for that.
type sshServer struct {
	word     string // the value of `relay`
	operator string // empty: the host
	user     string // empty: the user's name on this machine
	host     string
	port     uint16

	// listen and listenPort are the address to forward (RFC 4254 section 7.1). With
	// port 0, the server chooses the port.
	listen     string
	listenPort uint16
	// public is where visitors get through; zero when the server announces it.
	public link
	// command is executed in the session; empty starts a shell.
	command string
	// service is set for a server that admits everyone, and whose users cannot
	// contact its operators.
	service bool
	// pin is the server's key, as in known_hosts; empty when it was never published.
	pin string
}

// localhostRunServer is the service localhost.run, by its documentation
// (https://localhost.run/docs): the user "nokey"
// needs no key (docs/faq), "80" forwards http:// and https:// (docs/cli),
// free names change after some hours and free tunnels are slow (docs/forever-free).
// Its key is in localhost-run/client-service, linux/systemd/localhost.run.service.
var localhostRunServer = sshServer{
	word: "localhost.run", user: "nokey", host: "localhost.run", port: sshPort,
	listen: listenHere, listenPort: webPort, command: "--output json", service: true,
	pin: "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQC3lJnhW1oCXuAYV9IBdcJA+Vx7AHL5S/ZQvV2fhceOAPgO2kNQZla6xvUwoE4iw8lYu3zoE1KtieCU9yInWOVI6W/wFaT/ETH1tn55T2FVsK/zaxPiHZVJGLPPdEEid0vS2p1JDfc9onZ0pNSHLl1QusIOeMUyZ2bUMMLLgw46KOT9S3s/LmxgoJ3PocVUn5rVXz/Dng7Y8jYNe4IFrZOAUsi7hNBa+OYja6ceefpDvNDEJ1BdhbYfGolBdNA7f+FNl0kfaWru4Cblr843wBe2ckO/sNqgeAMXO/qH+SSgQxUXF2AgAw+TGp3yCIyYoOPvOgvcPsQziJLmDbUuQpnH",
}

var localhostRun = sshProvider(&localhostRunServer,
	"names that last (a free name changes after a few hours)",
	"large files at full speed (free tunnels have a speed limit)")

// pinggyServer is the service pinggy, on port 443. By its documentation
// (https://pinggy.io/docs/usages/), it ignores the requested port, the user "http"
// gets a tunnel for HTTP, and without a terminal it writes
// plain text. A free tunnel ends after 60 minutes (https://pinggy.io). Its free
// names contain the address of the machine that shares, as the names on its pages
// show: rnzdf-184-182-85-60.a.free.pinggy.link.
var pinggyServer = sshServer{
	word: "pinggy", operator: "Pinggy", user: "http", host: "a.pinggy.io", port: httpsPort,
	listen: listenHere, listenPort: 0, service: true,
}

var pinggy = sshProvider(&pinggyServer,
	"shares longer than 60 minutes (then the tunnel ends, and the next has another name)",
	"names without your network's public IP address (a free name contains it)")

// sshURL returns the provider of a server ssh://[USER@]HOST[:PORT][?listen=[ADDR:]PORT][&url=https://NAME[:PORT]]:
// any sish, serveo or tuns.sh, or with url= any sshd behind an HTTPS proxy. ssh's own
// configuration (~/.ssh/config) is not read.
func sshURL(relay string) (Provider, error) {
	server, reason := parseSSH(relay)
	if reason != nil {
		return Provider{}, &agent.Error{
			Reason: agent.ReasonRelay, Op: "use", Addr: strconv.Quote(withoutUser(relay)) + " as a relay", Err: reason,
			Fix: "write ssh://USER@HOST:PORT, and for a server that gives no names: ssh://USER@HOST?listen=8080&url=https://demo.example.com",
		}
	}
	provider := sshProvider(server)
	if server.public != (link{}) {
		provider.MaxHosts = 1
	}
	return provider, nil
}

func sshProvider(server *sshServer, cannot ...string) Provider {
	return Provider{
		Name: server.word, Operator: cmp.Or(server.operator, server.host), Cannot: cannot,
		probe: func(ctx context.Context, opts Options) error {
			conn, err := agent.Dial(ctx, server.address(), opts.Getenv)
			if err != nil {
				return server.unreached(err)
			}
			return conn.Close()
		},
		opener: func(opts Options) (opener, error) { return newSSHOpener(server, opts), nil },
	}
}

// withoutUser returns a URL without the part that may contain a password.
func withoutUser(text string) string {
	if i := strings.LastIndexByte(text, '@'); i >= 0 {
		return sshScheme + "…" + text[i:]
	}
	return text
}

// parseSSH reads the URL of a server.
func parseSSH(text string) (*sshServer, error) {
	u, err := url.Parse(text)
	if err != nil {
		return nil, errors.New("it is not a URL")
	}
	s := &sshServer{word: text, host: lower(u.Hostname()), port: sshPort, listen: listenHere, listenPort: webPort}
	switch _, hasPassword := u.User.Password(); {
	case hasPassword:
		return nil, errors.New("a password does not belong in a URL; devproxy uses keys, as ssh does")
	case u.User != nil && (u.User.Username() == "" || strings.ContainsFunc(u.User.Username(), isNotUser)):
		return nil, errors.New("the user's name before the @ is not a name")
	case !isHost(s.host):
		return nil, fmt.Errorf("%q is not a host", s.host)
	case u.Path != "" && u.Path != "/":
		return nil, fmt.Errorf("an SSH server has no path %q", u.Path)
	case u.Fragment != "":
		return nil, fmt.Errorf("an SSH server has no fragment %q", u.Fragment)
	}
	s.user = u.User.Username()
	if port := u.Port(); port != "" || strings.HasSuffix(u.Host, ":") {
		if s.port, err = parsePort(port); err != nil {
			return nil, err
		}
	}
	if err := s.parameters(u.RawQuery); err != nil {
		return nil, err
	}
	s.adapt()
	return s, nil
}

// adapt applies the settings of a service to a URL with its host, which users with an
// account there write.
func (s *sshServer) adapt() {
	switch {
	case s.host == localhostRunServer.host:
		s.command, s.pin = localhostRunServer.command, localhostRunServer.pin
	case strings.HasSuffix(s.host, ".pinggy.io") && s.listenPort == webPort:
		s.listenPort = pinggyServer.listenPort
	}
}

func isNotUser(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) }

// parameters reads the part after the question mark.
func (s *sshServer) parameters(query string) error {
	values, err := url.ParseQuery(query)
	if err != nil {
		return errors.New("the part after the question mark is not NAME=VALUE&NAME=VALUE")
	}
	for name, all := range values {
		if name != "listen" && name != "url" {
			return fmt.Errorf("unknown parameter %q; listen and url are known", name)
		}
		if len(all) > 1 {
			return fmt.Errorf("parameter %q appears twice", name)
		}
	}
	listen, public := values.Get("listen"), values.Get("url")
	if values.Has("listen") {
		if err := s.parseListen(listen); err != nil {
			return fmt.Errorf("listen=%s: %w", listen, err)
		}
	}
	if !values.Has("url") {
		return nil
	}
	if s.public, err = parseLink(public); err != nil {
		return fmt.Errorf("url=%s: %w", public, err)
	}
	if !values.Has("listen") {
		return errors.New("url needs listen, the port that your HTTPS proxy sends requests to")
	}
	return nil
}

// parseListen reads [ADDR:]PORT, where ADDR is an address of the server or, for
// sish, the requested name.
func (s *sshServer) parseListen(text string) error {
	host, port := listenHere, text
	if strings.Contains(text, ":") {
		var err error
		if host, port, err = net.SplitHostPort(text); err != nil {
			return errors.New("it is not PORT or ADDRESS:PORT")
		}
	}
	if !isHost(host) {
		return fmt.Errorf("%q is not a host", host)
	}
	n, err := parsePort(port)
	s.listen, s.listenPort = host, n
	return err
}

// base returns the server's URL without parameters.
func (s *sshServer) base() string {
	u := url.URL{Scheme: "ssh", Host: s.host}
	if s.user != "" {
		u.User = url.User(s.user)
	}
	if s.port != sshPort || strings.Contains(s.host, ":") {
		u.Host = s.address()
	}
	return u.String()
}

// address returns the address to dial.
func (s *sshServer) address() string { return net.JoinHostPort(s.host, strconv.Itoa(int(s.port))) }

// login returns the user's name at the server.
func (s *sshServer) login() string {
	if s.user != "" {
		return s.user
	}
	self, err := user.Current()
	if err != nil {
		return "devproxy"
	}
	return self.Username[strings.LastIndexByte(self.Username, '\\')+1:] // DOMAIN\NAME on Windows
}

// unreached replaces what agent.Dial says about relays.
func (s *sshServer) unreached(err error) error {
	e, ok := errors.AsType[*agent.Error](err)
	if !ok {
		return broken(s.word, err)
	}
	known := *e
	switch e.Reason {
	case agent.ReasonRefused:
		known.Fix = "check the port, and whether an SSH server runs there"
	case agent.ReasonBlocked:
		known.Fix = fmt.Sprintf("port %d seems blocked; try the provider pinggy, which uses port 443, or set HTTPS_PROXY if this network needs a proxy", s.port)
	case agent.ReasonProxyForbid:
		known.Fix = fmt.Sprintf("the proxy may allow port 443 alone, and this is port %d; try the provider pinggy", s.port)
	}
	return &known
}

// unforwarded returns the error of a server that does not forward the port.
func (s *sshServer) unforwarded(said string) error {
	reason := fmt.Sprintf("it does not forward %s", net.JoinHostPort(s.listen, fmt.Sprint(s.listenPort)))
	fix := "devproxy tries again, since an earlier tunnel may still be open there"
	if !s.service {
		fix += "; set ClientAliveInterval 15 in its sshd_config, so that it notices that; check AllowTcpForwarding there, and whether something else uses the port"
		if s.listenPort < 1024 {
			fix += "; ports below 1024 are root's on a plain sshd: use ?listen=8080"
		}
	}
	return shareError(agent.ReasonFailed, s.word, errors.New(reason+quoted(said)), fix)
}

// retryOtherFix is the fix for services that fail.
const retryOtherFix = "devproxy tries again; if it keeps failing, use another provider"

// unnamed returns the error of a server that forwards, but announces no public address.
func (s *sshServer) unnamed(said string) error {
	err := errors.New("the server forwards, but it announces no https:// address" + quoted(said))
	if s.service { // which usually announces one
		return shareError(agent.ReasonFailed, s.word, err, retryOtherFix)
	}
	return shareError(ReasonNoURL, s.word, err,
		fmt.Sprintf("put an HTTPS proxy in front of a port there, and name both: relay = %q", s.base()+"?listen=8080&url=https://demo.example.com"))
}

// refused returns the error of a server that says that it does not share.
func (s *sshServer) refused(said string) error {
	return shareError(agent.ReasonFailed, s.word, errors.New("the server refuses"+quoted(said)), retryOtherFix)
}

// quoted returns a server's words, for the end of a sentence.
func quoted(said string) string {
	if said == "" {
		return ""
	}
	return fmt.Sprintf("; it says %q", said)
}

// plainError is an error whose text contains the server's words.
type plainError struct{ error }

func (e plainError) Error() string { return printable(e.error.Error()) }
func (e plainError) Unwrap() error { return e.error }

// plainly returns err for a terminal.
func plainly(err error) error {
	if err == nil || errors.Is(err, io.EOF) || neterror.Broken(err) {
		return errors.New("the server closed the connection")
	}
	return plainError{err}
}
