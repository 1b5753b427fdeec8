package devproxy

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/devproxy/devproxy/devproxy/forward"
	"github.com/devproxy/devproxy/devproxy/listen"
	"github.com/devproxy/devproxy/devproxy/middleware"
	"github.com/devproxy/devproxy/devproxy/plan"
	"github.com/devproxy/devproxy/devproxy/share"
	"github.com/devproxy/devproxy/hcl"
	"github.com/devproxy/devproxy/tunnel/message"
	"github.com/devproxy/devproxy/tunnel/page"
)

// errGone means that the client disconnected, so no page can be shown.
var errGone = errors.New("the client disconnected")

// pageError is an error that is always shown the same way.
type pageError struct {
	text string
	page page.Page
}

func (e *pageError) Error() string { return e.text }

// Page is how a client is shown the error.
func (e *pageError) Page() page.Page { return e.page }

var (
	// errStopping is the error of a request that was held when devproxy ended.
	errStopping = &pageError{"devproxy is stopping", page.Page{Status: http.StatusServiceUnavailable, Title: "devproxy is stopping.", RetryAfter: 1}}
	// errHidden is the error of a path that a share keeps to itself.
	errHidden = &pageError{"the path is hidden from visitors", page.Page{Status: http.StatusNotFound, Title: "The path is hidden from visitors."}}
)

// fail answers x with the page of x.err. It is the one place where an error becomes
// a response. A response that has begun is cut off, so no client takes it for
// complete.
func (x *exchange) fail(r *http.Request) {
	if response, ok := errors.AsType[*share.HiddenResponseError](x.err); ok {
		hit := response.Hit()
		x.visit.hidden = &hit
	}
	if x.w.status != 0 || errors.Is(x.err, forward.ErrAborted) || errors.Is(x.err, errGone) {
		panic(http.ErrAbortHandler)
	}
	x.w.fields, x.w.advise = nil, nil // a route's policy is not this page's
	p := masked(x.errorPage(r), x.generation.plan.Mask())
	if x.visit != nil {
		x.visit.publish(x, r)
		p = visitorPage(p)
	}
	if _, refused := errors.AsType[*message.Refusal](x.err); refused || p.Status == http.StatusBadRequest {
		// A client that sends what two programs read differently gets no second
		// try on this connection.
		x.w.Header().Set("Connection", "close")
	}
	if p.Write(x.w, r) != nil {
		panic(http.ErrAbortHandler)
	}
	x.w.status = p.Status // for the record: that of a gRPC response is always 200
}

// errorPage is the page of x.err for a local client.
func (x *exchange) errorPage(r *http.Request) page.Page {
	var (
		badPath     *plan.PathError
		unknown     *plan.UnknownHostError
		noRoute     *plan.NoRouteError
		waiting     *forward.WaitingError
		unavailable *forward.UnavailableError
		withheld    *withheldError
	)
	switch err := x.err; {
	case errors.As(err, &badPath):
		return page.Page{Status: http.StatusBadRequest, Title: "This path can be read in two ways.", Lead: page.Sentence(badPath.Error())}
	case errors.As(err, &unknown):
		if isMisdirected(unknown.Host, listen.FromContext(r.Context()).ServerName) {
			return misdirected(unknown)
		}
		return unknownHost(unknown, x.server.opts.Version)
	case errors.As(err, &noRoute):
		segment, _, _ := strings.Cut(strings.TrimPrefix(noRoute.Path, "/"), "/")
		return page.Page{
			Status: http.StatusNotFound, Title: "No route matches this path.", Lead: page.Sentence(noRoute.Error()),
			Quote: quote(noRoute.Host.Source), CodeTitle: "To add one, write in that block:",
			Code: fmt.Sprintf("route %q { upstream = 3000 }", "/"+segment),
		}
	case errors.As(err, &waiting):
		if x.crashed(waiting) {
			if n := x.server.crashes.note(pageKey(x, r)); n >= maxCrashes {
				p := crashPage(x.route, n)
				if state, ok := x.server.serviceOf(x.route); ok && len(state.Output) > 0 {
					p.CodeTitle, p.Code = outputTitle, strings.Join(state.Output, "\n")
				}
				return p
			}
		}
		x.page = "waiting page"
		return waitingPage(x, r, waiting.Unavailable)
	case errors.As(err, &unavailable):
		p := waitingPage(x, r, unavailable.Unavailable)
		if unavailable.Full {
			p.Lead = page.Sentence(unavailable.Error())
		}
		return p
	case errors.As(err, &withheld):
		return withheld.page(x.route)
	}
	p, known := page.For(x.err)
	if !known {
		return page.Page{Status: http.StatusInternalServerError, Title: "devproxy failed.", Lead: page.Sentence(x.err.Error())}
	}
	if _, is := errors.AsType[*middleware.SimulatedError](x.err); is {
		x.page = "simulated failure"
	}
	if x.route != nil && p.Status != http.StatusBadRequest { // that is not the route's fault
		p.Quote = quote(x.route.Source)
	}
	return p
}

