package devproxy

import (
	"bytes"
	"cmp"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/devproxy/devproxy/devproxy/advice"
	"github.com/devproxy/devproxy/devproxy/coding"
	"github.com/devproxy/devproxy/devproxy/plan"
)

// outside translates the upstream's URLs to those that r's browser uses.
func (x *exchange) outside(r *http.Request, match plan.Match, upstream *plan.Upstream) advice.Outside {
	return advice.Outside{
		Route: match.Route, Upstream: upstream, Prefix: match.Prefix(), Origin: scheme(r) + "://" + r.Host, Page: r.Header.Get("Origin"),
		Relocation: x.generation.plan.Relocation(), Cookie: r.Header["Cookie"],
	}
}

// withOwnCookies returns r with the cookies that an upstream of this worktree gets.
func withOwnCookies(r *http.Request) *http.Request {
	lines := r.Header["Cookie"]
	own := advice.OwnCookies(lines)
	if slices.Equal(lines, own) {
		return r
	}
	changed := r.WithContext(r.Context())
	changed.Header = maps.Clone(r.Header)
	if changed.Header["Cookie"] = own; own == nil {
		delete(changed.Header, "Cookie")
	}
	return changed
}

// advisor returns a function that handles the header of an upstream's response before
// a share makes it public: it rewrites the upstream's own addresses, and notes what
// browsers will refuse.
func (x *exchange) advisor(r *http.Request, match plan.Match, upstream *plan.Upstream) func(http.Header, int) {
	host, outside := hostname(r.Host), x.outside(r, match, upstream)
	return func(h http.Header, status int) {
		if status < 200 {
			outside.Informational(h)
			return
		}
		advice.DropHSTS(h, host)
		outside.Header(h)
		told := advice.Of(h, host)
		if x.visit != nil {
			told = append(told, x.visit.share.Advice(r, h, status, x.visit.visitor)...)
		}
		x.tell(match.Route.ID, told)
	}
}

// seenResponse has the advice on a response, and the parts of its body that are looked
// at after its end.
type seenResponse struct {
	told         []string
	status       int
	form, script *kept
}

// inspect looks at an upstream's response before it is copied to the client. The error
// is shown in its place.
func (x *exchange) inspect(r *http.Request, match plan.Match, upstream *plan.Upstream, res *http.Response) (seenResponse, error) {
	told := advice.ToldScheme(match.Route, scheme(r))
	loop, again := x.outside(r, match, upstream).Loop(res, r, requestTarget(r), told)
	if loop != nil && (!again || x.server.again.TooOften(client(x, r), loop.URL)) {
		return seenResponse{}, loop
	}
	if v := x.visit; v != nil {
		if err := v.share.InspectResponse(res); err != nil {
			return seenResponse{}, err
		}
	}
	seen := seenResponse{status: res.StatusCode}
	switch {
	case res.Body == nil:
	case isViteClient(r):
		seen.told = patchViteClient(upstream, res)
	case told == "https" && advice.MayRefuseForm(r, scheme(r)+"://"+r.Host, res.StatusCode):
		seen.form = keep(res, advice.MaxFormRefusal)
	case r.Method == http.MethodGet && res.StatusCode == http.StatusOK && isScript(res) && res.ContentLength <= maxScriptSeen && x.server.scripts.look(upstream.Key):
		seen.script = keep(res, maxScriptSeen)
	}
	return seen, nil
}

// adviceOn returns the advice on a response that was sent.
func (x *exchange) adviceOn(seen *seenResponse, r *http.Request, upstream *plan.Upstream) []string {
	told := seen.told
	seen.form.decoded(func(body io.Reader) {
		text, _ := io.ReadAll(io.LimitReader(body, advice.MaxFormRefusal)) // it ends where not all was kept
		told = append(told, oneOrNone(advice.FormRefusal(r, seen.status, seen.form.header, text))...)
	})
	if seen.script == nil || seen.script.cut || !seen.script.ended {
		return told
	}
	_, own, _ := net.SplitHostPort(r.Host)
	seen.script.decoded(func(text io.Reader) {
		sentence, found := advice.WebpackClient(text, cmp.Or(own, "443"), x.visit != nil)
		if found {
			x.server.scripts.done(upstream.Key)
		}
		told = append(told, oneOrNone(sentence)...)
	})
	return told
}

