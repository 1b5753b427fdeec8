//go:build e2e && unix

package main

import (
	"bufio"
	"errors"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// relayReads are the cases that the relay reads otherwise than devproxy's own
// scanner: it is net/http's server, and writes every request anew. The value is
// what the upstream gets; nothing means that the relay refuses it.
var relayReads = map[string][]string{
	"chunked.txt/Transfer-Encoding on HTTP/1.0":        {`POST /a ""`},
	"chunked.txt/a blank after the chunk size":         {`POST /a "hello"`},
	"chunked.txt/an endless chunk extension":           {`POST /a "hello"`},
	"chunked.txt/a folded trailer":                     {`POST /a "hello"`},
	"host.txt/a Host with a port":                      nil, // not the share's
	"head.txt/one empty line before the request line":  nil,
	"head.txt/LF alone ends the request line":          {`GET /a ""`},
	"head.txt/LF alone ends a field line":              {`GET /a ""`},
	"head.txt/LF alone ends the head":                  {`GET /a ""`, `GET /smuggled ""`},
	"head.txt/a folded field line":                     {`POST /a ""`},
	"head.txt/a folded field line with a tab":          {`POST /a ""`},
	"head.txt/HTTP/1.2":                                {`GET /a ""`},
	"length.txt/Content-Length with Transfer-Encoding": {`POST /a ""`},
	"length.txt/Transfer-Encoding with Content-Length": {`POST /a ""`},
	"length.txt/two Content-Lengths that are equal":    {`POST /a "hello"`},
	"target.txt/absolute form, another scheme":         {`GET /etc/passwd ""`},
	"target.txt/absolute form without a host":          {`GET /a ""`},
	"target.txt/authority form without CONNECT":        {`GET / ""`},
}

// TestE2EShareSmuggle sends every case of testdata/smuggle through the relay.
// Each request is on a stream of its own, so the agent never looks for a second
// one behind the first.
func TestE2EShareSmuggle(t *testing.T) {
	relay := startDevRelay(t)
	p := relay.share(t, projectDir(t, smuggleProxyfile(1)), nil)
	cases := lyingRequests(t)
	known := 0
	for _, c := range cases {
		if _, ok := relayReads[c.name]; ok {
			known++
		}
		t.Run(c.name, func(t *testing.T) {
			upstream := newRawUpstream(t)
			p.save("Proxyfile", smuggleProxyfile(upstream.port()))
			p.awaitPast("applied")
			status := c.sendShared(t, relay, p.host("shop.localhost"))
			p.save("Proxyfile", smuggleProxyfile(1))
			p.awaitPast("applied")
			upstream.finish()
			c.compareShared(t, upstream, status)
		})
	}
	if known != len(relayReads) {
		t.Errorf("%d of %d exceptions are names of cases", known, len(relayReads))
	}
}

// sendShared is send through the relay, which keeps connections open where it
// can tell where a request ends.
func (c lyingRequest) sendShared(t *testing.T, relay *devRelay, host string) int {
	t.Helper()
	port := strings.TrimPrefix(host[strings.LastIndex(host, ":"):], ":")
	name := strings.TrimSuffix(host, ":"+port)
	raw := strings.NewReplacer("shop.localhost:8443", host, "shop.localhost", host, "SHOP.localhost", strings.ToUpper(host)).Replace(c.raw)
	if strings.Contains(c.name, "port") { // that the port is another is the case
		raw = strings.ReplaceAll(c.raw, "shop.localhost", name)
	}
	conn := relay.dialRaw(t, name)
	_, _ = io.WriteString(conn, raw) // may fail: a long head is refused before its end
	if c.eof {
		_ = conn.CloseWrite()
	}
	in := bufio.NewReader(conn)
	status := finalStatus(in)
	if strings.Contains(raw, "/smuggled") {
		// Once our side is closed net/http gives up what it reads.
		_ = conn.SetReadDeadline(time.Now().Add(smuggledPatience))
		_ = finalStatus(in)
		_ = conn.SetReadDeadline(time.Now().Add(rawPatience))
	}
	_ = conn.CloseWrite()
	if _, err := io.Copy(io.Discard, in); errors.Is(err, os.ErrDeadlineExceeded) && status != 0 {
		t.Errorf("%s: the connection was not closed", c.rule)
	}
	return status
}

// smuggledPatience is for the answer to a second request, which nobody should
// have read.
const smuggledPatience = time.Second

// finalStatus is that of the next answer, 0 for none.
func finalStatus(in *bufio.Reader) int {
	response, err := http.ReadResponse(in, nil)
	if err != nil {
		return 0
	}
	_, _ = io.Copy(io.Discard, response.Body)
	return response.StatusCode
}

func (c lyingRequest) compareShared(t *testing.T, u *rawUpstream, status int) {
	t.Helper()
	expect, message, _ := strings.Cut(c.expect, " ")
	var want []string
	if expect == "forward" && !c.otherHost {
		want = []string{message}
	}
	if reads, ok := relayReads[c.name]; ok {
		want = reads
	}
	if diff := cmp.Diff(want, u.messages); diff != "" || (status == 200) != (want != nil) {
		t.Errorf("%s: status %d, messages (-want +got):\n%s", c.rule, status, diff)
	}
}
