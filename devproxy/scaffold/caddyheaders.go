package scaffold

import (
	"path"
	"regexp"
	"slices"
	"strings"
)

// header reads header [path] FIELD VALUE, and the block form.
func (s *caddySite) header(d directive, at string, rest []string, when condition) {
	if at != "/" || when.match != "" || when.host != "" {
		s.notes.group("headers of a part of a site; see response_headers of a route", path.Base(s.file)+" "+short(strings.Join(rest[:min(1, len(rest))], "")))
		return
	}
	lines := d.block
	if len(rest) > 0 {
		lines = append([]directive{{words: append([]string{"header"}, rest...), line: d.line}}, lines...)
	}
	for i, line := range lines {
		if i > 0 || len(rest) == 0 {
			line.words = append([]string{"header"}, line.words...)
		}
		s.headerField(&s.host.block, "response_headers", line)
	}
}

// ownHeaders are request fields that devproxy sets by itself, to what proxies
// are usually told to.
var ownHeaders = []string{"host", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-forwarded-port", "x-forwarded-server", "forwarded", "upgrade", "connection", "x-scheme", "x-forwarded-ssl", "x-forwarded-protocol"}

// headerField carries one line "NAME VALUE", "-NAME" or "+NAME VALUE" over.
func (s *caddySite) headerField(to *block, attribute string, line directive) {
	if len(line.words) < 2 {
		return
	}
	name := strings.TrimSuffix(line.words[1], ":")
	note := func() {
		s.notes.group("headers that a Proxyfile can't express", path.Base(s.file)+" "+short(name))
	}
	switch {
	case attribute == "request_headers" && slices.Contains(ownHeaders, strings.ToLower(strings.TrimLeft(name, "+-"))):
	case name == "defer" || name == "-Server" && len(line.words) == 2:
	case strings.HasPrefix(name, "-") && plainKey(name[1:]):
		to.entry(attribute, name[1:], "null")
	case len(line.words) != 3 || !plainKey(strings.TrimPrefix(name, "?")):
		note()
	default:
		value, ok := headerValue(line.words[2])
		if !ok {
			note()
			return
		}
		to.entry(attribute, strings.TrimPrefix(name, "?"), value)
	}
}

// headerValue is a value as HCL; ok is false where it has placeholders or
// variables that a Proxyfile does not know.
func headerValue(text string) (string, bool) {
	text = placeholderWords.Replace(text)
	if strings.ContainsAny(known.ReplaceAllString(text, ""), "{}\r\n") || otherVariable.MatchString(text) {
		return "", false
	}
	return quoted(text), true
}

// placeholderWords are placeholders of Caddy as those of a Proxyfile.
var placeholderWords = strings.NewReplacer(
	"{remote_host}", "{client}", "{remote_ip}", "{client}", "{client_ip}", "{client}", "{http.request.remote.host}", "{client}", "{http.vars.client_ip}", "{client}", "{http.request.client_ip}", "{client}",
	"{hostport}", "{host}", "{http.request.host}", "{host}", "{http.request.hostport}", "{host}", "{http.request.uri}", "{uri}", "{http.request.uri.path}", "{path}", "{http.request.uri.query}", "{query}",
	"{http.request.uuid}", "{id}", "{scheme}", "https", "{http.request.scheme}", "https",
)

var (
	known         = regexp.MustCompile(`\{(client|host|uri|path|query|id|rest)\}`)
	otherVariable = regexp.MustCompile(`\$[A-Za-z_]`)
)

// basicAuth carries the hashes of bcrypt over.
func (s *caddySite) basicAuth(d directive, at string) {
	var users []string
	for _, line := range d.block {
		if len(line.words) == 2 && strings.HasPrefix(line.words[1], "$2") && len(line.words[1]) == 60 {
			users = append(users, quoted(line.words[0])+" = "+quoted(line.words[1]))
		}
	}
	if len(users) == 0 || at != "/" {
		s.notes.add(Note{s.file, d.line, "basic_auth: see basic_auth of a host or route"})
		return
	}
	s.host.set("basic_auth", "{ "+strings.Join(users, ", ")+" }")
}
