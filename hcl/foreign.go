package hcl

import (
	"bytes"
	"cmp"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"
)

// format is a kind of file of another tool. A text of this format matches all of
// the patterns that are set.
type format struct {
	// is names it with its article: "a Caddyfile".
	is string
	// file is the name under which init reads it; empty if it doesn't.
	file string
	// first matches the first line, all every line, and each of some at least one
	// line. Blank lines and comments do not count.
	first, all *regexp.Regexp
	some       []*regexp.Regexp
	// text matches the whole text.
	text  *regexp.Regexp
	known func(*sample) bool
	// flat formats have no lines that begin or end a block with braces.
	flat bool
	// assigns is true if a text of this format can also have an attribute of the
	// language with its "=".
	assigns bool
	convert func(text string) *conversion // nil for none
	// hint is the advice without a conversion; empty for the usual one.
	hint string
}

// flatTOML is the format of a text of keys and values that may be TOML. Its form
// is that of a Proxyfile.
const flatTOML = "a file of settings"

var flatSummary = foreignSummary(flatTOML)

var (
	jsLine         = regexp.MustCompile(`^(?:import[ \t]+(?:[\w{*][^"']*from[ \t]+)?["']|import[ \t]*\{|export[ \t]+default\b|module\.exports[ \t]*=|(?:const|let|var)[ \t]+[\w{]+[^=]*=|["']use strict["'])`)
	nginxBlock     = regexp.MustCompile(`^[ \t]*(?:server|http|events|upstream[ \t]+\w+|location[ \t]+(?:(?:=|~\*?|\^~)[ \t]*)?[^\s{"=]+)[ \t]*(?:\{|$)`)
	nginxDirective = regexp.MustCompile(`(?:^|[{;])[ \t]*(?:listen|server_name|proxy_pass|root|index|try_files|return|rewrite|proxy_set_header|proxy_http_version|include|ssl_\w+|access_log|error_log|worker_\w+|server|alias|add_header)[ \t]+[^={};]+;`)
	nginxProxy     = regexp.MustCompile(`(?:^|[{;])[ \t]*proxy_pass[ \t]+\S+;`)
	caddyLine      = regexp.MustCompile(`(?:^|\{)[ \t]*(?:` + strings.Join(caddyDirectives(), "|") + `)(?:[ \t]+[^=\s].*)?$`)
	caddySnippet   = regexp.MustCompile(`^\([\w.-]+\)[ \t]*\{$`)
	caddyOption    = regexp.MustCompile(`^[ \t]+(?:email|debug|admin|auto_https|http_port|https_port|local_certs|acme_ca|order|servers|log|storage|skip_install_trust|default_bind)\b`)
	jsonStart      = regexp.MustCompile(`^[ \t\r\n]*(?:\[[ \t\r\n]*)?\{[ \t\r\n]*(?:"[^"\n]*"[ \t]*:|[A-Za-z_$][\w$]*[ \t]*:[ \t]*["'0-9{\[]|'[^'\n]*'[ \t]*:)`)
	jsonList       = regexp.MustCompile(`^[ \t\r\n]*\[[ \t\r\n]*(?:"[^"\n]*"|[0-9]+)[ \t\r\n]*[,\]]`)
	jsonNothing    = regexp.MustCompile(`^[ \t\r\n]*(?:\{[ \t\r\n]*\}|\[[ \t\r\n]*\])[ \t\r\n]*$`)
	sectionLine    = regexp.MustCompile(`^\[\[?[ \t]*["']?[A-Za-z0-9_.:*/ -]+(?:["']\.?["']?|[\w.:*/ -]+)*[ \t]*\]\]?[ \t]*(?:[#;].*)?$`)
	keyLine        = regexp.MustCompile(`^[ \t]*(?:"[^"]*"|'[^']*'|[A-Za-z0-9_.-]+)[ \t]*=`)
	flatLine       = regexp.MustCompile(`^([A-Za-z0-9_.-]+)[ \t]*=[ \t]*\S`)
	tomlValue      = regexp.MustCompile(`=[ \t]*(?:"|'|true\b|false\b|[+-]?[0-9][0-9_.:TZe+-]*[ \t]*(?:#.*)?$|\[|\{)`)
	yamlLine       = regexp.MustCompile(`^(?:(?:- +)?(?:"[^"]*"|'[^']*'|[\w./@*~<][\w./@*~<:-]*)[ \t]*:(?:[ \t]|$)|- |-$|---|\.\.\.|%YAML|[ \t]|\]$)`)
	yamlKey        = regexp.MustCompile(`^[ \t]*(?:- +)?(?:"[^"]*"|'[^']*'|[\w./@*~<][\w./@*~<:-]*)[ \t]*:(?:[ \t]|$)`)
	labelled       = regexp.MustCompile(`^[ \t]*\w+[ \t]*[:=]?[ \t]*"[^"]*"[ \t]*\{`)
	composeKey     = regexp.MustCompile(`^services[ \t]*:[ \t]*$`)
	processLine    = regexp.MustCompile(`^[A-Za-z][\w-]*:[ \t]+[^\s"'\[{&*|>#-]\S*[ \t]+\S`)
	processName    = regexp.MustCompile(`^(?:web|worker|release|api|app|vite|css|js|server|client|frontend|backend|dev|ui|assets|queue|redis|db|scheduler|clock|jobs)\d*:[ \t]+\S`)
	command        = regexp.MustCompile(`:[ \t]+(?:\w+=\S+[ \t]+)*(?:\.?/\S+|bin/\S+|npm|npx|yarn|pnpm|bun|node|deno|bundle|rails|rake|ruby|python3?|uvicorn|gunicorn|flask|php|go|cargo|java|mix|make|docker|redis-server|sh|bash|env|exec|cd)\b`)
	addressAlone   = regexp.MustCompile(`^(?:[0-9]{2,5}|:[0-9]{2,5}|https?://[^\s"{}]+|(?:localhost|[\w.-]+\.localhost|127\.0\.0\.1|\[::1\]):[0-9]{2,5}/?)$`)
)

