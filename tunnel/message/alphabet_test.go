package message

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
)

// bytesOf is a set of bytes: runs of "a-z", and single ones.
func bytesOf(set string) map[byte]bool {
	all := map[byte]bool{}
	for i := 0; i < len(set); i++ {
		if i+2 < len(set) && set[i+1] == '-' {
			for c := int(set[i]); c <= int(set[i+2]); c++ {
				all[byte(c)] = true
			}
			i += 2
			continue
		}
		all[set[i]] = true
	}
	return all
}

const (
	alphanumeric = "0-9A-Za-z"
	tokenBytes   = alphanumeric + "!#$%&'*+.^_`|~" + "-"
	visible      = "!-~"
)

// without is a set without the bytes of another text.
func without(set map[byte]bool, rest string) map[byte]bool {
	for i := range len(rest) {
		delete(set, rest[i])
	}
	return set
}

func with(set map[byte]bool, more string) map[byte]bool {
	for i := range len(more) {
		set[more[i]] = true
	}
	return set
}

// TestAlphabets puts every byte at a place of a message, and looks at which of
// them the scanner lets through. "@" marks the place; the rest of the message is
// valid.
func TestAlphabets(t *testing.T) {
	const (
		line = "GET /a HTTP/1.1\r\n"
		host = "Host: a\r\n"
		post = "POST /a HTTP/1.1\r\n" + host
		body = post + "Transfer-Encoding: chunked\r\n\r\n"
	)
	value := with(bytesOf(" -~"), "\t")
	for i := 0x80; i < 0x100; i++ {
		value[byte(i)] = true
	}
	tests := []struct {
		name, message string
		pass          map[byte]bool
	}{
		{"method, first", "@ET /a HTTP/1.1\r\n" + host + "\r\n", bytesOf(tokenBytes)},
		{"method, within", "G@T /a HTTP/1.1\r\n" + host + "\r\n", bytesOf(tokenBytes)},
		{"method, last", "GE@ /a HTTP/1.1\r\n" + host + "\r\n", bytesOf(tokenBytes)},
		{"after the method", "GET@/a HTTP/1.1\r\n" + host + "\r\n", bytesOf(" ")},
		{"path, first", "GET @a HTTP/1.1\r\n" + host + "\r\n", bytesOf("/")},
		{"path, within", "GET /a@b HTTP/1.1\r\n" + host + "\r\n", without(bytesOf(visible), "#%\\")},
		{"path, last", "GET /a@ HTTP/1.1\r\n" + host + "\r\n", without(bytesOf(visible), "#%\\")},
		{"path, first hex digit", "GET /%@1 HTTP/1.1\r\n" + host + "\r\n", bytesOf("0-9A-Fa-f")},
		{"path, second hex digit", "GET /%1@ HTTP/1.1\r\n" + host + "\r\n", bytesOf("0-9A-Fa-f")},
		{"path, second hex digit, within", "GET /%1@a HTTP/1.1\r\n" + host + "\r\n", bytesOf("0-9A-Fa-f")},
		{"query", "GET /a?b@c HTTP/1.1\r\n" + host + "\r\n", without(bytesOf(visible), "#")},
		{"after the path", "GET /a@HTTP/1.1\r\n" + host + "\r\n", bytesOf(" ")},
		{"version, name", "GET /a @TTP/1.1\r\n" + host + "\r\n", bytesOf("H")},
		{"version, slash", "GET /a HTTP@1.1\r\n" + host + "\r\n", bytesOf("/")},
		{"version, major", "GET /a HTTP/@.1\r\n" + host + "\r\n", bytesOf("1")},
		{"version, dot", "GET /a HTTP/1@1\r\n" + host + "\r\n", bytesOf(".")},
		{"version, minor", "GET /a HTTP/1.@\r\n" + host + "\r\n", bytesOf("01")},
		{"after the version", "GET /a HTTP/1.1@\r\n" + host + "\r\n", nil},
		{"CR of the request line", "GET /a HTTP/1.1@\n" + host + "\r\n", bytesOf("\r")},
		{"LF of the request line", "GET /a HTTP/1.1\r@" + host + "\r\n", bytesOf("\n")},

		{"name, first", line + host + "@b: c\r\n\r\n", bytesOf(tokenBytes)},
		{"name, within", line + host + "a@b: c\r\n\r\n", with(bytesOf(tokenBytes), ":")},
		{"name, last", line + host + "a@: c\r\n\r\n", with(bytesOf(tokenBytes), ":")},
		{"colon", line + host + "a@c\r\n\r\n", bytesOf(":")},
		{"value, first", line + host + "a:@b\r\n\r\n", value},
		{"value, within", line + host + "a: b@c\r\n\r\n", value},
		{"value of 8 bytes", line + host + "a: b234567@c2345678\r\n\r\n", value},
		{"value of digits, first", line + host + "a: @234567890123456\r\n\r\n", value},
		{"value of digits, eighth", line + host + "a: 1234567@90123456\r\n\r\n", value},
		{"value of digits, ninth", line + host + "a: 12345678@0123456\r\n\r\n", value},
		{"value of digits, last", line + host + "a: 123456789012345@\r\n\r\n", value},
		{"value, last", line + host + "a: b@\r\n\r\n", value},
		{"CR of a field line", line + host + "a: b@\n\r\n", bytesOf("\r")},
		{"LF of a field line", line + host + "a: b\r@\r\n", bytesOf("\n")},
		{"CR of the empty line", line + host + "@\n", bytesOf("\r")},
		{"LF of the empty line", line + host + "\r@", bytesOf("\n")},

		{"host, first", line + "Host: @\r\n\r\n", bytesOf(alphanumeric + "._-")},
		{"host, within", line + "Host: a@1\r\n\r\n", with(bytesOf(alphanumeric+"._-"), ":")},
		{"host, last", line + "Host: a@\r\n\r\n", with(bytesOf(alphanumeric+"._-"), " \t:")},
		{"port, first", line + "Host: a:@1\r\n\r\n", bytesOf("0-9")},
		{"port, last", line + "Host: a:8@\r\n\r\n", with(bytesOf("0-9"), " \t")},
		{"IPv6", line + "Host: [::@]\r\n\r\n", bytesOf("0-9A-Fa-f")},
		{"after IPv6", line + "Host: [::1]@\r\n\r\n", bytesOf(" \t:")},

		{"length, first", post + "Content-Length: @0\r\n\r\n", with(bytesOf("0"), " \t")},
		{"length, last", post + "Content-Length: 0@\r\n\r\n", with(bytesOf("0"), " \t")},
		{"length, a digit", post + "Content-Length: @\r\n\r\n123456789", bytesOf("9")},
		{"coding, within", post + "Transfer-Encoding: chun@ed\r\n\r\n0\r\n\r\n", bytesOf("kK")},
		{"coding, last", post + "Transfer-Encoding: chunked@\r\n\r\n0\r\n\r\n", bytesOf(" \t")},
		{"expectation, within", line + host + "Expect: 100@continue\r\n\r\n", bytesOf("-")},
		{"expectation, first", line + host + "Expect: @100-continue\r\n\r\n", bytesOf(" \t")},
		{"expectation, last", line + host + "Expect: 100-continue@\r\n\r\n", bytesOf(" \t")},

		{"size, first", body + "@5\r\nhello\r\n0\r\n\r\n", bytesOf("0")},
		{"size, last of 10", body + "@\r\n0123456789\r\n0\r\n\r\n", bytesOf("Aa")},
		{"size, last of 15", body + "@\r\n0123456789abcde\r\n0\r\n\r\n", bytesOf("Ff")},
		{"size, last of 9", body + "@\r\n012345678\r\n0\r\n\r\n", bytesOf("9")},
		{"size, second of 26", body + "1@\r\n0123456789abcdefghijklmnop\r\n0\r\n\r\n", bytesOf("Aa")},
		{"size, second of 16", body + "1@\r\n0123456789abcdef\r\n0\r\n\r\n", bytesOf("0")},
		{"after the size", body + "5@\r\nhello\r\n0\r\n\r\n", bytesOf(";")},
		{"extension", body + "5;a@b\r\nhello\r\n0\r\n\r\n", value},
		{"CR of a size line", body + "5@\nhello\r\n0\r\n\r\n", bytesOf("\r")},
		{"LF of a size line", body + "5\r@hello\r\n0\r\n\r\n", bytesOf("\n")},
		{"chunk", body + "5\r\nhe@lo\r\n0\r\n\r\n", bytesOf("\x00-\xff")},
		{"CR of a chunk", body + "5\r\nhello@\n0\r\n\r\n", bytesOf("\r")},
		{"LF of a chunk", body + "5\r\nhello\r@0\r\n\r\n", bytesOf("\n")},
		{"last size", body + "5\r\nhello\r\n@\r\n\r\n", bytesOf("0")},
		{"trailer's name", body + "0\r\na@: b\r\n\r\n", with(bytesOf(tokenBytes), ":")},
		{"trailer's value", body + "0\r\na: b@c\r\n\r\n", value},
		{"CR of a trailer", body + "0\r\na: b@\n\r\n", bytesOf("\r")},
		{"CR of the end", body + "0\r\n@\n", bytesOf("\r")},
		{"LF of the end", body + "0\r\n\r@", bytesOf("\n")},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			before, after, ok := strings.Cut(test.message, "@")
			if !ok {
				t.Fatal("no place")
			}
			var wrong []string
			for c := range 256 {
				message := before + string([]byte{byte(c)}) + after
				out, end := scanAll(t, message, nil, nil)
				if passed := out == message && end == io.EOF.Error(); passed != test.pass[byte(c)] {
					wrong = append(wrong, fmt.Sprintf("%q passes: %t", byte(c), passed))
				}
			}
			if len(wrong) > 0 {
				t.Error(strings.Join(wrong[:min(len(wrong), 8)], ", "))
			}
		})
	}
}

