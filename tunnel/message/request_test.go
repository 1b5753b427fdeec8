package message

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// http2Request is a request as net/http hands it on.
func http2Request(change func(*http.Request)) *http.Request {
	r := &http.Request{
		Method: "GET", RequestURI: "/a", URL: &url.URL{Path: "/a"}, Host: "a", Proto: "HTTP/2.0", ProtoMajor: 2,
		Header: http.Header{}, Body: http.NoBody, TLS: &tls.ConnectionState{},
	}
	change(r)
	return r
}

// statusOf is the status with which an HTTP/2 request is refused; 0 if it is not.
func statusOf(change func(*http.Request)) int {
	refusal, refused := Refused(httptest.NewRecorder(), http2Request(change))
	if !refused {
		return 0
	}
	return refusal.Status
}

// unread is a body that nobody may read yet.
type unread struct{ io.ReadCloser }

func (unread) Read([]byte) (int, error) { panic("the body was read") }

func TestHTTP2(t *testing.T) {
	field := func(name string, values ...string) func(*http.Request) {
		return func(r *http.Request) { r.Header[name] = values }
	}
	length := func(n int64, values ...string) func(*http.Request) {
		return func(r *http.Request) { r.ContentLength, r.Header["Content-Length"] = n, values }
	}
	target := func(s string) func(*http.Request) { return func(r *http.Request) { r.RequestURI = s } }
	for name, test := range map[string]struct {
		change func(*http.Request)
		status int
	}{
		"a request":                  {func(*http.Request) {}, 0},
		"another method":             {func(r *http.Request) { r.Method = "PROPFIND" }, 0},
		"no method":                  {func(r *http.Request) { r.Method = "" }, 400},
		"the reserved method":        {func(r *http.Request) { r.Method = refusedMethod }, 400},
		"CONNECT":                    {func(r *http.Request) { r.Method, r.RequestURI = "CONNECT", "a:443" }, 501},
		"OPTIONS *":                  {func(r *http.Request) { r.Method, r.RequestURI = "OPTIONS", "*" }, 501},
		"GET *":                      {target("*"), 400},
		"**":                         {target("**"), 400},
		"absolute form":              {target("https://a/a"), 400},
		"no path":                    {target(""), 400},
		"the longest path":           {target("/" + strings.Repeat("a", maxRequestLine-1)), 0},
		"a longer path":              {target("/" + strings.Repeat("a", maxRequestLine)), 414},
		"two slashes":                {target("//a/b"), 0},
		"no authority":               {func(r *http.Request) { r.Host = "" }, 400},
		"the same Host":              {field("Host", "a"), 0},
		"the same Host, other case":  {field("Host", "A"), 0},
		"Host with the default port": {field("Host", "a:443"), 0},
		"Host with another port":     {field("Host", "a:80"), 400},
		"another Host":               {field("Host", "b"), 400},
		"a longer Host":              {field("Host", "aa"), 400},
		"an empty Host":              {field("Host", ""), 400},
		"two Hosts":                  {field("Host", "a", "a"), 400},
		"as many fields as may be":   {field("X", make([]string, maxFields)...), 0},
		"more fields":                {field("X", make([]string, maxFields+1)...), 431},
		"a long field":               {field("X", strings.Repeat("a", maxHead-100)), 0},
		"a longer field":             {field("X", strings.Repeat("a", maxHead)), 431},
		"long fields":                {field("X", strings.Repeat("a", maxHead/2), strings.Repeat("a", maxHead/2)), 431},
		"more fields in two names": {func(r *http.Request) {
			r.Header["X"], r.Header["Y"] = make([]string, maxFields), make([]string, 1)
		}, 431},
		"Expect":              {field("Expect", "100-Continue"), 0},
		"an empty Expect":     {field("Expect", ""), 0},
		"another Expect":      {field("Expect", "x 100-continue"), 417},
		"two Expects":         {field("Expect", "100-continue", "100-continue"), 417},
		"a length":            {length(5, "5"), 0},
		"a length of 0":       {length(0, "0"), 0},
		"a length of no body": {func(r *http.Request) { r.Body, r.Header["Content-Length"] = nil, []string{"0"} }, 0},
		"a body to be read later": {func(r *http.Request) {
			r.Body, r.ContentLength, r.Header["Content-Length"] = unread{}, 5, []string{"5"}
		}, 0},
		"a body of no told length": {func(r *http.Request) { r.Body, r.ContentLength = unread{}, -1 }, 0},
		"a signed length":          {length(0, "+5"), 400},
		"an empty length":          {length(0, ""), 400},
		"two lengths":              {length(5, "5", "5"), 400},
		"no value of length":       {length(0), 400},
		"a length not heard":       {length(0, "5"), 400},
		"a length misheard":        {length(6, "5"), 400},
		"a length of 63 bits":      {length(1<<63-1, "9223372036854775807"), 0},
		"a length of 64 bits":      {length(0, "9223372036854775808"), 400},
	} {
		if got := statusOf(test.change); got != test.status {
			t.Errorf("%s: %d, want %d", name, got, test.status)
		}
	}
}

