package scaffold

import (
	"fmt"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

func (s *caddySite) proxy(d directive, at string, rest []string, strip bool, when condition) {
	made := route{}
	secure := true
	h2c := false
	for _, inner := range d.block {
		if len(inner.words) == 0 {
			continue
		}
		switch inner.words[0] {
		case "to":
			rest = append(rest, inner.words[1:]...)
		case "header_up":
			s.headerField(&made.block, "request_headers", inner)
		case "header_down":
			s.headerField(&made.block, "response_headers", inner)
		case "transport":
			for _, option := range inner.block {
				if len(option.words) > 0 && option.words[0] == "tls_insecure_skip_verify" {
					secure = false
				}
				if len(option.words) > 1 && option.words[0] == "versions" && slices.Contains(option.words, "h2c") {
					h2c = true
				}
			}
		case "flush_interval", "trusted_proxies", "lb_try_duration", "lb_try_interval", "fail_duration", "max_fails", "buffers", "request_buffers", "response_buffers", "stream_timeout", "stream_close_delay", "unhealthy_status":
		case "lb_policy", "health_uri", "health_interval", "health_timeout":
			if !balanced(&made.block, inner.words) {
				s.notes.group("load balancing and health checks that are left out", path.Base(s.file)+" "+strings.Join(inner.words, " "))
			}
		case "health_path", "health_port", "health_status":
			s.notes.group("load balancing and health checks that are left out", path.Base(s.file)+" "+strings.Join(inner.words, " "))
		default:
			s.notes.add(Note{s.file, inner.line, "reverse_proxy { " + short(inner.words[0]) + " } is not carried over"})
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
		if !secure && strings.HasPrefix(upstream, "https://") && made.get("tls_skip_verify") == "" {
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

// balanced carries a policy of load balancing or a health check over.
func balanced(b *block, words []string) bool {
	if len(words) != 2 {
		return false
	}
	health := strings.Trim(get(b.serves, "health"), "{ }")
	add := func(text string) {
		if health != "" {
			text = health + ", " + text
		}
		b.serves = put(b.serves, "health", "{ "+text+" }")
	}
	switch words[0] {
	case "lb_policy":
		if !slices.Contains([]string{"round_robin", "least_conn", "cookie"}, words[1]) {
			return false
		}
		b.serves = put(b.serves, "balance", quoted(words[1]))
	case "health_uri":
		if routePath(words[1]) == "" {
			return false
		}
		add("path = " + quoted(words[1]))
	case "health_interval", "health_timeout":
		if !caddyDuration.MatchString(words[1]) {
			return false
		}
		add(strings.TrimPrefix(words[0], "health_") + " = " + quoted(words[1]))
	}
	return true
}

// serviceName is a name for the service that answers at a path. No other service
// of the Proxyfile has it.
func (s *caddySite) serviceName(at string, r route) string {
	first := strings.Trim(caddyPath(at), "/")
	first, _, _ = strings.Cut(first, "/")
	name := strings.ReplaceAll(label(first), "-", "_")
	body := fmt.Sprint(r.upstream, r.serves)
	for n := 2; ; n++ {
		if have, taken := s.serviceBodies[name]; !taken || have == body {
			s.serviceBodies[name] = body
			return name
		}
		name = strings.TrimRight(name, "0123456789") + strconv.Itoa(n)
	}
}

// upstream is an address that Caddy dials, as a Proxyfile's. A container's name
// becomes the port that compose publishes.
func (s *caddySite) upstream(to string) (upstream, why string) {
	const cannot = "upstreams that a Proxyfile can't express"
	upstream, ok := caddyUpstream(to)
	if !ok {
		return "", cannot
	}
	return s.reachable(upstream)
}

// reachable replaces the name of a container by the port that is published for
// it; why says that none is.
func (d *discovery) reachable(upstream string) (reached, why string) {
	u, err := url.Parse(upstream)
	if portOf(upstream) != 0 || err != nil || u.Hostname() == "" || strings.Contains(u.Hostname(), ".") && u.Hostname() != "host.docker.internal" || strings.Contains(u.Hostname(), ":") || u.Hostname() == "localhost" {
		return upstream, ""
	}
	name, port := u.Hostname(), portOf(u.Port())
	if port == 0 {
		port = map[string]int{"http": 80, "https": 443, "h2c": 80}[u.Scheme]
	}
	if name == "host.docker.internal" {
		return strconv.Itoa(port), ""
	}
	for _, m := range d.containers[name] {
		if m.inside == port {
			if u.Scheme == "https" || u.Scheme == "h2c" {
				return u.Scheme + "://localhost:" + strconv.Itoa(m.outside), ""
			}
			return strconv.Itoa(m.outside), ""
		}
	}
	for _, c := range d.candidates { // the dev server of the folder that the container is built from
		if c.role != container && c.port == port && (path.Base(c.folder) == name || c.label == name) {
			return c.upstream(), ""
		}
	}
	return "", "upstreams whose port compose does not publish"
}

// caddyUpstream is an address that Caddy dials: "localhost:3000", ":3000",
// "h2c://…", "unix//run/app.sock".
func caddyUpstream(to string) (string, bool) {
	if socket, ok := strings.CutPrefix(to, "unix/"); ok {
		return "unix:" + socket, strings.HasPrefix(socket, "/") && !strings.ContainsAny(socket, " {}")
	}
	if strings.HasPrefix(to, ":") {
		return to[1:], portOf(to[1:]) != 0
	}
	scheme := "http"
	if before, rest, found := strings.Cut(to, "://"); found {
		scheme, to = before, rest
	}
	if scheme == "h2c" {
		upstream, prefix, ok := targetOf("https://" + to)
		return "h2c" + strings.TrimPrefix(upstream, "https"), ok && prefix == "" && strings.Contains(to, ":")
	}
	upstream, prefix, ok := targetOf(scheme + "://" + to)
	return upstream, ok && prefix == ""
}
