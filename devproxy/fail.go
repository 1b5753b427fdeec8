package devproxy

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/devproxy/devproxy/devproxy/advice"
	"github.com/devproxy/devproxy/devproxy/answer"
	"github.com/devproxy/devproxy/devproxy/forward"
	"github.com/devproxy/devproxy/devproxy/listen"
	"github.com/devproxy/devproxy/devproxy/page"
	"github.com/devproxy/devproxy/devproxy/plan"
	"github.com/devproxy/devproxy/devproxy/share"
	"github.com/devproxy/devproxy/tunnel/message"
)

// errGone means that the visitor left: there is nobody to show a page.
var errGone = errors.New("the visitor left")

// errStopping is the error of a request that was held when devproxy ended.
var errStopping = errors.New("devproxy is stopping")

// ownPathError is the error of a path below ownPaths that is none of ours.
type ownPathError struct{ path string }

func (e *ownPathError) Error() string { return fmt.Sprintf("devproxy has no page %q", e.path) }

// fail shows why x could not be answered: the one error handler. A response
// that has begun is cut off, so that nobody takes it for the whole.
func (s *Server) fail(x *exchange, r *http.Request) {
	var response *share.HiddenResponseError
	if errors.As(x.err, &response) {
		hit := response.Hit()
		x.visit.hidden = &hit
	}
	if x.w.status != 0 || errors.Is(x.err, forward.ErrAborted) || errors.Is(x.err, errGone) {
		panic(http.ErrAbortHandler)
	}
	x.w.fields, x.w.advise = nil, nil // a route's policy is not this page's
	p := masked(s.page(x, r), x.generation.plan.Mask())
	if x.visit != nil {
		x.visit.publish(x, r)
		p = visitorPage(p)
	}
	if p.Status == http.StatusBadRequest || isRefusal(x.err) {
		// Whoever sends what two programs read differently gets no second try
		// on this connection.
		x.w.Header().Set("Connection", "close")
	}
	if page.IsGRPC(r) {
		page.WriteGRPC(x.w, p.Status, grpcMessage(p))
		x.w.status = p.Status // for the record; the call's own is 200 always
		return
	}
	if p.Write(x.w, r) != nil {
		panic(http.ErrAbortHandler)
	}
}

// grpcMessage is p for a program that shows no page.
func grpcMessage(p page.Page) string {
	if p.Lead == page.OpensItself || p.Lead == page.OpensLater {
		return p.Title
	}
	return strings.TrimSpace(p.Title + " " + p.Lead)
}

func isRefusal(err error) bool {
	var refusal *message.Refusal
	return errors.As(err, &refusal)
}

