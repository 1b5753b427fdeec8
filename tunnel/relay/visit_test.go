package relay

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/devproxy/devproxy/tunnel/message"
)

// newVisit is a visit of a relay that does not run.
func newVisit(t *testing.T, r *Relay, request *http.Request) (*visit, *httptest.ResponseRecorder, *bool) {
	t.Helper()
	c, closed := addFrom(r.conns, "192.0.2.1")
	if c == nil || !r.conns.promote(c, poolActive) {
		t.Fatal("no room for a visitor")
	}
	w := httptest.NewRecorder()
	v := &visit{relay: r, w: w, r: request, accounting: accounting{control: http.NewResponseController(w)}, conn: c, addr: c.addr, from: c.from, start: time.Now()}
	v.openAccount()
	return v, w, closed
}

// idle is a relay that does not run.
func idle(t *testing.T, change func(*Options)) *Relay {
	t.Helper()
	o := Options{Domain: domain, Certificate: newCA(t).certificate, Registry: NewMemory(), Open: true}
	if change != nil {
		change(&o)
	}
	r, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		r.Close()
		if r.memory.Used() != 0 || r.memory.Accounts() != 0 {
			t.Errorf("at the end the relay counts %d bytes in %d accounts", r.memory.Used(), r.memory.Accounts())
		}
	})
	return r
}

// aborts reports whether a handler has ended with http.ErrAbortHandler, from what was
// recovered. Any other panic goes on.
func aborts(recovered any) bool {
	if recovered == nil {
		return false
	}
	if err, ok := recovered.(error); !ok || !errors.Is(err, http.ErrAbortHandler) {
		panic(recovered)
	}
	return true
}

// TestFailed: what a visitor gets, and what is recorded, when a request was not
// answered. Some causes end the visitor's context too, and the visitor still gets a page.
func TestFailed(t *testing.T) {
	for name, c := range map[string]struct {
		err     error
		begun   bool // the response
		left    bool // the visitor's context has ended
		evicted bool
		aborts  bool
		status  int
		fault   error
	}{
		"no answer":                          {err: &brokenError{err: errors.New("no")}, status: 502},
		"the response has begun":             {err: &brokenError{err: errors.New("no")}, begun: true, aborts: true, status: 200},
		"busy":                               {err: errBusy, status: 503},
		"an upload gave way":                 {err: errBusy, left: true, status: 503},
		"an upload stalls":                   {err: os.ErrDeadlineExceeded, left: true, status: 408},
		"a malformed upload":                 {err: &malformedError{errors.New("no")}, left: true, status: 400},
		"the visitor left":                   {err: errors.New("no"), left: true, aborts: true, status: statusGone},
		"the visitor left while it waited":   {err: context.Canceled, aborts: true, status: statusGone},
		"the share is asleep":                {err: errAsleep, status: 503},
		"it held too much":                   {err: context.Canceled, evicted: true, aborts: true, status: 503, fault: errEvicted},
		"it held too much, and had begun":    {err: errors.New("no"), evicted: true, begun: true, aborts: true, status: 200},
		"it held too much with a bad upload": {err: &malformedError{errors.New("no")}, evicted: true, aborts: true, status: 503, fault: errEvicted},
	} {
		r := idle(t, nil)
		ctx, cancel := context.WithCancel(t.Context())
		v, w, _ := newVisit(t, r, httptest.NewRequest("GET", "/", nil).WithContext(ctx))
		if c.begun {
			v.status = 200
		}
		if c.left {
			cancel()
		}
		if c.evicted {
			v.evict()
		}
		aborted := func() (aborted bool) {
			defer func() {
				aborted = aborts(recover())
			}()
			v.fail(c.err)
			return false
		}()
		fault := c.fault
		if fault == nil {
			fault = c.err
		}
		if aborted != c.aborts || v.status != c.status || !errors.Is(v.fault, fault) || !aborted && w.Code != c.status {
			t.Errorf("%s: aborted %t, status %d, answered %d, %v; want %t, %d", name, aborted, v.status, w.Code, v.fault, c.aborts, c.status)
		}
		v.closeAccount()
		cancel()
	}
}

