package relay

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"testing"
)

// TestTrustedProxies: behind a proxy that ends TLS, X-Forwarded-For is the visitor to the
// project, the log and the limits. From any other address it is not.
func TestTrustedProxies(t *testing.T) {
	var log syncBuffer
	w := start(t, func(o *Options) {
		o.TrustedProxies = loopback
		o.Access = slog.New(slog.NewJSONHandler(&log, nil))
		o.Limits.Burst, o.Limits.RequestsPerSecond = 3, 1e-9
	})
	url := w.visitorsOf("a")
	client := w.client("h2")
	for range 3 {
		if _, body, _ := get(t, client, url, "X-Forwarded-For", "10.0.0.1, 203.0.113.7"); body != "203.0.113.7:0" {
			t.Errorf("the visitor is %q", body)
		}
	}
	if status, _, _ := get(t, client, url, "X-Forwarded-For", "203.0.113.7"); status != http.StatusTooManyRequests {
		t.Errorf("one visitor has no limit: %d", status)
	}
	if status, body, _ := get(t, client, url, "X-Forwarded-For", "203.0.113.8"); status != 200 || body != "203.0.113.8:0" {
		t.Errorf("another visitor of the same proxy: %d %q", status, body)
	}
	eventually(t, "the log", func() bool { return strings.Contains(log.String(), `"from":"203.0.113.8"`) })

	w = start(t, nil)
	url = w.visitorsOf("a")
	if _, body, _ := get(t, w.client("h1"), url, "X-Forwarded-For", "203.0.113.7"); !strings.HasPrefix(body, "127.0.0.1:") {
		t.Errorf("anybody can be %q", body)
	}
}

func TestForwardedFor(t *testing.T) {
	trusted := newProxies([]netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("::ffff:192.168.0.0/112"), netip.MustParsePrefix("fd00::/8")})
	for _, c := range []struct {
		lines []string
		want  string // empty for unknown
	}{
		{[]string{"203.0.113.7"}, "203.0.113.7"},
		{[]string{"1.1.1.1, 203.0.113.7"}, "203.0.113.7"},
		{[]string{"1.1.1.1,203.0.113.7 , 10.0.0.2,\t192.168.7.7"}, "203.0.113.7"},
		{[]string{"1.1.1.1", "203.0.113.7", "10.1.1.1"}, "203.0.113.7"},
		{[]string{"203.0.113.7:5000"}, "203.0.113.7"},
		{[]string{"[2001:db8::7]:5000"}, "2001:db8::7"},
		{[]string{"[2001:db8::7]", "fd00::1"}, "2001:db8::7"},
		{[]string{"2001:db8::7"}, "2001:db8::7"},
		{[]string{"::ffff:203.0.113.7"}, "203.0.113.7"},
		{[]string{"203.0.113.7, ::ffff:10.0.0.1"}, "203.0.113.7"},
		{[]string{"fe80::1%eth0"}, "fe80::1"},
		{[]string{"10.0.0.9"}, "10.0.0.9"}, // the proxy's own request
		{nil, ""}, {[]string{""}, ""}, {[]string{"unknown"}, ""}, {[]string{"_hidden, 10.0.0.1"}, ""},
		{[]string{"203.0.113.7, unknown"}, ""}, {[]string{"203.0.113.7,"}, ""},
		{[]string{"203.0.113.7" + strings.Repeat(", 10.0.0.1", maxProxies-1)}, "203.0.113.7"},
		{[]string{"203.0.113.7" + strings.Repeat(", 10.0.0.1", maxProxies)}, ""},
	} {
		got := forwardedFor(c.lines, trusted)
		if text := got.String(); got.IsValid() != (c.want != "") || c.want != "" && text != c.want {
			t.Errorf("%q: %s, want %q", c.lines, text, c.want)
		}
	}
}

