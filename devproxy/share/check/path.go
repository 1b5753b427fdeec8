package check

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"

	"github.com/devproxy/devproxy/devproxy/control"
)

// maxSkew is how far this machine's clock may be from the relay's.
const maxSkew = time.Minute

// probeError is the answer of something between this machine and devproxy to a probe.
type probeError struct {
	status int
	server string // as it calls itself
}

func (e *probeError) Error() string {
	text := fmt.Sprintf("answered by the relay or something in front of it: %d %s", e.status, http.StatusText(e.status))
	if e.server != "" {
		text += fmt.Sprintf(" (server %q)", e.server)
	}
	return text
}

// answeredBy returns the error of an answer that is not devproxy's.
func answeredBy(res *http.Response) *probeError {
	return &probeError{res.StatusCode, res.Header.Get("Server")}
}

// probe sends a probe and reads its answer.
func (r *run) probe(ctx context.Context, method, address string, body io.Reader) (answer control.Probe, err error) {
	res, err := r.visitor.do(ctx, method, address, body, true)
	if err != nil {
		return answer, err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(io.LimitReader(res.Body, maxPage))
	if err != nil {
		return answer, err
	}
	if res.StatusCode != http.StatusOK || json.Unmarshal(text, &answer) != nil || answer.Local == "" {
		return answer, answeredBy(res)
	}
	return answer, nil
}

// reached checks that a request to each host arrives at devproxy, and returns those
// where it does.
func (r *run) reached(ctx context.Context, hosts []host) (reached []host) {
	for _, h := range hosts {
		ctx, cancel := context.WithTimeout(ctx, stepTimeout)
		r.about = h.local
		started := time.Now()
		answer, err := r.probe(ctx, http.MethodGet, h.at("request"), nil)
		took := rounded(time.Since(started))
		cancel()
		if err != nil {
			r.notReached(h, err)
			continue
		}
		r.fine("request", "a request arrives as %s, in %s", answer.Local, took)
		reached = append(reached, h)
	}
	r.about = ""
	if len(reached) > 0 {
		r.clock(ctx, reached[0])
	}
	return reached
}

func (r *run) notReached(h host, err error) {
	const look = "devproxy status, which says whether the link is connected"
	answered, ok := errors.AsType[*probeError](err)
	switch {
	case !ok:
		r.fault("request", look, "relay: %s", reason(err))
	case answered.status == http.StatusMisdirectedRequest:
		r.fault("request", "devproxy share, which asks the relay for the names again", "relay: %s is not a name of this share there", h.url.Host)
	case answered.status == http.StatusGone:
		r.fault("request", "devproxy share, for a new link", "relay: the link has ended")
	case answered.status == http.StatusNotFound:
		r.fault("request", "devproxy share", "relay: it knows no share with the name %s", h.url.Host)
	case answered.status == http.StatusServiceUnavailable, answered.status == http.StatusBadGateway:
		r.fault("request", look, "agent: the relay answers %d: no devproxy is connected to it under this name", answered.status)
	default:
		r.fault("request", look, "relay: %s", err)
	}
}

// unknownHost is on no relay (RFC 6761 section 6.4).
const unknownHost = "devproxy-check.invalid"

// clock compares this machine's clock with that of the relay, which dates the answers
// that it gives itself: to a host that it does not know.
func (r *run) clock(ctx context.Context, h host) {
	ctx, cancel := context.WithTimeout(ctx, stepTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, h.url.String()+"/", nil)
	if err != nil {
		return
	}
	req.Host = unknownHost
	res, err := r.visitor.http.Do(req)
	if err != nil {
		return
	}
	res.Body.Close()
	theirs, err := http.ParseTime(res.Header.Get("Date"))
	if err != nil {
		return
	}
	if skew := time.Since(theirs); skew.Abs() > maxSkew {
		r.warning("clock", "set this machine's clock, or the relay's", "this machine's clock and the relay's differ by %s: links expire, and certificates fail, at other times than expected", rounded(skew.Abs()))
		return
	}
	r.fine("clock", "this machine's and the relay's agree")
}

// path proves what requests may carry, at one host: all have the same way.
func (r *run) path(ctx context.Context, h host) {
	for _, step := range []struct {
		name string
		run  func(context.Context, host) (string, error)
		fix  string
	}{
		{"WebSocket", r.socket, "let what is in front of the relay pass \"Connection: Upgrade\" on"},
		{"stream", r.stream, "turn off response buffering in what is in front of the relay"},
		{"upload", r.upload, "raise the limit for bodies in the relay and in what is in front of it"},
		{"redirect", r.redirect, "devproxy logs"},
		{"cookie", r.cookie, "let what is in front of the relay pass cookies on"},
		{"preflight", r.preflight, "let what is in front of the relay pass OPTIONS requests on"},
	} {
		limit := stepTimeout
		if step.name == "upload" {
			limit = uploadTimeout
		}
		within, cancel := context.WithTimeout(ctx, limit)
		detail, err := step.run(within, h)
		cancel()
		switch answered, relay := errors.AsType[*probeError](err); {
		case err == nil:
			r.fine(step.name, "%s", detail)
		case ctx.Err() != nil:
			r.unknown(step.name, "devproxy share --check", "the check took too long")
		case r.Share.Operator != "":
			r.warning(step.name, "devproxy share --relay HOST, through a relay of your own", "%s: %s", r.Share.Relay, reason(err))
		case relay && answered.status == http.StatusTooManyRequests:
			r.unknown(step.name, "devproxy share --check, in a minute", "the relay answers 429: too many requests from this address")
		default:
			r.fault(step.name, step.fix, "relay: %s", reason(err))
		}
	}
}

// socket opens a WebSocket and sends a message there and back.
func (r *run) socket(ctx context.Context, h host) (string, error) {
	started := time.Now()
	conn, status, err := r.visitor.socket(ctx, h.at("socket"), "", http.Header{"Authorization": {"Bearer " + r.visitor.token}})
	if err != nil && status != 0 && status != http.StatusSwitchingProtocols {
		return "", &probeError{status: status}
	}
	if err != nil {
		return "", err
	}
	defer func() { _ = conn.CloseNow() }()
	message := rand.Text()
	if err := conn.Write(ctx, websocket.MessageText, []byte(message)); err != nil {
		return "", err
	}
	_, back, err := conn.Read(ctx)
	if err != nil {
		return "", err
	}
	if string(back) != message {
		return "", errors.New("another message came back")
	}
	return fmt.Sprintf("a message there and back in %s", rounded(time.Since(started))), nil
}

// stream reads an event, and asks for the next only then: a relay that collects the
// response delivers both late.
func (r *run) stream(ctx context.Context, h host) (string, error) {
	started := time.Now()
	res, err := r.visitor.do(ctx, http.MethodGet, h.at("stream"), nil, true)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return "", answeredBy(res)
	}
	events := bufio.NewScanner(io.LimitReader(res.Body, maxPage))
	first, err := event(events)
	took := rounded(time.Since(started))
	if err != nil || first != "first" {
		return "", cmp.Or(err, errors.New("the first event is missing"))
	}
	if _, err := r.probe(ctx, http.MethodPost, h.at("next"), nil); err != nil {
		return "", err
	}
	switch second, err := event(events); {
	case err != nil:
		return "", err
	case second != "next":
		return "", fmt.Errorf("the response is collected before it is delivered: the first event came after %s, with the last", took)
	}
	return fmt.Sprintf("the first byte arrives at once, in %s", took), nil
}

