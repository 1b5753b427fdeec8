package message

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"time"
)

// emptyPatience is how long an HTTP/2 client may take to end a body that it
// announced as empty.
const emptyPatience = 10 * time.Second

// Refused reports whether r must not be served, and why. The outermost handler
// calls it first, and answers with the refusal's status; it reads no body and
// passes r on to nobody. For HTTP/1, r then has nothing of the client's in it,
// and the connection is closed after it.
//
// w is that of the same request. An HTTP/2 request with "content-length: 0"
// whose stream is still open is waited for, at most 10 seconds: it is empty
// only if no data follows. An empty port is taken off r.Host (RFC 3986 §6.2.3).
func Refused(w http.ResponseWriter, r *http.Request) (*Refusal, bool) {
	refusal := standsFor(r)
	defer func() { r.Host = strings.TrimSuffix(r.Host, ":") }() // valid by now, or refused
	if r.ProtoMajor == 2 {
		refusal = checkHTTP2(w, r)
	}
	return refusal, refusal != nil
}

// standsFor is the refusal that r was put in place of; nil for a request that
// the client sent.
func standsFor(r *http.Request) *Refusal {
	if r.Method != refusedMethod {
		return nil
	}
	c, ok := r.Context().Value(connKey{}).(*Conn)
	if !ok {
		return nil
	}
	return c.refusal
}

// checkHTTP2 judges what net/http has read of an HTTP/2 request by the rules of
// HTTP/1, and the pseudo-fields by RFC 9113 §8.3.1. net/http itself refuses
// names in upper case, fields of the connection, a :path without a slash, a
// :scheme other than http and https, and CONNECT with a :protocol. It does not
// tell which :scheme it was; nothing depends on it, since the connection says
// what is true.
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

// checkHosts judges :authority, and a Host field next to it.
func checkHosts(r *http.Request) *Refusal {
	if refusal := checkAuthority([]byte(r.Host)); refusal != nil {
		return refusal
	}
	switch hosts := r.Header["Host"]; {
	case len(hosts) > 1:
		return refuse(400, "9113 §8.3.1", "there are two Host fields")
	case len(hosts) == 1 && !sameAuthority(hosts[0], r.Host):
		return refuse(400, "9113 §8.3.1", "Host and :authority name different hosts")
	}
	return nil
}

// sameAuthority compares two authorities of https. b is a valid one.
func sameAuthority(a, b string) bool {
	a, b = strings.TrimSuffix(strings.TrimSuffix(a, ":443"), ":"), strings.TrimSuffix(strings.TrimSuffix(b, ":443"), ":")
	return equalFold([]byte(a), strings.ToLower(b))
}

// checkFields judges how many fields there are and how long they are as HTTP/1
// writes them, and those that frame or hold back a body.
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
		return refuse(417, "9110 §10.1.1", "there are two Expect fields")
	case len(expects) == 1: // net/http removes one that holds 100-continue
		return checkExpect([]byte(expects[0]))
	}
	return nil
}

// checkLength judges content-length, which net/http takes for 0 where it is not
// a number (RFC 9113 §8.1.1). The sum of the data is net/http's to check.
func checkLength(w http.ResponseWriter, r *http.Request) *Refusal {
	lengths, said := r.Header["Content-Length"]
	if !said {
		return nil
	}
	if len(lengths) != 1 {
		return refuse(400, "9113 §8.1.1", "there are two content-length fields")
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

// awaitEmpty waits for the end of a body that was announced as empty, since
// everybody after this takes it for complete.
func awaitEmpty(w http.ResponseWriter, r *http.Request) *Refusal {
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Now().Add(emptyPatience)) // a stream that is gone fails to read too
	n, err := r.Body.Read(make([]byte, 1))
	if n > 0 || !errors.Is(err, io.EOF) {
		return refuse(400, "9113 §8.1.1", "content-length is 0, and the body is not empty")
	}
	_ = control.SetReadDeadline(time.Time{})
	return nil
}
