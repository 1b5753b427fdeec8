package relay

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/devproxy/devproxy/tunnel"
)

// byHand is an agent that answers each request with bytes: answer returns them for
// a path, and whether the stream is reset after them. It gives the host.
func (w *world) byHand(answer func(path string) (bytes string, reset bool)) string {
	w.t.Helper()
	return w.watchedByHand(nil, answer)
}

// watchedByHand is byHand, and sends what the agent has read of each request to seen.
func (w *world) watchedByHand(seen chan<- string, answer func(path string) (bytes string, reset bool)) string {
	w.t.Helper()
	key := testKey("by hand")
	hello, err := json.Marshal(claimOf(key, ""))
	if err != nil {
		w.t.Fatal(err)
	}
	s, answered, err := tunnel.Dial(w.t.Context(), tunnel.Config{Key: key, Dial: w.dialLane, Hello: hello})
	if err != nil {
		w.t.Fatal(err)
	}
	var grant tunnel.Grant
	if err := json.Unmarshal(answered, &grant); err != nil {
		w.t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			st, err := s.Accept(w.t.Context())
			if err != nil {
				return
			}
			go func() {
				defer st.Close()
				var asked strings.Builder
				r, err := http.ReadRequest(bufio.NewReader(io.TeeReader(st, &asked)))
				if err != nil {
					return
				}
				if seen != nil {
					_, _ = io.Copy(io.Discard, r.Body)
					seen <- asked.String()
				}
				bytes, reset := answer(r.URL.Path)
				_, _ = io.WriteString(st, bytes)
				if reset {
					st.Reset()
					return
				}
				_ = st.CloseWrite()
				_, _ = io.Copy(io.Discard, st)
			}()
		}
	}()
	w.t.Cleanup(func() {
		s.Close(nil)
		<-done
	})
	return grant.Hosts[0]
}

