package cache

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// up is the upstream's response.
type up struct {
	status int // 200 when left out
	header []string
	body   string
	err    error
}

// answer writes u. A Date of "now" is the time of the request.
func (u *up) answer(w http.ResponseWriter, r *http.Request) error {
	if u.err != nil {
		return u.err
	}
	for i := 0; i < len(u.header); i += 2 {
		value := u.header[i+1]
		if ago, ok := strings.CutPrefix(value, "now"); ok {
			d, err := time.Duration(0), error(nil)
			if ago != "" {
				d, err = time.ParseDuration(ago)
			}
			if err != nil {
				panic(err)
			}
			value = time.Now().Add(d).UTC().Format(http.TimeFormat)
		}
		w.Header().Add(u.header[i], value)
	}
	status := u.status
	if status == 0 {
		status = 200
	}
	w.WriteHeader(status)
	if r.Method == http.MethodHead || u.body == "" {
		return nil
	}
	_, err := io.WriteString(w, u.body)
	return err
}

// step is one request.
type step struct {
	wait   time.Duration // before it
	method string        // GET when left out
	path   string        // "/" when left out
	ask    []string
	up     *up // nil: the upstream must not get a request
	asked  int // its requests; one when left out

	status int // 200 when left out
	body   string
	want   []string // fields of the answer; an empty value is none
	sent   []string // fields that the upstream must see; an empty value is none
}

func (s step) run(t *testing.T, c *Cache, number int) {
	t.Helper()
	time.Sleep(s.wait)
	method, path := "GET", "/"
	if s.method != "" {
		method = s.method
	}
	if s.path != "" {
		path = s.path
	}
	var body io.Reader
	if method == "POST" {
		body = strings.NewReader("x")
	}
	r := httptest.NewRequest(method, "http://shop.localhost"+path, body)
	r.RequestURI = path
	for i := 0; i < len(s.ask); i += 2 {
		r.Header.Add(s.ask[i], s.ask[i+1])
	}
	w := httptest.NewRecorder()
	var asked atomic.Int32 // in the background too
	err := c.ask(w, r, func(w http.ResponseWriter, r *http.Request) error {
		asked.Add(1)
		if s.up == nil {
			return (&up{status: 599, body: "asked"}).answer(w, r)
		}
		for i := 0; i < len(s.sent); i += 2 {
			if got := r.Header.Get(s.sent[i]); got != s.sent[i+1] {
				t.Errorf("step %d: the upstream is sent %s: %q, want %q", number, s.sent[i], got, s.sent[i+1])
			}
		}
		return s.up.answer(w, r)
	})
	status := 200
	if s.status != 0 {
		status = s.status
	}
	if s.up != nil && s.up.err != nil && s.status == 0 && s.body == "" {
		if err == nil {
			t.Errorf("step %d: no error", number)
		}
		return
	}
	if err != nil || w.Code != status || w.Body.String() != s.body {
		t.Errorf("step %d: %d %q, %v; want %d %q (%v)", number, w.Code, w.Body, err, status, s.body, w.Header())
	}
	synctest.Wait()
	times := 0
	if s.up != nil {
		times = max(1, s.asked)
	}
	if n := int(asked.Load()); n != times {
		t.Errorf("step %d: the upstream got %d requests (%v)", number, n, w.Header())
	}
	for i := 0; i < len(s.want); i += 2 {
		if got := w.Header().Get(s.want[i]); got != s.want[i+1] {
			t.Errorf("step %d: %s: %q, want %q", number, s.want[i], got, s.want[i+1])
		}
	}
}

// ask is Serve for a request made as a server makes it.
func (c *Cache) ask(w http.ResponseWriter, r *http.Request, next Handler) error {
	return c.Serve(w, r, Client{Secure: r.TLS != nil, Audience: r.Header.Get("Audience")}, next)
}
