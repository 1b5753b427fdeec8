package forward

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"net/netip"
	"testing"

	"github.com/coder/websocket"

	"github.com/devproxy/devproxy/devproxy/plan"
)

// TestForwardedTellsThePublicHost holds what an app is told of a share: the
// public host in the field that nobody checks, the local one where frameworks
// compare it.
func TestForwardedTellsThePublicHost(t *testing.T) {
	x := Exchange{
		Match: plan.Match{Route: &plan.Route{}}, Scheme: "https", PublicHost: "shop-x.t.example.com:8443",
		Visitor: netip.MustParseAddr("203.0.113.7"),
	}
	got, host := RequestHeader(request("X-Forwarded-For", "1.2.3.4"), x, &plan.Member{})
	for name, want := range map[string]string{
		"X-Forwarded-For": "203.0.113.7", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "shop.localhost:8443",
		"Forwarded": `for=203.0.113.7;host="shop-x.t.example.com:8443";proto=https`,
	} {
		if got.Get(name) != want {
			t.Errorf("%s is %q, want %q", name, got.Get(name), want)
		}
	}
	if host != "shop.localhost:8443" {
		t.Errorf("Host is %q", host)
	}
}

// TestAVisitorWhoIsNotToldIsUnknown has a relay say nothing: the address of
// the connection is the relay's, not the visitor's.
func TestAVisitorWhoIsNotToldIsUnknown(t *testing.T) {
	x := Exchange{Match: plan.Match{Route: &plan.Route{}}, Scheme: "https", PublicHost: "shop-x.t.example.com"}
	got, _ := RequestHeader(request(), x, &plan.Member{})
	if got["X-Forwarded-For"] != nil || got.Get("Forwarded") != "for=unknown;host=shop-x.t.example.com;proto=https" {
		t.Errorf("got %q and %q", got["X-Forwarded-For"], got.Get("Forwarded"))
	}
}

// shared makes the exchanges of p a share's until over ends.
func (p *proxy) shared(over context.Context) {
	p.visit = func(x *Exchange) {
		x.Over = over
		x.Switched = func(h http.Header) { h.Set("X-Robots-Tag", "noindex") }
	}
}

func TestTheEndOfAShareClosesItsWebSocketsAlone(t *testing.T) {
	upgrades(t, func(t *testing.T, visitor, upstream string) {
		ends := make(chan error, 2)
		p := newProxy(t, visitor, Options{}, startUpstream(t, upstream, echoSocket(ends)))
		local := dialWebSocket(t, p)
		over, end := context.WithCancel(t.Context())
		defer end()
		p.shared(over)
		shared, res, err := websocket.Dial(t.Context(), p.URL, &websocket.DialOptions{HTTPClient: p.client()})
		if err != nil {
			t.Fatal(err)
		}
		defer shared.CloseNow()
		if res.Header.Get("X-Robots-Tag") != "noindex" {
			t.Error("the head of the 101 was not changed")
		}
		end()
		_, _, err = shared.Read(t.Context())
		if status := websocket.CloseStatus(err); status != websocket.StatusServiceRestart {
			t.Errorf("the visitor saw %v", err)
		}
		if status := websocket.CloseStatus(<-ends); status != websocket.StatusGoingAway {
			t.Errorf("the upstream saw close code %d", status)
		}
		local.Write(t.Context(), websocket.MessageText, []byte("still open"))
		if _, _, err := local.Read(t.Context()); err != nil {
			t.Errorf("the local WebSocket: %v", err)
		}
	})
}

func TestTheEndOfAShareEndsItsEventStreams(t *testing.T) {
	p := newProxy(t, "h1", Options{}, startUpstream(t, "http", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		io.WriteString(w, "data: one\n\n")
		http.NewResponseController(w).Flush()
		<-r.Context().Done()
	})))
	over, end := context.WithCancel(t.Context())
	defer end()
	p.shared(over)
	res, err := p.client().Get(p.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	in := bufio.NewReader(res.Body)
	if line, err := in.ReadString('\n'); err != nil || line != "data: one\n" {
		t.Fatalf("%q, %v", line, err)
	}
	end()
	if rest, err := io.ReadAll(in); err != nil || string(rest) != "\n" {
		t.Errorf("the rest is %q, %v; want a clean end", rest, err)
	}
}

// TestAStreamThatBeginsAfterTheShareEndedIsClosed has the end come first.
func TestAStreamThatBeginsAfterTheShareEndedIsClosed(t *testing.T) {
	ends := make(chan error, 1)
	p := newProxy(t, "h1", Options{}, startUpstream(t, "http", echoSocket(ends)))
	over, end := context.WithCancel(t.Context())
	end()
	p.shared(over)
	_, _, err := dialWebSocket(t, p).Read(t.Context())
	if status := websocket.CloseStatus(err); status != websocket.StatusServiceRestart {
		t.Errorf("the visitor saw %v", err)
	}
	<-ends
}
