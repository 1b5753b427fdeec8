package hcl

import (
	"bytes"
	"path/filepath"
	"regexp"
	"strings"
)

// sample is a text that may be a file of another tool.
type sample struct {
	text  string
	lines []string // without blank ones and comments
	// firstAt is where the first of lines begins in the file.
	firstAt int
	// assigns reports an attribute of the language with its "=".
	assigns bool
	// blocks reports a line that ends with "{", or that is a "}".
	blocks bool
}

// ownBlock matches a block of the language at the beginning of a line. A text
// with one is a Proxyfile, whatever mistakes are in it.
var ownBlock = regexp.MustCompile(`(?m)^[ \t]*(?:(?:host|service|route|tcp|udp)[ \t]*["“']|(?:host|service)[ \t]+[^\s{"=:]+[ \t]*\{|(?:locals|listen|share)[ \t]*\{)`)

// ownAttribute matches an attribute of the language with its value.
var ownAttribute = regexp.MustCompile(`(?:^|[\n{])[ \t]*(?:` + strings.Join(assignable(), "|") + `)[ \t]*=[ \t]*[^=\s]`)

// assignable returns the attributes of the language, without their blocks.
func assignable() []string {
	var names []string
	for _, name := range Attributes() {
		names = append(names, name[strings.LastIndexByte(name, '.')+1:])
	}
	return names
}

// format is a kind of file of another tool.
type format struct {
	// is names it with its article: "a Caddyfile".
	is string
	// file is the name under which init reads it; empty when it doesn't.
	file   string
	known  func(*sample) bool
	sketch func(text string) *sketch // nil for none
	// hint is said instead of a sketch; empty for the usual.
	hint string
}

// formats are tried in this order.
func formats() []format {
	fromLines := func(text string) *sketch {
		if strings.Contains(text, "apiVersion:") {
			return &sketch{} // ports of Kubernetes are not of this machine
		}
		return sketchPairs(linePairs(text))
	}
	fromJSON := func(text string) *sketch { return sketchPairs(jsonPairs(text)) }
	return []format{
		{is: "an HTML page", known: isHTML, hint: "if you downloaded it, download the raw file instead"},
		{is: "an Apache configuration", known: isApache, sketch: sketchApache},
		{is: "XML", known: isXML},
		{is: "a package.json", file: "package.json", known: isPackageJSON},
		{is: "a portless.json", file: "portless.json", known: isPortlessJSON, sketch: fromJSON},
		{is: "a JSON file", known: isJSON, sketch: fromJSON},
		{is: "a Dockerfile", known: isDockerfile},
		{is: "a script", known: isScript},
		{is: "a Vite configuration", file: "vite.config.ts", known: isVite},
		{is: "JavaScript", known: isJavaScript},
		{is: "an nginx configuration", known: isNginx, sketch: sketchNginx},
		{is: "a Caddyfile", file: "Caddyfile", known: isCaddyfile, sketch: sketchCaddy},
		{is: "an HAProxy configuration", known: isHAProxy, sketch: sketchHAProxy},
		{is: "a Traefik configuration", known: isTraefik, sketch: sketchTraefik},
		{is: "a TOML file", known: isTOML, sketch: fromLines},
		{is: "an INI file", known: isINI, sketch: fromLines},
		{is: "a .env file", known: isDotEnv, sketch: fromLines},
		{is: "a hosts file", known: isHostsFile, sketch: sketchHostsFile},
		{is: "a Procfile", file: "Procfile", known: isProcfile},
		{is: "a Makefile", known: isMakefile},
		{is: "a .slim.yaml", file: ".slim.yaml", known: isSlim},
		{is: "a compose file", file: "compose.yaml", known: isCompose},
		{is: "a YAML file", known: isYAML, sketch: fromLines},
		{is: "a list of names", known: isNameList, sketch: sketchNameList},
		{is: "an address", known: isAddressAlone, sketch: sketchAddress},
		{is: flatTOML, known: isFlatTOML},
	}
}

// flatTOML is what a text of keys and values is called that may be TOML: it has
// the form of a Proxyfile.
const flatTOML = "a file of settings"

var flatSummary = foreignSummary(flatTOML)

// folder is where a text lies, for what to do with it.
type folder struct {
	path string
	// has reports whether there is a file of that name; nil when that is
	// unknown.
	has func(name string) bool
	// project is the host name that the folder has by default.
	project string
}

// newFolder returns the folder at path. exists may be nil.
func newFolder(path string, exists func(path string) (exists, isDir bool)) folder {
	f := folder{path: path, project: "shop" + suffix}
	if exists != nil && path != "" {
		f.has = func(name string) bool {
			found, _ := exists(filepath.Join(path, name))
			return found
		}
	}
	var label strings.Builder
	for _, r := range strings.ToLower(filepath.Base(path)) {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			label.WriteRune(r)
		case label.Len() > 0 && !strings.HasSuffix(label.String(), "-"):
			label.WriteByte('-')
		}
	}
	name := label.String()
	if name = strings.Trim(name[:min(len(name), maxLabel)], "-"); name != "" {
		f.project = name + suffix
	}
	return f
}

