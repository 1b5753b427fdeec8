package hcl

import (
	"cmp"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/zclconf/go-cty/cty"
)

// decodeUpstream decodes an upstream in every form: a port, an address, a URL, a
// socket, a service, or a list of these.
func decodeUpstream(v value) *Upstream {
	if !v.IsKnown() && !v.inBrackets() {
		return nil
	}
	u := &Upstream{Text: v.written(), Range: v.at(), Service: serviceOf(v.Value)}
	if u.Service != nil && u.Service.Container != nil {
		return u
	}
	for _, element := range v.oneOrMore("write [3000, 3001]", "upstream has no addresses") {
		u.Members = append(u.Members, decodeMembers(element)...)
	}
	if len(u.Members) == 0 {
		return nil
	}
	return u
}

// decodeMembers decodes one element of an upstream. A service has several members.
func decodeMembers(v value) []Member {
	if !v.IsKnown() {
		return nil
	}
	if service := serviceOf(v.Value); service != nil {
		if service.Upstream == nil {
			return nil // its mistake was reported in the service
		}
		if service.Container != nil {
			v.errorf("remove the others, and the brackets: service."+service.Name, "containers can't be in a list with other addresses")
			return nil
		}
		return chosenMembers(service, v)
	}
	var m *Member
	switch {
	case v.is(cty.Number):
		if n, ok := integer(v.Value); ok && n >= 1 && n <= 65535 {
			m = portMember(uint16(n))
		} else {
			v.errorf("write a number from 1 to 65535", "port %s is out of range", v.written())
		}
	case v.is(cty.String):
		m = addressMember(v, v.AsString())
	case portOf(v.Value) != nil:
		v.errorf("write the upstream of that block", "upstream can't be %s", portOf(v.Value))
	case v.known() && v.isObject() && objectUpstream(v) != "":
		v.errorf("write "+objectUpstream(v), "upstream can't be %s", v.typeName())
	default:
		v.errorf(`write a port like 3000, or "host:port", "http://…", "unix:PATH", service.NAME`, "upstream can't be %s", v.typeName())
	}
	if m == nil {
		return nil
	}
	m.Range = v.at()
	m.noteFlow(v)
	return []Member{*m}
}

// objectUpstream returns the upstream that { host = "localhost", port = 3000 }
// means; "" for another object.
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
	return upstreamForm(cmp.Or(part("url", "target", "address", "upstream"), part("host", "hostname")+":"+part("port")))
}

// chosenMembers returns the members of the service that v is. What chose this
// service flows into them.
func chosenMembers(service *Service, v value) []Member {
	members := slices.Clone(service.Upstream.Members)
	if flow := v.comesFrom(); flow.Computed {
		for i, m := range members {
			flow.Shown, flow.Whole, flow.Locals = m.Text, m.Text, ""
			members[i].Flow = m.Flow.and(flow)
		}
	}
	return members
}

// noteFlow notes what flows into m. A port of this machine is not hidden: people
// look for their server by it, and it does not leave the machine.
func (m *Member) noteFlow(v value) {
	m.Flow = v.comesFrom()
	if m.Flow.Empty() || m.Socket == "" && isPlainLoopback(m.Host) {
		return
	}
	secrets := v.scope.secrets
	secrets.hide(v, m.Flow)
	secrets.add(m.Host, variables(m.Flow.Env))
	secrets.add(m.Socket, m.Flow.Shown)
	secrets.add(m.RealSocket, m.Flow.Shown)
	m.Text = m.Flow.Shown
}

func portMember(port uint16) *Member {
	return &Member{Scheme: SchemeHTTP, Port: port, Text: ":" + strconv.Itoa(int(port))}
}

var (
	quotedReference = regexp.MustCompile(`^(service|local|tcp|udp)\.[A-Za-z_][\w-]*$`)
	// endsInAuthority matches text after which a "/" is not a path: a URL without
	// a path, or a port with a host or without.
	endsInAuthority = regexp.MustCompile(`^(?:[A-Za-z0-9.+-]+://[^/?#]+|[^/?#]*:[0-9]+)$`)
	// halfURL matches a URL with a slash missing or without its scheme.
	halfURL     = regexp.MustCompile(`^(?:(https?|h2c):/?|//)([^/:@]+(?::[0-9]+)?)/?$`)
	portMapping = regexp.MustCompile(`^([0-9]+):[0-9]+(?:/tcp)?$`)
)

// addressMember decodes an address. A single "/" after the port is not a path: dev
// servers print their address with one.
func addressMember(v value, text string) *Member {
	bare, expr := strings.TrimSpace(text), envExpression(text)
	if !v.place().passes(
		when(bare != text && bare != "", suggest(bare), "an address can't have spaces around it"),
		when(expr != "" && v.comesFrom().Empty(), "write "+expr, "%s", environmentSummary),
	) {
		return nil
	}
	if cut, found := strings.CutSuffix(text, "/"); found && endsInAuthority.MatchString(cut) {
		text = cut
	}
	switch scheme, rest, isURL := strings.Cut(text, "://"); {
	case text == "":
		v.errorf("write a port like 3000", "upstream is empty")
	case allDigits.MatchString(strings.TrimPrefix(text, ":")):
		if port := v.place().port(strings.TrimPrefix(text, ":")); port != 0 {
			return portMember(port)
		}
	case quotedReference.MatchString(text):
		v.errorf("remove the quotes: "+text, "a reference must not be in quotes")
	case v.scope.services[text] != nil: // the host names of compose
		v.errorf("write service."+text, "%q has no port", text)
	case strings.HasPrefix(text, "unix:"):
		return socketMember(v, text)
	case isURL:
		return urlMember(v.place(), text, scheme, rest)
	default:
		return hostPortMember(v.place(), text)
	}
	return nil
}

