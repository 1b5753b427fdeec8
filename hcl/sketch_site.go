package hcl

import (
	"slices"
	"strings"
)

// statement is a directive of a Caddyfile or of nginx.
type statement struct {
	words []string
	// depth is how many blocks it is in; opens says that it opens one.
	depth int
	opens bool
}

// maxStatements bounds how much of a file is looked at for a sketch.
const maxStatements = 2000

// statements cuts text into directives. They end at the line's end in a
// Caddyfile, and at a semicolon in nginx's language.
func statements(text string, nginx bool) []statement {
	var all []statement
	depth := 0
	var words []string
	end := func(opens bool) {
		if len(words) > 0 || opens {
			all = append(all, statement{words, depth, opens})
		}
		words = nil
	}
	for i := 0; i < len(text) && len(all) < maxStatements; {
		switch c := text[i]; {
		case c == '#':
			for i < len(text) && text[i] != '\n' {
				i++
			}
			continue
		case c == '\n' && !nginx, c == ';' && nginx:
			end(false)
		case strings.IndexByte(" \t\r\n", c) >= 0:
		case c == '{' && (nginx || i+1 == len(text) || strings.IndexByte(" \t\r\n", text[i+1]) >= 0):
			end(true)
			depth++
		case c == '}' && (nginx || i+1 == len(text) || strings.IndexByte(" \t\r\n", text[i+1]) >= 0):
			end(false)
			depth = max(0, depth-1)
		case c == '"' || c == '`' || c == '\'' && nginx:
			length := strings.IndexByte(text[i+1:], c)
			if length < 0 {
				length = len(text) - i - 1
			}
			words = append(words, text[i+1:i+1+length])
			i += length + 1
		default:
			stop := " \t\r\n"
			if nginx {
				stop += ";{}"
			}
			length := strings.IndexAny(text[i:], stop)
			if length <= 0 {
				length = len(text) - i
			}
			words = append(words, text[i:i+length])
			i += length
			continue
		}
		i++
	}
	end(false)
	return all
}

// sketchCaddy returns what the sites of a Caddyfile proxy.
func sketchCaddy(text string) *sketch {
	s := &sketch{}
	var h *sketchHost
	base := 0          // how many blocks the directives of h are in
	var below []string // for each block inside of a site, its path; "" is unknown
	var strips []bool
	for i, st := range statements(text, false) {
		name, args := "", []string(nil)
		if len(st.words) > 0 {
			name, args = st.words[0], st.words[1:]
		}
		if st.depth == 0 {
			below, strips = nil, nil
			switch {
			case st.opens && name == "":
				h, s.partial = nil, s.partial || i > 0
				continue
			case strings.HasPrefix(name, "("), name == "import":
				h, s.partial = nil, true
				continue
			case isCaddyAddress(name) && (st.opens || h == nil):
				h, base = &sketchHost{name: convertName(strings.TrimRight(name, ","))}, 0
				if st.opens {
					base = 1
				}
				s.hosts = append(s.hosts, h)
				s.partial = s.partial || len(args) > 0
				continue
			}
		}
		if h == nil {
			if st.depth > 0 || !isCaddyDirective(name) {
				continue // a global option, or of a snippet
			}
			h, base = &sketchHost{}, 0
			s.hosts = append(s.hosts, h)
		}
		level := min(len(below), max(0, st.depth-base))
		below, strips = below[:level], strips[:level]
		at, strip := "/", false
		if level > 0 {
			at, strip = below[level-1], strips[level-1]
		}
		if len(args) > 0 && strings.HasPrefix(args[0], "/") && name != "root" {
			at, args = joinPath(at, args[0]), args[1:]
		} else if len(args) > 0 && args[0] == "*" {
			args = args[1:]
		} else if len(args) > 0 && strings.HasPrefix(args[0], "@") {
			at = ""
		}
		switch name {
		case "reverse_proxy":
			if len(args) != 1 || st.opens || !h.add(at, args[0], strip) {
				s.partial = true
			}
		case "handle", "route":
		case "handle_path":
			strip = true
		case "tls", "log", "encode":
		default:
			s.partial = true
			at = ""
		}
		if st.opens {
			below, strips = append(below, at), append(strips, strip)
		}
	}
	return s
}