// TestAnswersByHand: what the relay makes of the bytes that any agent may send. Half
// of a response is not a response.
func TestAnswersByHand(t *testing.T) {
	const ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
	hints := func(n int) string { return strings.Repeat("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", n) }
	// A head of n bytes.
	head := func(n int) string {
		const rest = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX: \r\n\r\n"
		return strings.Replace(rest, "X: ", "X: "+strings.Repeat("x", n-len(rest)), 1)
	}
	answers := map[string]struct {
		bytes  string
		reset  bool
		status int    // 0 for an answer that breaks off
		body   string // of an answer that does not
	}{
		"ok":                   {ok, false, 200, "ok"},
		"more-than-the-body":   {ok + ok, false, 200, "ok"},
		"continue":             {"HTTP/1.1 100 Continue\r\n\r\n" + ok, false, 200, "ok"},
		"processing":           {"HTTP/1.1 102 Processing\r\n\r\n" + ok, false, 200, "ok"},
		"most-hints":           {hints(maxHints-1) + ok, false, 200, "ok"},
		"too-many-hints":       {hints(maxHints) + ok, false, 502, "was lost"},
		"least-status":         {"HTTP/1.1 099 No\r\nContent-Length: 0\r\n\r\n", false, 502, "was lost"},
		"first-final":          {"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", false, 200, ""},
		"highest-status":       {"HTTP/1.1 999 Odd\r\nContent-Length: 2\r\n\r\nok", false, 999, "ok"},
		"four-digits":          {"HTTP/1.1 1000 Odd\r\nContent-Length: 2\r\n\r\nok", false, 502, "was lost"},
		"not-http":             {"hello\r\n\r\n", false, 502, "was lost"},
		"nothing":              {"", false, 502, "was lost"},
		"half-a-head":          {"HTTP/1.1 200 OK\r\nContent-", false, 502, "was lost"},
		"half-a-head-and-gone": {"HTTP/1.1 200 OK\r\nContent-", true, 502, "was lost"},
		"a-switch":             {"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n", false, 502, "was lost"},
		"a-bare-switch":        {"HTTP/1.1 101 Switching Protocols\r\n\r\n", false, 502, "was lost"},
		"longest-head":         {head(maxHead) + "ok", false, 200, "ok"},
		"longer-head":          {head(maxHead+1) + "ok", false, 502, "was lost"},
		"long-body":            {fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", 2*maxHead, strings.Repeat("x", 2*maxHead)), false, 200, strings.Repeat("x", 2*maxHead)},
		"no-body":              {"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", false, 200, ""},
		"to-the-end":           {"HTTP/1.1 200 OK\r\n\r\nok", false, 200, "ok"},
		"to-the-end-and-gone":  {"HTTP/1.1 200 OK\r\n\r\nok", true, 0, ""},
		"half-a-body":          {"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok", false, 0, ""},
		"half-a-chunk":         {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nok", false, 0, ""},
		"no-last-chunk":        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n", false, 0, ""},
		"chunks":               {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", false, 200, "ok"},
	}
	w := start(t, nil)
	host := w.byHand(func(path string) (string, bool) { a := answers[path[1:]]; return a.bytes, a.reset })
	for _, protocol := range protocols {
		client := w.client(protocol)
		client.Transport.(*http.Transport).MaxResponseHeaderBytes = 4 * maxHead
		for name, want := range answers {
			if name == "most-hints" || name == "too-many-hints" {
				continue // more than net/http's client takes; see below
			}
			res, err := client.Get("https://" + host + "/" + name)
			if err != nil {
				if want.status != 0 {
					t.Errorf("%s, %s: %v", protocol, name, err)
				}
				continue
			}
			body, err := io.ReadAll(res.Body)
			res.Body.Close()
			if want.reset && want.status == 0 && res.StatusCode == 502 {
				continue // the reset has overtaken the head
			}
			if want.status == 0 && err == nil || want.status != 0 && (err != nil || res.StatusCode != want.status || !strings.Contains(string(body), want.body)) {
				t.Errorf("%s, %s: %d %.200q, %v; want %d", protocol, name, res.StatusCode, body, err, want.status)
			}
		}
	}
	for _, name := range []string{"most-hints", "too-many-hints"} {
		c := w.dial(host)
		fmt.Fprintf(c, "GET /%s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", name, host)
		all, err := io.ReadAll(c)
		if err != nil {
			t.Fatal(err)
		}
		got := 0
		for line := range strings.Lines(string(all)) {
			if strings.HasPrefix(line, "HTTP/1.1 ") && !strings.HasPrefix(line, "HTTP/1.1 103 ") {
				_, _ = fmt.Sscanf(line, "HTTP/1.1 %d", &got)
			}
		}
		if got != answers[name].status {
			t.Errorf("%s: %d, want %d", name, got, answers[name].status)
		}
	}
	slots := w.shares.forKey(publicKey(testKey("by hand"))).slots
	eventually(t, "none is under way", func() bool { return slots.inUse() == 0 })
}

// TestRequestsOnTheWire: how a request is framed on its way to the agent.
func TestRequestsOnTheWire(t *testing.T) {
	const ok = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
	w := start(t, nil)
	seen := make(chan string, 1)
	host := w.watchedByHand(seen, func(string) (string, bool) { return ok, false })
	check := func(name string, want ...string) {
		t.Helper()
		got := within(t, name, seen)
		lines := strings.Split(got, "\r\n")
		slices.Sort(lines[1:slices.Index(lines, "")])
		if lines[0] != want[0] || !slices.Equal(lines[1:], sortedHead(host, want[1:])) {
			t.Errorf("%s: the agent reads %q, want %q", name, got, want)
		}
	}
	for name, c := range map[string]struct {
		sent string
		want []string
	}{
		"GET":                 {"GET /a HTTP/1.1\r\nHost: %s\r\n\r\n", []string{"GET /a HTTP/1.1", "", ""}},
		"an empty POST":       {"POST / HTTP/1.1\r\nHost: %s\r\nContent-Length: 0\r\n\r\n", []string{"POST / HTTP/1.1", "Content-Length: 0", "", ""}},
		"a POST without":      {"POST / HTTP/1.1\r\nHost: %s\r\n\r\n", []string{"POST / HTTP/1.1", "", ""}},
		"a length":            {"POST / HTTP/1.1\r\nHost: %s\r\nContent-Length: 4\r\n\r\nbody", []string{"POST / HTTP/1.1", "Content-Length: 4", "", "body"}},
		"chunks":              {"POST / HTTP/1.1\r\nHost: %s\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n", []string{"POST / HTTP/1.1", "Transfer-Encoding: chunked", "", "4", "body", "0", "", ""}},
		"trailers":            {"POST / HTTP/1.1\r\nHost: %s\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum, X-Mine\r\n\r\n4\r\nbody\r\n0\r\nX-Sum: 1\r\n\r\n", []string{"POST / HTTP/1.1", "Trailer: X-Mine, X-Sum", "Transfer-Encoding: chunked", "", "4", "body", "0", "X-Sum: 1", "", ""}},
		"trailers of nothing": {"POST / HTTP/1.1\r\nHost: %s\r\nTrailer: X-Sum\r\nContent-Length: 0\r\n\r\n", []string{"POST / HTTP/1.1", "Content-Length: 0", "", ""}},
	} {
		conn := w.dial(host)
		fmt.Fprintf(conn, c.sent, host)
		check(name, c.want...)
	}
	// HTTP/2 may have both a length and trailers.
	for _, length := range []int64{4, -1} {
		r, err := http.NewRequest(http.MethodPost, "https://"+host+"/", io.NopCloser(strings.NewReader("body")))
		if err != nil {
			t.Fatal(err)
		}
		r.ContentLength, r.Trailer = length, http.Header{"X-Sum": {"1"}}
		r.Header.Set("User-Agent", "")
		res, err := w.client("h2").Do(r)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		check(fmt.Sprint("HTTP/2, length ", length), "POST / HTTP/1.1", "Trailer: X-Sum", "Transfer-Encoding: chunked", "", "4", "body", "0", "X-Sum: 1", "", "")
	}
}

// sortedHead is the fields of a head with Host among them, sorted, and what follows.
func sortedHead(host string, lines []string) []string {
	end := slices.Index(lines, "")
	fields := append([]string{"Host: " + host}, lines[:end]...)
	slices.Sort(fields)
	return append(fields, lines[end:]...)
}

// TestHints: an interim response has only links, and leaves nothing in the final one.
// HTTP/1.0 has none.
func TestHints(t *testing.T) {
	w := start(t, nil)
	host := w.byHand(func(string) (string, bool) {
		return "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nLink: </b>\r\nReferrer-Policy: no-referrer\r\nSet-Cookie: a=b\r\nX-Own: 1\r\n\r\n" +
			"HTTP/1.1 200 OK\r\nX-Final: 1\r\nContent-Length: 2\r\n\r\nok", false
	})
	for _, protocol := range protocols {
		var hints []textproto.MIMEHeader
		trace := &httptrace.ClientTrace{Got1xxResponse: func(_ int, h textproto.MIMEHeader) error {
			hints = append(hints, h)
			return nil
		}}
		r, err := http.NewRequestWithContext(httptrace.WithClientTrace(t.Context(), trace), "GET", "https://"+host+"/", nil)
		if err != nil {
			t.Fatal(err)
		}
		res, err := w.client(protocol).Do(r)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if len(hints) != 1 || !slices.Equal(hints[0]["Link"], []string{"</a>", "</b>"}) || hints[0].Get("Referrer-Policy") != "no-referrer" || hints[0].Get("Set-Cookie") != "" || hints[0].Get("X-Own") != "" {
			t.Errorf("%s: %v", protocol, hints)
		}
		if h := res.Header; h.Get("Link") != "" || h.Get("Referrer-Policy") != "" || h.Get("X-Final") != "1" {
			t.Errorf("%s: then %v", protocol, h)
		}
	}
	old := w.dial(host)
	fmt.Fprintf(old, "GET / HTTP/1.0\r\nHost: %s\r\n\r\n", host)
	if all, err := io.ReadAll(old); err != nil || !strings.Contains(string(all), " 200 ") || strings.Contains(string(all), " 103 ") {
		t.Errorf("HTTP/1.0: %q, %v", all, err)
	}
	// The relay's own fields are still in the final response.
	c := w.dial(host)
	w.stopAccepting()
	fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: %s\r\n\r\n", host)
	all, err := io.ReadAll(c)
	if _, final, _ := strings.Cut(string(all), "\r\n\r\n"); err != nil || !strings.Contains(final, "Connection: close\r\n") {
		t.Errorf("a relay that is about to stop: %q, %v", all, err)
	}
}

// TestConnectionAfterTheAnswer: a connection stays open after a complete request, and
// ends after half of one.
func TestConnectionAfterTheAnswer(t *testing.T) {
	w := start(t, nil)
	host := w.byHand(func(string) (string, bool) { return "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", false })
	for name, c := range map[string]struct {
		request string
		closes  bool
	}{
		"no body":            {"GET / HTTP/1.1\r\nHost: %s\r\n\r\n", false},
		"an empty body":      {"POST / HTTP/1.1\r\nHost: %s\r\nContent-Length: 0\r\n\r\n", false},
		"a body":             {"POST / HTTP/1.1\r\nHost: %s\r\nContent-Length: 4\r\n\r\nbody", false},
		"chunks":             {"POST / HTTP/1.1\r\nHost: %s\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n", false},
		"half a body":        {"POST / HTTP/1.1\r\nHost: %s\r\nContent-Length: 4\r\n\r\nbo", true},
		"half of the chunks": {"POST / HTTP/1.1\r\nHost: %s\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n", true},
	} {
		conn := w.dial(host)
		from := bufio.NewReader(conn)
		fmt.Fprintf(conn, c.request, host)
		res, err := http.ReadResponse(from, nil)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		body, err := io.ReadAll(res.Body)
		if string(body) != "ok" || err != nil || res.StatusCode != 200 {
			t.Errorf("%s: %d %q, %v", name, res.StatusCode, body, err)
		}
		if c.closes {
			if !res.Close {
				t.Errorf("%s: %v", name, res.Header)
			}
			if _, err := from.ReadByte(); !errors.Is(err, io.EOF) {
				t.Errorf("%s: the connection continues: %v", name, err)
			}
			continue
		}
		// Under load the body may be on its way when the answer is there; then the
		// connection ends, and says so.
		if res.Close && !strings.Contains(c.request, "body") {
			t.Errorf("%s: the connection ends", name)
		}
		if res.Close {
			continue
		}
		fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: %s\r\n\r\n", host)
		if res, err := http.ReadResponse(from, nil); err != nil || res.StatusCode != 200 {
			t.Errorf("%s: the next request: %v, %v", name, res, err)
		}
	}
}

// TestEarlyAnswerHTTP2: an early answer ends the stream of its request, and no other.
// From then on, the upload may be idle.
func TestEarlyAnswerHTTP2(t *testing.T) {
	w := start(t, nil)
	key := testKey("a")
	finish := make(chan struct{})
	host := w.agent(key, claimOf(key, ""), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost {
			return
		}
		control := http.NewResponseController(w)
		_ = control.EnableFullDuplex()
		w.WriteHeader(200)
		_ = control.Flush()
		<-finish
	})).grant.Hosts[0]
	client := w.client("h2")
	var dials atomic.Int32
	transport := client.Transport.(*http.Transport)
	dial := transport.DialContext
	transport.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		dials.Add(1)
		return dial(ctx, network, addr)
	}
	body, send := io.Pipe()
	defer send.Close()
	go io.WriteString(send, "half")
	res, err := client.Post("https://"+host+"/", "", body)
	if err != nil {
		t.Fatal(err)
	}
	slots := w.shares.forKey(publicKey(key)).slots
	uploading := func() bool {
		slots.mu.Lock()
		defer slots.mu.Unlock()
		for _, n := range slots.networks {
			for p := range n.used {
				return p.uploading.Load()
			}
		}
		return false
	}
	if uploading() {
		t.Error("after its answer it still counts as an upload")
	}
	get(t, client, "https://"+host+"/")
	close(finish)
	if _, err := io.Copy(io.Discard, res.Body); err != nil {
		t.Error(err)
	}
	res.Body.Close()
	get(t, client, "https://"+host+"/")
	if n := dials.Load(); n != 1 {
		t.Errorf("%d connections", n)
	}
}