// page is what a person, or a program, is told of x.err.
func (s *Server) page(x *exchange, r *http.Request) page.Page {
	var (
		refusal     *message.Refusal
		badPath     *plan.PathError
		unknown     *plan.UnknownHostError
		noRoute     *plan.NoRouteError
		waiting     *forward.WaitingError
		unavailable *forward.UnavailableError
		upstream    *forward.UpstreamError
		timeout     *forward.TimeoutError
		loop        *forward.LoopError
		redirects   *advice.LoopError
		target      *forward.TargetError
		body        *forward.BodyError
		notFound    *answer.NotFoundError
		method      *answer.MethodError
		unreadable  *answer.ReadError
		ownPath     *ownPathError
		crossOrigin *crossOriginError
		response    *share.HiddenResponseError
		withheld    *withheldError
	)
	if p, ok := aroundPage(x); ok {
		return p
	}
	if p, ok := s.crashPage(x, r); ok {
		return p
	}
	switch err := x.err; {
	case errors.As(err, &refusal):
		return page.Page{Status: refusal.Status, Title: refusal.Title(), Lead: sentence(refusal.Error())}
	case errors.As(err, &badPath):
		return page.Page{Status: http.StatusBadRequest, Title: "This path can be read in two ways.", Lead: sentence(badPath.Error())}
	case errors.As(err, &target):
		return page.Page{Status: http.StatusBadRequest, Title: "This path cannot be forwarded as it is.", Lead: sentence(target.Error())}
	case errors.As(err, &body):
		return page.Page{Status: http.StatusBadRequest, Title: "The body of this request broke off.", Lead: sentence(body.Error())}
	case errors.As(err, &unknown):
		return s.unknownHost(unknown, r)
	case errors.As(err, &noRoute):
		return page.Page{Status: http.StatusNotFound, Title: "No route takes this path.", Lead: sentence(noRoute.Error()),
			Quote: quote(noRoute.Host.Source), CodeTitle: "To add it, in that block:",
			Code: fmt.Sprintf("route %q { upstream = 3000 }", firstSegment(noRoute.Path))}
	case errors.As(err, &waiting):
		x.page = "waiting page"
		return s.waiting(x, r, waiting.Attempts, waiting.Waited)
	case errors.As(err, &unavailable):
		p := s.waiting(x, r, unavailable.Attempts, unavailable.Waited)
		if unavailable.Full {
			p.Lead = sentence(unavailable.Error())
		}
		return p
	case errors.As(err, &upstream):
		return page.Page{Status: http.StatusBadGateway, Title: "The upstream gave no usable answer.", Lead: sentence(upstream.Error()),
			Quote: quote(x.route.Source), Hints: oneOrNone(capital(upstream.Hint))}
	case errors.As(err, &timeout):
		return page.Page{Status: http.StatusGatewayTimeout, Title: "The upstream took too long.", Lead: sentence(timeout.Error()),
			Quote: quote(x.route.Source), Hints: []string{fmt.Sprintf("If that is its normal time, raise `timeout` (now %q) or remove it.", timeout.Timeout)}}
	case errors.As(err, &loop):
		return page.Page{Status: http.StatusLoopDetected, Title: "This route leads back to devproxy itself.",
			Lead:  sentence(loop.Error()),
			Quote: quote(x.route.Source), Hints: []string{"Write the port of the dev server there, not devproxy's."}}
	case errors.As(err, &redirects):
		return page.Page{Status: http.StatusLoopDetected, Title: "This app redirects to itself without end.",
			Lead:  sentence(redirects.Error()) + " devproxy has stopped it.",
			Quote: quote(x.route.Source), Hints: oneOrNone(redirects.Hint())}
	case errors.As(err, &notFound):
		return filesPage(x, notFound)
	case errors.As(err, &method):
		x.w.Header().Set("Allow", strings.Join(method.Allow, ", "))
		return page.Page{Status: http.StatusMethodNotAllowed, Title: "Files can only be read.", Lead: sentence(method.Error()), Quote: quote(x.route.Source)}
	case errors.As(err, &unreadable):
		return page.Page{Status: http.StatusInternalServerError, Title: "This file cannot be read.", Lead: sentence(unreadable.Error()), Quote: quote(x.route.Source)}
	case errors.Is(err, errStopping):
		return page.Page{Status: http.StatusServiceUnavailable, Title: "devproxy is stopping.", RetryAfter: 1}
	case errors.Is(err, errHidden):
		return page.Page{Status: http.StatusNotFound, Title: sentence(err.Error())}
	case errors.As(err, &response):
		// An error stays one; a page that is not one is not there.
		status := http.StatusNotFound
		if response.Status >= http.StatusInternalServerError {
			status = http.StatusInternalServerError
		}
		return page.Page{Status: status, Title: sentence(err.Error())}
	case errors.As(err, &withheld):
		return withheld.page(x.route)
	case errors.As(err, &ownPath):
		return page.Page{Status: http.StatusNotFound, Title: sentence(ownPath.Error())}
	case errors.As(err, &crossOrigin):
		return page.Page{Status: http.StatusForbidden, Title: "Requests from this origin are not allowed.", Lead: sentence(crossOrigin.Error())}
	default:
		return page.Page{Status: http.StatusInternalServerError, Title: "devproxy failed.", Lead: sentence(err.Error())}
	}
}

// sentence is an error's text as a page shows it.
func sentence(text string) string {
	if text == "" {
		return ""
	}
	return capital(text) + "."
}

