package field

import (
	"net/http"
	"slices"
	"testing"
)

func TestIsHopByHop(t *testing.T) {
	for _, name := range Names(Connection) {
		if !IsHopByHop(http.CanonicalHeaderKey(name)) {
			t.Errorf("%s is not hop-by-hop", name)
		}
	}
	for _, name := range []string{"Content-Length", "Host", "Accept", "Upgrade-Insecure-Requests", ""} {
		if IsHopByHop(name) {
			t.Errorf("%s is hop-by-hop", name)
		}
	}
}

func TestDropNamed(t *testing.T) {
	h := http.Header{"X-A": {"1"}, "X-B": {"1"}, "X-C": {"1"}}
	DropNamed(h, []string{"close, x-a,,", " X-B "})
	if len(h) != 1 || h["X-C"] == nil {
		t.Errorf("%v", h)
	}
}

func TestKeepTE(t *testing.T) {
	for te, want := range map[string]string{"trailers": "trailers", "deflate, Trailers;q=0.5": "trailers", "gzip": "", "": ""} {
		out := http.Header{}
		KeepTE(out, http.Header{"Te": {te}})
		if out.Get("Te") != want {
			t.Errorf("%q: %v", te, out)
		}
	}
}

func TestUpgrade(t *testing.T) {
	for _, test := range []struct {
		major, minor               int
		connection, upgrade, wants string
	}{
		{1, 1, "keep-alive, Upgrade", "websocket", "websocket"},
		{1, 1, "upgrade", "foo", "foo"},
		{1, 1, "upgrade", "", ""},
		{1, 1, "keep-alive", "websocket", ""},
		{1, 0, "upgrade", "websocket", ""},
		{2, 0, "upgrade", "websocket", ""},
		{2, 1, "upgrade", "websocket", ""},
		{1, 1, "upgrade, http2-settings", "H2c", ""},
	} {
		r := &http.Request{ProtoMajor: test.major, ProtoMinor: test.minor, Header: http.Header{"Connection": {test.connection}, "Upgrade": {test.upgrade}}}
		if got := Upgrade(r); got != test.wants {
			t.Errorf("%+v: %q", test, got)
		}
	}
}

func TestElements(t *testing.T) {
	lines := []string{" a ,b,, ", "", ",", "c;x=1"}
	if got := slices.Collect(Elements(lines)); !slices.Equal(got, []string{"a", "b", "c;x=1"}) {
		t.Errorf("%q", got)
	}
	for element := range Elements(lines) {
		if element != "a" {
			t.Errorf("%q after the end", element)
		}
		break
	}
}

func TestAccepts(t *testing.T) {
	for accept, want := range map[string]bool{
		"text/html": true, "application/json, TEXT/HTML;level=1;q=0.1": true, "text/html ; q=1": true,
		"*/*": false, "text/*": false, "text/html;q=0": false, "text/html;q=x": false, "text/htmlx": false, "": false,
	} {
		if got := Accepts([]string{"image/png", accept}, "text/html"); got != want {
			t.Errorf("%s: %v", accept, got)
		}
	}
}