// event reads the data of one event.
func event(lines *bufio.Scanner) (string, error) {
	for lines.Scan() {
		if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
			return data, nil
		}
	}
	return "", cmp.Or(lines.Err(), errors.New("the stream ended early"))
}

// block is repeated in the upload. It is random, so that nothing makes it smaller.
const block = 64 << 10

// upload sends a large body.
func (r *run) upload(ctx context.Context, h host) (string, error) {
	size := r.Upload
	body, hash := newBody(size), sha256.New()
	started := time.Now()
	answer, err := r.probe(ctx, http.MethodPost, h.at("upload"), io.TeeReader(body, hash))
	if err != nil && errors.Is(err, context.DeadlineExceeded) && body.sent.Load() > 0 {
		return "", fmt.Errorf("only %s of %s in %s", megabytes(body.sent.Load()), megabytes(size), uploadTimeout)
	}
	if err != nil {
		return "", err
	}
	if answer.Bytes != size || answer.SHA256 != hex.EncodeToString(hash.Sum(nil)) {
		return "", fmt.Errorf("%d of %d bytes arrived, or others", answer.Bytes, size)
	}
	return fmt.Sprintf("%s in %s", megabytes(size), rounded(time.Since(started))), nil
}

func megabytes(n int64) string { return fmt.Sprintf("%.0f MB", float64(n)/(1<<20)) }

