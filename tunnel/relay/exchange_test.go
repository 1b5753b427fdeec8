package relay

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/devproxy/devproxy/tunnel"
	"github.com/devproxy/devproxy/tunnel/field"
	"github.com/devproxy/devproxy/tunnel/splice"
)

// echo returns what the agent saw of a request.
func echo(w http.ResponseWriter, r *http.Request) {
	v := visitorOf(r)
	body, _ := io.ReadAll(r.Body)
	fmt.Fprintf(w, "%s %s host=%s visitor=%s scheme=%s public=%s length=%d body=%s", r.Method, r.RequestURI, r.Host, v.Addr.Addr(), v.Scheme, v.Host, r.ContentLength, body)
	names := make([]string, 0, len(r.Header))
	for name := range r.Header {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		fmt.Fprintf(w, " [%s: %s]", name, strings.Join(r.Header[name], "|"))
	}
}

var protocols = []string{"h1", "h2"}

func TestRequestAsItCame(t *testing.T) {
	w := start(t, nil)
	key := testKey("a")
	a := w.agent(key, claimOf(key, ""), http.HandlerFunc(echo))
	host := a.grant.Hosts[0]
	for _, protocol := range protocols {
		t.Run(protocol, func(t *testing.T) {
			client := w.client(protocol)
			for _, target := range []string{"/", "/a%2Fb//c/../%41?x=1&y=%20", "/a;b=c?", "//evil.example/x", "/|^"} {
				r, err := http.NewRequest(http.MethodGet, "https://"+host+"/", nil)
				if err != nil {
					t.Fatal(err)
				}
				r.URL.Path, r.URL.RawPath, r.URL.Opaque = "", "", target
				if strings.HasPrefix(target, "//") {
					// net/http's client would write an absolute URL.
					r.URL.Opaque, r.URL.Path, r.URL.RawPath = "", target, target
				}
				r.Header.Set("X-Mine", "yes")
				res, err := client.Do(r)
				if err != nil {
					t.Fatal(err)
				}
				body, _ := io.ReadAll(res.Body)
				res.Body.Close()
				want := fmt.Sprintf("GET %s host=%s visitor=127.0.0.1 scheme=https public=%s length=0 body= [User-Agent: Go-http-client/%s] [X-Mine: yes]", target, host, host, protocol[1:]+map[string]string{"h1": ".1", "h2": ".0"}[protocol])
				if string(body) != want {
					t.Errorf("the agent saw\n%s\nwant\n%s", body, want)
				}
			}
		})
	}
}

func TestForwardingFieldsDropped(t *testing.T) {
	w := start(t, nil)
	key := testKey("a")
	host := w.agent(key, claimOf(key, ""), http.HandlerFunc(echo)).grant.Hosts[0]
	for _, protocol := range protocols {
		hop := []string{"Connection", "X-Secret-Hop", "X-Secret-Hop", "1"}
		if protocol == "h2" {
			hop = nil // its client refuses to send it
		}
		_, body, _ := get(t, w.client(protocol), "https://"+host+"/", append(hop,
			"X-Forwarded-For", "10.0.0.1", "X-Forwarded-Host", "evil", "X-Forwarded-Proto", "http", "X-Forwarded-Anything", "x",
			"Forwarded", "for=10.0.0.1", "X-Real-Ip", "10.0.0.1", "Via", "1.1 evil", "True-Client-Ip", "10.0.0.1",
			"Proxy-Authorization", "Basic eA==", "Keep", "yes")...)
		if strings.Contains(body, "10.0.0.1") || strings.Contains(body, "evil") || strings.Contains(body, "Hop") || strings.Contains(body, "Proxy") {
			t.Errorf("%s: the agent saw %s", protocol, body)
		}
		if !strings.Contains(body, "[Keep: yes]") || !strings.Contains(body, "visitor=127.0.0.1") {
			t.Errorf("%s: the agent missed what it should see: %s", protocol, body)
		}
	}
}

