package forward

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"slices"
	"time"

	"github.com/devproxy/devproxy/devproxy/plan"
)

// maxSends bounds how often one request is sent: an upstream that accepts and
// resets every time must not be asked for ever.
const maxSends = 4

// Exchange is what Forward needs to know beside the request.
type Exchange struct {
	Match  plan.Match
	Target string // path to forward, Match.Target of the path that came
	Scheme string // the visitor's: "https" or "http"
	// Report is filled in as the exchange goes on. It must not be nil.
	Report *Report
}

// Report is what became of an exchange.
type Report struct {
	Member  string // who answered: ":3000"
	Held    time.Duration
	Resent  int
	Upgrade bool
	BytesIn int64 // of the request's body
}

// Forward carries r to the upstream and its answer to w. When it cannot, it
// has written nothing, unless the error is ErrAborted, and returns why.
func (u *Upstream) Forward(w http.ResponseWriter, r *http.Request, x Exchange) error {
	if !u.enter() {
		return ErrRetired
	}
	defer u.leave()
	for _, hops := range r.Header[hopHeader] {
		if hops == u.opts.Instance {
			return &LoopError{Member: u.members[0].spec.Text}
		}
	}
	s := newSender(u, w, r, x)
	defer s.close()
	res, err := s.send()
	if err != nil {
		return err
	}
	if res.StatusCode == http.StatusSwitchingProtocols {
		return u.upgrade(w, r, res, x)
	}
	return u.respond(w, res, x)
}

// sender sends one request, to one member after the other and again where that
// is safe, until one answers.
type sender struct {
	upstream *Upstream
	w        http.ResponseWriter
	r        *http.Request
	x        Exchange
	upgrade  bool
	body     *body // nil when the request has none
	began    time.Time

	ctx    context.Context // ended when the exchange is over or timed out
	cancel context.CancelCauseFunc
}

func newSender(u *Upstream, w http.ResponseWriter, r *http.Request, x Exchange) *sender {
	s := &sender{upstream: u, w: w, r: r, x: x, upgrade: upgradeType(r.Header) != "", began: time.Now()}
	s.ctx, s.cancel = context.WithCancelCause(r.Context())
	if r.ContentLength != 0 && r.Body != nil && r.Body != http.NoBody {
		s.body = &body{src: r.Body}
		if isIdempotent(r.Method) {
			s.body.limit = maxReplay
		}
		if r.ProtoMajor == 1 {
			// The answer may begin before the body has ended.
			_ = http.NewResponseController(w).EnableFullDuplex() // only a test's writer cannot
		}
	}
	return s
}

func (s *sender) close() {
	s.cancel(nil)
	if s.body != nil {
		s.x.Report.BytesIn = s.body.size()
	}
}

// send returns the first response a member gives.
func (s *sender) send() (*http.Response, error) {
	tried := map[*member]bool{}
	for sends := 1; ; {
		m := s.upstream.pick(tried)
		res, err := s.sendTo(m)
		if err == nil {
			s.x.Report.Member = m.spec.Text
			return res, nil
		}
		var dial *dialError
		switch {
		case s.ctx.Err() != nil:
			return nil, s.ended(m)
		case errors.As(err, &dial) && dial.refused():
			// Nothing was sent: any request may try the next member, or wait.
			tried[m] = true
			if len(tried) < len(s.upstream.members) {
				continue
			}
			if err := s.hold(dial); err != nil {
				return nil, err
			}
			clear(tried)
		case s.mayResend(err) && sends < maxSends:
			sends++
			s.x.Report.Resent++
		default:
			return nil, s.failure(m, err)
		}
	}
}

// mayResend reports whether the request can be sent again after err without
// doing its work twice. What failed before a connection stood may fail again in
// the same way.
func (s *sender) mayResend(err error) bool {
	var dial *dialError
	if errors.As(err, &dial) || isTLS(err) || !isIdempotent(s.r.Method) || s.upgrade {
		return false
	}
	return s.body == nil || s.body.again() && s.body.broken() == nil
}

func (s *sender) failure(m *member, err error) error {
	if s.body != nil && s.body.broken() != nil {
		return &BodyError{s.body.broken()}
	}
	var target *TargetError
	if errors.As(err, &target) {
		return target
	}
	var dial *dialError
	sent := !errors.As(err, &dial) && !isTLS(err) && !isIdempotent(s.r.Method)
	return &UpstreamError{Member: m.spec.Text, Sent: sent, Err: err}
}

// errTimeout is the cause of a context ended by the route's timeout.
var errTimeout = errors.New("timeout")

// ended says why the exchange's context has ended.
func (s *sender) ended(m *member) error {
	if errors.Is(context.Cause(s.ctx), errTimeout) {
		return &TimeoutError{Member: m.spec.Text, Timeout: s.x.Match.Route.Timeout}
	}
	return ErrAborted // the visitor left
}

// sendTo makes one try.
func (s *sender) sendTo(m *member) (*http.Response, error) {
	out, err := s.request(m)
	if err != nil {
		return nil, err
	}
	if timeout := s.x.Match.Route.Timeout; timeout > 0 {
		timer := time.AfterFunc(timeout, func() { s.cancel(errTimeout) })
		defer timer.Stop()
	}
	res, err := m.roundTripper(out, s.upgrade).RoundTrip(out)
	if err == nil && res.ProtoMajor == 2 {
		m.http2.Store(true)
	}
	return res, err
}

// request is r as it goes out to m.
func (s *sender) request(m *member) (*http.Request, error) {
	header, host := RequestHeader(s.r, s.x, m.spec)
	header[hopHeader] = append(slices.Clone(s.r.Header[hopHeader]), s.upstream.opts.Instance)
	authority := m.spec.Authority
	if authority == "" {
		authority = "upstream" // the dialler knows where; this is a pool's key
	}
	u, err := outURL(m.scheme(), authority, s.x.Target, s.r.URL.RawQuery, s.r.URL.ForceQuery)
	if err != nil {
		return nil, err
	}
	out := &http.Request{
		Method: s.r.Method, URL: u, Host: host, Header: header,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		ContentLength: s.r.ContentLength, Trailer: s.r.Trailer,
	}
	if s.body != nil {
		out.Body = s.body.attempt()
	} else {
		out.ContentLength = 0
	}
	return out.WithContext(httptrace.WithClientTrace(s.ctx, s.trace())), nil
}

// trace passes informational responses on (RFC 9110 section 15.2). 100 is
// net/http's own: it is sent when the visitor's body is first read.
func (s *sender) trace() *httptrace.ClientTrace {
	return &httptrace.ClientTrace{
		Got1xxResponse: func(code int, header textproto.MIMEHeader) error {
			if code == http.StatusContinue {
				return nil
			}
			h := s.w.Header()
			copyResponseHeader(h, http.Header(header), s.x.Match.Route)
			s.w.WriteHeader(code)
			clear(h)
			return nil
		},
	}
}