// TestCountWaste: requests that were too many, or cancelled before the response, count; a
// network without any allowance left loses the connection.
func TestCountWaste(t *testing.T) {
	for name, c := range map[string]struct {
		status int
		left   bool
		costs  bool
	}{
		"answered":                      {200, false, false},
		"answered, and then left":       {200, true, false},
		"given up before the answer":    {0, true, true},
		"given up while it was waiting": {statusGone, true, true},
		"no answer":                     {0, false, false},
		"too many":                      {429, false, true},
		"too many, and left":            {429, true, true},
		"the share is busy":             {503, false, false},
	} {
		for _, allowance := range []int{0, 1} {
			r := idle(t, nil)
			ctx, cancel := context.WithCancel(t.Context())
			v, _, closed := newVisit(t, r, httptest.NewRequest("GET", "/", nil).WithContext(ctx))
			leave(v.conn.from.waste, allowance)
			if v.status = c.status; c.left {
				cancel()
			}
			v.countWasted()
			left := int(v.conn.from.waste.Tokens() + 0.5)
			if want := c.costs && allowance == 0; *closed != want || counts(r, `limited_total{limit="waste"} 1`) != want {
				t.Errorf("%s, allowance %d: closed %t, counted %t", name, allowance, *closed, counts(r, `limited_total{limit="waste"} 1`))
			}
			if want := allowance == 1 && !c.costs; (left == 1) != want {
				t.Errorf("%s, allowance %d: %d left", name, allowance, left)
			}
			v.closeAccount()
			cancel()
		}
	}
}

func TestTarget(t *testing.T) {
	for raw, want := range map[string]string{
		"/": "/", "/a//b?c=%2F": "/a//b?c=%2F", "//x": "//x", "*": "*",
		"https://h": "/", "https://h/": "/", "https://h/a?b=/c": "/a?b=/c", "https://h?a": "/?a", "https://h?a/b": "/?a/b", "https://h//a": "//a",
	} {
		if got := target(&http.Request{RequestURI: raw}); got != want {
			t.Errorf("%s: %s, want %s", raw, got, want)
		}
	}
}