// TestHTTP2Alphabets has every byte at places of the pseudo-fields: the same
// pass as in HTTP/1.
func TestHTTP2Alphabets(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(r *http.Request, c string)
		pass   map[byte]bool
	}{
		{"method, first", func(r *http.Request, c string) { r.Method = c + "ET" }, bytesOf(tokenBytes)},
		{"method, last", func(r *http.Request, c string) { r.Method = "GE" + c }, bytesOf(tokenBytes)},
		{"path, first", func(r *http.Request, c string) { r.RequestURI = c + "a" }, bytesOf("/")},
		{"path, within", func(r *http.Request, c string) { r.RequestURI = "/a" + c + "b" }, without(bytesOf(visible), "#%\\")},
		{"path, last", func(r *http.Request, c string) { r.RequestURI = "/a" + c }, without(bytesOf(visible), "#%\\")},
		{"path, hex digit", func(r *http.Request, c string) { r.RequestURI = "/%1" + c }, bytesOf("0-9A-Fa-f")},
		{"query", func(r *http.Request, c string) { r.RequestURI = "/a?b" + c }, without(bytesOf(visible), "#")},
		{"authority, first", func(r *http.Request, c string) { r.Host = c + "a" }, bytesOf(alphanumeric + "._-")},
		{"authority, within", func(r *http.Request, c string) { r.Host = "a" + c + "1" }, with(bytesOf(alphanumeric+"._-"), ":")},
		{"authority, last", func(r *http.Request, c string) { r.Host = "a" + c }, with(bytesOf(alphanumeric+"._-"), ":")},
		{"length, first", func(r *http.Request, c string) { r.Header["Content-Length"] = []string{c + "0"} }, bytesOf("0")},
		{"length, last", func(r *http.Request, c string) { r.Header["Content-Length"] = []string{"0" + c} }, bytesOf("0")},
	} {
		for i := range 256 {
			c := string([]byte{byte(i)})
			if status := statusOf(func(r *http.Request) { test.change(r, c) }); (status == 0) != test.pass[byte(i)] {
				t.Errorf("%s: %q is answered with %d", test.name, c, status)
			}
		}
	}
}

// TestHTTP1IsTheScanners: what net/http has read over HTTP/1 is not judged
// again, since the scanner saw the bytes.
func TestHTTP1IsTheScanners(t *testing.T) {
	r := http2Request(func(r *http.Request) { r.ProtoMajor, r.Host = 1, "" })
	if refusal, refused := Refused(nil, r); refused {
		t.Error(refusal)
	}
}

// stream is a response writer whose read deadline ends a body.
type stream struct {
	*httptest.ResponseRecorder
	timer *time.Timer // nil without a deadline
	body  *io.PipeWriter
}

func (s *stream) SetReadDeadline(at time.Time) error {
	if s.timer != nil {
		s.timer.Stop()
		s.timer = nil
	}
	if !at.IsZero() {
		s.timer = time.AfterFunc(time.Until(at), func() { s.body.CloseWithError(context.DeadlineExceeded) })
	}
	return nil
}

