package hcl

import (
	"regexp"
	"slices"
	"strings"
)

// directive is a directive of a Caddyfile or of nginx.
type directive struct {
	name string
	args []string
	// depth is how many blocks it is in; opens is true if it opens one.
	depth int
	opens bool
}

// maxDirectives bounds how much of a file is converted.
const maxDirectives = 2000

// directives splits text into directives. They end at the end of a line in a
// Caddyfile, and at a semicolon in an nginx configuration.
func directives(text string, nginx bool) []directive {
	var all []directive
	depth := 0
	var words []string
	end := func(opens bool) {
		d := directive{depth: depth, opens: opens}
		if len(words) > 0 {
			d.name, d.args = words[0], words[1:]
		}
		if len(words) > 0 || opens {
			all = append(all, d)
		}
		words = nil
	}
	for i := 0; i < len(text) && len(all) < maxDirectives; i++ {
		alone := nginx || i+1 == len(text) || strings.IndexByte(" \t\r\n", text[i+1]) >= 0
		switch c := text[i]; {
		case c == '#':
			i += len(lineOf(text[i:])) - 1
		case c == '\n' && !nginx, c == ';' && nginx:
			end(false)
		case strings.IndexByte(" \t\r\n", c) >= 0:
		case c == '{' && alone:
			end(true)
			depth++
		case c == '}' && alone:
			end(false)
			depth = max(0, depth-1)
		case c == '"' || c == '`' || c == '\'' && nginx:
			word, _, _ := strings.Cut(text[i+1:], string(c))
			words = append(words, word)
			i += len(word) + 1
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
			i += length - 1
		}
	}
	end(false)
	return all
}

// lineOf returns the first line of text without its end.
func lineOf(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}

// blockPrefix is the path prefix of the directives in a block.
type blockPrefix struct {
	path  string // "" is unknown
	strip bool
}

// caddyDirectives returns the directives of a Caddyfile.
func caddyDirectives() []string {
	return []string{
		"reverse_proxy", "file_server", "php_fastcgi", "handle_path", "handle", "handle_errors", "handle_response", "respond", "redir", "encode",
		"tls", "root", "import", "header", "basic_auth", "basicauth", "rewrite", "uri", "route", "log", "try_files", "request_body", "forward_auth", "templates", "abort", "bind",
	}
}

var caddyAddress = regexp.MustCompile(`^(?:https?://)?(?:\*\.)?(?:[A-Za-z0-9_{}$.*-]*\.[A-Za-z0-9_{}$-]+|localhost|\{\$\w+(?::[^{}]*)?\}|[A-Za-z0-9_-]*)?(?::(?:[0-9]+|\{\$\w+(?::[^{}]*)?\}))?(?:/\S*)?,?$`)

// isCaddyAddress reports the address of a site: a name with a dot, localhost or a
// port. A single word is a directive or an option.
func isCaddyAddress(text string) bool {
	return caddyAddress.MatchString(text) && (strings.ContainsAny(text, ".:") || strings.HasPrefix(text, "localhost") || strings.HasPrefix(text, "{$"))
}

// convertCaddy converts the proxied sites of a Caddyfile.
func convertCaddy(text string) *conversion {
	c := &conversion{}
	var h *convertedHost
	prefixes := []blockPrefix{{path: "/"}} // by depth
	for i, d := range directives(text, false) {
		prefix := prefixes[d.depth]
		prefixes = append(prefixes[:d.depth+1], prefix) // of the block that d opens
		switch {
		case d.depth == 0 && d.opens && d.name == "":
			h, c.partial = nil, c.partial || i > 0 // global options
		case d.depth == 0 && (strings.HasPrefix(d.name, "(") || d.name == "import"):
			h, c.partial = nil, true // a snippet
		case d.depth == 0 && isCaddyAddress(d.name) && (d.opens || h == nil):
			h = c.addHost(convertName(strings.TrimRight(d.name, ",")))
			c.partial = c.partial || len(d.args) > 0
		case h == nil && (d.depth > 0 || !slices.Contains(caddyDirectives(), d.name)):
			// In global options or in a snippet.
		default:
			if h == nil {
				h = c.addHost("")
			}
			prefixes[d.depth+1] = c.addCaddy(h, d, prefix)
		}
	}
	return c
}