// formats returns the formats in the order in which they are tried.
var formats = sync.OnceValue(func() []format {
	re := regexp.MustCompile
	lines := func(patterns ...*regexp.Regexp) []*regexp.Regexp { return patterns }
	return []format{
		{is: "an HTML page", first: re(`(?i)^<(?:!doctype html|html|head|body|!--)`), hint: "if you downloaded it, download the raw file instead"},
		{is: "an Apache configuration", text: re(`(?im)^[ \t]*(?:<VirtualHost\b|ProxyPass(?:Reverse|Match)?[ \t])`), convert: convertApache},
		{is: "XML", first: re(`^<[?A-Za-z][^<>]*>`)},
		{is: "a package.json", file: "package.json", known: (*sample).isJSON, text: re(`"(?:scripts|dependencies|devDependencies|workspaces|packageManager)"[ \t]*:[ \t]*["{\[]`)},
		{is: "a portless.json", file: "portless.json", known: (*sample).isPortless, text: re(`"(?:appPort|apps)"[ \t]*:`), convert: convertJSON},
		{is: "a JSON file", known: (*sample).isJSON, convert: convertJSON},
		{is: "a Dockerfile", first: re(`^(?:FROM|ARG)[ \t]+\S`), some: lines(re(`^(?:RUN|CMD|COPY|ADD|EXPOSE|ENTRYPOINT|WORKDIR|ENV|ARG|USER|LABEL)[ \t]+\S`))},
		{is: "a script", text: re(`^#!`)},
		{is: "a Vite configuration", file: "vite.config.ts", known: (*sample).isJavaScript, text: re(`"vite"|'vite'`)},
		{is: "JavaScript", known: (*sample).isJavaScript},
		{is: "an nginx configuration", known: (*sample).isNginx, convert: convertNginx},
		{is: "a Caddyfile", file: "Caddyfile", known: (*sample).isCaddyfile, convert: convertCaddy},
		{is: "an HAProxy configuration", some: lines(
			re(`^(?:global|defaults|frontend[ \t]+\S+|backend[ \t]+\S+|listen[ \t]+\S+)$`),
			re(`^[ \t]+(?:bind|mode|balance|use_backend|default_backend|acl|timeout|server)[ \t]+\S`),
		), convert: convertHAProxy},
		{is: "a Traefik configuration", flat: true, assigns: true, some: lines(
			re("(?i)traefik\\.(?:http|tcp|enable)\\b|\\brule[\"']?[ \t]*[:=][ \t]*[\"']?Host\\(`|\\[http\\.(?:routers|services)\\b"),
		), convert: convertTraefik},
		{is: "a TOML file", flat: true, assigns: true, known: (*sample).isTOML, convert: convertLines},
		{is: "an INI file", flat: true, assigns: true, known: (*sample).hasSections, convert: convertLines},
		{is: "a .env file", assigns: true, all: re(`^(?:export[ \t]+)?[A-Z_][A-Z0-9_]*=`), convert: convertLines},
		{is: "a hosts file", assigns: true, all: re(`^[ \t]*([0-9a-fA-F:.]+)[ \t]+[A-Za-z0-9][\w.-]*`), known: (*sample).beginsWithAddresses, convert: convertHostsFile},
		{is: "a Procfile", file: "Procfile", known: (*sample).isProcfile},
		{is: "a Makefile", flat: true, first: re(`^[\w./$()%-]+(?:[ \t]+[\w./$()%-]+)*[ \t]*:[^=]*$`), some: lines(re(`^\t[ \t]*\S`))},
		{is: "a .slim.yaml", file: ".slim.yaml", flat: true, known: (*sample).isYAML, some: lines(composeKey, re(`^[ \t]*- +domain[ \t]*:`))},
		{is: "a compose file", file: "compose.yaml", flat: true, known: (*sample).isYAML, some: lines(
			composeKey, re(`^[ \t]+(?:image|build|ports|command|environment|volumes|env_file|depends_on)[ \t]*:`),
		)},
		{is: "a YAML file", flat: true, known: (*sample).isYAML, convert: convertLines},
		{is: "a list of names", assigns: true, all: hostKey, known: (*sample).isNameList, convert: convertNameList},
		{is: "an address", assigns: true, all: addressAlone, known: (*sample).isOneLine, convert: convertAddress},
		{is: flatTOML, flat: true, assigns: true, all: flatLine, known: (*sample).isFlatTOML},
	}
})

