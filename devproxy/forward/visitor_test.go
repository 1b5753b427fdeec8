package forward

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"net/netip"
	"slices"
	"testing"

	"github.com/coder/websocket"

	"github.com/devproxy/devproxy/devproxy/plan"
)

// TestThePublicHostIsTold: the fields that an app gets in a share are the public host in
// devproxy's own field, and the local one wherever frameworks compare it.
func TestThePublicHostIsTold(t *testing.T) {
	x := Exchange{
		Match: plan.Match{Route: &plan.Route{}}, Scheme: "https", PublicHost: "shop-x.t.example.com:8443",
		Visitor: netip.MustParseAddr("203.0.113.7"),
	}
	got, host := RequestHeader(request("X-Forwarded-For", "1.2.3.4", "Devproxy-Public-Host", "forged.example"), x, &plan.Member{})
	for name, want := range map[string]string{
		"X-Forwarded-For": "203.0.113.7", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "shop.localhost:8443",
		"Forwarded": `for=203.0.113.7;host="shop.localhost:8443";proto=https`, "Devproxy-Public-Host": "shop-x.t.example.com:8443",
	} {
		if got.Get(name) != want {
			t.Errorf("%s is %q, want %q", name, got.Get(name), want)
		}
	}
	if host != "shop.localhost:8443" {
		t.Errorf("Host is %q", host)
	}
	x.PublicHost = ""
	if got, _ := RequestHeader(request("Devproxy-Public-Host", "forged.example"), x, &plan.Member{}); got["Devproxy-Public-Host"] != nil {
		t.Errorf("a local client says %q", got["Devproxy-Public-Host"])
	}
}

// TestAVisitorNeverLooksLocal has a relay say nothing, or that the visitor is
// at an address of this machine. The address of the connection is the agent's
// own; an app that is told nothing falls back to it, and opens its consoles.
func TestAVisitorNeverLooksLocal(t *testing.T) {
	for _, visitor := range []netip.Addr{
		{}, netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("::1"), netip.MustParseAddr("::ffff:127.0.0.1"), netip.MustParseAddr("fe80::1%eth0"), netip.MustParseAddr("0.0.0.0"),
	} {
		x := Exchange{Match: plan.Match{Route: &plan.Route{}}, Scheme: "https", PublicHost: "shop-x.t.example.com", Visitor: visitor}
		got, _ := RequestHeader(request(), x, &plan.Member{})
		for name, want := range map[string]string{
			"X-Forwarded-For": "192.0.2.1", "X-Real-Ip": "192.0.2.1", "Forwarded": `for=192.0.2.1;host="shop.localhost:8443";proto=https`,
		} {
			if got.Get(name) != want {
				t.Errorf("%v: %s is %q, want %q", visitor, name, got.Get(name), want)
			}
		}
	}
	x := Exchange{Match: plan.Match{Route: &plan.Route{}}, Scheme: "https", Visitor: netip.MustParseAddr("127.0.0.1")}
	if got, _ := RequestHeader(request(), x, &plan.Member{}); got.Get("X-Forwarded-For") != "127.0.0.1" || got["X-Real-Ip"] != nil {
		t.Errorf("a local client became %v", got)
	}
}

// TestHopsOfVisitors: a loop is recognized by what the share took out of the
// request, and the app does not see it.
func TestHopsOfVisitors(t *testing.T) {
	seen := make(chan http.Header, 1)
	p := newProxy(t, "h1", Options{}, startUpstream(t, "http", http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { seen <- r.Header })))
	for _, test := range []struct {
		public       string
		hops, header []string
		want         []string // nil for a loop
	}{
		{"shop-x.t.example.com", []string{"another"}, []string{"forged"}, []string{"this-instance"}},
		{"shop-x.t.example.com", nil, []string{"this-instance"}, []string{"this-instance"}},
		{"shop-x.t.example.com", []string{"another", "this-instance"}, nil, nil},
		{"", []string{"this-instance"}, []string{"another"}, []string{"another", "this-instance"}},
		{"", nil, []string{"this-instance"}, nil},
	} {
		p.visit = func(x *Exchange) { x.PublicHost, x.Hops = test.public, test.hops }
		r, _ := http.NewRequest(http.MethodGet, p.URL, nil)
		r.Header["Devproxy-Hop"] = test.header
		res, err := p.client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if test.want == nil {
			if res.StatusCode != http.StatusLoopDetected {
				t.Errorf("%+v: %s", test, res.Status)
			}
			continue
		}
		if got := (<-seen)["Devproxy-Hop"]; !slices.Equal(got, test.want) {
			t.Errorf("%+v: the upstream saw %q", test, got)
		}
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