// foreign returns the one diagnostic of a file of another tool, or of one that is
// not text. A text with a block of the language is never one, nor is one with an
// attribute of the language if the other format can not have it: the mistakes in it
// are those of a Proxyfile.
func foreign(t *text, where folder) (Diagnostic, bool) {
	if ownBlock.Match(t.src) {
		return Diagnostic{}, false
	}
	s := newSample(t.src)
	if !s.assigns {
		if d, found := notText(t, where); found {
			return d, true
		}
	}
	for _, f := range formats() {
		if f.known(s) {
			d := t.errorAt(0, 0, foreignSummary(f.is), f.advice(s, t.name, where))
			d.Range = s.firstLine(t)
			return d, true
		}
	}
	return Diagnostic{}, false
}

func foreignSummary(format string) string { return "this is " + format + ", not a Proxyfile" }

// isBlank reports a text of white space alone.
func isBlank(src []byte) bool {
	return len(bytes.TrimSpace(bytes.TrimPrefix(src, byteOrderMark))) == 0
}

// yourPort is the note of a port that no file gave.
const yourPort = "5173 is the port of your dev server"

// smallestFor returns the smallest Proxyfile of a folder.
func smallestFor(where folder) string {
	return `host "` + where.project + `" { upstream = 5173 }`
}

// maxSampled is how many bytes of a file are looked at to tell its format.
const maxSampled = 16 << 10

func newSample(src []byte) *sample {
	s := &sample{}
	s.text = string(bytes.TrimPrefix(src, byteOrderMark))
	if len(s.text) > maxSampled {
		s.text = s.text[:maxSampled]
		s.text = s.text[:strings.LastIndexByte(s.text, '\n')+1]
	}
	s.assigns = ownAttribute.MatchString(s.text)
	next := len(src) - len(bytes.TrimPrefix(src, byteOrderMark))
	for line := range strings.Lines(s.text) {
		at := next
		next += len(line)
		line = strings.TrimRight(line, " \t\r\n")
		if trimmed := strings.TrimSpace(line); trimmed != "" && !strings.HasPrefix(trimmed, "#") && !strings.HasPrefix(trimmed, "//") {
			if s.lines == nil {
				s.firstAt = at + len(line) - len(strings.TrimLeft(line, " \t"))
			}
			s.lines = append(s.lines, line)
			s.blocks = s.blocks || strings.HasSuffix(line, "{") || trimmed == "}"
		}
	}
	return s
}

// firstLine returns the first line of s without a comment, to be underlined.
func (s *sample) firstLine(t *text) Range {
	if len(s.lines) == 0 {
		return t.span(0, 0)
	}
	return t.span(s.firstAt, s.firstAt+len(strings.TrimLeft(s.lines[0], " \t")))
}

// prefixed returns text after mark; empty if text is.
func prefixed(mark, text string) string {
	if text == "" {
		return ""
	}
	return mark + text
}

// advice returns what to do with a file of format f.
func (f format) advice(s *sample, name string, where folder) string {
	rename := ""
	if base := filepath.Base(name); f.file != "" && base != LocalName {
		switch {
		case base != "Proxyfile" && base != "Proxyfile.hcl":
			rename = "run devproxy init, which reads such files"
		case where.has != nil && where.has(f.file):
			rename = "remove it and run devproxy init, which reads " + f.file
		default:
			rename = "rename it to " + f.file + " and run devproxy init"
		}
	}
	if f.sketch != nil {
		if found := f.sketch(s.text); found.settle(where.project) && (!found.partial || rename == "") {
			begin := "write"
			if found.partial {
				begin = "begin with"
			}
			lines := found.lines()
			if len(lines) == 1 {
				return begin + " " + lines[0] + prefixed("; ", found.note)
			}
			return begin + prefixed(", ", found.note) + ":\n" + strings.Join(lines, "\n")
		}
	}
	switch {
	case rename != "":
		return rename
	case f.hint != "":
		return f.hint
	}
	return "write " + smallestFor(where) + "; " + yourPort
}

// minStray is how many lines that are neither attribute nor block make a text
// another language, if nothing in it is of this one.
const minStray = 3

// unlikely returns the one diagnostic of a text that has nothing of the language and
// many syntax errors, which diags are.
func unlikely(t *text, where folder, diags Diagnostics) (Diagnostic, bool) {
	stray := 0
	for _, d := range diags {
		if d.Summary == strayStatement {
			stray++
		}
	}
	if stray < minStray || ownBlock.Match(t.src) || ownAttribute.Match(t.src) {
		return Diagnostic{}, false
	}
	d := t.errorAt(0, 0, "this is not a Proxyfile", "write "+smallestFor(where)+"; "+yourPort)
	d.Range = newSample(t.src).firstLine(t)
	return d, true
}
