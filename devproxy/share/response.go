package share

import (
	"bytes"
	"io"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/devproxy/devproxy/devproxy/coding"
	"github.com/devproxy/devproxy/tunnel/page"
)

const (
	// maxErrorLook is how much of an error page is inspected, before any of it is passed
	// on, in bytes.
	maxErrorLook = 64 << 10
	// maxPageLook is how much of any other page is inspected as it passes, in bytes.
	maxPageLook = 16 << 10
)

// responseRule is a page of a developer tool that any path may return.
type responseRule struct {
	// its name: "the Werkzeug debugger".
	what string
	// show is the text that opens the rule in `share { show = […] }`.
	show string
	// header is a field that no other response has, canonical; empty for none.
	header string
	// errors restricts the texts to error responses, where they could be in other pages
	// too.
	errors bool
	// texts all match the page.
	texts []*regexp.Regexp
}

// responseRules are the pages with a console, settings or the environment in them. The
// texts come from the sources of the tools.
var responseRules = []responseRule{
	// werkzeug/debug/tbtools.py: a console, with the secret that it requires.
	{what: "the Werkzeug debugger", show: "werkzeug-page", texts: exprs(`// Werkzeug Debugger</title>`)},
	// django/views/templates/technical_500.html and .txt: settings and local
	// variables; the latter for clients that do not accept HTML.
	{what: "an error page of Django with settings", show: "django-page", errors: true, texts: exprs(`<th[^>]*>Django Version:</th>`)},
	{what: "an error of Django with settings", show: "django-page", errors: true, texts: exprs(`(?m)^Django Version: `, `(?m)^Python Executable: `)},
	{what: "an error page of Django with all URLs", show: "django-page", errors: true, texts: exprs(`Using the URLconf defined in\s+<code>`)},
	// actionpack, action_dispatch/middleware/debug_exceptions.rb: source, session
	// and environment; as HTML, as text for XMLHttpRequest, as JSON for an API.
	{what: "an error page of Rails", show: "rails-page", errors: true, texts: exprs(`<title>Action Controller: Exception caught</title>`)},
	{what: "an error of Rails with its traces", show: "rails-page", errors: true, texts: exprs(`(?m)^Rails\.root: `)},
	{what: "an error of Rails with its traces", show: "rails-page", errors: true, texts: exprs(`"traces":\{"Application Trace":|<Application[ -]Trace[ >]|(?m:^ +"?Application Trace"?:)`)},
	// rack, show_exceptions.rb, and Sinatra's: source, session and environment.
	{what: "an error page of Rack", show: "rack-page", errors: true, texts: exprs(`<a href="#env-info">ENV</a>`)},
	// web-console, web_console/middleware.rb.
	{what: "a console of Rails", show: "web-console-page", header: "X-Web-Console-Session-Id"},
	// better_errors/templates/main.erb: a console.
	{what: "an error page of better_errors", show: "better_errors-page", errors: true, texts: exprs(`/__better_errors/`)},
	// symfony/error-handler, HtmlErrorRenderer.php and SerializerErrorRenderer.php.
	{what: "an error page of Symfony", show: "symfony-page", header: "X-Debug-Exception"},
	// spatie/ignition, errorPage.php.
	{what: "an error page of Laravel", show: "laravel-page", errors: true, texts: exprs(`<!-- Hide dumps asap -->`)},
	// laravel/framework, exceptions/renderer: queries with their values.
	{what: "an error page of Laravel", show: "laravel-page", errors: true, texts: exprs(`fonts\.bunny\.net/css\?family=figtree:300,400,500,600`)},
	// laravel/framework, Foundation/Exceptions/Handler.php, convertExceptionToArray.
	{what: "an error of Laravel with its trace", show: "laravel-page", errors: true, texts: exprs(`"exception":\s*"[^"]*",\s*"file":\s*"[^"]*",\s*"line":\s*\d+,\s*"trace":`)},
	// filp/whoops, Resources/views/layout.html.php: server and environment.
	{what: "an error page of Whoops", show: "whoops-page", errors: true, texts: exprs(`<title>Whoops! There was an error\.</title>`)},
	// codeigniter4, Views/errors/html/error_exception.php: source and $_SERVER.
	{what: "an error page of CodeIgniter", show: "codeigniter-page", errors: true, texts: exprs(`&mdash;\s+CodeIgniter: [0-9.]+[^<]{0,20} --\s+Environment: `)},
	// nette/tracy, BlueScreen: the environment.
	{what: "an error page of Tracy", show: "tracy-page", errors: true, texts: exprs(`id="?tracy-bs"?`)},
	// plug, lib/plug/templates/debugger.html.eex: session and actions.
	{what: "an error page of Phoenix", show: "plug-page", errors: true, texts: exprs(`\.exception-info >`, `\.conn-details >`)},
	// plug, lib/plug/templates/debugger.md.eex: the same for other clients.
	{what: "an error of Phoenix", show: "plug-page", errors: true, texts: exprs(`\A# [^\n]+ at [A-Z]+ /[^\n]*\n\nException:\n`)},
	// starlette/middleware/errors.py: source of each frame.
	{what: "an error page of Starlette", show: "starlette-page", errors: true, texts: exprs(`<title>Starlette Debugger</title>`)},
	// aspnetcore, Diagnostics/DeveloperExceptionPage: source, headers, routes.
	{what: "an error page of ASP.NET", show: "aspnet-page", errors: true, texts: exprs(`<title>Internal Server Error</title>`, `An unhandled exception occurred while processing the request\.`)},
	// The same for clients that do not accept HTML.
	{what: "an error of ASP.NET", show: "aspnet-page", errors: true, texts: exprs(`(?m)^HEADERS\r?\n=======\r?$`)},
	// php-src, ext/standard/info.c: the environment.
	{what: "phpinfo()", show: "phpinfo-page", texts: exprs(`<title>(?:PHP [^<>]+ - )?phpinfo\(\)</title>`)},
}

