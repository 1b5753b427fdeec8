package hcl

import (
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/zclconf/go-cty/cty"
)

// decodeUpstream decodes an upstream in every form: a port, an address, a URL,
// a socket, a service, or a list of these.
func (d *decoder) decodeUpstream(v value) *Upstream {
	if !v.IsKnown() && !v.writtenOut() {
		return nil
	}
	u := &Upstream{Text: v.written(), Range: v.at()}
	if service := d.serviceOf(v.Value); service != nil {
		if service.Upstream == nil {
			return nil // its mistake is reported where it is written
		}
		u.Service = service
		u.Members = d.chosen(service, v)
		return u
	}
	if !v.isList() && !v.writtenOut() {
		u.Members = d.members(v)
	} else {
		elements := d.elements(v)
		if len(elements) == 0 {
			d.errorf(v.at(), "write [3000, 3001]", "an upstream has at least one address")
		}
		for _, element := range elements {
			u.Members = append(u.Members, d.members(element)...)
		}
	}
	if len(u.Members) == 0 {
		return nil
	}
	return u
}

// members are the addresses that one value of an upstream stands for.
func (d *decoder) members(v value) []Member {
	if !v.IsKnown() {
		return nil
	}
	if service := d.serviceOf(v.Value); service != nil {
		if service.Upstream == nil {
			return nil
		}
		return d.chosen(service, v)
	}
	var m *Member
	switch {
	case v.is(cty.Number):
		m = d.portMember(v)
	case v.is(cty.String):
		m = d.addressMember(v, v.AsString())
	case v.known() && v.isObject() && objectUpstream(v) != "":
		d.errorf(v.at(), "write "+objectUpstream(v), "an upstream is not %s", typeName(v.Value))
	default:
		d.errorf(v.at(), `write a port like 3000, or "host:port", "http://…", "unix:PATH", service.NAME`, "an upstream is not %s", typeName(v.Value))
	}
	if m == nil {
		return nil
	}
	m.Range = v.at()
	d.memberFlow(m, v)
	return []Member{*m}
}

// objectUpstream is { host = "localhost", port = 3000 } as an upstream is
// written; empty for another object.
func objectUpstream(v value) string {
	part := func(names ...string) string {
		for _, name := range names {
			if !v.Type().IsObjectType() || !v.Type().HasAttribute(name) {
				continue
			}
			element := v.GetAttr(name)
			if n, is := integer(element); is {
				return strconv.Itoa(n)
			}
			if element.Type() == cty.String && !element.IsNull() {
				return element.AsString()
			}
		}
		return ""
	}
	if env, computed := v.deepEnv(); len(env) > 0 || computed {
		return ""
	}
	if address := part("url", "target", "address", "upstream"); address != "" {
		return upstreamForm(address)
	}
	return upstreamForm(part("host", "hostname") + ":" + part("port"))
}

// chosen are the members of the service that v is, with what decided that it is
// this service.
func (d *decoder) chosen(service *Service, v value) []Member {
	members := slices.Clone(service.Upstream.Members)
	if flow := d.comesFrom(v); flow.Computed {
		for i, m := range members {
			flow.Shown = m.Text
			members[i].Flow = m.Flow.and(flow)
		}
	}
	return members
}

// memberFlow notes what flows into m. The port of an address of this machine is
// not hidden: people look for their server by it, and it goes nowhere.
func (d *decoder) memberFlow(m *Member, v value) {
	m.Flow = d.comesFrom(v)
	if m.Flow.Empty() {
		return
	}
	if m.Socket == "" && isPlainLoopback(m.Host) {
		return
	}
	d.concealed.hide(v, m.Flow)
	if m.Host != "" {
		d.concealed.add(m.Host, "${"+strings.Join(m.Flow.Env, "}${")+"}")
	}
	if m.Socket != "" {
		d.concealed.add(m.Socket, m.Flow.Shown)
		d.concealed.add(m.RealSocket, m.Flow.Shown)
	}
	m.Text = m.Flow.Shown
}

// isPlainLoopback reports a host that says nothing but "this machine".
func isPlainLoopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "" || strings.EqualFold(host, "localhost") || err == nil && addr.Unmap().IsLoopback()
}

func (d *decoder) portMember(v value) *Member {
	n, ok := integer(v.Value)
	if !ok || n < 1 || n > 65535 {
		d.errorf(v.at(), "write one of 1 to 65535", "port %s is out of range", v.written())
		return nil
	}
	return &Member{Scheme: SchemeHTTP, Port: uint16(n), Text: ":" + strconv.Itoa(n)}
}

