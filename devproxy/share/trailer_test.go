package share

import (
	"maps"
	"net/http"
	"slices"
	"testing"
)

// TestInformationalResponses carry Link, made public, and nothing else.
func TestInformationalResponses(t *testing.T) {
	for name, s := range shares(t) {
		for _, status := range []int{100, 102, 103, 199} {
			h := http.Header{
				"Link": {"<https://shop.localhost:8443/a>; rel=preload"}, "Set-Cookie": {"a=b; Domain=t.example.com"}, "Location": {"https://shop.localhost:8443/"},
				"Content-Security-Policy": {"default-src 'none'"}, "X-Own": {"1"}, "Referrer-Policy": {"unsafe-url"}, "Trailer": {"Set-Cookie"},
				"Access-Control-Allow-Origin": {"*"}, "Clear-Site-Data": {`"*"`},
			}
			s.Outward(h, status, visitorOf(firstHost(s)), nil)
			want := []string{"Link", "Referrer-Policy"}
			if name == "named" {
				want = want[:1]
			}
			if got := slices.Sorted(maps.Keys(h)); !slices.Equal(got, want) {
				t.Errorf("%s, %d: %v", name, status, h)
			}
			if got := h.Get("Link"); got != "<https://"+firstHost(s)+"/a>; rel=preload" {
				t.Errorf("%s, %d: %q", name, status, got)
			}
			if got := h.Get("Referrer-Policy"); name != "named" && got != "same-origin" {
				t.Errorf("%s, %d: %q", name, status, got)
			}
			bare := http.Header{"Set-Cookie": {"a=b"}}
			if s.Outward(bare, status, visitorOf(firstHost(s)), nil); len(bare) > 0 {
				t.Errorf("%s, %d, without a link: %v", name, status, bare)
			}
		}
	}
}

func TestTrailers(t *testing.T) {
	s := mustNew(t, oneHost())
	pass := []string{"Grpc-Status", "Grpc-Message", "Grpc-Status-Details-Bin", "X-Checksum", "Server-Timing", "Digest", "Repr-Digest", "Content-Digest", "Content-Md5", "Etag", "My-Meta-Bin"}
	stop := []string{
		"Set-Cookie", "set-cookie", "SET-COOKIE2", "Location", "Refresh", "Link", "Content-Security-Policy", "Content-Type", "Content-Length", "Content-Encoding",
		"Access-Control-Allow-Origin", "Referrer-Policy", "Clear-Site-Data", "Strict-Transport-Security", "Cache-Control", "Expires", "Vary",
		"Transfer-Encoding", "Connection", "Www-Authenticate", "Proxy-Authenticate", "Cross-Origin-Opener-Policy", "X-Accel-Redirect", "X-Robots-Tag", "Alt-Svc",
	}
	announced := http.Header{"Trailer": append([]string{"Grpc-Status, Set-Cookie ,, X-Checksum"}, slices.Concat(stop, pass)...)}
	s.Outward(announced, 200, visitorOf(single), nil)
	if got, want := announced["Trailer"], append([]string{"Grpc-Status", "X-Checksum"}, pass...); !slices.Equal(got, want) {
		t.Errorf("announced: %q\nwant %q", got, want)
	}
	none := http.Header{"Trailer": {"Set-Cookie"}}
	s.Outward(none, 200, visitorOf(single), nil)
	if _, there := none["Trailer"]; there {
		t.Errorf("announced: %q", none)
	}
	h := http.Header{"Set-Cookie": {"head=1"}}
	for _, name := range slices.Concat(stop, pass) {
		h[http.TrailerPrefix+name] = []string{"x"}
	}
	s.Trailers(h)
	if len(h) != len(pass)+1 || h.Get("Set-Cookie") != "head=1" {
		t.Errorf("%v", h)
	}
	for _, name := range pass {
		if h[http.TrailerPrefix+name] == nil {
			t.Errorf("%s is taken out", name)
		}
	}
}
