package smuggle

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"strings"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// HTTP2Case is a request as HTTP/2 frames, on its own connection.
type HTTP2Case struct {
	Name, Rule string
	// Fields are the field lines in their order; "{host}" stands for the
	// authority of the server.
	Fields [][2]string
	// Data are the DATA frames; nil ends the stream with HEADERS. Open leaves
	// the stream open after them.
	Data []string
	Open bool
	// Expect is a status; "reset" for a stream or connection error; "refused"
	// for either, or 400; or "forward METHOD TARGET BODY". Whatever is not
	// forwarded must not reach an upstream as a complete message.
	Expect string
}

// request is a list of fields: the pseudo-fields, with those of change in their
// places and the others of change after them.
func request(method string, change ...string) [][2]string {
	fields := [][2]string{{":method", method}, {":scheme", "https"}, {":authority", "{host}"}, {":path", "/a"}}
	for i := 0; i < len(change); i += 2 {
		replaced := false
		for j := range fields[:4] {
			if fields[j][0] == change[i] {
				fields[j][1], replaced = change[i+1], true
			}
		}
		if !replaced {
			fields = append(fields, [2]string{change[i], change[i+1]})
		}
	}
	return fields
}

// without is fields without those of a name.
func without(name string, fields [][2]string) [][2]string {
	var rest [][2]string
	for _, field := range fields {
		if field[0] != name {
			rest = append(rest, field)
		}
	}
	return rest
}

