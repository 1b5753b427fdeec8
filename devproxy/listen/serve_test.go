package listen

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/devproxy/devproxy/tunnel/message"
)

// tell answers with the facts of the connection that the handler has.
func tell(w http.ResponseWriter, r *http.Request) {
	facts := FromContext(r.Context())
	fmt.Fprintf(w, "%s tls=%t r.TLS=%t plainOnTLS=%t name=%s local=%t id=%t",
		r.Proto, facts.TLS, r.TLS != nil, facts.PlainOnTLS, facts.ServerName, facts.Local.Addr().IsLoopback(), facts.ID > 0)
}

func TestFacts(t *testing.T) {
	r := serve(t, http.HandlerFunc(tell))
	https := fmt.Sprintf("https://shop.localhost:%d/", r.HTTPS()[0].Port())
	for _, test := range []struct{ name, url, option, want string }{
		{"HTTP/2", https, "--http2", "HTTP/2.0 tls=true r.TLS=true plainOnTLS=false name=shop.localhost local=true id=true"},
		{"HTTP/1.1", https, "--http1.1", "HTTP/1.1 tls=true r.TLS=true plainOnTLS=false name=shop.localhost local=true id=true"},
		{"plain", fmt.Sprintf("http://shop.localhost:%d/", r.HTTP()[0].Port()), "--http1.1",
			"HTTP/1.1 tls=false r.TLS=false plainOnTLS=false name= local=true id=true"},
		{"plain on the TLS port", strings.Replace(https, "https:", "http:", 1), "--http1.1",
			"HTTP/1.1 tls=false r.TLS=false plainOnTLS=true name= local=true id=true"},
	} {
		for _, address := range []string{"127.0.0.1", "::1"} {
			t.Run(test.name+" to "+address, func(t *testing.T) {
				if got := curl(t, address, test.option, test.url); got != test.want {
					t.Errorf("got  %s\nwant %s", got, test.want)
				}
			})
		}
	}
}