// TestRepeatable: a request is sent again only if it changes nothing, and no part of it
// was consumed.
func TestRepeatable(t *testing.T) {
	upgrade := http.Header{"Connection": {"upgrade"}, "Upgrade": {"websocket"}}
	for name, c := range map[string]struct {
		r    http.Request
		want bool
	}{
		"GET":              {http.Request{Method: "GET"}, true},
		"HEAD":             {http.Request{Method: "HEAD"}, true},
		"OPTIONS":          {http.Request{Method: "OPTIONS"}, true},
		"POST":             {http.Request{Method: "POST"}, false},
		"DELETE":           {http.Request{Method: "DELETE"}, false},
		"a body":           {http.Request{Method: "GET", ContentLength: 1}, false},
		"a body of chunks": {http.Request{Method: "GET", ContentLength: -1}, false},
		"an upgrade":       {http.Request{Method: "GET", ProtoMajor: 1, ProtoMinor: 1, Header: upgrade}, false},
	} {
		if got := (&visit{r: &c.r}).repeatable(); got != c.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}

// TestBrokenError: what the log says, and which error it wraps.
func TestBrokenError(t *testing.T) {
	cause := errors.New("the cause")
	for answered, want := range map[bool]string{true: "the response broke off: the cause", false: "no response arrived: the cause"} {
		if err := (&brokenError{err: cause, answered: answered}); err.Error() != want || !errors.Is(err, cause) {
			t.Errorf("%v", err)
		}
	}
}

// TestVisitAfterTheEnd: a closed relay accepts no visit and starts no goroutine.
func TestVisitAfterTheEnd(t *testing.T) {
	r := idle(t, nil)
	if !r.enter() {
		t.Fatal("a running relay takes no visit")
	}
	r.group.Done()
	r.Close()
	if r.enter() {
		t.Error("a relay that is closed takes a visit")
	}
	if r.spawn(func() { t.Error("started") }) {
		t.Error("a relay that is closed starts something")
	}
	defer func() {
		if !aborts(recover()) {
			t.Error("the visit is not aborted")
		}
	}()
	r.visit(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
}

// deadlines is a response writer that notes its deadlines.
type deadlines struct {
	*httptest.ResponseRecorder
	write []time.Time
}

func (d *deadlines) SetWriteDeadline(at time.Time) error {
	d.write = append(d.write, at)
	return nil
}

// TestAccounting: the memory of a visit counts while it lasts, eviction ends its writes for
// good, and after its end the connection is not touched.
func TestAccounting(t *testing.T) {
	r := idle(t, nil)
	request := httptest.NewRequest("GET", "/abc", nil)
	request.Header.Set("X-Long", strings.Repeat("x", 1000))
	v, _, _ := newVisit(t, r, request)
	visitCost := int64(visitCost + fieldCost + len("X-Long") + 1000)
	w := &deadlines{ResponseRecorder: httptest.NewRecorder()}
	v.control = http.NewResponseController(w)
	at := time.Now().Add(time.Hour)
	if v.setWriteDeadline(at); len(w.write) != 1 || !w.write[0].Equal(at) {
		t.Errorf("deadlines %v", w.write)
	}
	if n := r.memory.Used(); n != visitCost+4 {
		t.Errorf("%d bytes are counted", n)
	}
	v.charge(100)
	if v.charge(-50); r.memory.Used() != visitCost+4+50 {
		t.Errorf("%d bytes are counted", r.memory.Used())
	}
	if v.wasEvicted() || v.r.Context().Err() != nil {
		t.Error("it is evicted")
	}
	if !v.evict() || !v.wasEvicted() || !errors.Is(context.Cause(v.r.Context()), errEvicted) || !counts(r, `limited_total{limit="memory"} 1`) {
		t.Errorf("it continues: %v", context.Cause(v.r.Context()))
	}
	v.setWriteDeadline(at)
	if len(w.write) != 3 || !w.write[1].Equal(past) || !w.write[2].Equal(past) {
		t.Errorf("deadlines %v", w.write)
	}
	v.closeAccount()
	v.setWriteDeadline(at)
	if v.evict(); len(w.write) != 3 {
		t.Errorf("deadlines after the end: %v", w.write)
	}
	if n := r.memory.Accounts(); n != 0 {
		t.Errorf("%d accounts are left", n)
	}
	v, _, _ = newVisit(t, r, request)
	ctx := v.r.Context()
	if v.closeAccount(); !errors.Is(ctx.Err(), context.Canceled) {
		t.Errorf("what waits for the visit continues after it: %v", ctx.Err())
	}
}

// TestHeadReader: a head counts as it arrives, and then as the fields in memory.
func TestHeadReader(t *testing.T) {
	r := idle(t, nil)
	v, _, _ := newVisit(t, r, httptest.NewRequest("GET", "/", nil))
	before := r.memory.Used()
	h := &headReader{Reader: strings.NewReader(strings.Repeat("x", 100)), visit: v}
	for _, n := range []int{10, 20, 0, 5} {
		if _, err := io.ReadFull(h, make([]byte, n)); err != nil {
			t.Fatal(err)
		}
	}
	if got := r.memory.Used() - before; got != 35 {
		t.Errorf("%d bytes of the head are counted, want 35", got)
	}
	fields := http.Header{"Abc": {"1"}}
	h.finish(fields)
	_, _ = io.Copy(io.Discard, h) // the body
	if got, want := r.memory.Used()-before, int64(fieldsCost(fields)); got != want {
		t.Errorf("%d bytes are counted of the fields, want %d", got, want)
	}
	v.closeAccount()
}

// TestEvictsAtOnce: a visit that exceeds the limit is evicted in the same call.
func TestEvictsAtOnce(t *testing.T) {
	r := idle(t, func(o *Options) { o.Limits.Memory = 100 << 10 })
	v, _, _ := newVisit(t, r, httptest.NewRequest("GET", "/", nil))
	if v.charge(10 << 10); v.wasEvicted() {
		t.Error("a small one is evicted")
	}
	if v.charge(60 << 10); !v.wasEvicted() {
		t.Error("a large one continues")
	}
	v.closeAccount()
}

// served makes r serve one request, and returns the deadlines of its writes.
func served(t *testing.T, r *Relay, request *http.Request) *deadlines {
	t.Helper()
	c, _ := addFrom(r.conns, "192.0.2.1")
	if c == nil || !r.conns.promote(c, poolActive) {
		t.Fatal("no room for a visitor")
	}
	cert, err := r.opts.Certificate(&tls.ClientHelloInfo{ServerName: request.Host})
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := leafOf(cert)
	if err != nil {
		t.Fatal(err)
	}
	c.leaf.Store(leaf)
	w := &deadlines{ResponseRecorder: httptest.NewRecorder()}
	defer func() { aborts(recover()) }()
	r.visit(w, request.WithContext(context.WithValue(request.Context(), connKey{}, c)))
	return w
}

// TestOwnAnswers: a visitor has as long to read the relay's own pages as other responses,
// and the connection stays open only after a complete request.
func TestOwnAnswers(t *testing.T) {
	const stall = time.Hour
	for name, c := range map[string]struct {
		major, length int
		writes        []bool // with a deadline, or lifted
		closes        bool
	}{
		"HTTP/1":             {1, 0, []bool{true, false, true}, false}, // the last bytes follow
		"HTTP/1 with a body": {1, 5, []bool{true, false, true}, true},
		"HTTP/1 with chunks": {1, -1, []bool{true, false, true}, true},
		"HTTP/2":             {2, 0, []bool{true, false}, false},
		"HTTP/2 with a body": {2, 5, []bool{true, false}, false}, // which would end all streams
	} {
		r := idle(t, func(o *Options) { o.Limits.StallTimeout = stall })
		request := httptest.NewRequest("POST", "/", nil)
		request.Host, request.ProtoMajor, request.ContentLength = domain, c.major, int64(c.length)
		began := time.Now()
		w := served(t, r, request)
		if w.Code != 404 || (w.Header().Get("Connection") == "close") != c.closes {
			t.Errorf("%s: %d %v", name, w.Code, w.Header())
		}
		if len(w.write) != len(c.writes) {
			t.Fatalf("%s: deadlines %v", name, w.write)
		}
		for i, limited := range c.writes {
			if at := w.write[i]; limited && at.Before(began.Add(stall)) || !limited && !at.IsZero() {
				t.Errorf("%s: deadline %d is %v", name, i, at)
			}
		}
	}
}

// TestGivenUpBeforeItBegan: a request whose visitor has left is not sent to the agent.
func TestGivenUpBeforeItBegan(t *testing.T) {
	registry := &counting{brokenRegistry: brokenRegistry{Memory: NewMemory()}}
	r := idle(t, func(o *Options) { o.Registry = registry })
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for _, lookups := range []int{1, 1} {
		request := httptest.NewRequest("GET", "/", nil).WithContext(ctx)
		request.Host = "shop." + domain
		served(t, r, request)
		if registry.lookups != lookups {
			t.Errorf("%d look-ups, want %d", registry.lookups, lookups)
		}
		cancel()
	}
}

// TestAnnouncedTooLong: a request is not sent to the agent when its announced body is too
// long.
func TestAnnouncedTooLong(t *testing.T) {
	for length, status := range map[int64]int{10: 404, 11: 413} {
		registry := &counting{brokenRegistry: brokenRegistry{Memory: NewMemory()}}
		r := idle(t, func(o *Options) { o.Registry, o.Limits.BodyBytes = registry, 10 })
		request := httptest.NewRequest("POST", "/", nil)
		request.Host, request.ContentLength = "shop."+domain, length
		if w := served(t, r, request); w.Code != status || (registry.lookups > 0) != (status == 404) {
			t.Errorf("%d bytes: %d, %d look-ups", length, w.Code, registry.lookups)
		}
	}
}

// TestAnsweredAreLogged: every answered request has its line; other requests of a network
// are only counted.
func TestAnsweredAreLogged(t *testing.T) {
	var log syncBuffer
	w := start(t, func(o *Options) { o.Access = slog.New(slog.NewTextHandler(&log, nil)) })
	key := testKey("a")
	host := w.agent(key, claimOf(key, ""), &recorder{}).grant.Hosts[0]
	client := w.client("h1")
	for range linesBurst + 5 {
		get(t, client, "https://"+host+"/")
	}
	eventually(t, "all have their lines", func() bool { return strings.Count(log.String(), "status=200") == linesBurst+5 })
}

// counts reports whether the relay's metrics have a line.
func counts(r *Relay, line string) bool {
	w := httptest.NewRecorder()
	r.Admin().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	return strings.Contains(w.Body.String(), "\ndevproxy_relay_"+line+"\n")
}

func TestIsTemporary(t *testing.T) {
	for _, c := range []struct {
		err  error
		want bool
	}{
		{&net.OpError{Err: temporary(true)}, true}, {&net.OpError{Err: temporary(false)}, false}, {errors.New("no"), false},
		{fmt.Errorf("accept: %w", temporary(true)), true}, {net.ErrClosed, false},
	} {
		if got := isTemporary(c.err); got != c.want {
			t.Errorf("%v: %t", c.err, got)
		}
	}
}

type temporary bool

func (temporary) Error() string     { return "too many open files" }
func (e temporary) Temporary() bool { return bool(e) }

// TestPages: each reason has its page.
func TestPages(t *testing.T) {
	ended := time.Date(2026, time.November, 22, 15, 4, 0, 0, time.FixedZone("", 3600))
	for _, c := range []struct {
		err         error
		status      int
		title, lead string
		retry       int
	}{
		{&EndedError{token, ended}, 410, "This link has ended.", "until 14:04 UTC, 22 November.", 0},
		{errUnknownName, 404, "This link does not exist.", "complete?", 0},
		{errAsleep, 503, "This share is asleep.", "opens by itself", 10},
		{errSuccessorOffline, 503, "This share is asleep.", "opens by itself", 10},
		{errBusy, 503, "too many visitors", "in a moment", 1},
		{&http.MaxBytesError{Limit: 7}, 413, "too large", "at most 7 bytes", 0},
		{&malformedError{errors.New("a chunk is broken")}, 400, "is malformed", "A chunk is broken.", 0},
		{os.ErrDeadlineExceeded, 408, "stalled", "", 0},
		{errors.New("anything else"), 502, "was lost", "Try again", 1},
	} {
		got := pageOf(&brokenError{err: fmt.Errorf("no: %w", c.err)})
		if got.Status != c.status || !strings.Contains(got.Title, c.title) || !strings.Contains(got.Lead, c.lead) || got.RetryAfter != c.retry || !got.Public {
			t.Errorf("%v: %+v", c.err, got)
		}
	}
	if got := pageOf(&message.Refusal{Status: 417, Reason: "expect is odd", Section: "RFC 1"}); got.Status != 417 || got.Lead != "Expect is odd (RFC 1)." {
		t.Errorf("%+v", got)
	}
}