// FuzzForwardedFor: whatever a visitor has written before it, the proxy's own entry
// counts.
func FuzzForwardedFor(f *testing.F) {
	trusted := newProxies([]netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")})
	f.Add("1.2.3.4")
	f.Add("10.0.0.1, ]")
	f.Add("[::1%x]:1")
	f.Fuzz(func(t *testing.T, forged string) {
		for _, lines := range [][]string{{forged, "203.0.113.7"}, {forged + ",203.0.113.7, 10.0.0.2"}} {
			if got := forwardedFor(lines, trusted); got != netip.MustParseAddr("203.0.113.7") {
				t.Errorf("%q: %v", lines, got)
			}
		}
		forwardedFor([]string{forged}, trusted)
	})
}

// TestCloudflare: Cloudflare's own field names the visitor, whatever else the request has.
// Without it, as behind any other proxy, X-Forwarded-For does.
func TestCloudflare(t *testing.T) {
	edge := func(o *Options) { o.Cloudflare = loopback }
	other := func(o *Options) { o.TrustedProxies = loopback }
	const forged = "198.51.100.66"
	for name, test := range map[string]struct {
		options func(*Options)
		fields  []string
		want    string // empty for the connection's own address
	}{
		"Cloudflare":                {edge, []string{"CF-Connecting-IP", "203.0.113.7", "X-Forwarded-For", forged}, "203.0.113.7:0"},
		"an IPv6 visitor":           {edge, []string{"CF-Connecting-IP", "2001:db8::7"}, "[2001:db8::7]:0"},
		"a Worker of another zone":  {edge, []string{"CF-Connecting-IP", "2a06:98c0:3600::103", "X-Forwarded-For", forged}, "[2a06:98c0:3600::103]:0"},
		"without its field":         {edge, []string{"X-Forwarded-For", forged + ",203.0.113.7"}, "203.0.113.7:0"},
		"with two":                  {edge, []string{"CF-Connecting-IP", forged, "CF-Connecting-IP", "198.51.100.67", "X-Forwarded-For", "203.0.113.7"}, "203.0.113.7:0"},
		"with a strange one":        {edge, []string{"CF-Connecting-IP", forged + ", 10.0.0.1", "X-Forwarded-For", "203.0.113.7"}, "203.0.113.7:0"},
		"with none":                 {edge, nil, "invalid AddrPort"},
		"another proxy":             {other, []string{"CF-Connecting-IP", forged, "X-Forwarded-For", "203.0.113.7"}, "203.0.113.7:0"},
		"a visitor without a proxy": {nil, []string{"CF-Connecting-IP", forged, "X-Forwarded-For", forged, "X-Real-IP", forged}, ""},
		"a visitor from elsewhere": {func(o *Options) { o.Cloudflare = CloudflareRanges() },
			[]string{"CF-Connecting-IP", forged, "X-Forwarded-For", forged, "X-Forwarded-Proto", "http", "CF-Visitor", `{"scheme":"http"}`}, ""},
	} {
		w := start(t, test.options)
		url := w.visitorsOf("a")
		for _, protocol := range []string{"h1", "h2"} {
			_, body, _ := get(t, w.client(protocol), url, test.fields...)
			if own := strings.HasPrefix(body, "127.0.0.1:"); body != test.want && (test.want != "" || !own) {
				t.Errorf("%s, %s: the visitor is %q, want %q", name, protocol, body, test.want)
			}
		}
	}
}

// TestCloudflareRanges are normal, apart from each other, and without the part of an older
// list that visitors can connect from.
func TestCloudflareRanges(t *testing.T) {
	all := CloudflareRanges()
	for i, one := range all {
		if one != one.Masked() {
			t.Errorf("%s has bits after its prefix", one)
		}
		for _, other := range all[:i] {
			if one.Overlaps(other) {
				t.Errorf("%s overlaps %s", one, other)
			}
		}
	}
	ranges := newProxies(all)
	for address, want := range map[string]bool{"104.27.255.255": true, "104.28.0.1": false, "172.71.0.1": true, "2606:4700::1": true, "127.0.0.1": false, "::1": false} {
		if got := ranges.has(netip.MustParseAddr(address)); got != want {
			t.Errorf("%s: %t", address, got)
		}
	}
}

// TestSchemeBehindProxy: a visitor that has connected to a proxy over plain HTTP is
// redirected, as one without a proxy is.
func TestSchemeBehindProxy(t *testing.T) {
	for name, test := range map[string]struct {
		options func(*Options)
		fields  []string
		status  int
	}{
		"over TLS":                  {func(o *Options) { o.TrustedProxies = loopback }, []string{"X-Forwarded-Proto", "https"}, http.StatusOK},
		"not said":                  {func(o *Options) { o.TrustedProxies = loopback }, nil, http.StatusOK},
		"over plain HTTP":           {func(o *Options) { o.TrustedProxies = loopback }, []string{"X-Forwarded-Proto", "HTTP"}, http.StatusPermanentRedirect},
		"forged to a proxy":         {func(o *Options) { o.TrustedProxies = loopback }, []string{"X-Forwarded-Proto", "https, http"}, http.StatusPermanentRedirect},
		"a field of Cloudflare's":   {func(o *Options) { o.TrustedProxies = loopback }, []string{"CF-Visitor", `{"scheme":"http"}`}, http.StatusOK},
		"Cloudflare":                {func(o *Options) { o.Cloudflare = loopback }, []string{"X-Forwarded-Proto", "https", "CF-Visitor", `{"scheme":"http"}`}, http.StatusPermanentRedirect},
		"Cloudflare, over TLS":      {func(o *Options) { o.Cloudflare = loopback }, []string{"X-Forwarded-Proto", "http", "CF-Visitor", `{"scheme":"https"}`}, http.StatusOK},
		"a visitor without a proxy": {nil, []string{"X-Forwarded-Proto", "http", "CF-Visitor", `{"scheme":"http"}`}, http.StatusOK},
	} {
		w := start(t, test.options)
		url := w.visitorsOf("a")
		for _, protocol := range []string{"h1", "h2"} {
			client := w.client(protocol)
			client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
			status, _, fields := get(t, client, url+"x?y=1", test.fields...)
			if to := fields.Get("Location"); status != test.status || status == http.StatusPermanentRedirect != (to == url+"x?y=1") {
				t.Errorf("%s, %s: %d, to %q", name, protocol, status, to)
			}
		}
	}
}

// TestProxyWithoutTLS: the relay does not redirect a visitor that uses TLS already. A proxy
// that connects without it would never come to an end.
func TestProxyWithoutTLS(t *testing.T) {
	for name, test := range map[string]struct {
		options func(*Options)
		field   string
		loops   bool
	}{
		"a visitor over TLS":        {func(o *Options) { o.TrustedProxies = loopback }, "X-Forwarded-Proto: https", true},
		"Cloudflare's Flexible":     {func(o *Options) { o.Cloudflare = loopback }, `CF-Visitor: {"scheme":"https"}`, true},
		"a visitor over plain HTTP": {func(o *Options) { o.TrustedProxies = loopback }, "X-Forwarded-Proto: http", false},
		"a visitor without a proxy": {nil, "X-Forwarded-Proto: https", false},
	} {
		w := start(t, test.options)
		ln, done := listen(t), make(chan error, 1)
		go func() { done <- w.ServeRedirect(context.Background(), ln) }()
		c := dialTCP(t, ln.Addr().String())
		fmt.Fprintf(c, "GET /x HTTP/1.1\r\nHost: a.%s\r\n%s\r\n\r\n", domain, test.field)
		answer, err := io.ReadAll(c)
		text := string(answer)
		if loops := strings.HasPrefix(text, "HTTP/1.1 421 ") && strings.Contains(text, "doesn't use TLS") || strings.Contains(text, "doesn&#39;t use TLS"); err != nil ||
			loops != test.loops || strings.Contains(text, "Location:") == loops {
			t.Errorf("%s: %v\n%s", name, err, text)
		}
		w.Close()
		if err := within(t, "ServeRedirect", done); err != nil {
			t.Error(err)
		}
	}
}

// TestConnectionsOfProxies are not those of one visitor: they are not limited as such, and
// another network with more than one connection is evicted first.
func TestConnectionsOfProxies(t *testing.T) {
	d := newConnections(Limits{ConnectionsPerAddress: 2, Handshakes: 100, Connections: 6}.withDefaults())
	d.proxies = newProxies([]netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")})
	var gone []*bool
	for i := range 5 {
		c, closed := addFrom(d, "192.0.2.1")
		if c == nil || !d.promote(c, poolActive) {
			t.Fatalf("connection %d of a proxy is refused", i+1)
		}
		gone = append(gone, closed)
	}
	var visitors []*bool
	for range 2 {
		c, closed := addFrom(d, "198.51.100.1")
		if c == nil || !d.promote(c, poolActive) && len(visitors) == 0 {
			t.Fatal("a visitor is refused")
		}
		visitors = append(visitors, closed)
	}
	sixth, _ := addFrom(d, "192.0.2.1")
	if sixth == nil || !d.promote(sixth, poolActive) {
		t.Error("a proxy gets no room from a visitor that has more than one connection")
	}
	if !*visitors[0] && !*visitors[1] {
		t.Error("no connection of the visitor was closed")
	}
	for i, closed := range gone {
		if *closed {
			t.Errorf("connection %d of the proxy was closed", i+1)
		}
	}
}

// TestNeighboursOfProxies: a visitor in the IPv6 network of a proxy has the limit of an
// address; a proxy that a balancer names has none.
func TestNeighboursOfProxies(t *testing.T) {
	d := newConnections(Limits{ConnectionsPerAddress: 2, Handshakes: 100, Connections: 20}.withDefaults())
	d.proxies = newProxies([]netip.Prefix{netip.MustParsePrefix("2001:db8::1/128"), netip.MustParsePrefix("192.0.2.1/32")})
	for range 3 {
		if c, _ := addFrom(d, "2001:db8::1"); c == nil {
			t.Fatal("a proxy is refused")
		}
		c, _ := addFrom(d, "192.0.2.1")
		if c == nil || !d.readdress(c, netip.MustParseAddrPort("[2001:db8::1]:1")) {
			t.Fatal("a proxy behind a balancer is refused")
		}
	}
	if c, _ := addFrom(d, "2001:db8::2"); c != nil {
		t.Error("a neighbour of a proxy has no limit")
	}
}

// TestNamesOnConnectionsOfProxies: a proxy may send requests for several names on one
// connection. A visitor may not, if the certificate is for another name.
func TestNamesOnConnectionsOfProxies(t *testing.T) {
	for _, test := range []struct {
		change func(*Options)
		want   int
	}{{nil, http.StatusMisdirectedRequest}, {func(o *Options) { o.TrustedProxies = loopback }, http.StatusOK}} {
		w, records := startDomains(t, test.change)
		records.set(custom, ownName("a"))
		a := w.agent(testKey("a"), domainClaim("a", "", "admin"), http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
		for _, names := range [][2]string{{custom, a.grant.Hosts[1]}, {a.grant.Hosts[1], custom}} {
			if status := rawStatus(t, w, names[0], names[1]); status != test.want {
				t.Errorf("%s on a connection to %s: %d, want %d", names[1], names[0], status, test.want)
			}
		}
		if status := rawStatus(t, w, custom, "other.example.org"); status == http.StatusOK {
			t.Errorf("a name that no share has: %d", status)
		}
	}
}