func quote(source plan.Source) *page.Quote {
	if source.Line == 0 {
		return nil
	}
	return &page.Quote{Place: source.String(), Text: source.Text}
}

// isMisdirected reports whether a request for host is on a connection that was opened
// for another name. No project serves an address, a request without a host, or a name
// with more than one dot at its end, which no new connection could be opened for.
func isMisdirected(host, opened string) bool {
	_, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return opened != "" && host != "" && err != nil && !strings.EqualFold(opened, strings.TrimRight(host, "."))
}

// misdirected is for a request on a connection that was opened for another name. A new
// connection reaches the project that serves the name; this one stays with this project
// (RFC 9110 section 15.5.20). Like unknownHost, it names nothing that is served.
func misdirected(err *plan.UnknownHostError) page.Page {
	return page.Page{
		Status: http.StatusMisdirectedRequest, Title: "This connection is for another name.",
		Lead:  fmt.Sprintf("The project that it was opened for does not serve %s.", err.Host),
		Hints: []string{"A new connection reaches the project that serves the name, if one does."},
	}
}

// unknownHost is the same for every client, since any user of the machine may send a
// request: it names nothing that is served.
func unknownHost(err *plan.UnknownHostError, version string) page.Page {
	name := err.Host
	if name == "" {
		name = "This address"
	}
	p := page.Page{
		Status: http.StatusNotFound, Title: fmt.Sprintf("%s is not in any Proxyfile served now.", name), Version: version,
		Hints: []string{"`devproxy open` shows what is served, and `devproxy status --all` prints it."},
	}
	if strings.HasSuffix("."+err.Host, ".localhost") {
		p.CodeTitle, p.Code = "To add it:", fmt.Sprintf("host %q { upstream = 3000 }", err.Host)
	}
	return p
}

// waitingPage is the page of an upstream that nothing listens on.
func waitingPage(x *exchange, r *http.Request, found forward.Unavailable) page.Page {
	p := page.Page{
		Status:     http.StatusServiceUnavailable,
		Title:      fmt.Sprintf("Nothing is listening on %s yet.", spokenUpstream(x.route)),
		Lead:       page.OpensItself,
		Quote:      quote(x.route.Source),
		Waited:     found.Waited,
		Poll:       statePath + "?path=" + url.QueryEscape(rawPath(r)),
		RetryAfter: 1,
	}
	for _, attempt := range found.Attempts {
		p.Attempts = append(p.Attempts, attempt.Addr+" "+shortCause(attempt.Err))
	}
	if state, ok := x.server.serviceOf(x.route); ok {
		servicePage(&p, state, found)
		return p
	}
	if group := x.route.Answer.(*plan.Upstream).Group; group != nil {
		containerPage(&p, group, x.generation.upstream(x.route.Answer.(*plan.Upstream)).Members())
		return p
	}
	for _, process := range misplaced(x.generation, x.route, listen.ListeningProcesses()) {
		p.Hints = append(p.Hints, fmt.Sprintf("%s. If that is your server: `upstream = %d`.", process, process.port))
	}
	return p
}

