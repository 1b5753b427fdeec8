package message

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// notHTTP is refused by the scanner wherever it looks.
const notHTTP = "\n\r\x00 not HTTP \r\n\r\n\n"

// TestWaitingHoldsLittle holds that bytes after a request for an upgrade stay
// with the system until it is answered, however many there are.
func TestWaitingHoldsLittle(t *testing.T) {
	early := strings.Repeat(notHTTP, 10_000)
	c := Scan(&cut{rest: upgradeHead + early, sizes: []byte{255}}, 0)
	head := make([]byte, 1<<20)
	if n, err := c.Read(head); err != nil || string(head[:n]) != upgradeHead {
		t.Fatalf("%q, %v: want the head alone", head[:n], err)
	}
	if n, err := c.Read(head[:1]); n > 0 || err != nil || cap(c.buf) > firstBuffer {
		t.Fatalf("%d bytes, %v, and %d are held", n, err, cap(c.buf))
	}
	ConnState(c, http.StateHijacked)
	if got, err := io.ReadAll(c); err != nil || string(got) != early || c.buf != nil {
		t.Errorf("%d bytes of %d, %v; %d are held", len(got), len(early), err, cap(c.buf))
	}
}

// TestWaitingIsForUpgradesAlone: only what follows a request for an upgrade waits,
// and not before all of that request has been read.
func TestWaitingIsForUpgradesAlone(t *testing.T) {
	const (
		plain = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
		post  = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n123456789"
		chunk = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nUpgrade: x\r\n\r\n9\r\n123456789\r\n0\r\n\r\n"
	)
	for name, test := range map[string]struct{ sent, passes string }{
		"pipelined requests":          {plain + plain + plain, plain + plain + plain},
		"an upgrade":                  {upgradeHead + notHTTP, upgradeHead},
		"an upgrade, and nothing":     {upgradeHead, upgradeHead},
		"a request before it":         {plain + upgradeHead + notHTTP, plain + upgradeHead},
		"one with a body":             {post + notHTTP, post},
		"one with a body of chunks":   {chunk + notHTTP, chunk},
		"one with a body, and no end": {post[:len(post)-2], post[:len(post)-2]},
	} {
		for _, size := range []byte{0, 3, 254} {
			c := Scan(&silent{cut{rest: test.sent, sizes: []byte{size}}}, 0)
			var got strings.Builder
			buf := make([]byte, 1<<10)
			for {
				n, err := c.Read(buf)
				got.Write(buf[:n])
				if n == 0 || err != nil {
					break
				}
			}
			if got.String() != test.passes {
				t.Errorf("%s, in pieces of %d: got %q, want %q", name, size+1, got.String(), test.passes)
			}
		}
	}
}

// TestLeftWhileWaiting: a client that leaves before its upgrade is answered has
// sent a whole request.
func TestLeftWhileWaiting(t *testing.T) {
	c := Scan(&cut{rest: upgradeHead}, 0)
	buf := make([]byte, 1<<10)
	if n, err := c.Read(buf); string(buf[:n]) != upgradeHead || err != nil {
		t.Fatalf("%q, %v", buf[:n], err)
	}
	for range 2 {
		if n, err := c.Read(buf); n != 0 || !errors.Is(err, io.EOF) {
			t.Errorf("%d bytes, %v; want the end", n, err)
		}
	}
}

// silent is a connection on which nothing more comes.
type silent struct{ cut }

func (s *silent) Read(p []byte) (int, error) {
	if s.rest == "" {
		return 0, os.ErrDeadlineExceeded
	}
	return s.cut.Read(p)
}