func exprs(texts ...string) []*regexp.Regexp {
	var all []*regexp.Regexp
	for _, text := range texts {
		all = append(all, regexp.MustCompile(text))
	}
	return all
}

// HiddenResponseError is the error of a response that a share hides.
type HiddenResponseError struct {
	// Status is the status of the upstream's response.
	Status int
	rule   *responseRule
}

// Error describes the hidden response.
func (e *HiddenResponseError) Error() string { return "hidden from visitors: " + e.rule.what }

// Page implements page.Error. An error of the server stays one; for any other response
// the status is 404.
func (e *HiddenResponseError) Page() page.Page {
	p := page.Page{Status: http.StatusNotFound, Title: "This response is hidden from visitors."}
	if e.Status >= http.StatusInternalServerError {
		p.Status = http.StatusInternalServerError
	}
	return p
}

// Hit returns why the response is hidden.
func (e *HiddenResponseError) Hit() Hit {
	return Hit{Kind: Tools, What: e.rule.what, Show: e.rule.show}
}

// InspectResponse returns a HiddenResponseError when res is a page of a developer tool
// that the share hides. Otherwise res can be passed on. InspectResponse reads up to 64
// KiB of the body of an error page, and up to 16 KiB of another page with a length. A
// page without a length may be a stream, so it is inspected as it passes: a read of its
// first 16 KiB fails with a HiddenResponseError. Event streams, downloads and anything
// else that is not text are not inspected.
func (s *Share) InspectResponse(res *http.Response) error {
	for i := range responseRules {
		if rule := &responseRules[i]; len(res.Header[rule.header]) > 0 && !s.guard.shown.texts[rule.show] {
			return &HiddenResponseError{res.StatusCode, rule}
		}
	}
	failed := res.StatusCode >= 400
	if !isText(res.Header.Get("Content-Type"), failed) || res.Body == nil || res.Body == http.NoBody {
		return nil
	}
	body := &inspectedBody{ReadCloser: res.Body, share: s, res: res, failed: failed, left: maxPageLook}
	if failed {
		body.left = maxErrorLook
	}
	if failed || res.ContentLength > 0 { // the end is known, so this is not a stream
		if err := body.readAhead(); err != nil {
			return err
		}
	}
	res.Body = body
	return nil
}