func (f format) matches(s *sample) bool {
	if s.assigns && !f.assigns || s.blocks && f.flat || f.text != nil && !f.text.MatchString(s.text) {
		return false
	}
	if f.first != nil && !f.first.MatchString(s.first) || f.all != nil && (len(s.lines) == 0 || s.count(f.all) < len(s.lines)) {
		return false
	}
	absent := func(line *regexp.Regexp) bool { return s.count(line) == 0 }
	return !slices.ContainsFunc(f.some, absent) && (f.known == nil || f.known(s))
}

// sample is a text that may be a file of another tool.
type sample struct {
	text  string
	lines []string // without blank lines and comments
	// first is the first of lines without its indentation, and firstAt where it
	// begins in the file.
	first   string
	firstAt int
	// assigns is true if an attribute of the language has a value.
	assigns bool
	// blocks is true if a line ends with "{", or is a "}".
	blocks bool
}

var (
	// ownBlock matches a block of the language at the beginning of a line. A text
	// with one is a Proxyfile, even with mistakes.
	ownBlock = regexp.MustCompile(`(?m)^[ \t]*(?:(?:host|service|route|tcp|udp)[ \t]*["“']|(?:host|service)[ \t]+[^\s{"=:]+[ \t]*\{|(?:locals|listen|share)[ \t]*\{)`)
	// ownAttribute matches an attribute of the language with its value.
	ownAttribute = sync.OnceValue(func() *regexp.Regexp {
		names := mapped(Attributes(), func(name string) string { return name[strings.LastIndexByte(name, '.')+1:] })
		return regexp.MustCompile(`(?:^|[\n{])[ \t]*(?:` + strings.Join(names, "|") + `)[ \t]*=[ \t]*[^=\s]`)
	})
)

// maxSampled is how many bytes of a file are read to find out its format.
const maxSampled = 16 << 10

func newSample(src []byte) *sample {
	s := &sample{text: string(bytes.TrimPrefix(src, byteOrderMark))}
	next := len(src) - len(s.text)
	if len(s.text) > maxSampled {
		s.text = s.text[:maxSampled]
		s.text = s.text[:strings.LastIndexByte(s.text, '\n')+1]
	}
	s.assigns = ownAttribute().MatchString(s.text)
	for line := range strings.Lines(s.text) {
		at := next
		next += len(line)
		line = strings.TrimRight(line, " \t\r\n")
		trimmed := strings.TrimSpace(line)
		if trimmed == "" || strings.HasPrefix(trimmed, "#") || strings.HasPrefix(trimmed, "//") {
			continue
		}
		if s.lines == nil {
			s.first = strings.TrimLeft(line, " \t")
			s.firstAt = at + len(line) - len(s.first)
		}
		s.lines = append(s.lines, line)
		s.blocks = s.blocks || strings.HasSuffix(line, "{") || trimmed == "}"
	}
	return s
}