// TestBodies: bodies of known and unknown length arrive unchanged, with trailers in both
// directions.
func TestBodies(t *testing.T) {
	w := start(t, nil)
	key := testKey("a")
	host := w.agent(key, claimOf(key, ""), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Trailer", "X-Sum")
		sum := sha256.New()
		_ = http.NewResponseController(w).EnableFullDuplex()
		n, err := io.Copy(io.MultiWriter(w, sum), r.Body)
		w.Header().Set("X-Sum", strings.TrimSpace(fmt.Sprintf("%d %x %v %s", n, sum.Sum(nil), err, r.Trailer.Get("X-Sent"))))
	})).grant.Hosts[0]
	data := bytes.Repeat([]byte("0123456789abcdef"), 3<<16)
	sum := sha256.Sum256(data)
	for _, protocol := range protocols {
		for _, length := range []int64{int64(len(data)), -1} {
			r, err := http.NewRequest(http.MethodPost, "https://"+host+"/", io.NopCloser(bytes.NewReader(data)))
			if err != nil {
				t.Fatal(err)
			}
			r.ContentLength = length
			sent := ""
			if length < 0 {
				r.Trailer, sent = http.Header{"X-Sent": {"all"}}, "all"
			}
			res, err := w.client(protocol).Do(r)
			if err != nil {
				t.Fatal(err)
			}
			back, err := io.ReadAll(res.Body)
			res.Body.Close()
			if err != nil || !bytes.Equal(back, data) {
				t.Errorf("%s, length %d: %d bytes came back, %v", protocol, length, len(back), err)
			}
			if got, want := res.Trailer.Get("X-Sum"), strings.TrimSpace(fmt.Sprintf("%d %s <nil> %s", len(data), hex.EncodeToString(sum[:]), sent)); got != want {
				t.Errorf("%s, length %d: the trailer is %q, want %q", protocol, length, got, want)
			}
		}
	}
}

// TestResponsesAsTheyCame covers the answers whose framing is special.
func TestResponsesAsTheyCame(t *testing.T) {
	w := start(t, nil)
	key := testKey("a")
	host := w.agent(key, claimOf(key, ""), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/204":
			w.WriteHeader(204)
		case "/304":
			w.Header().Set("Etag", `"x"`)
			w.WriteHeader(304)
		case "/untyped":
			w.Header()["Content-Type"] = nil
			fmt.Fprint(w, "<html>")
		case "/hints":
			w.Header().Set("Link", "</a.css>; rel=preload")
			w.Header().Set("Set-Cookie", "wide=1; Domain=t.example.com")
			w.Header().Set("X-Own", "1")
			w.WriteHeader(103)
			clear(w.Header())
			fmt.Fprint(w, "ok")
		default:
			w.Header().Set("Content-Length", "5")
			w.Header().Set("Alt-Svc", `h3=":443"`)
			if r.Method != http.MethodHead {
				fmt.Fprint(w, "hello")
			}
		}
	})).grant.Hosts[0]
	for _, protocol := range protocols {
		client := w.client(protocol)
		do := func(method, path string) (*http.Response, string, []string) {
			var hints []string
			trace := &httptrace.ClientTrace{Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
				hints = append(hints, fmt.Sprint(code, h.Get("Link"), h.Get("Set-Cookie"), h.Get("X-Own")))
				return nil
			}}
			r, err := http.NewRequestWithContext(httptrace.WithClientTrace(t.Context(), trace), method, "https://"+host+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			res, err := client.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			body, err := io.ReadAll(res.Body)
			if err != nil {
				t.Error(err)
			}
			return res, string(body), hints
		}
		if res, body, _ := do("HEAD", "/"); res.ContentLength != 5 || body != "" || res.Header.Get("Alt-Svc") != "" {
			t.Errorf("%s HEAD: length %d, body %q, %v", protocol, res.ContentLength, body, res.Header)
		}
		if res, body, _ := do("GET", "/204"); res.StatusCode != 204 || body != "" {
			t.Errorf("%s 204: %d %q", protocol, res.StatusCode, body)
		}
		if res, body, _ := do("GET", "/304"); res.StatusCode != 304 || body != "" || res.Header.Get("Etag") != `"x"` {
			t.Errorf("%s 304: %d %q %v", protocol, res.StatusCode, body, res.Header)
		}
		if res, body, _ := do("GET", "/untyped"); res.Header["Content-Type"] != nil || body != "<html>" {
			t.Errorf("%s untyped: %v %q", protocol, res.Header, body)
		}
		if res, body, hints := do("GET", "/hints"); body != "ok" || res.Header.Get("Link") != "" || !slices.Equal(hints, []string{"103</a.css>; rel=preload"}) {
			t.Errorf("%s hints: %q, %v, then %v", protocol, body, hints, res.Header)
		}
	}
}