// TestFirstByte: what comes before a request line is one empty line at most.
func TestFirstByte(t *testing.T) {
	const request = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
	for before, passes := range map[string]bool{
		"": true, "\r\n": true, "\r\n\r\n": false, "\n": false, "\r": false, " ": false, "\t": false, "\r\n ": false, "\r\r\n": false, "\x00": false,
	} {
		out, end := scanAll(t, before+request, nil, nil)
		if got := out == request && end == "EOF"; got != passes {
			t.Errorf("%q before a request: %q, %s", before, out, end)
		}
	}
}

// TestLimits has each limit at n and n + 1.
func TestLimits(t *testing.T) {
	const head = "GET / HTTP/1.1\r\nHost: a\r\n"
	pad := func(format string, size int) string {
		return fmt.Sprintf(format, strings.Repeat("a", size-len(format)+2))
	}
	fields := func(n int) string { return head + strings.Repeat("a: b\r\n", n-1) + "\r\n" }
	chunked := "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
	trailers := func(size int) string { return chunked + "0\r\n" + pad("a: %s\r\n", size-2) + "\r\n" }
	for name, test := range map[string]struct {
		at, beyond string
		end        string
	}{
		"request line": {pad("GET /%s HTTP/1.1\r\n", maxRequestLine) + "Host: a\r\n\r\n", pad("GET /%s HTTP/1.1\r\n", maxRequestLine+1) + "Host: a\r\n\r\n", "16 KiB"},
		"head":         {pad(head+"a: %s\r\n\r\n", maxHead), pad(head+"a: %s\r\n\r\n", maxHead+1), "64 KiB"},
		"fields":       {fields(maxFields), fields(maxFields + 1), "200 fields"},
		"size line":    {chunked + pad("0;%s\r\n", maxChunkLine) + "\r\n", chunked + pad("0;%s\r\n", maxChunkLine+1) + "\r\n", "too long"},
		"size digits":  {chunked + strings.Repeat("0", maxChunkDigits) + "\r\n\r\n", chunked + strings.Repeat("0", maxChunkDigits+1) + "\r\n\r\n", "too large"},
		"trailers":     {trailers(maxTrailers), trailers(maxTrailers + 1), "too long"},
		"length":       {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9223372036854775807\r\n\r\n", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9223372036854775808\r\n\r\n", "too large"},
		"port":         {"GET / HTTP/1.1\r\nHost: a:65535\r\n\r\n", "GET / HTTP/1.1\r\nHost: a:65536\r\n\r\n", "65535"},
		"least port":   {"GET / HTTP/1.1\r\nHost: a:1\r\n\r\n", "GET / HTTP/1.1\r\nHost: a:0\r\n\r\n", "65535"},
	} {
		if out, end := scanAll(t, test.at, nil, nil); out != test.at {
			t.Errorf("%s, at the limit: %s", name, end)
		}
		if _, end := scanAll(t, test.beyond, nil, nil); !strings.Contains(end, test.end) {
			t.Errorf("%s, beyond the limit: %q, want %q", name, end, test.end)
		}
	}
}

