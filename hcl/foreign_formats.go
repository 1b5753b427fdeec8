package hcl

import (
	"net/netip"
	"regexp"
	"slices"
	"strings"
)

// all reports whether there are lines and each matches.
func (s *sample) all(pattern *regexp.Regexp) bool {
	return len(s.lines) > 0 && !slices.ContainsFunc(s.lines, func(line string) bool { return !pattern.MatchString(line) })
}

// count returns how many lines match.
func (s *sample) count(pattern *regexp.Regexp) int {
	n := 0
	for _, line := range s.lines {
		if pattern.MatchString(line) {
			n++
		}
	}
	return n
}

// first returns the first line that is not blank or a comment.
func (s *sample) first() string {
	if len(s.lines) == 0 {
		return ""
	}
	return strings.TrimLeft(s.lines[0], " \t")
}

var (
	htmlStart   = regexp.MustCompile(`(?i)^<(?:!doctype html|html|head|body|!--)`)
	apacheStart = regexp.MustCompile(`(?im)^[ \t]*(?:<VirtualHost\b|ProxyPass(?:Reverse|Match)?[ \t])`)
	apachePass  = regexp.MustCompile(`(?im)^[ \t]*(?:(ServerName)[ \t]+(\S+)|(ProxyPass)[ \t]+(/\S*)[ \t]+(\S+))`)
	xmlStart    = regexp.MustCompile(`^<[?A-Za-z][^<>]*>`)
)

func isHTML(s *sample) bool   { return htmlStart.MatchString(s.first()) && !s.assigns }
func isXML(s *sample) bool    { return xmlStart.MatchString(s.first()) && !s.assigns }
func isApache(s *sample) bool { return apacheStart.MatchString(s.text) && !s.assigns }

func sketchApache(text string) *sketch {
	s := &sketch{partial: true}
	h := &sketchHost{}
	for _, m := range apachePass.FindAllStringSubmatch(text, -1) {
		if m[1] != "" {
			h = &sketchHost{name: convertName(m[2])}
			s.hosts = append(s.hosts, h)
			continue
		}
		if len(s.hosts) == 0 {
			s.hosts = append(s.hosts, h)
		}
		h.add(sketchPath(m[4]), m[5], m[4] != "/" && strings.HasSuffix(m[5], "/"))
	}
	return s
}

var (
	jsonStart   = regexp.MustCompile(`^[ \t\r\n]*(?:\[[ \t\r\n]*)?\{[ \t\r\n]*(?:"[^"\n]*"[ \t]*:|[A-Za-z_$][\w$]*[ \t]*:[ \t]*["'0-9{\[]|'[^'\n]*'[ \t]*:)`)
	jsonList    = regexp.MustCompile(`^[ \t\r\n]*\[[ \t\r\n]*(?:"[^"\n]*"|[0-9]+)[ \t\r\n]*[,\]]`)
	jsonNothing = regexp.MustCompile(`^[ \t\r\n]*(?:\{[ \t\r\n]*\}|\[[ \t\r\n]*\])[ \t\r\n]*$`)
	packageKey  = regexp.MustCompile(`"(?:scripts|dependencies|devDependencies|workspaces|packageManager)"[ \t]*:[ \t]*["{\[]`)
	portlessKey = regexp.MustCompile(`"(?:appPort|apps)"[ \t]*:`)
)

func isJSON(s *sample) bool {
	text := strings.Join(s.lines, "\n")
	return !s.assigns && (jsonStart.MatchString(text) || jsonList.MatchString(text) || jsonNothing.MatchString(text))
}

func isPackageJSON(s *sample) bool { return isJSON(s) && packageKey.MatchString(s.text) }
func isPortlessJSON(s *sample) bool {
	return isJSON(s) && portlessKey.MatchString(s.text) && !strings.Contains(s.text, `"servers"`)
}

var (
	dockerLine = regexp.MustCompile(`^(?:RUN|CMD|COPY|ADD|EXPOSE|ENTRYPOINT|WORKDIR|ENV|ARG|USER|LABEL)[ \t]+\S`)
	dockerFrom = regexp.MustCompile(`^(?:FROM|ARG)[ \t]+\S`)
	jsLine     = regexp.MustCompile(`^(?:import[ \t]+(?:[\w{*][^"']*from[ \t]+)?["']|import[ \t]*\{|export[ \t]+default\b|module\.exports[ \t]*=|(?:const|let|var)[ \t]+[\w{]+[^=]*=|["']use strict["'])`)
)

func isDockerfile(s *sample) bool {
	return !s.assigns && dockerFrom.MatchString(s.first()) && s.count(dockerLine) > 0
}

func isScript(s *sample) bool { return strings.HasPrefix(s.text, "#!") && !s.assigns }

