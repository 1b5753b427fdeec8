package forward

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// impatientServer closes a connection 5 ms after its last answer.
const impatientServer = `
const server = require('http').createServer((q, s) => { s.end('ok ' + q.url) })
server.keepAliveTimeout = 5
server.keepAliveTimeoutBuffer = 0
server.listen(0, '127.0.0.1', () => console.log(server.address().port))`

// The visitors pause for about as long as Node waits, so that its closing may
// meet the next request.
func TestRealNodeClosingIdleConnectionsFailsNoGET(t *testing.T) {
	const visitors, each = 8, 1250
	p := newProxy(t, "h1", Options{}, startProgram(t, "node", "-e", impatientServer))
	var group sync.WaitGroup
	for visitor := range visitors {
		group.Go(func() {
			for i := range each {
				path := fmt.Sprintf("/%d/%d", visitor, i)
				if fault := getOnce(p, path, "ok "+path); fault != "" {
					t.Errorf("%s: %s", path, fault)
				}
				<-time.After(time.Duration(4000+i*37%3000) * time.Microsecond) // around the timeout itself
			}
		})
	}
	group.Wait()
}

// getOnce returns the mistake of the response; empty if it is want.
func getOnce(p *proxy, path, want string) string {
	res, err := p.client().Get(p.URL + path)
	if err != nil {
		return err.Error()
	}
	defer res.Body.Close()
	got, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK || string(got) != want {
		return fmt.Sprintf("%s %.200q %v", res.Status, got, err)
	}
	return ""
}

const streamingServer = `
const server = require('http').createServer((q, s) => {
  if (q.url === '/trailers') {
    s.writeHead(200, { Trailer: 'Sum, Late' })
    s.write('one'); s.write('two')
    s.addTrailers({ Sum: '6', Late: 'yes' })
    return s.end()
  }
  if (q.url === '/received') {
    let text = ''
    q.on('data', d => text += d)
    return q.on('end', () => s.end(JSON.stringify([text, q.headers['transfer-encoding'], q.trailers])))
  }
  if (q.url === '/hints') {
    s.writeEarlyHints({ link: '</app.css>; rel=preload; as=style' })
    return s.end('page')
  }
  if (q.url === '/breaks') {
    s.write('half')
    return setImmediate(() => q.socket.destroy())
  }
  q.on('data', d => s.write('re: ' + d))
  q.on('end', () => s.end('.'))
})
server.listen(0, '127.0.0.1', () => console.log(server.address().port))`

func TestRealNodeTrailersReachTheVisitor(t *testing.T) {
	node := startProgram(t, "node", "-e", streamingServer)
	for _, visitor := range visitorModes {
		p := newProxy(t, visitor, Options{}, node)
		res, body := p.ask(t, "GET", "/trailers", nil)
		if body != "onetwo" || res.Trailer.Get("Sum") != "6" || res.Trailer.Get("Late") != "yes" {
			t.Errorf("%s: %q, trailers %v", visitor, body, res.Trailer)
		}
	}
}

func TestRealNodeGetsChunksAndTrailersOfTheVisitor(t *testing.T) {
	node := startProgram(t, "node", "-e", streamingServer)
	for _, visitor := range visitorModes {
		p := newProxy(t, visitor, Options{}, node)
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, p.URL+"/received", io.NopCloser(strings.NewReader("content")))
		req.Trailer = http.Header{"Sum": {"7"}}
		res, err := p.client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(res.Body)
		res.Body.Close()
		if want := `["content","chunked",{"sum":"7"}]`; err != nil || string(got) != want {
			t.Errorf("%s: Node got %s %v, want %s", visitor, got, err, want)
		}
	}
}

// Each chunk is answered before the next is sent.
func TestRealNodeStreamsBothWays(t *testing.T) {
	node := startProgram(t, "node", "-e", streamingServer)
	for _, visitor := range visitorModes {
		p := newProxy(t, visitor, Options{}, node)
		body, send := io.Pipe()
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, p.URL+"/talk", body)
		go func() { _, _ = io.WriteString(send, "0") }() // Node answers nothing before
		res, err := p.client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		for i := range 5 {
			want := fmt.Sprintf("re: %d", i)
			got := make([]byte, len(want))
			if _, err := io.ReadFull(res.Body, got); err != nil || string(got) != want {
				t.Fatalf("%s: got %q %v, want %q", visitor, got, err, want)
			}
			if i < 4 {
				fmt.Fprint(send, i+1)
			}
		}
		send.Close()
		if rest, err := io.ReadAll(res.Body); err != nil || string(rest) != "." {
			t.Errorf("%s: the end is %q %v", visitor, rest, err)
		}
		res.Body.Close()
	}
}

// A chunked answer that broke off is never taken for the whole.
func TestRealNodeBreakingOffIsAnError(t *testing.T) {
	node := startProgram(t, "node", "-e", streamingServer)
	for _, visitor := range visitorModes {
		p := newProxy(t, visitor, Options{}, node)
		res, err := p.client().Get(p.URL + "/breaks")
		if err != nil {
			continue // broken off before the head was sent on
		}
		if got, err := io.ReadAll(res.Body); err == nil && res.StatusCode == http.StatusOK {
			t.Errorf("%s: the half is taken for the whole: %q", visitor, got)
		}
		res.Body.Close()
	}
}