var (
	quotedReference = regexp.MustCompile(`^(service|local|tcp)\.[A-Za-z_][\w-]*$`)
	allDigits       = regexp.MustCompile(`^[0-9]+$`)
)

// addressMember is the upstream that text names. A "/" alone after the port is
// not a path: dev servers print their address with one.
func (d *decoder) addressMember(v value, text string) *Member {
	if bare := strings.TrimSpace(text); bare != text && bare != "" {
		d.errorf(v.at(), quotef("write %s", bare), "an address has no spaces around it")
		return nil
	}
	if expr := environmentHabit(text); expr != "" && d.comesFrom(v).Empty() {
		d.errorf(v.at(), "write "+expr, "%s", environmentSummary)
		return nil
	}
	if cut, found := strings.CutSuffix(text, "/"); found && endsInAuthority.MatchString(cut) {
		text = cut
	}
	switch scheme, rest, isURL := strings.Cut(text, "://"); {
	case text == "":
		d.errorf(v.at(), "write a port like 3000", "an upstream is not empty")
	case allDigits.MatchString(text), strings.HasPrefix(text, ":") && allDigits.MatchString(text[1:]):
		if port := d.port(v, strings.TrimPrefix(text, ":")); port != 0 {
			return &Member{Scheme: SchemeHTTP, Port: port, Text: ":" + strconv.Itoa(int(port))}
		}
	case quotedReference.MatchString(text):
		d.errorf(v.at(), "remove the quotes: "+text, "a reference is written without quotes")
	case strings.HasPrefix(text, "unix:"):
		return d.socketMember(v, text)
	case isURL:
		return d.urlMember(v, text, scheme, rest)
	default:
		return d.hostPortMember(v, text)
	}
	return nil
}

// endsInAuthority matches what a "/" can follow that is not a path: a URL
// without one, or a host or none with a port.
var endsInAuthority = regexp.MustCompile(`^(?:[A-Za-z0-9.+-]+://[^/?#]+|[^/?#]*:[0-9]+)$`)

// port is the number that digits stand for; 0, and reported, when it is none.
func (d *decoder) port(v value, digits string) uint16 {
	n, err := strconv.ParseUint(digits, 10, 16)
	if err != nil || n == 0 {
		d.errorf(v.at(), "write one of 1 to 65535", "port %s is out of range", digits)
		return 0
	}
	return uint16(n)
}

func (d *decoder) socketMember(v value, text string) *Member {
	path := strings.TrimPrefix(text, "unix:")
	path = strings.TrimPrefix(path, "//") // as a URL: unix:///run/app.sock
	if path == "" || strings.ContainsRune(path, 0) {
		d.errorf(v.at(), `write "unix:tmp/app.sock"`, "a socket has a path")
		return nil
	}
	if strings.HasPrefix(path, "~") {
		d.errorf(v.at(), `write "unix:${env("HOME")}`+path[1:]+`"`, `"~" is not expanded`)
		return nil
	}
	socket := d.absolute(path)
	return &Member{Scheme: SchemeHTTP, Socket: socket, RealSocket: d.real(socket), Text: text}
}

// urlMember decodes SCHEME://HOST[:PORT].
func (d *decoder) urlMember(v value, text, scheme, rest string) *Member {
	known := map[string]uint16{"http": 80, "https": 443, "h2c": 80}
	port, ok := known[strings.ToLower(scheme)]
	if !ok {
		other := map[string]string{"ws": "http", "wss": "https", "grpc": "h2c", "grpcs": "https", "h2": "https", "tcp": "http", "fastcgi": "http"}
		detail := "write http, https, h2c or unix"
		if instead := other[strings.ToLower(scheme)]; instead != "" {
			detail = quotef("write %s", instead+"://"+rest)
			if strings.HasPrefix(scheme, "ws") {
				detail += ": WebSockets go there too"
			}
		}
		d.errorf(v.at(), detail, "an upstream has no scheme %q", scheme)
		return nil
	}
	if strings.Contains(rest, "@") {
		d.errorf(v.at(), `write request_headers = { Authorization = "…" }`, "the URL of an upstream has no user name")
		return nil
	}
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		d.errorf(v.at(), withoutPath(scheme+"://"+rest[:i], rest[i:]), "the URL of an upstream has no path")
		return nil
	}
	u, err := url.Parse("http://" + rest)
	if err != nil || u.Hostname() == "" || !isDialable(u.Hostname()) {
		d.errorf(v.at(), `write one like "http://127.0.0.1:3000"`, "%q is no URL", text)
		return nil
	}
	if digits := u.Port(); digits != "" {
		if port = d.port(v, digits); port == 0 {
			return nil
		}
	}
	return &Member{Scheme: Scheme(strings.ToLower(scheme)), Host: u.Hostname(), Port: port, Text: text}
}