// kept is a body that keeps a copy of its beginning while it is read.
type kept struct {
	io.ReadCloser
	header http.Header
	max    int
	seen   []byte // as it came, perhaps encoded
	cut    bool   // the body is longer than max
	ended  bool
}

// keep has the first bytes of res's body kept, max of them at most.
func keep(res *http.Response, max int) *kept {
	k := &kept{ReadCloser: res.Body, header: res.Header, max: max}
	res.Body = k
	return k
}

// Read continues to read, and keeps a copy of the beginning.
func (k *kept) Read(p []byte) (int, error) {
	n, err := k.ReadCloser.Read(p)
	room := k.max - len(k.seen)
	k.seen = append(k.seen, p[:min(n, room)]...)
	k.cut = k.cut || n > room
	k.ended = err == io.EOF
	return n, err
}

// decoded removes the content coding of the kept bytes and calls look with the
// result. A nil k has no bytes.
func (k *kept) decoded(look func(io.Reader)) {
	if k == nil {
		return
	}
	_ = coding.Decode(bytes.NewReader(k.seen), k.header.Get("Content-Encoding"), func(r io.Reader) error {
		look(r)
		return nil
	})
}

func oneOrNone(text string) []string {
	if text == "" {
		return nil
	}
	return []string{text}
}

func isViteClient(r *http.Request) bool {
	return r.Method == http.MethodGet && advice.IsViteClient(rawPath(r))
}

// uncompressed returns r without Accept-Encoding, for a small response that is to be
// changed.
func uncompressed(r *http.Request) *http.Request {
	plain := r.WithContext(r.Context())
	plain.Header = r.Header.Clone()
	plain.Header.Del("Accept-Encoding")
	return plain
}

// patchViteClient makes the client of Vite in res connect to where its page came from.
// Where that is not possible, it returns advice on what to write.
func patchViteClient(upstream *plan.Upstream, res *http.Response) []string {
	if res.StatusCode != http.StatusOK || res.Header.Get("Content-Encoding") != "" || !isScript(res) || res.ContentLength > advice.MaxViteClient {
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

// body is read in another way than it is closed.
type body struct {
	io.Reader
	io.Closer
}

// failing is a reader that fails.
type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func isScript(res *http.Response) bool {
	kind, _, _ := strings.Cut(res.Header.Get("Content-Type"), ";")
	return slices.Contains([]string{"text/javascript", "application/javascript"}, strings.ToLower(strings.TrimSpace(kind)))
}

const (
	// maxScripts is how many scripts of an upstream are searched for a client of
	// webpack-dev-server, which is among the first scripts of a page. maxScriptSeen
	// is how much of each is kept for that, in bytes as it came.
	maxScripts    = 16
	maxScriptSeen = 4 << 20
	// maxScriptUpstreams bounds how many upstreams have a count of scripts; when
	// there are more, all are counted again.
	maxScriptUpstreams = 100
)

// scripts counts the scripts of upstreams that were looked at. The zero value
// is ready to use; it is safe for concurrent use.
type scripts struct {
	mu     sync.Mutex
	looked map[string]int // by plan.Upstream.Key
}

// look reports whether to look at one more script of an upstream.
func (s *scripts) look(key string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.looked == nil || len(s.looked) >= maxScriptUpstreams {
		s.looked = map[string]int{}
	}
	s.looked[key]++
	return s.looked[key] <= maxScripts
}

// done ends the search in the scripts of an upstream.
func (s *scripts) done(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.looked[key] = maxScripts
}
