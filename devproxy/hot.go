package devproxy

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"

	"github.com/devproxy/devproxy/devproxy/advice"
	"github.com/devproxy/devproxy/devproxy/coding"
	"github.com/devproxy/devproxy/devproxy/plan"
)

const (
	// maxScripts is how many scripts of an upstream are looked at for a client of
	// webpack-dev-server, and maxScriptSeen how much of each is kept for that, in
	// bytes as it came.
	maxScripts    = 16
	maxScriptSeen = 4 << 20
	// maxScriptUpstreams bounds of how many upstreams scripts are counted; when there
	// are more, all are counted again.
	maxScriptUpstreams = 100
)

// patchViteClient has the client of Vite in res connect to where its page came from.
// It says what to write where that cannot be.
func patchViteClient(upstream *plan.Upstream, res *http.Response) []string {
	if res.StatusCode != http.StatusOK || res.Body == nil || res.Header.Get("Content-Encoding") != "" || !isScript(res) || res.ContentLength > advice.MaxViteClient {
		return nil
	}
	client, err := io.ReadAll(io.LimitReader(res.Body, advice.MaxViteClient+1))
	rest := io.Reader(res.Body)
	if err != nil {
		rest = failing{err}
	}
	var told []string
	if err == nil && len(client) <= advice.MaxViteClient {
		told = oneOrNone(advice.PatchViteClient(client, upstream))
	}
	res.Body = body{io.MultiReader(bytes.NewReader(client), rest), res.Body}
	return told
}

func isViteClient(r *http.Request) bool {
	return r.Method == http.MethodGet && advice.IsViteClient(rawPath(r))
}

// uncompressed is r for what is looked into, and small.
func uncompressed(r *http.Request) *http.Request {
	plain := r.WithContext(r.Context())
	plain.Header = r.Header.Clone()
	plain.Header.Del("Accept-Encoding")
	return plain
}

func isScript(res *http.Response) bool {
	kind, _, _ := strings.Cut(res.Header.Get("Content-Type"), ";")
	kind = strings.ToLower(strings.TrimSpace(kind))
	return kind == "text/javascript" || kind == "application/javascript"
}

// body is a body that is read in another way than it is closed.
type body struct {
	io.Reader
	io.Closer
}

// failing is a reader that fails.
type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// scripts counts the scripts of upstreams that were looked at. The zero value is
// ready; it is safe for concurrent use.
type scripts struct {
	mu     sync.Mutex
	looked map[string]int // by plan.Upstream.Key
}

// look reports whether one more script of an upstream is to be looked at.
func (s *scripts) look(key string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.looked == nil || len(s.looked) >= maxScriptUpstreams {
		s.looked = map[string]int{}
	}
	s.looked[key]++
	return s.looked[key] <= maxScripts
}

// done has no more scripts of an upstream looked at.
func (s *scripts) done(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.looked[key] = maxScripts
}

// seenScript is a script that is kept as it passes, to be looked at after its end.
type seenScript struct {
	io.ReadCloser
	header http.Header
	seen   []byte
	all    bool // it has come to its end, and seen is all of it
}

// watchScript has a script kept that may have the client of webpack-dev-server in it;
// nil for other responses. The bundles are found among the first scripts of a page.
func (s *Server) watchScript(r *http.Request, upstream *plan.Upstream, res *http.Response) *seenScript {
	if r.Method != http.MethodGet || res.StatusCode != http.StatusOK || res.Body == nil || !isScript(res) || res.ContentLength > maxScriptSeen || !s.scripts.look(upstream.Key) {
		return nil
	}
	script := &seenScript{ReadCloser: res.Body, header: res.Header}
	res.Body = script
	return script
}

// Read reads on, and keeps what it has read.
func (s *seenScript) Read(p []byte) (int, error) {
	n, err := s.ReadCloser.Read(p)
	if len(s.seen)+n <= maxScriptSeen {
		s.seen = append(s.seen, p[:n]...)
		s.all = err == io.EOF
	} else {
		s.seen, s.all = nil, false
	}
	return n, err
}

// adviceOnScript returns the advice on a script that was sent.
func (s *Server) adviceOnScript(script *seenScript, r *http.Request, upstream *plan.Upstream, far bool) (told []string) {
	if script == nil || !script.all {
		return nil
	}
	_, own, _ := net.SplitHostPort(r.Host)
	if own == "" {
		own = "443"
	}
	_ = coding.Decode(bytes.NewReader(script.seen), script.header.Get("Content-Encoding"), func(text io.Reader) error {
		sentence, found := advice.WebpackClient(text, own, far)
		if found {
			s.scripts.done(upstream.Key)
		}
		told = oneOrNone(sentence)
		return nil
	})
	return told
}