// pattern is a body of many equal blocks.
type pattern struct {
	io.Reader
	sent atomic.Int64
}

func newBody(size int64) *pattern {
	data := make([]byte, block)
	_, _ = rand.Read(data) // it never fails (crypto/rand)
	return &pattern{Reader: io.LimitReader(repeated{bytes.NewReader(data)}, size)}
}

func (p *pattern) Read(b []byte) (int, error) {
	n, err := p.Reader.Read(b)
	p.sent.Add(int64(n))
	return n, err
}

// repeated reads the same again and again.
type repeated struct{ content io.ReadSeeker }

func (r repeated) Read(b []byte) (int, error) {
	n, err := r.content.Read(b)
	if errors.Is(err, io.EOF) {
		_, err = r.content.Seek(0, io.SeekStart)
	}
	return n, err
}

// redirect follows a redirect to a local URL, which must have become public.
func (r *run) redirect(ctx context.Context, h host) (string, error) {
	res, err := r.visitor.do(ctx, http.MethodGet, h.at("redirect"), nil, true)
	if err != nil {
		return "", err
	}
	res.Body.Close()
	if res.StatusCode != http.StatusFound {
		return "", answeredBy(res)
	}
	if got, want := res.Header.Get("Location"), h.at("request"); got != want {
		return "", fmt.Errorf("a redirect leads to %s instead of %s", got, want)
	}
	return "a redirect to the local name leads to the public one", nil
}

// cookie has a cookie set, and looks whether it comes back.
func (r *run) cookie(ctx context.Context, h host) (string, error) {
	first, err := r.probe(ctx, http.MethodGet, h.at("cookie"), nil)
	if err != nil {
		return "", err
	}
	second, err := r.probe(ctx, http.MethodGet, h.at("cookie"), nil)
	if err != nil {
		return "", err
	}
	if first.SetCookie == "" || second.Cookie != first.SetCookie {
		return "", errors.New("a cookie that was set does not come back")
	}
	return "set, and sent back", nil
}

// preflight asks as a browser does before a request of another method. The permission is
// for the local origin, and must have become public.
func (r *run) preflight(ctx context.Context, h host) (string, error) {
	origin := h.url.String()
	res, err := r.visitor.do(ctx, http.MethodOptions, h.at("request"), nil, true, "Origin", origin, "Access-Control-Request-Method", http.MethodPut)
	if err != nil {
		return "", err
	}
	res.Body.Close()
	if res.StatusCode != http.StatusNoContent {
		return "", answeredBy(res)
	}
	if got := res.Header.Get("Access-Control-Allow-Origin"); got != origin {
		return "", fmt.Errorf("the permission is for the origin %q, not for %s", got, origin)
	}
	return "OPTIONS arrives, and the permission is for the public origin", nil
}