// TestHandedOnAtOnce: what is judged is handed on before more is waited for. A
// line waits for its end, and nothing else waits.
func TestHandedOnAtOnce(t *testing.T) {
	const head = "POST / HTTP/1.1\r\nHost: a\r\n"
	for _, parts := range [][]string{
		{"\r\n" + head + "\r\n"},
		{head + "Content-Length: 3\r\n\r\n", "a", "b", "c", "GET / HTTP/1.1\r\nHost: a\r\n\r\n"},
		{head + "Transfer-Encoding: chunked\r\n\r\n", "2\r\n", "a", "b", "\r\n", "1;x\r\n", "c", "\r\n", "0\r\n", "a: b\r\n", "\r\n", "GET / HTTP/1.1\r\nHost: a\r\n\r\n"},
	} {
		for n := range parts {
			sent := strings.Join(parts[:n+1], "")
			got, err := io.ReadAll(Scan(&silent{cut{rest: sent}}, 0))
			if want := strings.TrimPrefix(sent, "\r\n"); string(got) != want || !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("of %q came %q, %v", sent, got, err)
			}
		}
	}
}

// TestNothingIsAskedFor: a Read of no bytes waits for nothing.
func TestNothingIsAskedFor(t *testing.T) {
	c := Scan(&silent{}, 0)
	if n, err := c.Read(nil); n != 0 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
}

// counted is a connection that counts its reads, and ends with the last bytes.
type counted struct {
	cut
	reads int
}

func (c *counted) Read(p []byte) (int, error) {
	c.reads++
	n, err := c.cut.Read(p)
	if c.rest == "" {
		err = io.EOF
	}
	return n, err
}

// TestBodiesPassTheBuffer: a body is read into the reader's own buffer, and the
// last bytes count though the end comes with them.
func TestBodiesPassTheBuffer(t *testing.T) {
	const size = 1 << 20
	body := strings.Repeat("x", size)
	for name, message := range map[string]string{
		"length": fmt.Sprintf("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s", size, body),
		"chunk":  fmt.Sprintf("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", size, body),
	} {
		conn := &counted{cut: cut{rest: message}}
		var got strings.Builder
		n, err := io.CopyBuffer(&got, struct{ io.Reader }{Scan(conn, 0)}, make([]byte, size))
		if n != int64(len(message)) || got.String() != message || err != nil {
			t.Errorf("%s: %d bytes of %d, %v", name, n, len(message), err)
		}
		if conn.reads > 6 {
			t.Errorf("%s: %d reads", name, conn.reads)
		}
	}
}

// TestPipelineHoldsLittle: requests that come without a pause, each cut off by the
// end of a read, take no more memory than the first.
func TestPipelineHoldsLittle(t *testing.T) {
	all := strings.Repeat("GET / HTTP/1.1\r\nHost: a\r\nX: "+strings.Repeat("x", 219)+"\r\n\r\n", 2000)
	c := Scan(&cut{rest: all, sizes: []byte{249}}, 0)
	buf := make([]byte, 1<<10)
	for got := 0; got < len(all); {
		n, err := c.Read(buf)
		if got += n; err != nil || cap(c.buf) > firstBuffer {
			t.Fatalf("after %d bytes: %v; %d bytes are held", got, err, cap(c.buf))
		}
	}
}

// TestEndedEarly: a connection that ends within a body is told from one that ends
// between requests.
func TestEndedEarly(t *testing.T) {
	const head = "POST / HTTP/1.1\r\nHost: a\r\n"
	for message, early := range map[string]bool{
		"": false, "GET": false, head: false, head + "\r\n": false,
		head + "Content-Length: 2\r\n\r\na":              true,
		head + "Content-Length: 2\r\n\r\nab":             false,
		head + "Transfer-Encoding: chunked\r\n\r\n":      true,
		head + "Transfer-Encoding: chunked\r\n\r\n1\r\n": true,
		head + "Transfer-Encoding: chunked\r\n\r\n0\r\n": true,
	} {
		_, err := io.ReadAll(Scan(&cut{rest: message}, 0))
		var broken *BodyError
		if errors.As(err, &broken) != early || errors.Is(err, io.ErrUnexpectedEOF) != early {
			t.Errorf("%q: %v", message, err)
		}
	}
}