func isJavaScript(s *sample) bool { return !s.assigns && s.count(jsLine) > 0 && s.blocks }

func isVite(s *sample) bool {
	return isJavaScript(s) && (strings.Contains(s.text, `"vite"`) || strings.Contains(s.text, "'vite'"))
}

var (
	nginxBlock     = regexp.MustCompile(`^[ \t]*(?:server|http|events|upstream[ \t]+\w+|location[ \t]+(?:(?:=|~\*?|\^~)[ \t]*)?[^\s{"=]+)[ \t]*(?:\{|$)`)
	nginxDirective = regexp.MustCompile(`(?:^|[{;])[ \t]*(?:listen|server_name|proxy_pass|root|index|try_files|return|rewrite|proxy_set_header|proxy_http_version|include|ssl_\w+|access_log|error_log|worker_\w+|server|alias|add_header)[ \t]+[^={};]+;`)
	nginxProxy     = regexp.MustCompile(`(?:^|[{;])[ \t]*proxy_pass[ \t]+\S+;`)
)

func isNginx(s *sample) bool {
	directives := s.count(nginxDirective)
	return !s.assigns && (s.count(nginxProxy) > 0 || directives > 1 || directives > 0 && s.count(nginxBlock) > 0)
}

// caddyDirectives returns the directives of a Caddyfile.
func caddyDirectives() []string {
	return []string{
		"reverse_proxy", "file_server", "php_fastcgi", "handle_path", "handle", "handle_errors", "handle_response", "respond", "redir", "encode",
		"tls", "root", "import", "header", "basic_auth", "basicauth", "rewrite", "uri", "route", "log", "try_files", "request_body", "forward_auth", "templates", "abort", "bind",
	}
}

func isCaddyDirective(name string) bool { return slices.Contains(caddyDirectives(), name) }

var (
	caddyLine    = regexp.MustCompile(`(?:^|\{)[ \t]*(?:` + strings.Join(caddyDirectives(), "|") + `)(?:[ \t]+[^=\s].*)?$`)
	caddyAddress = regexp.MustCompile(`^(?:https?://)?(?:\*\.)?(?:[A-Za-z0-9_{}$.*-]*\.[A-Za-z0-9_{}$-]+|localhost|\{\$\w+(?::[^{}]*)?\}|[A-Za-z0-9_-]*)?(?::(?:[0-9]+|\{\$\w+(?::[^{}]*)?\}))?(?:/\S*)?,?$`)
	caddySnippet = regexp.MustCompile(`^\([\w.-]+\)[ \t]*\{$`)
	caddyOption  = regexp.MustCompile(`^[ \t]+(?:email|debug|admin|auto_https|http_port|https_port|local_certs|acme_ca|order|servers|log|storage|skip_install_trust|default_bind)\b`)
)

// isCaddyAddress reports the address of a site: a name with a dot, localhost or
// a port. A word alone is a directive or an option.
func isCaddyAddress(text string) bool {
	return caddyAddress.MatchString(text) && (strings.ContainsAny(text, ".:") || strings.HasPrefix(text, "localhost") || strings.HasPrefix(text, "{$"))
}

func isCaddyfile(s *sample) bool {
	directives := s.count(caddyLine)
	if s.assigns || directives == 0 {
		return slices.ContainsFunc(s.lines, func(line string) bool { return caddyOption.MatchString(line) }) && s.first() == "{" && !s.assigns
	}
	first := strings.Fields(s.first())
	last := len(first) - 1
	switch {
	case s.first() == "{", caddySnippet.MatchString(s.first()):
		return true
	case first[last] == "{":
		first = first[:last]
	case first[last] == "}" && slices.Contains(first, "{"):
		first = first[:slices.Index(first, "{")]
	}
	addressed := len(first) > 0 && !slices.ContainsFunc(first, func(word string) bool { return !isCaddyAddress(word) })
	return addressed || caddyLine.MatchString(s.first()) && strings.HasPrefix(s.first(), "reverse_proxy") || strings.HasPrefix(s.first(), "import ") && s.blocks
}

var (
	haproxySection = regexp.MustCompile(`^(?:global|defaults|frontend[ \t]+\S+|backend[ \t]+\S+|listen[ \t]+\S+)$`)
	haproxyServer  = regexp.MustCompile(`(?m)^[ \t]+server[ \t]+\S+[ \t]+(\S+)`)
	haproxyLine    = regexp.MustCompile(`^[ \t]+(?:bind|mode|balance|use_backend|default_backend|acl|timeout|server)[ \t]+\S`)
)

func isHAProxy(s *sample) bool {
	return !s.assigns && s.count(haproxySection) > 0 && s.count(haproxyLine) > 0
}