// joinPath returns the prefix of a pattern inside a block that has a prefix.
func joinPath(below, pattern string) string {
	at := sketchPath(pattern)
	switch {
	case below == "" || at == "":
		return ""
	case below == "/":
		return at
	case at == "/":
		return below
	}
	return below + at
}

// quietNginx reports a directive of nginx that a sketch can leave out.
func quietNginx(name string) bool {
	for _, prefix := range []string{"proxy_set_header", "proxy_http_version", "proxy_redirect", "proxy_buffer", "proxy_read_timeout", "proxy_send_timeout",
		"proxy_connect_timeout", "proxy_cache_bypass", "ssl", "access_log", "error_log", "worker_", "keepalive", "sendfile", "tcp_no", "default_type"} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return slices.Contains([]string{"listen", "server_name", "events", "http", "user", "pid", "charset", "server_tokens", "map_hash_bucket_size"}, name)
}

// sketchNginx returns what the servers of an nginx configuration proxy.
func sketchNginx(text string) *sketch {
	s := &sketch{}
	all := statements(text, true)
	groups := nginxUpstreams(all)
	var h *sketchHost
	at, strip := "/", false
	locationDepth, groupDepth := -1, -1
	for _, st := range all {
		if len(st.words) == 0 {
			continue
		}
		if st.depth <= locationDepth {
			at, locationDepth = "/", -1
		}
		if groupDepth >= 0 && st.depth > groupDepth {
			continue
		}
		groupDepth = -1
		name, args := st.words[0], st.words[1:]
		if h == nil && (name == "location" || name == "proxy_pass" || name == "server_name") || name == "server" && st.opens {
			h = &sketchHost{}
			s.hosts = append(s.hosts, h)
		}
		switch {
		case name == "server" && st.opens:
		case name == "upstream" && st.opens:
			groupDepth = st.depth
		case name == "server_name" && len(args) > 0:
			if args[0] != "localhost" { // what packages of nginx write for any name
				h.name = convertName(args[0])
			}
			s.partial = s.partial || len(args) > 1
		case name == "location" && st.opens && len(args) > 0:
			at, locationDepth = nginxLocation(args), st.depth
			s.partial = s.partial || at == "" || args[0] == "="
		case name == "proxy_pass" && len(args) == 1:
			address := args[0]
			_, rest, _ := strings.Cut(address, "://")
			strip = strings.HasSuffix(rest, "/") && at != "/"
			if group := groups[strings.TrimSuffix(rest, "/")]; group != "" {
				s.partial = !h.addForm(at, group, strip) || s.partial
			} else if !h.add(at, address, strip) {
				s.partial = true
			}
		case quietNginx(name):
		default:
			s.partial = true
		}
	}
	return s
}

// nginxLocation returns the prefix that a location matches; empty for a regular
// expression.
func nginxLocation(args []string) string {
	switch args[0] {
	case "~", "~*":
		return ""
	case "=", "^~":
		args = args[1:]
	}
	if len(args) != 1 || !strings.HasPrefix(args[0], "/") {
		return ""
	}
	return sketchPath(args[0])
}

// nginxUpstreams returns the upstream blocks as a Proxyfile has them, by name.
func nginxUpstreams(all []statement) map[string]string {
	groups := map[string]string{}
	for i, st := range all {
		if !st.opens || len(st.words) != 2 || st.words[0] != "upstream" {
			continue
		}
		var servers []string
		for _, inner := range all[i+1:] {
			if inner.depth <= st.depth {
				break
			}
			if len(inner.words) > 1 && inner.words[0] == "server" {
				form, _ := sketchUpstream(inner.words[1])
				servers = append(servers, form)
			}
		}
		switch {
		case slices.Contains(servers, ""):
		case len(servers) == 1:
			groups[st.words[1]] = servers[0]
		case len(servers) > 1:
			groups[st.words[1]] = "[" + strings.Join(servers, ", ") + "]"
		}
	}
	return groups
}
