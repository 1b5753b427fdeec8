package devproxy

import (
	"bytes"
	"io"
	"net/http"
	"slices"

	"github.com/devproxy/devproxy/devproxy/advice"
	"github.com/devproxy/devproxy/devproxy/coding"
	"github.com/devproxy/devproxy/devproxy/plan"
)

// outside is how r's browser calls the places of upstream.
func outside(r *http.Request, match plan.Match, upstream *plan.Upstream) advice.Outside {
	return advice.Outside{Route: match.Route, Upstream: upstream, Prefix: match.Prefix(), Origin: scheme(r) + "://" + r.Host, Page: r.Header.Get("Origin")}
}

// advisor looks at the head of an upstream's answer before a share makes it
// public: what is meant for the upstream's own address is mended, and what
// browsers will refuse is told once.
func (s *Server) advisor(x *exchange, r *http.Request, match plan.Match, upstream *plan.Upstream) func(http.Header, int) {
	host, outside := hostname(r.Host), outside(r, match, upstream)
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

// stopLoop is the error of a redirect that would go round in circles.
func (s *Server) stopLoop(x *exchange, r *http.Request, match plan.Match, upstream *plan.Upstream, res *http.Response) error {
	told := advice.ToldScheme(match.Route, scheme(r))
	loop, again := outside(r, match, upstream).Loop(res, r, requestTarget(r), told)
	if loop == nil || again && !s.again.TooOften(client(x, r), loop.URL) {
		return nil
	}
	return loop
}

// seenResponse is what was seen of a response by those who look into it.
type seenResponse struct {
	told   []string // already
	form   *refusedForm
	script *seenScript
}

// watch has the body of res looked into where that may tell something.
func (s *Server) watch(r *http.Request, route *plan.Route, upstream *plan.Upstream, res *http.Response) seenResponse {
	if isViteClient(r) {
		return seenResponse{told: patchViteClient(upstream, res)}
	}
	return seenResponse{form: watchForm(r, route, res), script: s.watchScript(r, upstream, res)}
}

// adviceOn returns the advice on a response that was sent.
func (s *Server) adviceOn(seen *seenResponse, r *http.Request, upstream *plan.Upstream, far bool) []string {
	return slices.Concat(seen.told, seen.form.advice(r), s.adviceOnScript(seen.script, r, upstream, far))
}

func oneOrNone(text string) []string {
	if text == "" {
		return nil
	}
	return []string{text}
}

// refusedForm looks at a response that may refuse a form, as it passes.
type refusedForm struct {
	io.ReadCloser
	status int
	header http.Header
	seen   []byte // as it came, perhaps encoded
}

// watchForm has the body of res looked at where it may refuse a form of a page of
// the host that r asks. It is nil for other responses, and where the upstream is not
// told https.
func watchForm(r *http.Request, route *plan.Route, res *http.Response) *refusedForm {
	own := scheme(r)
	if advice.ToldScheme(route, own) != "https" || !advice.MayRefuseForm(r, own+"://"+r.Host, res.StatusCode) || res.Body == nil {
		return nil
	}
	f := &refusedForm{ReadCloser: res.Body, status: res.StatusCode, header: res.Header}
	res.Body = f
	return f
}

// Read reads on, and keeps the beginning.
func (f *refusedForm) Read(p []byte) (int, error) {
	n, err := f.ReadCloser.Read(p)
	f.seen = append(f.seen, p[:min(n, advice.MaxFormRefusal-len(f.seen))]...)
	return n, err
}

// advice returns the advice on the response that was sent.
func (f *refusedForm) advice(r *http.Request) []string {
	if f == nil {
		return nil
	}
	var text []byte
	_ = coding.Decode(bytes.NewReader(f.seen), f.header.Get("Content-Encoding"), func(r io.Reader) error {
		text, _ = io.ReadAll(io.LimitReader(r, advice.MaxFormRefusal)) // it breaks off where not all was kept
		return nil
	})
	return oneOrNone(advice.FormRefusal(r, f.status, f.header, text))
}