// HTTP2Cases are all cases.
func HTTP2Cases() []HTTP2Case {
	var cases []HTTP2Case
	add := func(name, rule, expect string, fields [][2]string, data ...string) {
		cases = append(cases, HTTP2Case{Name: name, Rule: rule, Expect: expect, Fields: fields, Data: data})
	}
	get := func(name, rule, expect string, change ...string) { add(name, rule, expect, request("GET", change...)) }
	post := func(name, expect string, change []string, data ...string) {
		add(name, "RFC 9113 §8.1.1", expect, request("POST", change...), data...)
	}

	get("a request", "RFC 9113 §8.3.1", `forward GET /a ""`)
	get("a query with what browsers do not encode", "RFC 9112 §3.2", `forward GET /a?x=|^{}"<> ""`, ":path", `/a?x=|^{}"<>`)
	get("an encoded slash", "RFC 3986 §2.1", `forward GET /a%2Fb ""`, ":path", "/a%2Fb")
	add("an extension method", "RFC 9110 §9.1", `forward PROPFIND /a ""`, request("PROPFIND"))
	post("a body with its length", `forward POST /a "hello"`, []string{"content-length", "5"}, "hello")
	post("a body in two frames", `forward POST /a "hello"`, []string{"content-length", "5"}, "he", "llo")
	post("a body without a length", `forward POST /a "hello"`, nil, "hello")
	post("an empty body that ends in DATA", `forward POST /a ""`, []string{"content-length", "0"}, "")
	post("an empty body that ends in HEADERS", `forward POST /a ""`, []string{"content-length", "0"})
	post("leading zeros", `forward POST /a "hello"`, []string{"content-length", "0005"}, "hello")

	for _, authority := range []string{
		"{host}/app", "{host}/", "{host}?x", "{host}#x", "user@{host}", "@{host}", "{host}@evil", "{host} ", " {host}", "{host}\\x",
		"{host},evil", "{host};x", "ev%69l", "http://{host}", "{host}:0", "{host}:99999", "[::1", "[::1]x", "[fe80::1%25eth0]", "sh\xc3\xb6p", "",
	} {
		get(fmt.Sprintf("authority %q", authority), "RFC 9113 §8.3.1", "refused", ":authority", authority)
	}
	for _, path := range []string{
		"/x\xff", "/\xc3\xb6", "/x#f", "/x?y#f", "/a b", "/a HTTP/1.1", "/a\\b", "/a%", "/a%2", "/a%zz", "/a%2z", "/a?\xff", "/a? b",
		"http://evil/x", "https://{host}/x", "a", "", "?x", "*", "//\x7f",
	} {
		get(fmt.Sprintf("path %q", path), "RFC 9113 §8.3.1", "refused", ":path", path)
	}
	get("a path of 17 KiB", "RFC 9110 §15.5.15", "414", ":path", "/"+strings.Repeat("a", 17<<10))
	add("OPTIONS *", "RFC 9110 §9.3.7", "501", request("OPTIONS", ":path", "*"))
	for _, method := range []string{"G T", "G\tT", "GET ", " GET", "GET /x HTTP/1.1", "G(T", "G\xffT", "G:T", "", "!REFUSED!"} {
		add(fmt.Sprintf("method %q", method), "RFC 9110 §9.1", "refused", request(method))
	}
	add("CONNECT", "RFC 9110 §9.3.6", "501", [][2]string{{":method", "CONNECT"}, {":authority", "{host}"}})
	add("CONNECT with a path", "RFC 9113 §8.5", "refused", request("CONNECT"))
	add("extended CONNECT", "RFC 8441 §4", "refused", request("CONNECT", ":protocol", "websocket"))
	for _, scheme := range []string{"ftp", "", "HTTPS", "https "} {
		get(fmt.Sprintf("scheme %q", scheme), "RFC 9113 §8.3.1", "refused", ":scheme", scheme)
	}
	get("the scheme of plain HTTP", "RFC 9113 §8.3.1", `forward GET /a ""`, ":scheme", "http")
	for _, pseudo := range []string{":method", ":scheme", ":authority", ":path"} {
		add("without "+pseudo, "RFC 9113 §8.3.1", "refused", without(pseudo, request("GET")))
		add("twice "+pseudo, "RFC 9113 §8.3", "refused", append([][2]string{{pseudo, "/"}}, request("GET")...))
	}
	add("a pseudo-field after a field", "RFC 9113 §8.3", "refused", append([][2]string{{"x", "y"}}, request("GET")...))

	add("Host alone", "RFC 9113 §8.3.1", `forward GET /a ""`, append(without(":authority", request("GET")), [2]string{"host", "{host}"}))
	get("the same Host", "RFC 9113 §8.3.1", `forward GET /a ""`, "host", "{host}")
	get("another Host", "RFC 9113 §8.3.1", "400", "host", "evil.example")
	get("an empty Host", "RFC 9113 §8.3.1", "400", "host", "")
	get("two Hosts", "RFC 9113 §8.3.1", "400", "host", "{host}", "host", "{host}")

	for _, length := range []string{
		"-5", "+5", "0x5", "", " 5", "5 ", "5, 5", "5,6", "5.0", "5e0", "1_0", "five", "-0", "+0", "18446744073709551621", "9223372036854775808", "0:",
	} {
		post(fmt.Sprintf("content-length %q without data", length), "refused", []string{"content-length", length})
		post(fmt.Sprintf("content-length %q with data", length), "refused", []string{"content-length", length}, "hello")
	}
	post("two lengths", "refused", []string{"content-length", "5", "content-length", "6"}, "hello")
	post("a length without data", "refused", []string{"content-length", "5"})
	post("a length and an empty frame", "refused", []string{"content-length", "5"}, "")
	post("less than its length", "refused", []string{"content-length", "5"}, "hell")
	post("more than its length in one frame", "refused", []string{"content-length", "5"}, "hello!")
	post("more than its length of 0", "refused", []string{"content-length", "0"}, "hello")
	post("more than its length of 0, later", "refused", []string{"content-length", "0"}, "", "hello")

	get("Transfer-Encoding", "RFC 9113 §8.2.2", "refused", "transfer-encoding", "chunked")
	get("Connection", "RFC 9113 §8.2.2", "refused", "connection", "close")
	get("an upper-case name", "RFC 9113 §8.2.1", "refused", "X-Y", "z")
	get("a CR in a value", "RFC 9113 §8.2.1", "refused", "x", "y\rz")
	get("a LF in a value", "RFC 9113 §8.2.1", "refused", "x", "y\nz")
	get("a NUL in a value", "RFC 9113 §8.2.1", "refused", "x", "y\x00z")
	get("a colon in a name", "RFC 9113 §8.2.1", "refused", "x:y", "z")
	get("a blank in a name", "RFC 9113 §8.2.1", "refused", "x ", "z")
	get("Expect", "RFC 9110 §10.1.1", `forward GET /a ""`, "expect", "100-continue")
	get("Expect with something before it", "RFC 9110 §10.1.1", "417", "expect", "x 100-continue")
	get("another Expect", "RFC 9110 §10.1.1", "417", "expect", "x")
	var many []string
	for range 201 {
		many = append(many, "x", "y")
	}
	get("201 fields", "RFC 6585 §5", "431", many...)
	return cases
}