func curl(t *testing.T, address string, args ...string) string {
	t.Helper()
	if _, err := exec.LookPath("curl"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("curl is missing")
		}
		t.Skip("curl is missing")
	}
	args = append([]string{"-sSk", "--max-time", "10", "--connect-to", "::[" + address + "]:"}, args...)
	out, err := exec.CommandContext(t.Context(), "curl", args...).CombinedOutput()
	if err != nil {
		t.Fatalf("curl %s: %v: %s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

func TestCertificateIsVerified(t *testing.T) {
	r := serve(t, http.HandlerFunc(tell))
	for _, http2 := range []bool{false, true} {
		response, err := r.client(t, http2).Get("https://" + r.HTTPS()[0].String())
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if got := response.ProtoMajor == 2; got != http2 {
			t.Errorf("HTTP/%d.%d, want HTTP/2: %t", response.ProtoMajor, response.ProtoMinor, http2)
		}
	}
}

func TestOldTLSIsRefused(t *testing.T) {
	r := serve(t, http.HandlerFunc(tell))
	for version, allowed := range map[uint16]bool{tls.VersionTLS11: false, tls.VersionTLS12: true, tls.VersionTLS13: true} {
		config := &tls.Config{RootCAs: r.pool, ServerName: "shop.localhost", MinVersion: version, MaxVersion: version}
		c, err := tls.Dial("tcp", r.HTTPS()[0].String(), config)
		if (err == nil) != allowed {
			t.Errorf("%s: %v", tls.VersionName(version), err)
		}
		if err == nil {
			c.Close()
		}
	}
}

// answers reads responses until the connection ends: "STATUS BODY" each.
func answers(t *testing.T, c io.Reader) []string {
	t.Helper()
	got, in := []string{}, bufio.NewReader(c)
	for {
		response, err := http.ReadResponse(in, nil)
		if errors.Is(err, io.ErrUnexpectedEOF) {
			return got
		}
		if err != nil {
			t.Fatalf("after %q: %v", got, err)
		}
		body, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatalf("after %q: %v", got, err)
		}
		got = append(got, fmt.Sprintf("%d %s", response.StatusCode, strings.TrimSpace(string(body))))
	}
}

func echo(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	fmt.Fprintf(w, "%s %s %v", r.URL.Path, body, err)
}

func TestPipelinedRefusalComesInOrder(t *testing.T) {
	c := serve(t, http.HandlerFunc(echo)).dial(t, false)
	io.WriteString(c, "POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi"+
		"\r\nPOST /2 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nho\r\n0\r\n\r\n"+
		"GET /3 HTTP/1.1\r\nHost: a\nX: y\r\n\r\n"+
		"GET /4 HTTP/1.1\r\nHost: a\r\n\r\n")
	want := []string{"200 /1 hi <nil>", "200 /2 ho <nil>", "400 a line ends in LF without CR (RFC 9112 §2.2)"}
	if diff := cmp.Diff(want, answers(t, c)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestKeepAliveByteByByte(t *testing.T) {
	c := serve(t, http.HandlerFunc(echo)).dial(t, false)
	c.SetNoDelay(true)
	go func() {
		for _, b := range []byte("POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi" +
			"GET /2 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n") {
			c.Write([]byte{b})
		}
	}()
	if diff := cmp.Diff([]string{"200 /1 hi <nil>", "200 /2  <nil>"}, answers(t, c)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// TestBodyErrorIsTyped holds that a handler can tell a broken body.
func TestBodyErrorIsTyped(t *testing.T) {
	seen := make(chan error, 1)
	c := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, err := io.Copy(io.Discard, r.Body)
		seen <- err
	})).dial(t, false)
	io.WriteString(c, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nx\r\n")
	var broken *message.BodyError
	if err := <-seen; !errors.As(err, &broken) || broken.Section != "RFC 9112 §7.1" {
		t.Errorf("reading the body: %v, want a *message.BodyError", err)
	}
	io.Copy(io.Discard, c) // ends at the deadline unless the server closes
}

func TestExpectContinue(t *testing.T) {
	c := serve(t, http.HandlerFunc(echo)).dial(t, false)
	io.WriteString(c, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n")
	in := bufio.NewReader(c)
	if line, err := in.ReadString('\n'); err != nil || !strings.Contains(line, "100") {
		t.Fatalf("%q, %v: no 100 Continue", line, err)
	}
	in.ReadString('\n')
	io.WriteString(c, "hi")
	if diff := cmp.Diff([]string{"200 / hi <nil>"}, answers(t, in)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestEventsArriveWhileTheStreamIsOpen(t *testing.T) {
	next := make(chan struct{})
	r := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for i := range 3 {
			fmt.Fprintf(w, "data: %d\n\n", i)
			http.NewResponseController(w).Flush()
			<-next
		}
	}))
	for _, http2 := range []bool{false, true} {
		response, err := r.client(t, http2).Get("https://" + r.HTTPS()[0].String())
		if err != nil {
			t.Fatal(err)
		}
		in := bufio.NewReader(response.Body)
		for i := range 3 {
			if line, err := in.ReadString('\n'); err != nil || line != fmt.Sprintf("data: %d\n", i) {
				t.Fatalf("HTTP/2 %t: event %d: %q, %v", http2, i, line, err)
			}
			in.ReadString('\n')
			next <- struct{}{}
		}
		response.Body.Close()
	}
}

// TestClientThatLeavesIsNoticed holds that the scanner does not hide the end
// of the connection from a handler that waits.
func TestClientThatLeavesIsNoticed(t *testing.T) {
	for _, upgrade := range []string{"", "Connection: upgrade\r\nUpgrade: x\r\n"} {
		arrived, gone := make(chan struct{}), make(chan struct{})
		c := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			close(arrived)
			<-r.Context().Done()
			close(gone)
		})).dial(t, false)
		io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\n"+upgrade+"\r\n")
		<-arrived
		c.Close()
		select {
		case <-gone:
		case <-time.After(patience):
			t.Fatal("the handler was not told")
		}
	}
}

func TestCloseKeepsWhatWasHandedOn(t *testing.T) {
	r := serve(t, http.HandlerFunc(echo))
	c := r.dial(t, false)
	in := bufio.NewReader(c)
	for i := range 2 {
		io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		response, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatalf("request %d: %v", i, err)
		}
		io.Copy(io.Discard, response.Body)
		r.Close()
		if other, err := net.Dial("tcp", r.HTTP()[0].String()); err == nil {
			other.Close()
			t.Fatal("the socket is still open")
		}
	}
}
