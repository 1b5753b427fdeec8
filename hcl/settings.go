package hcl

import (
	"net/textproto"
	"slices"
	"strings"
)

// settingEntries are the attributes that hosts and routes share. The first seven
// depend on each other: decodeAnswer decodes them.
func settingEntries() []entry[Settings] {
	return []entry[Settings]{
		{name: "upstream"}, {name: "try_files"}, {name: "files"}, {name: "spa"}, {name: "redirect"}, {name: "status"}, {name: "respond"},
		{name: "request_headers", decode: func(f field, s *Settings) { s.RequestHeaders, s.RequestFlows = f.headers() }},
		{name: "response_headers", decode: func(f field, s *Settings) { s.ResponseHeaders, s.ResponseFlows = f.headers() }},
		{name: "timeout", decode: func(f field, s *Settings) { s.Timeout = f.nonNegative() }},
		{name: "hold", decode: func(f field, s *Settings) { s.Hold = f.nonNegative() }},
		{name: "tls_skip_verify", decode: func(f field, s *Settings) { s.TLSSkipVerify = f.boolean() }},
		{name: "forwarded_proto", decode: func(f field, s *Settings) { s.ForwardedProto = decodeForwardedProto(f) }},
		{name: "public_host", decode: func(f field, s *Settings) { s.PublicHost = f.boolean() }},
		{name: "cors", null: true, decode: func(f field, s *Settings) { s.CORS = unlessOff(f, &CORS{Off: true, Range: f.at()}, decodeCORS) }},
		{name: "basic_auth", null: true, decode: func(f field, s *Settings) { s.BasicAuth = unlessOff(f, &BasicAuth{Off: true}, decodeBasicAuth) }},
		{name: "allow", null: true, decode: func(f field, s *Settings) { s.Allow = decodeRanges(f) }},
		{name: "deny", null: true, decode: func(f field, s *Settings) { s.Deny = decodeRanges(f) }},
		{name: "rate_limit", null: true, decode: func(f field, s *Settings) {
			s.RateLimit = unlessOff(f, &RateLimit{Off: true, Range: f.at()}, decodeRateLimit)
		}},
		{name: "max_concurrent", null: true, decode: func(f field, s *Settings) { s.MaxConcurrent = unlessOff(f, new(int), decodeMaxConcurrent) }},
		{name: "max_body", null: true, decode: func(f field, s *Settings) { s.MaxBody = decodeMaxBody(f) }},
		{name: "compress", null: true, decode: func(f field, s *Settings) { s.Compress = unlessOff(f, new(bool), field.boolean) }},
		{name: "cache", null: true, decode: func(f field, s *Settings) { s.Cache = unlessOff(f, &Cache{Off: true, Range: f.at()}, decodeCache) }},
		{name: "simulate", null: true, decode: func(f field, s *Settings) { s.Simulate = unlessOff(f, &Simulate{Off: true}, decodeSimulate) }},
	}
}

// decodeMaxConcurrent decodes max_concurrent = 2.
func decodeMaxConcurrent(f field) *int {
	if n := f.count(f.name, maxConcurrent); n > 0 {
		return &n
	}
	return nil
}

// maxConcurrent is more requests than devproxy can have in progress.
const maxConcurrent = 1_000_000

// unlessOff decodes f, or returns off if f is false or null.
func unlessOff[T any](f field, off *T, decode func(field) *T) *T {
	switch {
	case f.isOff():
		return off
	case !f.IsKnown() && !f.inBrackets():
		return nil
	}
	return decode(f)
}

// decodeForwardedProto decodes forwarded_proto = "http"; "" for a mistake.
func decodeForwardedProto(f field) ForwardedProto {
	words := []string{string(ForwardedHTTPS), string(ForwardedHTTP)}
	return ForwardedProto(f.oneOf(words, nil))
}

// KeepHost is the value of Host in request_headers that forwards the client's.
const KeepHost = "{host}"

// headers decodes request_headers and response_headers, and the headers of
// respond. It returns values by canonical field name, of which nil removes the
// field, and what flows into them by the same names.
func (f field) headers() (map[string]*string, map[string]Flow) {
	if !f.IsKnown() {
		return nil, nil
	}
	if f.IsNull() || !f.isObject() {
		f.errorf("write "+f.name+` = { X-Debug = "1" }`, "%s must be an object", f.name)
		return nil, nil
	}
	// Only devproxy can set these correctly, because they are about one connection
	// and not about the message (RFC 9110 section 7.6.1, RFC 9112 section 6).
	connectionFields := []string{
		"Connection", "Content-Length", "Keep-Alive", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade",
	}
	headers := map[string]*string{}
	var flows map[string]Flow
	first := map[string]Range{}
	for _, header := range f.fields() {
		name, ok := header.fieldName()
		if !ok {
			continue
		}
		at := f.scope.at(header.nameAt)
		if slices.Contains(connectionFields, name) {
			at.errorf("remove it", "devproxy sets %s automatically", name)
			continue
		}
		if before, twice := first[name]; twice {
			at.errorf("the first one is at "+before.line(), "duplicate header field %s", name)
			continue
		}
		first[name] = header.nameAt
		flows = setFlow(flows, name, header.flow())
		if header.IsNull() {
			headers[name] = nil
			continue
		}
		if text, ok := header.headerValue(name, f.name, flows[name]); ok {
			headers[name] = &text
		}
	}
	if text, is := headers["Host"]; is && text == nil && f.name == "request_headers" {
		f.errorf(`write Host = "example.com" to send another`, "every request needs Host")
		delete(headers, "Host")
	}
	return headers, flows
}

// headerValue returns the value of the header field name in an attribute.
func (f field) headerValue(name, attribute string, flow Flow) (text string, ok bool) {
	text, ok = f.scalar("the value of " + name)
	if name == "Host" && attribute == "request_headers" && HasPlaceholder(text) && text != KeepHost {
		f.errorf(`write Host = "{host}" to keep the client's, or a name`, "Host can be {host} or a name without placeholders")
		return "", false
	}
	return text, ok && (attribute == "headers" || f.place().checkPlaceholders(text, flow))
}

// fieldName returns the canonical name of a header field (RFC 9110 section 5.1).
func (f field) fieldName() (string, bool) {
	if !isToken(f.name) {
		detail := `write one like "X-Debug"`
		if fixed := strings.ReplaceAll(strings.TrimRight(f.name, ": "), " ", "-"); isToken(fixed) {
			detail = suggest(fixed)
		}
		f.scope.at(f.nameAt).errorf(detail, "%q is not a valid name of a header field", f.name)
		return "", false
	}
	return textproto.CanonicalMIMEHeaderKey(f.name), true
}

// isToken reports whether text is a token (RFC 9110 section 5.6.2).
func isToken(text string) bool {
	return text != "" && !strings.ContainsFunc(text, func(r rune) bool {
		return r <= ' ' || r >= 0x7F || strings.ContainsRune(`"(),/:;<=>?@[\]{}`, r)
	})
}
