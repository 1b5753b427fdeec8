package relay

import (
	"context"
	"crypto/ed25519"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/devproxy/devproxy/tunnel"
	"github.com/devproxy/devproxy/tunnel/page"
)

const (
	// maxCallbackQuery bounds the query of a callback, in bytes. Those of large providers
	// have at most 3 KB.
	maxCallbackQuery = 8 << 10
	// maxCallbackForm bounds the form of a callback (response_mode=form_post), in bytes:
	// ID tokens with many groups have some 20 KB.
	maxCallbackForm = 64 << 10
)

// CallbackRecord is what the registry keeps about a callback host. It answers while no
// share is connected.
type CallbackRecord struct {
	// Paths and Local are those of the tunnel.Callback that was claimed last, by Agent.
	Paths []string `json:"paths"`
	Local string   `json:"local,omitempty"`
	Agent Key      `json:"agent"`
}

func (c *CallbackRecord) equal(other *CallbackRecord) bool { return reflect.DeepEqual(c, other) }

// callback is the callback host of a claim.
type callback struct {
	name  string // "callback-X.t.example.com"
	entry string // in the registry
	key   Key    // its owner there
	paths []string
}

// host returns the name, empty for nil.
func (c *callback) host() string {
	if c == nil {
		return ""
	}
	return c.name
}

// grantCallback grants the callback host of a claim, nil for none. Its owner in the
// registry is its own key, so that all folders of a project have the same, and other
// projects can't get it. An agent's network is charged for a new one.
func (a *agents) grantCallback(ctx context.Context, pub ed25519.PublicKey, from *network, c tunnel.Claim) (*callback, error) {
	if c.Callback == nil || len(c.Hosts) == 0 {
		return nil, nil
	}
	if err := c.Callback.Check(pub); err != nil {
		return nil, err
	}
	r := a.relay
	granted := &callback{name: tunnel.CallbackName(c.Callback.Key, r.opts.Domain), key: Key(c.Callback.Key), paths: c.Callback.Paths}
	granted.entry, _ = tunnel.Root(granted.name, r.opts.Domain)
	if covers := r.opts.Covers; covers != nil && !covers(granted.name) {
		return nil, &tunnel.Refusal{Code: tunnel.CodeBadClaim, Message: "this relay has no certificate for *." + r.opts.Domain + ": remove callback from the share block, or ask the operator to add one with --cert"}
	}
	standing, err := r.keys.standing(ctx, granted.key)
	if err != nil {
		return nil, err
	}
	_, known, err := r.opts.Registry.Lookup(ctx, granted.entry)
	switch {
	case err != nil:
		return nil, err
	case standing == Revoked:
		return nil, errCallbackEnded
	case !known && !from.names.Allow():
		return nil, errTooManyNames
	}
	err = r.opts.Registry.Claim(ctx, NameClaim{
		Owner: granted.key, Names: []string{granted.entry}, From: from.prefix, Quota: r.opts.Limits.Names,
		Callback: &CallbackRecord{Paths: c.Callback.Paths, Local: c.Callback.Local, Agent: keyOf(pub)},
	})
	if errors.As(err, new(*EndedError)) { // which an agent takes for the end of its link
		return nil, errCallbackEnded
	}
	return granted, err
}

// errCallbackEnded refuses a callback host that was revoked.
var errCallbackEnded = &tunnel.Refusal{Code: tunnel.CodeBadClaim, Message: "the relay's operator has revoked the callback host of this project: remove callback from the share block, or ask the operator"}

// expectCallback has the callback host of s lead to it for a state.
func (a *agents) expectCallback(s *share, hash string) error {
	c := a.relay.shares.claimOf(s).callback
	switch {
	case c == nil || !tunnel.IsStateHash(hash):
		return &tunnel.Refusal{Code: tunnel.CodeBadClaim, Message: "the share has no callback host"}
	case !s.states.Allow():
		return &tunnel.Refusal{Code: tunnel.CodeBusy, Message: "logins begin faster than this relay allows"}
	}
	a.relay.states.expect(c.name, hash, s.key, time.Now())
	return nil
}

// mayBeCallback reports whether the request's name has the form of a callback host's.
func (v *visit) mayBeCallback() bool {
	label, parent, _ := strings.Cut(v.at.name, ".")
	return parent == v.relay.opts.Domain && strings.HasPrefix(label, tunnel.CallbackLabel+"-") && tunnel.TokenName(label)
}

// serveCallback answers a request to a callback host. It reports false for any other name.
//
// The answer is a redirect to the share that has begun the login, if the request carries a
// state that this share has announced, and to the local origin otherwise: a client that knows
// no such state learns nothing about shares. Origin and path of the redirect are those that
// agents have claimed. Only the query is the request's, and only after the "?".
func (v *visit) serveCallback() bool {
	record, err := v.callbackRecord()
	switch {
	case errors.Is(err, ErrSuspended):
		v.w.Header().Set("Connection", "close") // the other process answers the next request
		err = errCallbackBusy
	case err == nil && record == nil:
		return false
	}
	v.w.Header().Set("Referrer-Policy", "no-referrer")
	v.w.Header().Set("Cache-Control", "no-store")
	v.w.Header().Set("X-Robots-Tag", "noindex")
	if err == nil {
		err = v.redirectCallback(record)
	}
	if err != nil {
		v.fault = err
		v.answer(err)
	}
	return true
}