// shortCause is the end of a network error: "connection refused".
func shortCause(err error) string {
	if op, ok := errors.AsType[*net.OpError](err); ok {
		err = op.Err
	}
	if call, ok := errors.AsType[*os.SyscallError](err); ok {
		err = call.Err
	}
	return err.Error()
}

// spokenUpstream is "port 5173" where the upstream of route is just that.
func spokenUpstream(route *plan.Route) string {
	spec := route.Answer.(*plan.Upstream) // only an upstream is waited for
	if port, ok := strings.CutPrefix(spec.Text, ":"); ok && len(spec.Members) == 1 {
		return "port " + port
	}
	return spec.Text
}

// crashPage replaces the waiting page of a page that has ended its server n times.
func crashPage(route *plan.Route, n int) page.Page {
	return page.Page{
		Status: http.StatusBadGateway,
		Title:  "The server exits whenever this page is requested.",
		Lead: fmt.Sprintf("That has happened %d times in a row: %s closed the connection without a response, and then nothing listened there. devproxy does not retry automatically.",
			n, spokenUpstream(route)),
		Quote: quote(route.Source),
		Hints: []string{"The server's own output may say why."},
		Again: true,
	}
}

// withheldError is the error of a route that is not served because the user has
// not allowed its effects outside the project.
type withheldError struct{ effects []*plan.Effect }

func (e *withheldError) texts() []string {
	texts := make([]string, len(e.effects))
	for i, effect := range e.effects {
		texts[i] = effect.String()
	}
	return texts
}

func (e *withheldError) Error() string {
	return "this route needs consent: " + strings.Join(e.texts(), "; ")
}

func (e *withheldError) page(route *plan.Route) page.Page {
	p := page.Page{
		Status: http.StatusForbidden, Title: "This route needs your consent.",
		Lead:      "It reaches outside its project, and you have not allowed that yet.",
		CodeTitle: "To allow it:", Code: "devproxy allow",
	}
	// Any client may read this, and which effects there are tells about a
	// computed value.
	if !slices.ContainsFunc(e.effects, func(effect *plan.Effect) bool { return effect.Computed }) {
		p.Quote, p.Hints = quote(route.Source), e.texts()
	}
	return p
}

// masked is p without values of the environment.
func masked(p page.Page, mask *hcl.Mask) page.Page {
	p.Title, p.Lead, p.Code = mask.Text(p.Title), mask.Text(p.Lead), mask.Text(p.Code)
	p.Hints = slices.Clone(p.Hints)
	for i, hint := range p.Hints {
		p.Hints[i] = mask.Text(hint)
	}
	return p
}

// visitorPage replaces p for a visitor of a share: devproxy's own texts name files,
// ports and addresses of this machine.
func visitorPage(p page.Page) page.Page {
	shown := page.Page{
		Status: p.Status, Title: visitorTitle(p.Status), Poll: p.Poll, RetryAfter: p.RetryAfter, Again: p.Again,
		Visitor: true, Header: p.Header,
	}
	switch p.Status {
	case http.StatusServiceUnavailable:
		shown.Lead = page.OpensLater
	case http.StatusLoopDetected:
		shown.Status = http.StatusBadGateway // a loop is the developer's concern
	}
	return shown
}

func visitorTitle(status int) string {
	switch {
	case status == http.StatusNotFound:
		return "This page does not exist."
	case status == http.StatusMethodNotAllowed:
		return "This page can only be read."
	case status == http.StatusServiceUnavailable:
		return "This site is restarting."
	case status == http.StatusGatewayTimeout:
		return "This site took too long to respond."
	case status < http.StatusInternalServerError || status == http.StatusNotImplemented:
		return "This site did not accept the request."
	}
	return "This site did not respond."
}