// capital is text with a first letter as at the beginning of a sentence.
func capital(text string) string {
	if text == "" {
		return ""
	}
	return strings.ToUpper(text[:1]) + text[1:]
}

func quote(source plan.Source) *page.Quote {
	if source.Line == 0 {
		return nil
	}
	return &page.Quote{Place: source.String(), Text: source.Text}
}

func firstSegment(path string) string {
	segment, _, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	return "/" + segment
}

func filesPage(x *exchange, err *answer.NotFoundError) page.Page {
	p := page.Page{Status: http.StatusNotFound, Title: "There is no such file.", Lead: sentence(err.Error()), Quote: quote(x.route.Source)}
	if err.Single && err.Reason == "" && err.Link == "" {
		p.Title = "This file does not exist yet."
		p.Hints = []string{"It is served as soon as it is there: build it, then reload."}
	} else if err.DirMissing {
		p.Title = "This folder does not exist yet."
		p.Hints = []string{"It is served as soon as it is there: build it, then reload."}
	}
	switch {
	case err.Link != "" && err.LinkDot:
		p.Title = "This link leads to a hidden file."
	case err.Link != "":
		p.Title = "This link leads out of the folder."
	}
	return p
}

// unknownHost names what is served, to whoever opens a local name. For another
// name, or when a page of another origin asks, it says no more than that the
// name is unknown: see isLocalName.
func (s *Server) unknownHost(err *plan.UnknownHostError, r *http.Request) page.Page {
	name := err.Host
	if name == "" {
		name = "This address"
	}
	p := page.Page{
		Status: http.StatusNotFound,
		Title:  fmt.Sprintf("%s is not in any Proxyfile served now.", name),
	}
	if !isLocalName(err.Host) || isCrossOrigin(r) && !opensDocument(r) {
		p.Hints = []string{"`devproxy status` lists what is served."}
		return p
	}
	p.CodeTitle, p.Code = "To add it:", fmt.Sprintf("host %q { upstream = 3000 }", err.Host)
	if !strings.HasSuffix("."+err.Host, ".localhost") {
		p.CodeTitle, p.Code = "", ""
	}
	if err.Near != "" {
		p.Suggest = &page.Link{URL: s.url(r, err.Near)}
	}
	for _, host := range err.Served {
		p.Served = append(p.Served, page.Link{URL: s.url(r, host.Name), Note: s.opts.Folder(host.Folder) + "/" + host.Source.String()})
	}
	return p
}

// url is where name is served, on the port that r came to.
func (s *Server) url(r *http.Request, name string) string {
	scheme, port := "https", ""
	if !listen.FromContext(r.Context()).TLS {
		scheme = "http"
	}
	if i := strings.LastIndexByte(r.Host, ':'); i > strings.LastIndexByte(r.Host, ']') {
		port = r.Host[i:]
	}
	return scheme + "://" + name + port
}

// waiting is the page of an upstream that nothing listens on.
func (s *Server) waiting(x *exchange, r *http.Request, attempts []forward.Attempt, waited time.Duration) page.Page {
	spec := x.route.Answer.(*plan.Upstream) // only upstreams are waited for
	p := page.Page{
		Status:     http.StatusServiceUnavailable,
		Title:      fmt.Sprintf("Nothing answers on %s yet.", spokenUpstream(spec)),
		Lead:       page.OpensItself,
		Quote:      quote(x.route.Source),
		Waited:     waited,
		Hints:      portHints(x.generation, x.route),
		Poll:       statePath + "?path=" + url.QueryEscape(rawPath(r)),
		RetryAfter: 1,
	}
	for _, attempt := range attempts {
		p.Attempts = append(p.Attempts, attempt.Addr+" "+shortCause(attempt.Err))
	}
	return p
}

// spokenUpstream is "port 5173" where that is all there is to say.
func spokenUpstream(spec *plan.Upstream) string {
	if port, ok := strings.CutPrefix(spec.Text, ":"); ok && len(spec.Members) == 1 {
		return "port " + port
	}
	return spec.Text
}

func oneOrNone(hint string) []string {
	if hint == "" {
		return nil
	}
	return []string{hint}
}