// TestRefusedIsNobodyElse holds that a request under way is not taken for the
// refused one that was pipelined behind it.
func TestRefusedIsNobodyElse(t *testing.T) {
	c := &Conn{refusal: refuse(400, "9112 §3", "no")}
	r, err := http.NewRequestWithContext(ConnContext(t.Context(), c), "GET", "/", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := Refused(nil, r); ok {
		t.Error("a GET was taken for a refused request")
	}
	r.Method = refusedMethod
	if _, ok := Refused(nil, r); !ok {
		t.Error("a refused request was not told")
	}
	if _, ok := Refused(nil, r.WithContext(t.Context())); ok {
		t.Error("a method alone is not a refusal")
	}
}

// slowly is a connection whose bytes come when the test says, and that notes
// its deadlines.
func slowly(t *testing.T, headTimeout time.Duration) (*Conn, net.Conn) {
	t.Helper()
	ours, theirs := net.Pipe()
	t.Cleanup(func() {
		ours.Close()
		theirs.Close()
	})
	return Scan(ours, headTimeout), theirs
}

// TestHeadTimeout: a head has its time from its first byte, however it trickles
// in, unless another request is under way.
func TestHeadTimeout(t *testing.T) {
	const request = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
	read := func(c *Conn) (string, error) {
		buf := make([]byte, 1<<10)
		n, err := c.Read(buf)
		return string(buf[:n]), err
	}
	trickle := func(w io.Writer, every time.Duration) {
		for _, b := range []byte(request) {
			time.Sleep(every)
			if _, err := w.Write([]byte{b}); err != nil {
				return
			}
		}
	}
	for name, test := range map[string]struct {
		every    time.Duration
		before   http.ConnState // the state before state
		state    http.ConnState
		deadline time.Duration // of net/http
		fails    time.Duration // 0 is never
	}{
		"in time":                 {every: 300 * time.Millisecond, state: http.StateIdle},
		"too slow":                {every: time.Second, state: http.StateIdle, fails: 11 * time.Second},
		"too slow, new":           {every: time.Second, state: http.StateNew, fails: 11 * time.Second},
		"slow, while one is busy": {every: time.Second, state: http.StateActive},
		"too slow, after another": {every: time.Second, before: http.StateActive, state: http.StateIdle, fails: 11 * time.Second},
		"net/http is stricter":    {every: time.Second, state: http.StateIdle, deadline: 5 * time.Second, fails: 5 * time.Second},
		"net/http is laxer":       {every: time.Second, state: http.StateIdle, deadline: time.Minute, fails: 11 * time.Second},
		"silence is not a head":   {every: time.Hour, state: http.StateIdle, deadline: time.Minute, fails: time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, client := slowly(t, 10*time.Second)
				ConnState(c, test.before)
				ConnState(c, test.state)
				began := time.Now()
				if test.deadline > 0 {
					if err := c.SetDeadline(began.Add(test.deadline)); err != nil {
						t.Fatal(err)
					}
				}
				go trickle(client, test.every)
				got, err := read(c)
				took := time.Since(began)
				switch {
				case test.fails == 0 && (err != nil || got != request):
					t.Errorf("%q, %v after %v", got, err, took)
				case test.fails > 0 && (!errors.Is(err, os.ErrDeadlineExceeded) || took != test.fails):
					t.Errorf("%q, %v after %v; want a timeout after %v", got, err, took, test.fails)
				}
				if test.fails > 0 {
					c.Close()
					time.Sleep(2 * time.Hour) // the client notices
					return
				}
				// The next head has its own time.
				ConnState(c, http.StateActive)
				ConnState(c, http.StateIdle)
				time.Sleep(time.Hour)
				go trickle(client, 300*time.Millisecond)
				if got, err := read(c); err != nil || got != request {
					t.Errorf("the next: %q, %v", got, err)
				}
			})
		})
	}
}

// TestHeadTimeoutOfARefusedHead: the limit does not outlive the head.
func TestHeadTimeoutOfARefusedHead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, client := slowly(t, 10*time.Second)
		go func() {
			io.WriteString(client, "GET / HTTP/1.1\r\n")
			io.WriteString(client, "a b\r\n")
		}()
		if got, err := io.ReadAll(io.LimitReader(c, int64(len(refusedHead)))); err != nil || string(got) != refusedHead {
			t.Errorf("%q, %v", got, err)
		}
		if c.limit.begun || !c.limit.until.IsZero() {
			t.Error("the limit stays")
		}
	})
}

