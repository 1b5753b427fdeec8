package message

import "bytes"

// Limits of a head. They are far above what browsers send, and bound the memory that the
// scanner holds for a connection.
const (
	maxRequestLine = 16 << 10 // a long URL with its query; more is 414
	maxHead        = 64 << 10 // net/http's own limit is 1 MiB; more is 431
	maxFields      = 200      // all cookies are one field; more is 431
)

// head checks a head line by line as it arrives, so that each byte is read once and the
// result does not depend on how the bytes were split.
type head struct {
	checked  int // bytes of lines that were checked
	searched int // bytes known to have no further line end

	http10    bool
	authority span // of a target in absolute form
	fields    int
	hosts     int
	hasLength bool
	length    int64
	chunked   bool
	upgrade   bool
	expects   bool
}

// scan checks b, which has the head from its first byte on. It returns the head's length
// once all of it is there, 0 before.
func (h *head) scan(b []byte) (int, *Refusal) {
	for {
		end, refusal := h.lineEnd(b)
		if end < 0 {
			return 0, refusal
		}
		line := b[h.checked:end]
		if len(line) == 0 || line[len(line)-1] != '\r' {
			return 0, refuse(400, "9112 §2.2", "a line ends in LF without CR")
		}
		line = line[:len(line)-1]
		switch {
		case h.checked == 0:
			refusal = h.requestLine(line)
		case len(line) == 0:
			return end + 1, h.finish()
		default:
			refusal = h.field(line, h.authority.of(b))
		}
		if refusal != nil {
			return 0, refusal
		}
		h.checked = end + 1
	}
}

// lineEnd is the index of the LF of the next line, -1 while that is incomplete.
func (h *head) lineEnd(b []byte) (int, *Refusal) {
	limit := maxHead
	if h.checked == 0 {
		limit = maxRequestLine
	}
	window := b[:min(len(b), limit)]
	from := max(h.searched, h.checked)
	if i := bytes.IndexByte(window[from:], '\n'); i >= 0 {
		return from + i, nil
	}
	h.searched = len(window)
	switch {
	case len(b) < limit:
		return -1, nil
	case h.checked == 0:
		return -1, refuse(414, "9112 §3", "the request line is longer than 16 KiB")
	}
	return -1, refuse(431, "6585 §5", "the head is longer than 64 KiB")
}

// requestLine checks METHOD SP TARGET SP VERSION (RFC 9112 §3): single spaces, nothing
// around them.
func (h *head) requestLine(line []byte) *Refusal {
	method, rest, _ := bytes.Cut(line, []byte(" "))
	target, version, ok := bytes.Cut(rest, []byte(" "))
	if !ok {
		return refuse(400, "9112 §3", "the request line is not METHOD TARGET VERSION")
	}
	if refusal := h.checkVersion(version); refusal != nil {
		return refusal
	}
	if refusal := checkMethod(method); refusal != nil {
		return refusal
	}
	authority, refusal := checkTarget(method, target)
	shift := len(method) + 1
	h.authority = span{authority.from + shift, authority.to + shift}
	return refusal
}

// checkMethod checks the method of a request.
func checkMethod(method []byte) *Refusal {
	switch {
	case !isToken(method), string(method) == refusedMethod:
		return refuse(400, "9110 §9.1", "the method is not a token")
	case string(method) == "CONNECT":
		return refuse(501, "9110 §9.3.6", "CONNECT is for forward proxies, and devproxy is not one")
	}
	return nil
}

func (h *head) checkVersion(version []byte) *Refusal {
	switch string(version) {
	case "HTTP/1.1":
		return nil
	case "HTTP/1.0":
		h.http10 = true
		return nil
	}
	number, ok := bytes.CutPrefix(version, []byte("HTTP/"))
	if ok && len(number) == 3 && isDigit(number[0]) && number[1] == '.' && isDigit(number[2]) {
		return refuse(501, "9110 §2.5", "this connection uses HTTP/1.1 and 1.0; HTTP/2 is chosen in the TLS handshake")
	}
	return refuse(400, "9112 §2.3", "the request line does not end in HTTP/1.1")
}

// field checks a field line and notes what frames the message. authority is that of the
// target, empty unless it is in absolute form.
func (h *head) field(line, authority []byte) *Refusal {
	if h.fields++; h.fields > maxFields {
		return refuse(431, "6585 §5", "the head has more than 200 fields")
	}
	name, value, refusal := parseField(line)
	if refusal != nil {
		return refusal
	}
	switch {
	case equalFold(name, "host"):
		return h.noteHost(value, authority)
	case equalFold(name, "content-length"):
		return h.noteLength(value)
	case equalFold(name, "transfer-encoding"):
		return h.noteCoding(value)
	case equalFold(name, "upgrade"):
		h.upgrade = true
	case equalFold(name, "expect"):
		return h.noteExpect(value)
	}
	return nil
}

func (h *head) noteHost(value, authority []byte) *Refusal {
	if h.hosts++; h.hosts > 1 {
		return refuse(400, "9112 §3.2", "two Host fields")
	}
	if refusal := checkAuthority(value); refusal != nil {
		return refusal
	}
	// Both are ASCII by now, so folding concerns only the case of letters.
	if len(authority) > 0 && !bytes.EqualFold(withoutEmptyPort(authority), withoutEmptyPort(value)) {
		return refuse(400, "9112 §3.2.2", "Host and the request target name different hosts")
	}
	return nil
}

func (h *head) noteLength(value []byte) (refusal *Refusal) {
	if h.hasLength {
		return refuse(400, "9112 §6.3", "two Content-Length fields")
	}
	h.hasLength = true
	h.length, refusal = parseLength(oneLength(value))
	return refusal
}

func (h *head) noteExpect(value []byte) *Refusal {
	if h.expects {
		return refuse(417, "9110 §10.1.1", "two Expect fields")
	}
	h.expects = true
	return checkExpect(value)
}

func (h *head) noteCoding(value []byte) *Refusal {
	if h.chunked {
		return refuse(400, "9112 §6.1", "two Transfer-Encoding fields")
	}
	h.chunked = true
	return parseCoding(value)
}

// finish checks what depends on the whole head.
func (h *head) finish() *Refusal {
	switch {
	case h.chunked && h.http10:
		return refuse(400, "9112 §6.1", "HTTP/1.0 has no Transfer-Encoding")
	case h.chunked && h.hasLength:
		return refuse(400, "9112 §6.3", "both Content-Length and Transfer-Encoding")
	case h.hosts == 0 && !h.http10:
		return refuse(400, "9112 §3.2", "the Host field is missing")
	}
	return nil
}
