package forward

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"github.com/devproxy/devproxy/tunnel/field"
)

// setForwarding says who asked, in the old way and in that of RFC 7239.
//
// The public host of a share is told in field.PublicHost alone. The others are
// what dev servers check or compare: Rails blocks a host that it does not know,
// Next refuses a server action whose Origin is another, and rack-protection reads
// Forwarded first. In a share Host and Origin are local, and so are these; absolute
// URLs made of them become public on the way out. A visitor of a share never looks local: see field.Machine.
func setForwarding(out http.Header, in *http.Request, x Exchange) {
	visitor, scheme := x.Visitor, toldScheme(x)
	switch {
	case x.PublicHost != "":
		visitor = x.Machine.Shown(visitor)
		// Apps that know nginx's habits alone would take the connection's peer.
		out["X-Real-Ip"] = []string{visitor.String()}
	case !visitor.IsValid():
		visitor = remoteAddr(in)
	}
	node := "unknown" // RFC 7239 section 6.2
	if visitor.IsValid() {
		visitor = visitor.Unmap().WithZone("")
		node = visitor.String()
		out["X-Forwarded-For"] = []string{node}
		if visitor.Is6() {
			node = `"[` + node + `]"`
		}
	}
	forwarded := "for=" + node
	if in.Host != "" {
		out["X-Forwarded-Host"] = []string{in.Host}
		out["X-Forwarded-Port"] = []string{forwardedPort(in.Host, scheme)}
		forwarded += ";host=" + quoted(in.Host)
	}
	if x.PublicHost != "" {
		out[field.PublicHost] = []string{x.PublicHost}
	}
	out["X-Forwarded-Proto"] = []string{scheme}
	out["Forwarded"] = []string{forwarded + ";proto=" + scheme}
	if x.Match.Route.StripPrefix {
		out["X-Forwarded-Prefix"] = []string{x.Match.Prefix()}
	}
}

// forwardedPort is the port of X-Forwarded-Host, or what its absence means: apps
// that read it put it into the URLs that they build.
func forwardedPort(host, scheme string) string {
	if port := (&url.URL{Host: host}).Port(); port != "" {
		return port
	}
	if scheme == "https" {
		return "443"
	}
	return "80"
}

func remoteAddr(r *http.Request) netip.Addr {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	addr, _ := netip.ParseAddr(host)
	return addr
}

// quoted is a value of RFC 7239: a token as it is, anything else (a port's
// colon is enough) as a quoted-string.
func quoted(value string) string {
	if !strings.ContainsFunc(value, notInToken) {
		return value
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(value) + `"`
}

func notInToken(c rune) bool {
	alphanumeric := '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'z'
	return !alphanumeric && !strings.ContainsRune("!#$%&'*+-.^_`|~", c)
}