// TestHeadTimeoutIsOfHeads: the parts of a body have no limit, though they may
// have to be held.
func TestHeadTimeoutIsOfHeads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, client := slowly(t, 10*time.Second)
		const message = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1;slow\r\na\r\n0\r\nx: y\r\n\r\n"
		head := strings.Index(message, "1;slow")
		go func() {
			io.WriteString(client, message[:head])
			for i := head; i < len(message); i++ {
				time.Sleep(time.Minute)
				io.WriteString(client, message[i:i+1])
			}
			client.Close()
		}()
		if got, err := io.ReadAll(c); string(got) != message || err != nil {
			t.Errorf("%q, %v", got, err)
		}
	})
}

// deaf is a connection that takes no deadlines for writing.
type deaf struct{ net.Conn }

func (deaf) SetWriteDeadline(time.Time) error { return os.ErrInvalid }
func (deaf) SetReadDeadline(time.Time) error  { return nil }

func TestDeadlineNotSet(t *testing.T) {
	if err := Scan(deaf{}, 0).SetDeadline(time.Now()); !errors.Is(err, os.ErrInvalid) {
		t.Errorf("%v", err)
	}
}

// half is a connection whose directions can be closed alone.
type half struct {
	net.Conn
	closed bool
	times  int
}

func (h *half) CloseWrite() error {
	h.closed = true
	h.times++
	return nil
}

// TestCloseAfterABrokenBody: what the client still sends is read for a moment,
// so that it can read the answer; otherwise a connection is closed at once.
func TestCloseAfterABrokenBody(t *testing.T) {
	const broken = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n"
	for name, test := range map[string]struct {
		sent  string
		leave bool // the client closes at once
		took  time.Duration
	}{
		"broken, and the client stays":    {broken, false, closePause},
		"broken, and the client leaves":   {broken, true, 0},
		"a head that is refused":          {"GET\r\n", false, 0}, // net/http waits
		"a request":                       {"GET / HTTP/1.1\r\nHost: a\r\n\r\n", false, 0},
		"the client leaves in its body":   {broken[:len(broken)-3], true, 0},
		"more than is read after a fault": {broken + strings.Repeat("x", maxDiscarded+1<<20), false, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ours, client := net.Pipe()
				h := &half{Conn: ours}
				c := Scan(h, 0)
				go func() {
					io.WriteString(client, test.sent)
					if test.leave {
						client.Close()
					}
				}()
				buf := make([]byte, 4<<10)
				for {
					n, err := c.Read(buf)
					if err != nil || strings.HasPrefix(string(buf[:n]), "GET") || strings.HasPrefix(string(buf[:n]), refusedMethod) {
						break
					}
				}
				began := time.Now()
				if err := c.Close(); err != nil {
					t.Error(err)
				}
				_ = c.Close() // waits no second time
				if took := time.Since(began); took != test.took {
					t.Errorf("closed after %v, want %v", took, test.took)
				}
				if strings.HasPrefix(name, "broken") != h.closed && !strings.HasPrefix(name, "more") {
					t.Errorf("the sending side was closed first: %t", h.closed)
				}
				if h.times > 1 {
					t.Errorf("the sending side was closed %d times", h.times)
				}
				client.Close()
			})
		})
	}
}

// hijackable is told that it was taken.
type hijackable struct {
	net.Conn
	told int
}

func (h *hijackable) Hijacked() { h.told++ }

func TestHijackedIsTold(t *testing.T) {
	h := &hijackable{}
	c := Scan(h, 0)
	for _, state := range []http.ConnState{http.StateNew, http.StateActive, http.StateIdle, http.StateClosed} {
		ConnState(c, state)
	}
	if h.told != 0 {
		t.Error("told too early")
	}
	ConnState(c, http.StateHijacked)
	if h.told != 1 {
		t.Errorf("told %d times", h.told)
	}
	ConnState(h, http.StateHijacked) // no scanner: nothing to do
}