// withoutPath says what to write instead of an address with a path.
func withoutPath(address, path string) string {
	detail := quotef("write %s", address)
	if path = strings.TrimRight(path, "/"); strings.HasPrefix(path, "/") && !strings.HasPrefix(path, "//") && !strings.ContainsAny(path, "?# ") {
		detail += "; for the path, rewrite = " + strconv.Quote(path+"{rest}")
	}
	return detail
}

var (
	// halfURL matches a URL with a slash too few or without its scheme.
	halfURL     = regexp.MustCompile(`^(?:(https?|h2c):/?|//)([^/:@]+(?::[0-9]+)?)/?$`)
	portMapping = regexp.MustCompile(`^([0-9]+):[0-9]+(?:/tcp)?$`)
)

// hostPortMember decodes HOST:PORT.
func (d *decoder) hostPortMember(v value, text string) *Member {
	if m := halfURL.FindStringSubmatch(text); m != nil && !allDigits.MatchString(m[2]) {
		scheme := m[1]
		if scheme == "" {
			scheme = "http"
		}
		d.errorf(v.at(), quotef("write %s", scheme+"://"+m[2]), "%q is no address", text)
		return nil
	}
	if m := portMapping.FindStringSubmatch(text); m != nil {
		d.errorf(v.at(), "write "+m[1]+": the port that the container has on this machine", "an upstream is one port")
		return nil
	}
	if i := strings.IndexAny(text, "/?#"); i >= 0 {
		switch {
		case strings.Contains(text[:i], ":") && isDialable(text[:strings.LastIndexByte(text[:i], ':')]):
			d.errorf(v.at(), withoutPath(text[:i], text[i:]), "the address of an upstream has no path")
		case strings.HasPrefix(text, "/") || strings.HasPrefix(text, "."):
			d.errorf(v.at(), quotef("write %s for a socket, or files = … for a folder", "unix:"+text), "%q is no address", text)
		default:
			d.errorf(v.at(), `write "host:port" or a URL`, "%q is no address", text)
		}
		return nil
	}
	i := strings.LastIndexByte(text, ':')
	bare := strings.Trim(text, "[]")
	if i < 0 || strings.HasSuffix(text, "]") {
		if !isDialable(bare) {
			d.errorf(v.at(), `write "host:port"`, "%q is no address", text)
			return nil
		}
		d.errorf(v.at(), quotef("write %s", text+":80")+" or "+quotef("%s", "https://"+text), "%q has no port", text)
		return nil
	}
	host, digits := text[:i], text[i+1:]
	if strings.HasPrefix(host, "[") && strings.HasSuffix(host, "]") {
		host = host[1 : len(host)-1]
	} else if strings.Contains(host, ":") {
		detail := `write "[::1]:3000"`
		if _, err := netip.ParseAddr(host); err == nil && allDigits.MatchString(digits) {
			detail = quotef("write %s", "["+host+"]:"+digits)
		} else if _, err := netip.ParseAddr(text); err == nil {
			detail = quotef("write %s", "["+text+"]:80")
		}
		d.errorf(v.at(), detail, "an IPv6 address stands in brackets")
		return nil
	}
	if !isDialable(host) || !allDigits.MatchString(digits) {
		d.errorf(v.at(), `write "host:port"`, "%q is no address", text)
		return nil
	}
	port := d.port(v, digits)
	if port == 0 {
		return nil
	}
	return &Member{Scheme: SchemeHTTP, Host: host, Port: port, Text: text}
}

var hostPattern = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_.])?$`)

// isDialable reports whether host is a name or an address, without a port.
func isDialable(host string) bool {
	if len(host) > maxName {
		return false
	}
	if _, err := netip.ParseAddr(host); err == nil {
		return true
	}
	return hostPattern.MatchString(host) && !strings.Contains(host, "..")
}