func sketchHAProxy(text string) *sketch {
	servers := haproxyServer.FindAllStringSubmatch(text, -1)
	if len(servers) != 1 {
		return &sketch{}
	}
	h := &sketchHost{}
	h.add("/", servers[0][1], false)
	return &sketch{partial: true, hosts: []*sketchHost{h}}
}

var (
	traefikLine = regexp.MustCompile("(?i)traefik\\.(?:http|tcp|enable)\\b|\\brule[\"']?[ \t]*[:=][ \t]*[\"']?Host\\(`|\\[http\\.(?:routers|services)\\b")
	traefikHost = regexp.MustCompile("Host\\([`'\"]+([^`'\")]+)[`'\"]+\\)")
	traefikPort = regexp.MustCompile(`(?i)(?:server\.port|^[ \t-]*["']?url["']?)[ \t]*["']?[ \t]*[:=][ \t]*["']?([^\s"']+)`)
)

func isTraefik(s *sample) bool { return s.count(traefikLine) > 0 && !s.blocks }

func sketchTraefik(text string) *sketch {
	names, ports := map[string]bool{}, map[string]bool{}
	for _, m := range traefikHost.FindAllStringSubmatch(text, -1) {
		names[convertName(m[1])] = true
	}
	for line := range strings.Lines(text) {
		if m := traefikPort.FindStringSubmatch(line); m != nil {
			upstream, _ := sketchUpstream(m[1])
			ports[upstream] = true
		}
	}
	if len(names) != 1 || len(ports) != 1 {
		return &sketch{}
	}
	s := &sketch{partial: true, hosts: []*sketchHost{{name: sortedKeys(names)[0], upstream: sortedKeys(ports)[0]}}}
	if strings.Contains(text, "server.port") {
		s.note = "the port is one of this machine, not the container's"
	}
	return s
}

var (
	sectionLine = regexp.MustCompile(`^\[\[?[ \t]*["']?[A-Za-z0-9_.:*/ -]+(?:["']\.?["']?|[\w.:*/ -]+)*[ \t]*\]\]?[ \t]*(?:[#;].*)?$`)
	keyLine     = regexp.MustCompile(`^[ \t]*(?:"[^"]*"|'[^']*'|[A-Za-z0-9_.-]+)[ \t]*=`)
	flatLine    = regexp.MustCompile(`^([A-Za-z0-9_.-]+)[ \t]*=[ \t]*\S`)
	tomlValue   = regexp.MustCompile(`=[ \t]*(?:"|'|true\b|false\b|[+-]?[0-9][0-9_.:TZe+-]*[ \t]*(?:#.*)?$|\[|\{)`)
)

// hasSections reports a text of sections in brackets: TOML or INI.
func hasSections(s *sample) bool {
	return !s.blocks && s.count(sectionLine) > 0 && (sectionLine.MatchString(s.first()) || keyLine.MatchString(s.first()) || strings.HasPrefix(s.first(), ";"))
}

func isTOML(s *sample) bool {
	return hasSections(s) && !slices.ContainsFunc(s.lines, func(line string) bool { return keyLine.MatchString(line) && !tomlValue.MatchString(line) })
}

// isFlatTOML reports a text of keys that mean nothing to a Proxyfile, each with a
// value and none in a block.
func isFlatTOML(s *sample) bool {
	return !s.blocks && len(s.lines) > 1 && s.all(flatLine) && !slices.ContainsFunc(s.lines, func(line string) bool {
		name := flatLine.FindStringSubmatch(line)[1]
		return otherWords()[name] != "" || slices.Contains([]string{"domain", "host", "service", "route", "listen", "share", "locals", "upstream"}, name)
	})
}

func isINI(s *sample) bool { return hasSections(s) }

var envLine = regexp.MustCompile(`^(?:export[ \t]+)?[A-Z_][A-Z0-9_]*=`)

func isDotEnv(s *sample) bool { return s.all(envLine) }

var hostsLine = regexp.MustCompile(`^[ \t]*([0-9a-fA-F:.]+)[ \t]+[A-Za-z0-9][\w.-]*`)

func isHostsFile(s *sample) bool {
	return s.all(hostsLine) && !slices.ContainsFunc(s.lines, func(line string) bool {
		_, err := netip.ParseAddr(strings.Fields(line)[0])
		return err != nil
	})
}

func sketchHostsFile(text string) *sketch {
	s := &sketch{note: yourPort}
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		if len(words) < 2 || strings.HasPrefix(words[0], "#") || !isSiteName(words[1]) {
			continue
		}
		s.hosts = append(s.hosts, &sketchHost{name: convertName(words[1]), upstream: "5173"})
	}
	return s
}

