package scaffold

import (
	"cmp"
	"fmt"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// ignoredProxyOptions are those of reverse_proxy that devproxy needs no setting
// for.
var ignoredProxyOptions = strings.Fields("flush_interval trusted_proxies lb_try_duration lb_try_interval fail_duration max_fails buffers request_buffers response_buffers stream_timeout stream_close_delay unhealthy_status")

func (s *caddySite) proxy(d directive, at string, rest []string, strip bool, when condition) {
	made := route{}
	skipVerify, h2c := false, false
	for _, inner := range d.block {
		switch name := inner.name(); {
		case name == "" || slices.Contains(ignoredProxyOptions, name):
		case name == "to":
			rest = append(rest, inner.args()...)
		case name == "header_up":
			s.headerField(&made.block, "request_headers", inner.args())
		case name == "header_down":
			s.headerField(&made.block, "response_headers", inner.args())
		case name == "transport":
			skipVerify = skipVerify || inner.contains("tls_insecure_skip_verify")
			h2c = h2c || slices.ContainsFunc(inner.block, func(o directive) bool { return o.name() == "versions" && slices.Contains(o.words, "h2c") })
		case strings.HasPrefix(name, "health_") || name == "lb_policy":
			if !balance(&made.block, inner) {
				s.notes.group("load balancing and health checks that are left out", path.Base(s.file)+" "+strings.Join(inner.words, " "))
			}
		default:
			s.note(inner, "reverse_proxy { %s } is not carried over", short(name))
		}
	}
	var upstreams []string
	for _, to := range rest {
		upstream, why := s.upstream(to)
		if why != "" {
			s.lost = s.lost || at == "/"
			s.notes.group(why, short(to))
			continue
		}
		if h2c && portOf(upstream) != 0 {
			upstream = "h2c://localhost:" + upstream
		}
		if skipVerify && strings.HasPrefix(upstream, "https://") {
			made.set("tls_skip_verify", "true")
		}
		if !slices.Contains(upstreams, upstream) {
			upstreams = append(upstreams, upstream)
		}
	}
	if len(upstreams) == 0 {
		return
	}
	made.upstream = strings.Join(upstreams, " ")
	if strip {
		made.set("strip_prefix", "true")
	}
	if len(made.serves) > 0 {
		made.service = s.serviceName(at, made)
	}
	s.add(d, at, made, when)
}

var caddyDuration = regexp.MustCompile(`^\d+(ms|s|m)$`)

// balance carries over a policy of load balancing or a health check. It returns
// false if a Proxyfile cannot express it.
func balance(b *block, option directive) bool {
	key, value := strings.TrimPrefix(option.name(), "health_"), option.word(1)
	switch {
	case len(option.words) != 2:
		return false
	case key == "lb_policy" && oneOf("round_robin|least_conn|cookie", value):
		b.serves.set("balance", quoted(value))
		return true
	case key == "uri" && routePath(value) != "":
		key = "path"
	case oneOf("interval|timeout", key) && caddyDuration.MatchString(value):
	default:
		return false
	}
	text := key + " = " + quoted(value)
	if health := strings.Trim(b.serves.get("health"), "{ }"); health != "" {
		text = health + ", " + text
	}
	b.serves.set("health", "{ "+text+" }")
	return true
}

// serviceName returns a name for the service that answers at a path. Services that
// differ have different names.
func (s *caddySite) serviceName(at string, r route) string {
	first, _, _ := strings.Cut(strings.Trim(routePath(at), "/"), "/")
	base := strings.ReplaceAll(label(first), "-", "_")
	body := fmt.Sprint(r.upstream, r.serves)
	name := base
	for n := 2; s.services[name] != "" && s.services[name] != body; n++ {
		name = strings.TrimRight(base, "0123456789") + strconv.Itoa(n)
	}
	s.services[name] = body
	return name
}

// caddyUpstream reads an address that Caddy dials: "localhost:3000", ":3000",
// "h2c://…", "unix//run/app.sock".
func caddyUpstream(to string) (upstream string, ok bool) {
	if socket, ok := strings.CutPrefix(to, "unix/"); ok {
		return "unix:" + socket, strings.HasPrefix(socket, "/") && !strings.ContainsAny(socket, " {}")
	}
	if port, ok := strings.CutPrefix(to, ":"); ok {
		return port, portOf(port) != 0
	}
	scheme, address, found := strings.Cut(to, "://")
	if !found {
		scheme, address = "http", to
	}
	if scheme == "h2c" {
		upstream, prefix, ok := targetOf("https://" + address)
		return "h2c" + strings.TrimPrefix(upstream, "https"), ok && prefix == "" && strings.Contains(address, ":")
	}
	upstream, prefix, ok := targetOf(scheme + "://" + address)
	return upstream, ok && prefix == ""
}

// upstream turns an address that Caddy dials into an upstream: the name of a
// container becomes the port that compose publishes for it. why says why it cannot
// be one.
func (s *caddySite) upstream(to string) (upstream, why string) {
	upstream, ok := caddyUpstream(to)
	if !ok {
		return "", "upstreams that a Proxyfile can't express"
	}
	u, err := url.Parse(upstream)
	if err != nil || portOf(upstream) != 0 {
		return upstream, ""
	}
	name, port := u.Hostname(), cmp.Or(portOf(u.Port()), map[string]int{"http": 80, "https": 443, "h2c": 80}[u.Scheme])
	if name == "host.docker.internal" {
		return strconv.Itoa(port), ""
	}
	if name == "" || strings.ContainsAny(name, ".:") || name == "localhost" {
		return upstream, ""
	}
	for _, m := range s.published[name] {
		if m.inside != port {
			continue
		}
		if u.Scheme == "https" || u.Scheme == "h2c" {
			return u.Scheme + "://localhost:" + strconv.Itoa(m.outside), ""
		}
		return strconv.Itoa(m.outside), ""
	}
	for _, c := range s.candidates { // the dev server of the folder that the container is built from
		if c.role != container && c.port == port && (path.Base(c.folder) == name || c.label == name) {
			return c.upstream(), ""
		}
	}
	return "", "upstreams whose port compose does not publish"
}