// TestEventStream: an event reaches the visitor while the response continues.
func TestEventStream(t *testing.T) {
	w := start(t, nil)
	key := testKey("a")
	next, gone := make(chan string), make(chan struct{})
	host := w.agent(key, claimOf(key, ""), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		w.WriteHeader(200)
		_ = http.NewResponseController(w).Flush()
		for {
			select {
			case event := <-next:
				fmt.Fprintf(w, "data: %s\n\n", event)
				_ = http.NewResponseController(w).Flush()
			case <-r.Context().Done():
				gone <- struct{}{}
				return
			}
		}
	})).grant.Hosts[0]
	for _, protocol := range protocols {
		before := w.memory.Used()
		res, err := w.client(protocol).Get("https://" + host + "/")
		if err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(res.Body)
		for _, event := range []string{"one", "two"} {
			next <- event
			if !lines.Scan() || lines.Text() != "data: "+event || !lines.Scan() {
				t.Fatalf("%s: read %q, %v; want %s", protocol, lines.Text(), lines.Err(), event)
			}
		}
		if held := w.memory.Used() - before; held < visitCost+splice.BlockSize {
			t.Errorf("%s: %d bytes are counted while the response continues", protocol, held)
		}
		res.Body.Close()
		within(t, "the app hears that its visitor has left", gone)
		eventually(t, "the request is counted out", func() bool { return w.shares.forKey(publicKey(key)).slots.inUse() == 0 })
	}
}

// TestFullDuplex: the response begins while the request's body still arrives.
func TestFullDuplex(t *testing.T) {
	w := start(t, nil)
	key := testKey("a")
	host := w.agent(key, claimOf(key, ""), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		control := http.NewResponseController(w)
		_ = control.EnableFullDuplex()
		w.WriteHeader(200)
		lines := bufio.NewScanner(r.Body)
		_ = control.Flush()
		for lines.Scan() {
			fmt.Fprintf(w, "%s!\n", lines.Text())
			_ = control.Flush()
		}
	})).grant.Hosts[0]
	for _, protocol := range protocols {
		body, send := io.Pipe()
		res, err := w.client(protocol).Post("https://"+host+"/", "text/plain", body)
		if err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(res.Body)
		for _, word := range []string{"one", "two"} {
			fmt.Fprintln(send, word)
			if !lines.Scan() || lines.Text() != word+"!" {
				t.Fatalf("%s: read %q, %v", protocol, lines.Text(), lines.Err())
			}
		}
		send.Close()
		if lines.Scan() {
			t.Errorf("%s: %q after the end", protocol, lines.Text())
		}
		res.Body.Close()
	}
}

// TestEarlyAnswer: the response of an app that does not read a large upload arrives.
func TestEarlyAnswer(t *testing.T) {
	w := start(t, nil)
	key := testKey("a")
	host := w.agent(key, claimOf(key, ""), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprint(w, "no")
	})).grant.Hosts[0]
	for _, protocol := range protocols {
		body, send := io.Pipe()
		go func() {
			chunk := make([]byte, 1<<16)
			for {
				if _, err := send.Write(chunk); err != nil {
					return
				}
			}
		}()
		r, err := http.NewRequest(http.MethodPost, "https://"+host+"/", body)
		if err != nil {
			t.Fatal(err)
		}
		r.ContentLength = 1 << 40
		res, err := w.client(protocol).Do(r)
		if err != nil {
			t.Fatalf("%s: %v", protocol, err)
		}
		text, _ := io.ReadAll(res.Body)
		res.Body.Close()
		body.Close()
		if res.StatusCode != http.StatusForbidden || string(text) != "no" {
			t.Errorf("%s: %d %q", protocol, res.StatusCode, text)
		}
	}
}

// TestExpectContinue: the app decides whether a body is sent at all.
func TestExpectContinue(t *testing.T) {
	w := start(t, nil)
	key := testKey("a")
	host := w.agent(key, claimOf(key, ""), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/no" {
			w.WriteHeader(http.StatusExpectationFailed)
			return
		}
		echo(w, r)
	})).grant.Hosts[0]
	for path, want := range map[string]string{"/yes": "HTTP/1.1 100 Continue", "/no": "HTTP/1.1 417 Expectation Failed"} {
		c := w.dial(host)
		fmt.Fprintf(c, "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n", path, host)
		from := bufio.NewReader(c)
		line, err := from.ReadString('\n')
		if err != nil || strings.TrimSpace(line) != want {
			t.Errorf("%s: the first line is %q, %v; want %q", path, line, err, want)
		}
		if path == "/no" {
			continue
		}
		_, _ = from.ReadString('\n')
		fmt.Fprint(c, "body")
		res, err := http.ReadResponse(from, nil)
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(res.Body)
		if !strings.Contains(string(text), "length=4 body=body") {
			t.Errorf("the agent saw %s", text)
		}
	}
}

// TestBrokenResponse: half a response is never taken for a complete one, and a request
// is not sent again after it.
func TestBrokenResponse(t *testing.T) {
	w := start(t, nil)
	var asked atomic.Int32
	key := testKey("a")
	host := w.agent(key, claimOf(key, ""), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/none" {
			asked.Add(1)
			panic(http.ErrAbortHandler)
		}
		fmt.Fprint(w, "half")
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	})).grant.Hosts[0]
	for _, protocol := range protocols {
		client := w.client(protocol)
		if status, body, _ := get(t, client, "https://"+host+"/none"); status != http.StatusBadGateway || !strings.Contains(body, "was lost") {
			t.Errorf("%s: no answer gives %d %q", protocol, status, body)
		}
		if n := asked.Swap(0); n != 1 {
			t.Errorf("%s: the app got a request %d times", protocol, n)
		}
		res, err := client.Get("https://" + host + "/half")
		if err != nil {
			t.Fatal(err)
		}
		if body, err := io.ReadAll(res.Body); err == nil {
			t.Errorf("%s: half an answer was read as %q", protocol, body)
		}
		res.Body.Close()
	}
}