var (
	yamlLine    = regexp.MustCompile(`^(?:(?:- +)?(?:"[^"]*"|'[^']*'|[\w./@*~<][\w./@*~<:-]*)[ \t]*:(?:[ \t]|$)|- |-$|---|\.\.\.|%YAML|[ \t]|\]$)`)
	yamlKey     = regexp.MustCompile(`^[ \t]*(?:- +)?(?:"[^"]*"|'[^']*'|[\w./@*~<][\w./@*~<:-]*)[ \t]*:(?:[ \t]|$)`)
	labelled    = regexp.MustCompile(`^[ \t]*\w+[ \t]*[:=]?[ \t]*"[^"]*"[ \t]*\{`)
	slimKey     = regexp.MustCompile(`^[ \t]*- +domain[ \t]*:`)
	composePart = regexp.MustCompile(`^[ \t]+(?:image|build|ports|command|environment|volumes|env_file|depends_on)[ \t]*:`)
	makeRule    = regexp.MustCompile(`^[\w./$()%-]+(?:[ \t]+[\w./$()%-]+)*[ \t]*:[^=]*$`)
	makeRecipe  = regexp.MustCompile(`^\t[ \t]*\S`)
	composeKey  = regexp.MustCompile(`^services[ \t]*:[ \t]*$`)
	processLine = regexp.MustCompile(`^[A-Za-z][\w-]*:[ \t]+[^\s"'\[{&*|>#-]\S*[ \t]+\S`)
	processName = regexp.MustCompile(`^(?:web|worker|release|api|app|vite|css|js|server|client|frontend|backend|dev|ui|assets|queue|redis|db|scheduler|clock|jobs)\d*:[ \t]+\S`)
	command     = regexp.MustCompile(`:[ \t]+(?:\w+=\S+[ \t]+)*(?:\.?/\S+|bin/\S+|npm|npx|yarn|pnpm|bun|node|deno|bundle|rails|rake|ruby|python3?|uvicorn|gunicorn|flask|php|go|cargo|java|mix|make|docker|redis-server|sh|bash|env|exec|cd)\b`)
)

func isYAML(s *sample) bool {
	return !s.assigns && !s.blocks && s.all(yamlLine) && s.count(yamlKey) > 0 && s.count(labelled) == 0 && !strings.HasPrefix(s.lines[0], " ")
}

func isCompose(s *sample) bool {
	return isYAML(s) && s.count(composeKey) > 0 && s.count(composePart) > 0
}

func isSlim(s *sample) bool { return isYAML(s) && s.count(composeKey) > 0 && s.count(slimKey) > 0 }

func isMakefile(s *sample) bool {
	return !s.assigns && !s.blocks && makeRule.MatchString(s.first()) && s.count(makeRecipe) > 0
}

func isProcfile(s *sample) bool {
	return !s.assigns && (s.all(processLine) || s.all(processName)) && s.count(command) > 0 || !s.assigns && s.all(processLine) && s.count(processName) > 0
}

var addressAlone = regexp.MustCompile(`^(?:[0-9]{2,5}|:[0-9]{2,5}|https?://[^\s"{}]+|(?:localhost|[\w.-]+\.localhost|127\.0\.0\.1|\[::1\]):[0-9]{2,5}/?)$`)

// isNameList reports a text that has a name and an address on each line.
func isNameList(s *sample) bool {
	return len(s.lines) > 1 && s.all(hostKey) && !slices.ContainsFunc(s.lines, func(line string) bool {
		m := hostKey.FindStringSubmatch(line)
		return convertName(m[1]) == "" || upstreamForm(m[2]) == "" || reference.MatchString(m[1])
	})
}

func sketchNameList(text string) *sketch {
	s := &sketch{}
	for line := range strings.Lines(text) {
		if m := hostKey.FindStringSubmatch(strings.TrimSpace(line)); m != nil {
			s.hosts = append(s.hosts, &sketchHost{name: convertName(m[1]), upstream: upstreamForm(m[2])})
		}
	}
	return s
}

// isAddressAlone reports a text with nothing but the address of a server.
func isAddressAlone(s *sample) bool { return len(s.lines) == 1 && addressAlone.MatchString(s.first()) }

func sketchAddress(text string) *sketch {
	h := &sketchHost{}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if m := hostLike.FindStringSubmatch(line); m != nil && strings.HasSuffix(m[1], suffix) {
			// The name is the host's own: nothing else answers to it.
			h.name, line = convertName(line), line[strings.Index(line, suffix)+len(suffix):]
		}
		if addressAlone.MatchString(line) {
			h.add("/", line, false)
		}
	}
	return &sketch{hosts: []*sketchHost{h}}
}
