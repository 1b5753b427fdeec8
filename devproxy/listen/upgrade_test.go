package listen

import (
	"bufio"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// notHTTP is refused by the scanner wherever it looks.
const notHTTP = "\n\r\x00 not HTTP \r\n\r\n\n"

const upgradeHead = "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n"

// takeOver hijacks, accepts the upgrade and sends back all it reads until the
// client's side ends; then it says so.
func takeOver(w http.ResponseWriter, r *http.Request) {
	c, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(err)
	}
	defer c.Close()
	io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
	io.Copy(c, buffered)
	io.WriteString(c, "the end")
	if err := c.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
		io.WriteString(c, err.Error())
	}
}

// TestUpgradeIsRaw sends bytes other than HTTP before the answer to the
// upgrade and after it, and closes one direction.
func TestUpgradeIsRaw(t *testing.T) {
	r := serve(t, http.HandlerFunc(takeOver))
	config := &tls.Config{RootCAs: r.pool, ServerName: "shop.localhost"}
	for _, early := range []string{"", notHTTP, strings.Repeat(notHTTP, 10_000)} {
		t.Run("plain", func(t *testing.T) { upgrade(t, r.dial(t, false), early) })
		t.Run("plain on the TLS port", func(t *testing.T) { upgrade(t, r.dial(t, true), early) })
		t.Run("TLS", func(t *testing.T) { upgrade(t, tls.Client(r.dial(t, true), config), early) })
	}
}

func upgrade(t *testing.T, c interface {
	net.Conn
	CloseWrite() error
}, early string) {
	t.Helper()
	io.WriteString(c, upgradeHead+early)
	in := bufio.NewReader(c)
	response, err := http.ReadResponse(in, nil)
	if err != nil || response.StatusCode != 101 {
		t.Fatalf("%v, %v: no upgrade", response, err)
	}
	io.WriteString(c, "later"+notHTTP)
	c.CloseWrite()
	got, err := io.ReadAll(in)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(early+"later"+notHTTP+"the end", string(got)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// TestDeclinedUpgradeGoesOn holds that what follows a request whose upgrade was
// not accepted is HTTP, and judged, even if it came before the answer.
func TestDeclinedUpgradeGoesOn(t *testing.T) {
	c := serve(t, http.HandlerFunc(echo)).dial(t, false)
	io.WriteString(c, upgradeHead+upgradeHead+"GET /3 HTTP/1.1\r\nHost: a\r\n\r\nGET /4 HTTP/1.1\nHost: a\r\n\r\n")
	want := []string{"200 /  <nil>", "200 /  <nil>", "200 /3  <nil>", "400 a line ends in LF without CR (RFC 9112 §2.2)"}
	if diff := cmp.Diff(want, answers(t, c)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// TestUpgradeWithABody waits for the end of the body before it waits for the
// answer.
func TestUpgradeWithABody(t *testing.T) {
	c := serve(t, http.HandlerFunc(echo)).dial(t, false)
	io.WriteString(c, "POST /1 HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 5000\r\n\r\n")
	c.Write(make([]byte, 5000))
	io.WriteString(c, "GET /2 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
	got := answers(t, c)
	if len(got) != 2 || got[1] != "200 /2  <nil>" {
		t.Errorf("%q: want two answers", got)
	}
}

// TestScanOfAShare marks a connection that no Set accepted.
func TestScanOfAShare(t *testing.T) {
	ours, theirs := net.Pipe()
	defer ours.Close()
	c := Scan(theirs, Conn{Share: "shop"})
	defer c.Close()
	if got := FromContext(ConnContext(t.Context(), c)).Share; got != "shop" {
		t.Errorf("share %q", got)
	}
	if got := FromContext(ConnContext(t.Context(), ours)); got != (Conn{}) {
		t.Errorf("a strange connection has facts: %v", got)
	}
	if err := c.(interface{ CloseWrite() error }).CloseWrite(); err == nil {
		t.Error("a pipe closed one direction")
	}
}