// errorAt returns an error about the first line.
func (s *sample) errorAt(t *text, summary, detail string) Diagnostic {
	return t.errorAt(s.firstAt, s.firstAt+len(s.first), summary, detail)
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

func (s *sample) isJSON() bool {
	text := strings.Join(s.lines, "\n")
	return jsonStart.MatchString(text) || jsonList.MatchString(text) || jsonNothing.MatchString(text)
}

func (s *sample) isPortless() bool { return s.isJSON() && !strings.Contains(s.text, `"servers"`) }

func (s *sample) isJavaScript() bool { return s.count(jsLine) > 0 && s.blocks }

func (s *sample) isNginx() bool {
	directives := s.count(nginxDirective)
	return s.count(nginxProxy) > 0 || directives > 1 || directives > 0 && s.count(nginxBlock) > 0
}

func (s *sample) isCaddyfile() bool {
	if s.count(caddyLine) == 0 {
		return s.count(caddyOption) > 0 && s.first == "{"
	}
	first := strings.Fields(s.first)
	last := len(first) - 1
	switch {
	case s.first == "{", caddySnippet.MatchString(s.first):
		return true
	case first[last] == "{":
		first = first[:last]
	case first[last] == "}" && slices.Contains(first, "{"):
		first = first[:slices.Index(first, "{")]
	}
	addressed := len(first) > 0 && !slices.ContainsFunc(first, func(word string) bool { return !isCaddyAddress(word) })
	return addressed || caddyLine.MatchString(s.first) && strings.HasPrefix(s.first, "reverse_proxy") || strings.HasPrefix(s.first, "import ") && s.blocks
}

// hasSections reports a text of sections in brackets: TOML or INI.
func (s *sample) hasSections() bool {
	first := s.first
	return s.count(sectionLine) > 0 && (sectionLine.MatchString(first) || keyLine.MatchString(first) || strings.HasPrefix(first, ";"))
}

func (s *sample) isTOML() bool {
	return s.hasSections() && !slices.ContainsFunc(s.lines, func(line string) bool { return keyLine.MatchString(line) && !tomlValue.MatchString(line) })
}

func (s *sample) beginsWithAddresses() bool {
	return !slices.ContainsFunc(s.lines, func(line string) bool { return !isIP(strings.Fields(line)[0]) })
}

func (s *sample) isProcfile() bool {
	processes, names := s.count(processLine), s.count(processName)
	return processes == len(s.lines) && names > 0 || max(processes, names) == len(s.lines) && s.count(command) > 0
}

func (s *sample) isYAML() bool {
	return s.count(yamlKey) > 0 && s.count(yamlLine) == len(s.lines) && s.count(labelled) == 0 && !strings.HasPrefix(s.lines[0], " ")
}

// isNameList reports a name and an address on each line.
func (s *sample) isNameList() bool {
	return len(s.lines) > 1 && !slices.ContainsFunc(s.lines, func(line string) bool {
		m := hostKey.FindStringSubmatch(line)
		return convertName(m[1]) == "" || upstreamForm(m[2]) == "" || reference.MatchString(m[1])
	})
}

func (s *sample) isOneLine() bool { return len(s.lines) == 1 }

// isFlatTOML reports keys that a Proxyfile does not have, each with a value and
// none in a block.
func (s *sample) isFlatTOML() bool {
	return len(s.lines) > 1 && !slices.ContainsFunc(s.lines, func(line string) bool {
		name := flatLine.FindStringSubmatch(line)[1]
		return otherWords()[name] != "" || slices.Contains([]string{"domain", "host", "service", "route", "listen", "share", "locals", "upstream"}, name)
	})
}

// folder is where a text is, for the advice.
type folder struct {
	// has reports whether a file of that name exists; nil if that is unknown.
	has func(name string) bool
	// project is the default host name of the folder.
	project string
}

// newFolder returns the folder at path. exists may be nil.
func newFolder(path string, exists func(path string) (exists, isDir bool)) folder {
	f := folder{project: "shop" + suffix}
	if exists != nil && path != "" {
		f.has = func(name string) bool {
			found, _ := exists(filepath.Join(path, name))
			return found
		}
	}
	if name := Label(filepath.Base(path)); name != "" {
		f.project = name + suffix
	}
	return f
}

const yourPort = "5173 is the port of your dev server"

// smallestFor returns the smallest Proxyfile of a folder.
func smallestFor(where folder) string {
	return `host "` + where.project + `" { upstream = 5173 }`
}

// foreign returns the only diagnostic for a file of another tool, or for one
// that is not text. A text with a block of the language is a Proxyfile. A text
// with an attribute of the language is one too, if the other format can't have
// it.
func foreign(t *text, where folder) (Diagnostic, bool) {
	if ownBlock.Match(t.src) {
		return Diagnostic{}, false
	}
	s, begin := newSample(t.src), t.src[:min(len(t.src), maxSniffed)]
	switch {
	case s.assigns: // It is text; newText reports the bytes in it that are not.
	case isUTF16(begin):
		return t.errorAt(0, 2, "the file is UTF-16", utf16Advice(t.name)), true
	case isBinary(begin):
		return t.errorAt(0, 1, "this is not a text file", "name the Proxyfile with -f FILE, or write "+smallestFor(where)), true
	}
	for _, f := range formats() {
		if f.matches(s) {
			return s.errorAt(t, foreignSummary(f.is), f.advice(s, t.name, where)), true
		}
	}
	return Diagnostic{}, false
}

func foreignSummary(format string) string { return "this is " + format + ", not a Proxyfile" }

// minStray is how many lines that are neither attribute nor block make a text
// another language, if nothing in it is of this one.
const minStray = 3

// unlikely returns the only diagnostic for a text that has nothing of the language
// and many syntax errors, which are diags.
func unlikely(t *text, where folder, diags Diagnostics) (Diagnostic, bool) {
	stray := 0
	for _, d := range diags {
		if d.Summary == strayStatement {
			stray++
		}
	}
	if stray < minStray || ownBlock.Match(t.src) || ownAttribute().Match(t.src) {
		return Diagnostic{}, false
	}
	return newSample(t.src).errorAt(t, "this is not a Proxyfile", "write "+smallestFor(where)+"; "+yourPort), true
}

// advice says what to do with a file of format f.
func (f format) advice(s *sample, name string, where folder) string {
	rename := f.renaming(filepath.Base(name), where)
	if f.convert != nil {
		if c := f.convert(s.text); c.finish(where.project) && (!c.partial || rename == "") {
			return c.advice()
		}
	}
	return cmp.Or(rename, f.hint, "write "+smallestFor(where)+"; "+yourPort)
}

// renaming says how init can read a file of format f; "" if it can't.
func (f format) renaming(name string, where folder) string {
	switch {
	case f.file == "" || name == LocalName:
		return ""
	case !slices.Contains(fileNames(), name):
		return "run devproxy init, which reads such files"
	case where.has != nil && where.has(f.file):
		return "remove it and run devproxy init, which reads " + f.file
	}
	return "rename it to " + f.file + " and run devproxy init"
}

// advice says to write the Proxyfile.
func (c *conversion) advice() string {
	begin, lines := "write", c.lines()
	if c.partial {
		begin = "begin with"
	}
	switch {
	case len(lines) > 1 && c.note != "":
		begin += ", " + c.note
	case len(lines) == 1 && c.note != "":
		lines[0] += "; " + c.note
	}
	return withLines(begin, lines)
}

// withLines returns an advice with the lines to write.
func withLines(begin string, lines []string) string {
	if len(lines) == 1 {
		return begin + " " + lines[0]
	}
	return begin + ":\n" + strings.Join(lines, "\n")
}

// isBlank reports a text of white space only.
func isBlank(src []byte) bool {
	return len(bytes.TrimSpace(bytes.TrimPrefix(src, byteOrderMark))) == 0
}

// maxSniffed is how many bytes of a file show whether it is text.
const maxSniffed = 4 << 10

// isUTF16 reports text in which every second byte is NUL, as in English text in
// UTF-16, with a byte order mark or without.
func isUTF16(src []byte) bool {
	if hasUTF16Mark(src) {
		return true
	}
	nul := [2]int{}
	for i, b := range src {
		if b == 0 {
			nul[i%2]++
		}
	}
	half, less, more := len(src)/2, min(nul[0], nul[1]), max(nul[0], nul[1])
	return half >= 4 && less == 0 && more*10 >= half*8
}

// isBinary reports bytes of which more than one in ten does not belong in a text.
func isBinary(src []byte) bool {
	bad := 0
	for rest := src; len(rest) > 0; {
		r, size := utf8.DecodeRune(rest)
		if r == utf8.RuneError && size == 1 || r < 0x20 && !strings.ContainsRune("\t\n\r\f", r) || r == 0x7F {
			bad++
		}
		rest = rest[size:]
	}
	return bad > 1 && bad*10 > len(src)
}
