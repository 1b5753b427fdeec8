package message

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/devproxy/devproxy/testdata/smuggle"
)

const upgradeHead = "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n"

// cut is a connection whose bytes arrive in pieces of the given sizes, over
// and over.
type cut struct {
	net.Conn
	rest  string
	sizes []byte
	turn  int
}

func (c *cut) size() int {
	c.turn++
	if len(c.sizes) == 0 {
		return 1 << 20
	}
	return int(c.sizes[c.turn%len(c.sizes)]) + 1
}

func (c *cut) Read(p []byte) (int, error) {
	if c.rest == "" {
		return 0, io.EOF
	}
	n := copy(p[:min(len(p), c.size())], c.rest)
	c.rest = c.rest[n:]
	return n, nil
}

// scanAll reads in through the scanner: what came out, and how it ended.
func scanAll(t *testing.T, in string, arrive, read []byte) (out, end string) {
	t.Helper()
	c := Scan(&cut{rest: in, sizes: arrive}, 0)
	reads := &cut{sizes: read}
	var all strings.Builder
	buf := make([]byte, 8<<10)
	for {
		n, err := c.Read(buf[:min(len(buf), reads.size())])
		all.Write(buf[:n])
		if cap(c.buf) > maxHead {
			t.Fatalf("the scanner holds %d bytes", cap(c.buf))
		}
		if err == nil {
			if c.waiting {
				ConnState(c, http.StateIdle) // every upgrade is declined
			}
			continue
		}
		var broken *BodyError
		switch {
		case c.refusal != nil:
			return all.String(), "refused: " + c.refusal.Error()
		case errors.As(err, &broken):
			return all.String(), "broken: " + broken.Error()
		}
		return all.String(), err.Error()
	}
}

// FuzzScanner holds that the scanner does not depend on how its input is cut,
// agrees with the reference, and lets nothing through that net/http reads as
// other messages.
func FuzzScanner(f *testing.F) {
	cases, err := smuggle.Cases()
	if err != nil {
		f.Fatal(err)
	}
	for _, c := range cases {
		f.Add(c.Raw+c.Raw, []byte{0}, []byte{6})
	}
	f.Add(upgradeHead+upgradeHead+"GET / HTTP/1.1\r\nHost: a\r\n\r\n", []byte{3, 200}, []byte{0, 90})
	f.Fuzz(checkScanner)
}

func checkScanner(t *testing.T, in string, arrive, read []byte) {
	out, end := scanAll(t, in, nil, nil)
	cutOut, cutEnd := scanAll(t, in, arrive, read)
	if out != cutOut || end != cutEnd {
		t.Fatalf("whole: %s, %q\ncut: %s, %q", end, out, cutEnd, cutOut)
	}
	want := refer(in)
	compareWithReference(t, want, out, end)
	compareWithServer(t, want, out)
}

// fragments are pieces of requests, good and bad: random bytes alone find few of
// them.
func fragments() []string {
	return []string{
		"GET / HTTP/1.1\r\n", "POST /a?b HTTP/1.1\r\n", "GET http://a/ HTTP/1.1\r\n", "GET / HTTP/1.0\r\n", "Host: a\r\n", "Host: a\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: a\r\n", "Content-Length: 5\r\n", "Content-Length: 5\r\n\r\n", "Content-Length: ", "Transfer-Encoding: chunked\r\n",
		"Transfer-Encoding: chunked\r\n\r\n", "Transfer-Encoding", "chunked", "Upgrade: x\r\n", "Expect: 100-continue\r\n", "X: y\r\n",
		"5\r\nhello\r\n", "0\r\n\r\n", "0\r\n", "5;a=b\r\n", "hello", "5", "f", ";", ":", " ", "\t", "\r\n", "\n", "\r", "\x00", "\\", "%2f", "%", "#", "?", "[::1]", "@",
		refusedMethod, "Host: a:\r\n", "GET http://a:/ HTTP/1.1\r\n", "Content-Length: 5, 5\r\n\r\n", "Content-Length: 5 ,\t5,5 \r\n", "Content-Length: 5, 6\r\n", ",",
	}
}

// FuzzFragments does the same with input put together from fragments.
func FuzzFragments(f *testing.F) {
	f.Add([]byte{6, 11, 17, 18, 0, 5}, []byte{0}, []byte{6})
	f.Fuzz(func(t *testing.T, picks, arrive, read []byte) { checkScanner(t, assemble(picks), arrive, read) })
}

func assemble(picks []byte) string {
	all := fragments()
	var in strings.Builder
	for _, pick := range picks {
		in.WriteString(all[int(pick)%len(all)])
	}
	return in.String()
}