// TestResponseTrailers: fields after the body reach visitors over both protocols,
// announced or not, and only where there is a place for them.
func TestResponseTrailers(t *testing.T) {
	const chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n"
	answers := map[string]struct{ bytes, trailer string }{
		"announced":      {chunked + "Trailer: X-Sum\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 1\r\n\r\n", "1"},
		"not-announced":  {chunked + "\r\n2\r\nok\r\n0\r\nX-Sum: 1\r\n\r\n", "1"},
		"of-two-lines":   {chunked + "Trailer: X-Sum\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 1\r\nX-Sum: 2\r\n\r\n", "1|2"},
		"never-sent":     {chunked + "Trailer: X-Sum\r\n\r\n2\r\nok\r\n0\r\n\r\n", ""},
		"of-an-identity": {chunked + "Trailer: Remote-User\r\n\r\n2\r\nok\r\n0\r\nRemote-User: 1\r\n\r\n", ""},
	}
	w := start(t, nil)
	host := w.byHand(func(path string) (string, bool) { return answers[path[1:]].bytes, false })
	for _, protocol := range protocols {
		for name, want := range answers {
			res, err := w.client(protocol).Get("https://" + host + "/" + name)
			if err != nil {
				t.Fatal(err)
			}
			announced := strings.Contains(want.bytes, "Trailer: X-Sum")
			if _, is := res.Trailer["X-Sum"]; is != announced || res.Header.Get("Trailer") != "" && protocol == "h1" {
				t.Errorf("%s, %s: announced is %v", protocol, name, res.Trailer)
			}
			body, err := io.ReadAll(res.Body)
			res.Body.Close()
			if got := strings.Join(res.Trailer["X-Sum"], "|"); got != want.trailer || string(body) != "ok" || err != nil || res.Trailer.Get("Remote-User") != "" {
				t.Errorf("%s, %s: %q and %v, %v", protocol, name, body, res.Trailer, err)
			}
		}
	}
}

// TestGivesUpUpload: when an upload breaks off, that is not reported as a failure of the
// app, and the app never sees the end of the body.
func TestGivesUpUpload(t *testing.T) {
	w := start(t, nil)
	key := testKey("a")
	got := make(chan error, 1)
	host := w.agent(key, claimOf(key, ""), http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, err := io.Copy(io.Discard, r.Body)
		got <- err
	})).grant.Hosts[0]
	for name, body := range map[string]string{
		"a length": "Content-Length: 10\r\n\r\nhalf", "chunks": "Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
	} {
		c := w.dial(host)
		fmt.Fprintf(c, "POST / HTTP/1.1\r\nHost: %s\r\n%s", host, body)
		eventually(t, "the upload is under way", func() bool { return w.shares.forKey(publicKey(key)).slots.inUse() == 1 })
		c.Close()
		if err := within(t, "the app's end", got); err == nil {
			t.Errorf("%s: the app took half of it for the whole", name)
		}
		eventually(t, "it is counted out", func() bool { return w.shares.forKey(publicKey(key)).slots.inUse() == 0 })
	}
}