// TestAgentStopsReading: an agent that has answered, and neither reads nor closes, does
// not keep the exchange.
func TestAgentStopsReading(t *testing.T) {
	w := start(t, nil)
	key := testKey("a")
	hello := fmt.Sprintf(`{"project":"shop","link":%q,"hosts":[""]}`, tunnel.Link(key, 0))
	s, _, err := tunnel.Dial(t.Context(), tunnel.Config{Key: key, Dial: w.dialLane, Hello: []byte(hello)})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close(nil)
	for _, protocol := range protocols {
		answered := make(chan error, 1)
		go func() {
			st, err := s.Accept(t.Context())
			if err == nil {
				_, err = io.WriteString(st, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
			}
			answered <- err
		}()
		r, err := http.NewRequest(http.MethodPost, "https://shop-"+tunnel.Link(key, 0)+"."+domain+"/", io.LimitReader(zeros{}, 1<<40))
		if err != nil {
			t.Fatal(err)
		}
		res, err := w.client(protocol).Do(r)
		if err != nil {
			t.Fatalf("%s: %v, %v", protocol, err, <-answered)
		}
		body, _ := io.ReadAll(res.Body)
		res.Body.Close()
		if string(body) != "ok" {
			t.Errorf("%s: %q", protocol, body)
		}
		eventually(t, "the exchange is over", func() bool { return w.shares.forKey(publicKey(key)).slots.inUse() == 0 })
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// TestRequestFields: HTTP/2 may have a Host in addition to :authority, and
// no fields about connections.
func TestRequestFields(t *testing.T) {
	r := &http.Request{ProtoMajor: 2, Header: http.Header{
		"Host": {"evil"}, "Content-Length": {"5"}, "Te": {"trailers, gzip"}, "Connection": {"X-Hop, keep-alive"}, "X-Hop": {"1"},
		"Upgrade": {"websocket"}, "X-Forwarded-For": {"1"}, "X-Mine": {"1", "2"}, "Cookie": {"a=1"},
	}}
	want := http.Header{"Te": {"trailers"}, "X-Mine": {"1", "2"}, "Cookie": {"a=1"}}
	if got := requestFields(r); !reflect.DeepEqual(got, want) || field.Upgrade(r) != "" {
		t.Errorf("fields %v, upgrade %q; want %v", got, field.Upgrade(r), want)
	}
}

// TestRequestFieldsFollowTheFieldPolicy sends every controlled field, in its
// own spelling and in one that CGI reads as the same. The agent gets the hops,
// to detect a loop.
func TestRequestFieldsFollowTheFieldPolicy(t *testing.T) {
	for _, kind := range []field.Kind{field.Connection, field.Address, field.Target, field.Environment, field.Own, field.Edge, field.Internal, field.Identity} {
		for _, name := range field.Names(kind) {
			name = http.CanonicalHeaderKey(strings.Replace(name, "*", "anything", 1))
			r := &http.Request{ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{name: {"forged"}, "My_header": {"own"}}}
			if strings.Contains(name, "-") {
				r.Header[strings.ReplaceAll(name, "-", "_")] = []string{"forged"}
			}
			if got := requestFields(r); !reflect.DeepEqual(got, http.Header{"My_header": {"own"}}) {
				t.Errorf("%s: %v", name, got)
			}
		}
	}
	r := &http.Request{Header: http.Header{field.Hop: {"a", "b"}, "Content_length": {"5"}, "Devproxy_hop": {"c"}}}
	if got := requestFields(r); !reflect.DeepEqual(got, http.Header{field.Hop: {"a", "b"}}) {
		t.Errorf("%v", got)
	}
}

func TestTrailersFollowTheFieldPolicy(t *testing.T) {
	trailer := http.Header{}
	for _, name := range []string{"X-Sum", "Grpc-Status", "X-Forwarded-For", "X_forwarded_for", "Forwarded", "Set-Cookie", "Authorization", "Content-Length", "Remote-User"} {
		trailer[name] = []string{"1"}
	}
	if got := field.TrailerNames(trailer); !slices.Equal(got, []string{"Grpc-Status", "X-Sum"}) {
		t.Errorf("%q", got)
	}
}