// Audience returns a name, never empty, for the clients that may get the same responses:
// the visitors of every share that hides what s hides.
func (s *Share) Audience() string {
	return "visitors\n" + strings.Join(slices.Sorted(maps.Keys(s.guard.shown.texts)), "\n")
}

// isText reports whether a response may be a page: of a type that browsers show as HTML,
// or inspect to find out (WHATWG MIME Sniffing, section 7). For errors, also the formats
// for programs count, which clients can choose. Like browsers, isText reads a type up to
// the first character that cannot be in it.
func isText(contentType string, failed bool) bool {
	kind := lower(strings.TrimSpace(contentType))
	if end := strings.IndexAny(kind, " \t;,("); end >= 0 {
		kind = kind[:end]
	}
	switch kind {
	case "text/html", "application/xhtml+xml", "*/*", "unknown/unknown", "application/unknown":
		return true
	case "text/plain", "text/markdown", "application/json", "application/xml", "text/xml", "application/x-yaml", "application/yaml", "text/yaml":
		return failed
	}
	return !strings.Contains(kind, "/") || failed && (strings.HasSuffix(kind, "+json") || strings.HasSuffix(kind, "+xml"))
}

// inspectedBody inspects a body while it is read.
type inspectedBody struct {
	io.ReadCloser
	share  *Share
	res    *http.Response
	failed bool
	seen   []byte       // as it came, perhaps encoded
	left   int          // bytes still to inspect
	ahead  bytes.Buffer // read by readAhead
	err    error        // of reading ahead, or of a hidden page
}

// readAhead reads everything that is inspected.
func (b *inspectedBody) readAhead() error {
	b.ahead.Grow(int(min(int64(b.left), max(b.res.ContentLength, 0))) + bytes.MinRead)
	_, b.err = b.ahead.ReadFrom(io.LimitReader(b.ReadCloser, int64(b.left)))
	b.left = 0
	return b.inspect(b.ahead.Bytes())
}

// Read implements io.Reader. It fails when the page turns out to be hidden.
func (b *inspectedBody) Read(p []byte) (int, error) {
	if b.ahead.Len() > 0 {
		return b.ahead.Read(p)
	}
	if b.err != nil {
		return 0, b.err
	}
	n, err := b.ReadCloser.Read(p)
	if b.left > 0 && n > 0 {
		taken := min(n, b.left)
		b.left -= taken
		b.seen = append(b.seen, p[:taken]...)
		if hidden := b.inspect(b.seen); hidden != nil {
			b.err = hidden
			return 0, hidden
		}
		if b.left == 0 {
			b.seen = nil
		}
	}
	return n, err
}

// inspect compares the bytes so far with the rules.
func (b *inspectedBody) inspect(seen []byte) error {
	text := decodedBody(seen, b.res.Header.Get("Content-Encoding"))
	for i := range responseRules {
		rule := &responseRules[i]
		if rule.header == "" && !b.share.guard.shown.texts[rule.show] && (b.failed || !rule.errors) && rule.matches(text) {
			return &HiddenResponseError{b.res.StatusCode, rule}
		}
	}
	return nil
}

func (rule *responseRule) matches(text []byte) bool {
	return !slices.ContainsFunc(rule.texts, func(e *regexp.Regexp) bool { return !e.Match(text) })
}

// decodedBody returns as much of the beginning of a body as can be decoded, at most
// maxErrorLook bytes.
func decodedBody(seen []byte, encoding string) []byte {
	var text []byte
	_ = coding.Decode(bytes.NewReader(seen), encoding, func(r io.Reader) error {
		text, _ = io.ReadAll(io.LimitReader(r, maxErrorLook)) // fails where the rest has not arrived yet
		return nil
	})
	return text
}