// Send sends c on conn, which has agreed on HTTP/2, and returns what became of
// it: the status, or "reset". An error means that neither came before the
// deadline of conn, or that the connection ended without a word.
func (c HTTP2Case) Send(conn net.Conn, host string) (outcome string, err error) {
	if _, err := io.WriteString(conn, http2.ClientPreface); err != nil {
		return "", err
	}
	framer := http2.NewFramer(conn, conn)
	framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	framer.AllowIllegalWrites = true
	if err := framer.WriteSettings(); err != nil {
		return "", err
	}
	if err := c.write(framer, host); err != nil {
		return "", err
	}
	for {
		frame, err := framer.ReadFrame()
		if err != nil {
			return "", err
		}
		switch frame := frame.(type) {
		case *http2.SettingsFrame:
			if !frame.IsAck() {
				_ = framer.WriteSettingsAck() // reading tells
			}
		case *http2.MetaHeadersFrame:
			if status := frame.PseudoValue("status"); !strings.HasPrefix(status, "1") {
				return status, nil
			}
		case *http2.RSTStreamFrame:
			return "reset", nil
		case *http2.GoAwayFrame:
			if frame.ErrCode != http2.ErrCodeNo {
				return "reset", nil
			}
		}
	}
}

func (c HTTP2Case) write(framer *http2.Framer, host string) error {
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	for _, field := range c.Fields {
		value := strings.ReplaceAll(field[1], "{host}", host)
		if err := encoder.WriteField(hpack.HeaderField{Name: field[0], Value: value}); err != nil {
			return err
		}
	}
	const most = 16 << 10
	first := block.Next(most)
	err := framer.WriteHeaders(http2.HeadersFrameParam{
		StreamID: 1, BlockFragment: first, EndHeaders: block.Len() == 0, EndStream: c.Data == nil && !c.Open,
	})
	for err == nil && block.Len() > 0 {
		fragment := block.Next(most)
		err = framer.WriteContinuation(1, block.Len() == 0, fragment)
	}
	for i, data := range c.Data {
		if err == nil {
			err = framer.WriteData(1, i == len(c.Data)-1 && !c.Open, []byte(data))
		}
	}
	return err
}

// Judge returns the problem of an outcome, and with the complete messages
// (METHOD TARGET "BODY") that an upstream got; "" when nothing is.
func (c HTTP2Case) Judge(outcome string, messages []string) string {
	expect, want, _ := strings.Cut(c.Expect, " ")
	good := outcome == expect
	switch expect {
	case "forward":
		good = outcome == "200" && len(messages) == 1 && messages[0] == want
	case "refused":
		good = outcome == "400" || outcome == "reset"
	}
	if good && (expect == "forward" || len(messages) == 0) {
		return ""
	}
	return fmt.Sprintf("%s: the outcome is %q, want %s; at the upstream: %q", c.Rule, outcome, c.Expect, messages)
}