// addCaddy adds a directive of the site h. It returns the prefix of its block.
func (c *conversion) addCaddy(h *convertedHost, d directive, prefix blockPrefix) blockPrefix {
	args := d.args
	if len(args) > 0 {
		switch first := args[0]; {
		case strings.HasPrefix(first, "/") && d.name != "root":
			prefix.path, args = joinPath(prefix.path, first), args[1:]
		case first == "*":
			args = args[1:]
		case strings.HasPrefix(first, "@"):
			prefix.path = ""
		}
	}
	switch d.name {
	case "reverse_proxy":
		if len(args) != 1 || d.opens || !h.add(prefix.path, args[0], prefix.strip) {
			c.partial = true
		}
	case "handle_path":
		prefix.strip = true
	case "handle", "route", "tls", "log", "encode":
	default:
		c.partial = true
		prefix.path = ""
	}
	return prefix
}

// joinPath returns the prefix of a pattern inside a block that has a prefix.
func joinPath(below, pattern string) string {
	at := convertPath(pattern)
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

// ignoredNginx matches directives of nginx that a conversion can leave out.
var ignoredNginx = regexp.MustCompile(`^(?:proxy_set_header|proxy_http_version|proxy_redirect|proxy_buffer|proxy_read_timeout|proxy_send_timeout|` +
	`proxy_connect_timeout|proxy_cache_bypass|ssl|access_log|error_log|worker_|keepalive|sendfile|tcp_no|default_type|` +
	`(?:listen|server_name|events|http|user|pid|charset|server_tokens|map_hash_bucket_size)$)`)

// convertNginx converts the proxying servers of an nginx configuration.
func convertNginx(text string) *conversion {
	c := &conversion{}
	all := directives(text, true)
	groups := nginxUpstreams(all)
	var h *convertedHost
	prefixes := []string{"/"} // by depth
	inGroup := -1             // the depth of the upstream block around the directive
	for _, d := range all {
		prefix := prefixes[d.depth]
		prefixes = append(prefixes[:d.depth+1], prefix) // of the block that d opens
		if d.name == "" || inGroup >= 0 && d.depth > inGroup {
			continue
		}
		inGroup = -1
		if h == nil && slices.Contains([]string{"location", "proxy_pass", "server_name"}, d.name) || d.name == "server" && d.opens {
			h = c.addHost("")
		}
		switch {
		case d.name == "server" && d.opens:
		case d.name == "upstream" && d.opens:
			inGroup = d.depth
		case d.name == "server_name" && len(d.args) > 0:
			if d.args[0] != "localhost" { // packages of nginx write it for any name
				h.name = convertName(d.args[0])
			}
			c.partial = c.partial || len(d.args) > 1
		case d.name == "location" && d.opens && len(d.args) > 0:
			at := nginxLocation(d.args)
			c.partial = c.partial || at == "" || d.args[0] == "="
			prefixes[d.depth+1] = at
		case d.name == "proxy_pass" && len(d.args) == 1:
			c.partial = !h.addProxyPass(prefix, d.args[0], groups) || c.partial
		default:
			c.partial = c.partial || !ignoredNginx.MatchString(d.name)
		}
	}
	return c
}

// addProxyPass adds a proxy_pass to an address or to one of groups. A path at its
// end replaces that of the location.
func (h *convertedHost) addProxyPass(at, address string, groups map[string]string) bool {
	_, rest, _ := strings.Cut(address, "://")
	strip := strings.HasSuffix(rest, "/") && at != "/"
	if group := groups[strings.TrimSuffix(rest, "/")]; group != "" {
		return h.addUpstream(at, group, strip)
	}
	return h.add(at, address, strip)
}

// nginxLocation returns the prefix that a location matches, or "" for a regular
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
	return convertPath(args[0])
}

// nginxUpstreams returns the upstream blocks in the form of a Proxyfile, by name.
func nginxUpstreams(all []directive) map[string]string {
	groups := map[string]string{}
	for i, d := range all {
		if !d.opens || len(d.args) != 1 || d.name != "upstream" {
			continue
		}
		var servers []string
		for _, inner := range all[i+1:] {
			if inner.depth <= d.depth {
				break
			}
			if len(inner.args) > 0 && inner.name == "server" {
				form, _ := convertUpstream(inner.args[0])
				servers = append(servers, form)
			}
		}
		switch {
		case slices.Contains(servers, ""):
		case len(servers) == 1:
			groups[d.args[0]] = servers[0]
		case len(servers) > 1:
			groups[d.args[0]] = "[" + strings.Join(servers, ", ") + "]"
		}
	}
	return groups
}
