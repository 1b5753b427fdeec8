package message

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"time"
)

// emptyPatience is how long an HTTP/2 client may take to end a body that it announced as
// empty.
const emptyPatience = 10 * time.Second

// Refused reports whether r must not be served, and why. The outermost handler calls it
// first and answers with the refusal's status; it must not read the body or pass r on. For
// HTTP/1, a refused r has nothing from the client, and the connection is closed after it.
//
// w belongs to the same request. For an HTTP/2 request with "content-length: 0" whose stream
// is still open, Refused waits up to 10 seconds: it is empty only if no data follows. It
// removes an empty port from r.Host (RFC 3986 §6.2.3).
func Refused(w http.ResponseWriter, r *http.Request) (*Refusal, bool) {
	var refusal *Refusal
	if r.Method == refusedMethod {
		if c, ok := r.Context().Value(connKey{}).(*Conn); ok {
			refusal = c.refusal
		}
	}
	defer func() { r.Host = strings.TrimSuffix(r.Host, ":") }() // valid by now, or refused
	if r.ProtoMajor == 2 {
		refusal = checkHTTP2(w, r)
	}
	return refusal, refusal != nil
}

// checkHTTP2 applies the rules of HTTP/1 to what net/http has read of an HTTP/2 request, and
// RFC 9113 §8.3.1 to the pseudo-fields. net/http itself refuses names in upper case, fields
// of the connection, a :path without a slash, a :scheme other than http and https, and
// CONNECT with a :protocol. It does not return the :scheme; nothing depends on it, since the
// connection determines it.
func checkHTTP2(w http.ResponseWriter, r *http.Request) *Refusal {
	for _, check := range [...]func(*http.Request) *Refusal{checkRequestLine, checkHosts, checkFields} {
		if refusal := check(r); refusal != nil {
			return refusal
		}
	}
	return checkLength(w, r)
}

func checkRequestLine(r *http.Request) *Refusal {
	if refusal := checkMethod([]byte(r.Method)); refusal != nil {
		return refusal
	}
	switch target := r.RequestURI; {
	case len(target) > maxRequestLine:
		return refuse(414, "9110 §15.5.15", "the path is longer than 16 KiB")
	case !strings.HasPrefix(target, "/") && target != "*":
		return refuse(400, "9113 §8.3.1", "the path does not begin with a slash")
	default:
		_, refusal := checkTarget([]byte(r.Method), []byte(target))
		return refusal
	}
}

// checkHosts checks :authority, and a Host field next to it.
func checkHosts(r *http.Request) *Refusal {
	if refusal := checkAuthority([]byte(r.Host)); refusal != nil {
		return refusal
	}
	switch hosts := r.Header["Host"]; {
	case len(hosts) > 1:
		return refuse(400, "9113 §8.3.1", "two Host fields")
	case len(hosts) == 1 && !sameAuthority(hosts[0], r.Host):
		return refuse(400, "9113 §8.3.1", "Host and :authority name different hosts")
	}
	return nil
}

// sameAuthority compares two authorities of https. b is valid.
func sameAuthority(a, b string) bool {
	a, b = strings.TrimSuffix(strings.TrimSuffix(a, ":443"), ":"), strings.TrimSuffix(strings.TrimSuffix(b, ":443"), ":")
	return equalFold([]byte(a), strings.ToLower(b))
}

// checkFields checks the number of fields and their length as HTTP/1 writes them, and the
// fields that delay a body.
func checkFields(r *http.Request) *Refusal {
	count, size := 0, len(r.Method)+len(r.RequestURI)
	for name, values := range r.Header {
		count += len(values)
		for _, value := range values {
			size += len(name) + len(": \r\n") + len(value)
		}
	}
	expects := r.Header["Expect"]
	switch {
	case size > maxHead:
		return refuse(431, "6585 §5", "the head is longer than 64 KiB")
	case count > maxFields:
		return refuse(431, "6585 §5", "the head has more than 200 fields")
	case len(expects) > 1:
		return refuse(417, "9110 §10.1.1", "two Expect fields")
	case len(expects) == 1: // net/http removes one with 100-continue
		return checkExpect([]byte(expects[0]))
	}
	return nil
}

// checkLength checks content-length, which net/http reads as 0 if it is not a number
// (RFC 9113 §8.1.1). net/http itself compares it with the data.
func checkLength(w http.ResponseWriter, r *http.Request) *Refusal {
	lengths, given := r.Header["Content-Length"]
	if !given {
		return nil
	}
	if len(lengths) != 1 {
		return refuse(400, "9113 §8.1.1", "two content-length fields")
	}
	n, refusal := parseLength([]byte(lengths[0]))
	switch {
	case refusal != nil:
		return refusal
	case n != r.ContentLength:
		return refuse(400, "9113 §8.1.1", "content-length is not the length of the body")
	case n > 0 || r.Body == nil || r.Body == http.NoBody:
		return nil
	}
	return awaitEmpty(w, r)
}

// awaitEmpty waits for the end of a body that was announced as empty: all later code assumes
// that it is complete.
func awaitEmpty(w http.ResponseWriter, r *http.Request) *Refusal {
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Now().Add(emptyPatience)) // reading a closed stream fails too
	n, err := r.Body.Read(make([]byte, 1))
	if n > 0 || !errors.Is(err, io.EOF) {
		return refuse(400, "9113 §8.1.1", "content-length is 0, and the body is not empty")
	}
	_ = control.SetReadDeadline(time.Time{})
	return nil
}