// TestFragments tries as many as a moment allows, the same ones each time.
func TestFragments(t *testing.T) {
	random := rand.NewChaCha8([32]byte{})
	for range 20_000 {
		picks, cuts := make([]byte, 16), make([]byte, 2)
		random.Read(picks)
		random.Read(cuts)
		checkScanner(t, assemble(picks[:1+picks[0]%16]), cuts[:1], cuts[1:])
	}
}

func compareWithReference(t *testing.T, want reference, out, end string) {
	t.Helper()
	var complete strings.Builder
	for _, m := range want.messages {
		complete.WriteString(m.raw)
	}
	tail, ok := strings.CutPrefix(out, complete.String())
	kind, _, _ := strings.Cut(strings.ToLower(end), ":")
	switch {
	case !ok || kind != want.end:
		t.Fatalf("ended %s after %q\nwant %s after %q", end, out, want.end, complete.String())
	case kind == "eof" && tail != "", kind == "refused" && tail != refusedHead:
		t.Fatalf("%s, and then came %q", end, tail)
	case kind == "broken" && !strings.HasPrefix(want.tail, tail):
		t.Fatalf("%s, and %q came of %q", end, tail, want.tail)
	}
}

// compareWithServer reads what came out as net/http's server does.
func compareWithServer(t *testing.T, want reference, out string) {
	t.Helper()
	in := bufio.NewReader(strings.NewReader(out))
	for _, m := range want.messages {
		r, err := http.ReadRequest(in)
		if err != nil {
			if strings.Contains(err.Error(), "bad trailer key") {
				return // a Trailer field that net/http itself refuses
			}
			t.Fatalf("net/http refuses %q: %v", m.raw, err)
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Fatalf("net/http refuses the body of %q: %v", m.raw, err)
		}
		if diff := cmp.Diff([]string{m.method, m.target, m.body}, []string{r.Method, r.RequestURI, string(body)}); diff != "" {
			t.Fatalf("-want +net/http:\n%s", diff)
		}
	}
	if want.end != "broken" {
		return
	}
	if r, err := http.ReadRequest(in); err == nil {
		if body, err := io.ReadAll(r.Body); err == nil {
			t.Fatalf("net/http takes a broken body for whole: %q", body)
		}
	}
}

func TestLongHeadIsForgotten(t *testing.T) {
	long := "GET / HTTP/1.1\r\nHost: a\r\nX: " + strings.Repeat("x", 50<<10) + "\r\n\r\n"
	c := Scan(&cut{rest: long}, 0)
	if n, err := io.Copy(io.Discard, c); n != int64(len(long)) || err != nil {
		t.Fatalf("%d bytes of %d: %v", n, len(long), err)
	}
	if cap(c.buf) > firstBuffer {
		t.Errorf("%d bytes are still held", cap(c.buf))
	}
}

// endless is a connection on which the same request comes again and again,
// each with a Read of its own.
type endless struct {
	net.Conn
	request string
}

func (e *endless) Read(p []byte) (int, error) { return copy(p, e.request), nil }

// BenchmarkScanner reads requests of a browser's size through the scanner.
func BenchmarkScanner(b *testing.B) {
	fields := strings.Repeat("accept-language: en-GB,en;q=0.9,de;q=0.8\r\n", 12)
	get := "GET /src/components/button.tsx?v=1a2b3c HTTP/1.1\r\nHost: shop.localhost\r\n" + fields + "\r\n"
	post := "POST /api HTTP/1.1\r\nHost: shop.localhost\r\n" + fields + "Content-Length: 1000\r\n\r\n" + strings.Repeat("a", 1000)
	for _, request := range []string{get, post} {
		b.Run(fmt.Sprintf("%s%d", request[:4], len(request)), func(b *testing.B) {
			c := Scan(&endless{request: request}, 0)
			buf := make([]byte, 4<<10)
			b.SetBytes(int64(len(request)))
			b.ReportAllocs()
			for b.Loop() {
				for n := 0; n < len(request); {
					m, err := c.Read(buf)
					if err != nil {
						b.Fatal(err)
					}
					n += m
				}
			}
		})
	}
}

// TestScannerAllocatesNothing is the benchmark's claim as a test.
func TestScannerAllocatesNothing(t *testing.T) {
	c := Scan(&endless{request: "GET / HTTP/1.1\r\nHost: shop.localhost\r\nAccept: */*\r\n\r\n"}, 0)
	buf := make([]byte, 4<<10)
	read := func() {
		if _, err := c.Read(buf); err != nil {
			t.Fatal(err)
		}
	}
	read() // the first makes the buffer
	if n := testing.AllocsPerRun(100, read); n != 0 {
		t.Errorf("%v allocations a request", n)
	}
}