// TestAnnouncedAsEmpty: a body of length 0 is waited for to its end.
func TestAnnouncedAsEmpty(t *testing.T) {
	for name, test := range map[string]struct {
		then   func(*io.PipeWriter)
		status int
		took   time.Duration
	}{
		"ends":         {func(w *io.PipeWriter) { w.Close() }, 0, 0},
		"ends later":   {func(w *io.PipeWriter) { time.Sleep(time.Second); w.Close() }, 0, time.Second},
		"has data":     {func(w *io.PipeWriter) { w.Write([]byte("x")) }, 400, 0},
		"is reset":     {func(w *io.PipeWriter) { w.CloseWithError(errors.New("reset")) }, 400, 0},
		"has no end":   {func(*io.PipeWriter) {}, 400, emptyPatience},
		"ends in time": {func(w *io.PipeWriter) { time.Sleep(emptyPatience - 1); w.Close() }, 0, emptyPatience - 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				body, in := io.Pipe()
				w := &stream{ResponseRecorder: httptest.NewRecorder(), body: in}
				go test.then(in)
				began := time.Now()
				refusal, refused := Refused(w, http2Request(func(r *http.Request) {
					r.Body, r.Header["Content-Length"] = body, []string{"0"}
				}))
				if refused != (test.status != 0) || refused && refusal.Status != test.status {
					t.Errorf("%v, want %d", refusal, test.status)
				}
				if took := time.Since(began); took != test.took {
					t.Errorf("took %v, want %v", took, test.took)
				}
				if !refused && w.timer != nil {
					t.Error("the deadline stays")
				}
				body.Close()
				time.Sleep(2 * emptyPatience) // for timers and writers
			})
		})
	}
}

func TestBodyFault(t *testing.T) {
	r := http2Request(func(r *http.Request) { r.ProtoMajor = 1 })
	short := errors.New("request declared a Content-Length of 5 but only wrote 4 bytes")
	for _, err := range []error{nil, io.ErrUnexpectedEOF, short} {
		if fault := BodyFault(r, err); fault != nil {
			t.Errorf("%v without a scanner: %v", err, fault)
		}
	}
	c := Scan(nil, 0)
	r = r.WithContext(ConnContext(t.Context(), c))
	if fault := BodyFault(r, io.ErrUnexpectedEOF); fault != nil {
		t.Errorf("without a fault: %v", fault)
	}
	c.refuse(broken("9112 §7.1", "no"))
	if fault := BodyFault(r, nil); fault == nil || fault.Error() != "the client's body is broken: no (RFC 9112 §7.1)" {
		t.Errorf("a fault: %v", fault)
	}
	r = http2Request(func(*http.Request) {})
	for _, err := range []error{short, errors.New("sender tried to send more than declared Content-Length of 5 bytes")} {
		if BodyFault(r, err) == nil {
			t.Errorf("%v is not a fault", err)
		}
	}
	for _, err := range []error{nil, errors.New("client disconnected"), errors.New("declared"), errors.New("Content-Length")} {
		if fault := BodyFault(r, err); fault != nil {
			t.Errorf("%v is a fault: %v", err, fault)
		}
	}
}

// TestServerHTTP2 holds that net/http's words for a body of another length are
// those that BodyFault knows.
func TestServerHTTP2(t *testing.T) {
	faults := make(chan error, 1)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, err := io.Copy(io.Discard, r.Body)
		faults <- BodyFault(r, err)
	}))
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()
	r, err := http.NewRequest("POST", server.URL, &tooShort{})
	if err != nil {
		t.Fatal(err)
	}
	r.ContentLength = 5
	if response, err := server.Client().Do(r); err == nil {
		response.Body.Close()
	}
	// Its own client resets the stream; that is not the fault that is meant, and
	// testdata/smuggle has the other.
	if fault := <-faults; fault != nil {
		t.Errorf("a stream that is reset: %v", fault)
	}
}

type tooShort struct{ sent bool }

func (b *tooShort) Read(p []byte) (int, error) {
	if b.sent {
		return 0, fmt.Errorf("the end")
	}
	b.sent = true
	return copy(p, "hell"), nil
}

// TestEmptyPort: "a:" is the host "a" to everybody behind.
func TestEmptyPort(t *testing.T) {
	for authority, want := range map[string]string{"a:": "a", "a": "a", "a:1": "a:1", "[::1]:": "[::1]", "[::1]": "[::1]", "[::]": "[::]"} {
		for _, protocol := range []int{1, 2} {
			r := httptest.NewRequest("GET", "/", nil)
			r.ProtoMajor, r.Host, r.RequestURI = protocol, authority, "/"
			if refusal, refused := Refused(httptest.NewRecorder(), r); refused || r.Host != want {
				t.Errorf("HTTP/%d, %s: %q, %v", protocol, authority, r.Host, refusal)
			}
		}
	}
}

// TestTitles: only what can be read in two ways is called so.
func TestTitles(t *testing.T) {
	for status, want := range map[int]string{400: "in two ways", 414: "too long", 417: "Expect", 431: "too large", 501: "not supported"} {
		if got := (&Refusal{Status: status}).Page().Title; !strings.Contains(got, want) {
			t.Errorf("%d: %q", status, got)
		}
	}
}