// TestReasons: a refusal names the rule that was broken, and has its status.
func TestReasons(t *testing.T) {
	line := func(target, version string) string { return "GET " + target + " " + version + "\r\nHost: a\r\n\r\n" }
	field := func(f string) string { return "GET / HTTP/1.1\r\nHost: a\r\n" + f + "\r\n\r\n" }
	host := func(h string) string { return "GET / HTTP/1.1\r\nHost: " + h + "\r\n\r\n" }
	coding := func(c string) string { return field("Transfer-Encoding: " + c) }
	for _, test := range []struct {
		name, message string
		status        int
		reason        string
	}{
		{"a later version", line("/", "HTTP/2.0"), 501, "chosen in the TLS handshake"},
		{"an earlier version", line("/", "HTTP/0.9"), 501, "chosen in the TLS handshake"},
		{"a minor version of two digits", line("/", "HTTP/1.10"), 400, "does not end in HTTP/1.1"},
		{"a minor version of no digit", line("/", "HTTP/1."), 400, "does not end in HTTP/1.1"},
		{"a version without a dot", line("/", "HTTP/1x1"), 400, "does not end in HTTP/1.1"},
		{"a letter for a major version", line("/", "HTTP/x.1"), 400, "does not end in HTTP/1.1"},
		{"a letter for a minor version", line("/", "HTTP/1.x"), 400, "does not end in HTTP/1.1"},
		{"a version of something else", line("/", "HTCPCP/1.1"), 400, "does not end in HTTP/1.1"},

		{"a fragment", line("/#a", "HTTP/1.1"), 400, "a fragment"},
		{"a CR in the target", line("/\ra", "HTTP/1.1"), 400, "a CR is not followed"},
		{"a control character in the target", line("/\x01", "HTTP/1.1"), 400, "a control character"},
		{"the first byte outside ASCII in the target", line("/\x80", "HTTP/1.1"), 400, "outside ASCII"},
		{"DEL in the target", line("/\x7f", "HTTP/1.1"), 400, "a control character"},
		{"OPTIONS *", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", 501, "names no host"},
		{"OPTIONS and more than *", "OPTIONS *a HTTP/1.1\r\nHost: a\r\n\r\n", 400, "neither a path nor"},
		{"OPTIONS and another character", "OPTIONS a HTTP/1.1\r\nHost: a\r\n\r\n", 400, "neither a path nor"},
		{"a URL without host", line("http:///a", "HTTP/1.1"), 400, "the host is empty"},
		{"a URL of another host", line("http://b/", "HTTP/1.1"), 400, "different hosts"},

		{"a folded field", field(" a: b"), 400, "line folding"},
		{"a folded field without colon", field("\ta"), 400, "line folding"},
		{"a CR in a value", field("a: b\rc"), 400, "a CR is not followed"},
		{"a control character in a value", field("a: b\x01c"), 400, "value has a control character"},
		{"a user name", host("u@a"), 400, "a user name"},
		{"an empty user name", host("@a"), 400, "a user name"},
		{"an IPv4 address in brackets", host("[127.0.0.1]"), 400, "not an IPv6 address"},
		{"an IPv6 address with a zone", host("[fe80::1%eth0]"), 400, "not an IPv6 address"},
		{"a name in brackets", host("[a]"), 400, "not an IPv6 address"},

		{"another coding", coding("gzip"), 501, "other than chunked"},
		{"another coding before chunked", coding("gzip , chunked"), 501, "other than chunked"},
		{"chunked before another coding", coding("chunked , gzip"), 400, "not the last"},
		{"chunked twice", coding("chunked , chunked"), 400, "more than once"},
		{"chunked twice with another between", coding("chunked, gzip, chunked"), 400, "more than once"},
		{"chunked twice before another", coding("chunked, chunked, gzip"), 400, "more than once"},
		{"an empty member", coding("gzip, , chunked"), 400, "an empty member"},
		{"an empty member at the end", coding("chunked,"), 400, "an empty member"},
		{"no coding", coding(""), 400, "an empty member"},
		{"a coding that ends in chunked", coding("xchunked"), 501, "other than chunked"},
	} {
		c := Scan(&cut{rest: test.message}, 0)
		if out, _ := io.ReadAll(c); string(out) != refusedHead || c.refusal == nil || c.refusal.Status != test.status || !strings.Contains(c.refusal.Reason, test.reason) {
			t.Errorf("%s: %v after %q; want %d, %q", test.name, c.refusal, out, test.status, test.reason)
		}
	}
}

// TestBodyReasons: the same of what is wrong with a body, which is known as soon as
// it has come.
func TestBodyReasons(t *testing.T) {
	const head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
	for _, test := range []struct{ name, body, reason string }{
		{"LF in place of a size", "\n", "LF without CR"},
		{"a size line without CR", "5\n", "LF without CR"},
		{"a size line without end", strings.Repeat("0", maxChunkDigits) + ";" + strings.Repeat("a", maxChunkLine-maxChunkDigits-1), "too long"},
		{"LF in place of a trailer", "0\r\n\n", "LF without CR"},
		{"a trailer without end", "0\r\na:" + strings.Repeat("a", maxTrailers-2), "too long"},
		{"a trailer that frames", "0\r\nContent-Length: 1\r\n", "named content-length"},
		{"a trailer without name", "0\r\n: 1\r\n", "has no name"},
		{"a chunk that goes on", "1\r\nab", "longer than its size"},
		{"a chunk that goes on after CR", "1\r\na\rb", "longer than its size"},
	} {
		c := Scan(&silent{cut{rest: head + test.body}}, 0)
		_, err := io.ReadAll(c)
		var broken *BodyError
		if !errors.As(err, &broken) || !strings.Contains(broken.Reason, test.reason) || errors.Is(err, io.ErrUnexpectedEOF) || c.fault.Load() != broken {
			t.Errorf("%s: %v; want %q", test.name, err, test.reason)
		}
	}
}

// TestForbiddenTrailers: fields that frame, route or authorise a message are refused in
// trailers; others pass, including those whose names begin or end like them.
func TestForbiddenTrailers(t *testing.T) {
	names := []string{
		"content-length", "transfer-encoding", "host", "trailer", "connection", "upgrade", "te", "expect",
		"content-type", "content-encoding", "content-range", "authorization", "proxy-authorization", "cookie",
	}
	for _, name := range names {
		for _, spelled := range []string{name, strings.ToUpper(name), name[:1] + strings.ToUpper(name[1:])} {
			if broken := checkTrailer([]byte(spelled + ": 1")); broken == nil {
				t.Errorf("%s is a trailer", spelled)
			}
		}
		for _, other := range []string{name + "x", "x" + name, name[1:]} {
			if broken := checkTrailer([]byte(other + ": 1")); broken != nil && !slices.Contains(names, other) {
				t.Errorf("%s is not a trailer: %v", other, broken)
			}
		}
	}
}