// callbackRecord returns the record of the callback host; nil for none.
func (v *visit) callbackRecord() (*CallbackRecord, error) {
	r, ctx := v.relay, v.r.Context()
	entry, _ := tunnel.Root(v.at.name, r.opts.Domain)
	record, known, err := r.opts.Registry.Lookup(ctx, entry)
	if err != nil || !known || record.Callback == nil {
		return nil, err
	}
	if _, ended := record.EndedAt(time.Now()); ended {
		return nil, errCallbackGone
	}
	for _, key := range []Key{record.Owner, record.Callback.Agent} {
		switch standing, err := r.keys.standing(ctx, key); {
		case err != nil:
			return nil, err
		case standing == Revoked:
			return nil, errCallbackGone
		}
	}
	return record.Callback, nil
}

// redirectCallback sends the browser on.
func (v *visit) redirectCallback(record *CallbackRecord) error {
	status := http.StatusFound
	switch v.r.Method {
	case http.MethodGet, http.MethodHead:
	case http.MethodPost:
		status = http.StatusTemporaryRedirect // the browser sends the form again
	default:
		v.w.Header().Set("Allow", "GET, HEAD, POST")
		return errCallbackMethod
	}
	path, query, _ := strings.Cut(target(v.r), "?")
	if len(query) > maxCallbackQuery {
		return errCallbackLong
	}
	parameters := []url.Values{parseParameters(query)}
	if v.r.Method == http.MethodPost {
		form, err := v.readForm()
		if err != nil {
			return err
		}
		parameters = append(parameters, form)
	}
	origin, paths := record.Local, record.Paths
	if state, ok := tunnel.StateOf(parameters...); ok {
		if share, its, found := v.relay.expectingShare(v.at.name, state); found {
			origin, paths = share, its
		}
	}
	i := slices.Index(paths, path)
	if i < 0 {
		return errCallbackPath
	}
	if origin == "" {
		return errCallbackLocal
	}
	to := origin + paths[i]
	if query != "" {
		to += "?" + escapeQuery(query)
	}
	v.w.Header().Set("Location", to)
	v.status, v.forwarded = status, true
	_ = v.withWriteDeadline(func() error { // fails only when the visitor has disconnected
		v.w.WriteHeader(status)
		return nil
	})
	return nil
}

// expectingShare returns the origin of the share that has begun the login with a state, and
// its paths.
func (r *Relay) expectingShare(host, state string) (origin string, paths []string, ok bool) {
	now := time.Now()
	key, found := r.states.find(host, tunnel.StateHash(state), now)
	if !found {
		return "", nil, false
	}
	s := r.shares.forKey(key)
	if s == nil {
		return "", nil, false
	}
	c := r.shares.claimOf(s)
	if c.callback.host() != host || c.expired(now) || len(c.hosts) == 0 || strings.Contains(c.hosts[0], "*") {
		return "", nil, false
	}
	origin = "https://" + c.hosts[0]
	if port := r.port.Load(); port != 443 {
		origin += ":" + strconv.Itoa(int(port))
	}
	return origin, c.callback.paths, true
}

// readForm reads the form that a provider has the browser send (response_mode=form_post).
func (v *visit) readForm() (url.Values, error) {
	kind, _, _ := mime.ParseMediaType(v.r.Header.Get("Content-Type"))
	if kind != "application/x-www-form-urlencoded" {
		return nil, errCallbackForm
	}
	v.charge(2 * maxCallbackForm)
	defer v.charge(-2 * maxCallbackForm)
	v.setReadDeadline(time.Now().Add(v.relay.opts.Limits.HeadTimeout))
	defer v.setReadDeadline(time.Time{})
	body, err := io.ReadAll(http.MaxBytesReader(v.w, v.r.Body, maxCallbackForm))
	v.in = int64(len(body))
	if err != nil {
		return nil, err
	}
	return parseParameters(string(body)), nil
}

// parseParameters returns the parameters of a query or form; none if a part of it cannot be
// read, since the app could read another state from it.
func parseParameters(text string) url.Values {
	values, err := url.ParseQuery(text)
	if err != nil {
		return nil
	}
	return values
}

// escapeQuery percent-encodes the bytes that cannot be in a query (RFC 3986 section 3.4),
// so that nothing in it ends the URL or the field.
func escapeQuery(query string) string {
	var out strings.Builder
	for i := range len(query) {
		switch c := query[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', strings.IndexByte("-._~!$&'()*+,;=:@/?%", c) >= 0:
			out.WriteByte(c)
		default:
			out.WriteByte('%')
			out.WriteByte("0123456789ABCDEF"[c>>4])
			out.WriteByte("0123456789ABCDEF"[c&15])
		}
	}
	return out.String()
}

// Why a callback host redirects nowhere.
var (
	errCallbackPath = &pageError{"not a path of the callback host", page.Page{Status: http.StatusNotFound, Title: "Nothing is at this path.",
		Lead: "This address only passes the answers of sign-in providers on, for the paths that a project has listed."}}
	errCallbackLocal = &pageError{"no share has begun this login, and the callback host has no local origin", page.Page{Status: http.StatusNotFound, Title: "No sign-in is in progress here.",
		Lead: "It has taken more than 10 minutes, or it began elsewhere. Open the link again, and sign in there."}}
	errCallbackGone   = &pageError{"the callback host was revoked", page.Page{Status: http.StatusGone, Title: "This callback address has ended."}}
	errCallbackMethod = &pageError{"not a method of callbacks", page.Page{Status: http.StatusMethodNotAllowed, Title: "This method is not allowed here."}}
	errCallbackForm   = &pageError{"the body of a callback is not a form", page.Page{Status: http.StatusUnsupportedMediaType, Title: "Only forms can be sent here."}}
	errCallbackLong   = &pageError{"the query of a callback is too long", page.Page{Status: http.StatusRequestURITooLong, Title: "This address is too long."}}
	errCallbackBusy   = &pageError{"the relay was handed over", page.Page{Status: http.StatusServiceUnavailable, Title: "The relay is restarting.", Lead: "Try again.", RetryAfter: 1}}
)
