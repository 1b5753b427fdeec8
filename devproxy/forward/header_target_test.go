package forward

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// Targets that a visitor may send and that net/http would like to tidy up.
var oddTargets = []string{
	"/", "/?", "/a?", "/a%2Fb", "/a%2fb", "/%41", "/a;b=1;c", "/a//b", "//x", "//x/y?z", "/./a/../b", "/a/%2e%2e/b",
	"/?q=%%", "/?q=%zz&;", "/é", "/a|b", "/a[0]", "/%5B0%5D", "/{x}", "/a\"b", "/~user", "/a:b@c", "/*", "/!$&'()*+,;=",
	"/a?x=1?y=2", "/a?#f", "/a#f", "/%E2%82%AC", "/%00", "/a^b`c", "/a%20b", "/a+b",
}

func TestTheRequestTargetIsUnchangedOnTheWire(t *testing.T) {
	lines := make(chan string, 1)
	p := newProxy(t, "h1", Options{}, rawUpstream(t, func(c *net.TCPConn, r *bufio.Reader) {
		head, err := readHead(r)
		if err != nil {
			return
		}
		line, _, _ := strings.Cut(head, "\r\n")
		lines <- line
		io.WriteString(c, "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
	}))
	for _, target := range oddTargets {
		c := p.dial(t)
		fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: shop.localhost\r\nConnection: close\r\n\r\n", target)
		res, err := http.ReadResponse(bufio.NewReader(c), nil)
		c.Close()
		if err != nil || res.StatusCode != http.StatusNoContent {
			t.Errorf("%s: %v %v", target, res, err)
			continue
		}
		if got, want := <-lines, "GET "+target+" HTTP/1.1"; got != want {
			t.Errorf("sent %q, want %q", got, want)
		}
	}
}

func TestTheRequestTargetIsUnchangedOverHTTP2(t *testing.T) {
	for _, mode := range []string{"h2c", "https"} {
		p := newProxy(t, "h1", Options{}, startUpstream(t, mode, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, r.Proto, " ", r.RequestURI)
		})))
		for _, target := range oddTargets {
			c := p.dial(t)
			fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: shop.localhost\r\nConnection: close\r\n\r\n", target)
			res, err := http.ReadResponse(bufio.NewReader(c), nil)
			if err != nil {
				t.Fatal(err)
			}
			body, _ := io.ReadAll(res.Body)
			c.Close()
			if want := "HTTP/2.0 " + target; string(body) != want {
				t.Errorf("%s: got %q, want %q", mode, body, want)
			}
		}
	}
}

func TestATargetThatCannotBeSentIsRefused(t *testing.T) {
	for _, target := range []string{"", "a", "*", "/a b", "/a\nb", "/a\x7f", "//x|y", "//x/%5|"} {
		r := &http.Request{Method: http.MethodGet, URL: &url.URL{}}
		_, err := targetURL(r, target)
		var refused *TargetError
		if !errors.As(err, &refused) {
			t.Errorf("%q: %v, want a *TargetError", target, err)
		}
	}
	r := &http.Request{Method: http.MethodGet, URL: &url.URL{RawQuery: "a b"}}
	if _, err := targetURL(r, "/"); err == nil {
		t.Error("a space in the query was let through")
	}
	u, err := targetURL(&http.Request{Method: http.MethodOptions, URL: &url.URL{}}, "*")
	if err != nil || u.RequestURI() != "*" {
		t.Errorf("OPTIONS *: %v %v", u, err)
	}
}

// Whatever targetURL accepts leaves as the same bytes.
func FuzzTargetIsSentAsItCame(f *testing.F) {
	for _, target := range oddTargets {
		path, query, _ := strings.Cut(target, "?")
		f.Add(path, query)
	}
	f.Fuzz(func(t *testing.T, path, query string) {
		r := &http.Request{Method: http.MethodGet, URL: &url.URL{RawQuery: query}}
		u, err := targetURL(r, path)
		if err != nil {
			return
		}
		u.Scheme, u.Host = "http", "127.0.0.1:1"
		want := path
		if query != "" {
			want += "?" + query
		}
		if got := u.RequestURI(); got != want {
			t.Errorf("sent %q, want %q", got, want)
		}
	})
}