// port returns the port with these digits; 0 for a mistake.
func (p place) port(digits string) uint16 {
	n, err := strconv.ParseUint(digits, 10, 16)
	if err != nil || n == 0 {
		p.errorf("write a number from 1 to 65535", "port %s is out of range", digits)
		return 0
	}
	return uint16(n)
}

func socketMember(v value, text string) *Member {
	path := strings.TrimPrefix(text, "unix:")
	path = strings.TrimPrefix(path, "//") // as a URL: unix:///run/app.sock
	if !v.place().passes(
		when(path == "" || strings.ContainsRune(path, 0), `write "unix:tmp/app.sock"`, "a socket needs a path"),
		when(strings.HasPrefix(path, "~"), `write "unix:${env("HOME")}`+strings.TrimPrefix(path, "~")+`"`, `"~" is not expanded`),
	) {
		return nil
	}
	socket := v.scope.absolute(path)
	return &Member{Scheme: SchemeHTTP, Socket: socket, RealSocket: v.scope.real(socket), Text: text}
}

// urlMember decodes SCHEME://HOST[:PORT].
func urlMember(p place, text, scheme, rest string) *Member {
	written := scheme
	scheme = strings.ToLower(scheme)
	port := map[string]uint16{"http": 80, "https": 443, "h2c": 80}[scheme]
	other := map[string]string{"ws": "http", "wss": "https", "grpc": "h2c", "grpcs": "https", "h2": "https", "tcp": "http", "fastcgi": "http"}[scheme]
	advice := "write http, https, h2c or unix"
	if other != "" {
		advice = suggest(other + "://" + rest)
	}
	if scheme == "ws" || scheme == "wss" {
		advice += ": WebSockets go there too"
	}
	end := strings.IndexAny(rest+"/", "/?#")
	u, err := url.Parse("http://" + rest)
	if !p.passes(
		when(port == 0, advice, "unknown scheme %q of an upstream", written),
		when(strings.Contains(rest, "@"), `write request_headers = { Authorization = "…" }`, "the URL of an upstream can't have a user name"),
		when(end < len(rest), withoutPath(written+"://"+rest[:end], rest[end:]), "the URL of an upstream can't have a path"),
		when(err != nil || u.Hostname() == "" || !isDialable(u.Hostname()), `write one like "http://127.0.0.1:3000"`, "%q is not a valid URL", text),
	) {
		return nil
	}
	if u.Port() != "" {
		port = p.port(u.Port())
	}
	if port == 0 {
		return nil
	}
	return &Member{Scheme: Scheme(scheme), Host: u.Hostname(), Port: port, Text: text}
}

// withoutPath returns what to write instead of an address with a path.
func withoutPath(address, path string) string {
	detail := suggest(address)
	if path = strings.TrimRight(path, "/"); strings.HasPrefix(path, "/") && !strings.HasPrefix(path, "//") && !strings.ContainsAny(path, "?# ") {
		detail += "; for the path, rewrite = " + strconv.Quote(path+"{rest}")
	}
	return detail
}

// hostPortMember decodes HOST:PORT.
func hostPortMember(p place, text string) *Member {
	invalid := func(detail string) *Member {
		p.errorf(detail, "%q is not a valid address", text)
		return nil
	}
	if m := halfURL.FindStringSubmatch(text); m != nil && !allDigits.MatchString(m[2]) {
		return invalid(suggest(cmp.Or(m[1], "http") + "://" + m[2]))
	}
	if m := portMapping.FindStringSubmatch(text); m != nil {
		p.errorf("write "+m[1]+": the port of the container on this machine", "an upstream is one port, not a mapping")
		return nil
	}
	if i := strings.IndexAny(text, "/?#"); i >= 0 {
		switch {
		case strings.Contains(text[:i], ":") && isDialable(text[:strings.LastIndexByte(text[:i], ':')]):
			p.errorf(withoutPath(text[:i], text[i:]), "the address of an upstream can't have a path")
			return nil
		case strings.HasPrefix(text, "/") || strings.HasPrefix(text, "."):
			return invalid(suggest("unix:"+text) + " for a socket, or files = … for a folder")
		}
		return invalid(`write "host:port" or a URL`)
	}
	host, digits, err := net.SplitHostPort(text)
	switch {
	case strings.Count(text, ":") > 1 && !strings.HasPrefix(text, "["):
		detail := `write "[::1]:3000"`
		if i := strings.LastIndexByte(text, ':'); isIP(text[:i]) && allDigits.MatchString(text[i+1:]) {
			detail = suggest("[" + text[:i] + "]" + text[i:])
		} else if isIP(text) {
			detail = suggest("[" + text + "]:80")
		}
		p.errorf(detail, "an IPv6 address needs brackets")
	case err != nil && isDialable(strings.Trim(text, "[]")):
		p.errorf(suggest(text+":80")+" or "+strconv.Quote("https://"+text), "%q has no port", text)
	case err != nil || !isDialable(host) || !allDigits.MatchString(digits):
		return invalid(`write "host:port"`)
	default:
		if port := p.port(digits); port != 0 {
			return &Member{Scheme: SchemeHTTP, Host: host, Port: port, Text: text}
		}
	}
	return nil
}
