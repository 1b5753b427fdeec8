package container

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/devproxy/devproxy/devproxy/failure"
)

// Limits of what is read from an engine.
const (
	// answerTimeout bounds one request, except for events.
	answerTimeout = 5 * time.Second
	// maxList and maxInspect bound an answer, in bytes. An engine with 10,000 containers
	// sends about 15 MiB.
	maxList, maxInspect = 32 << 20, 4 << 20
	// maxEvent bounds one event, in bytes. Events contain the container's labels.
	maxEvent = 1 << 20
	// maxHeader bounds the header of an answer, in bytes.
	maxHeader = 64 << 10
)

// client sends requests to one engine. It uses paths without a version: engines answer
// these in their own version, and the few fields in api.go are the same in all. That
// saves the negotiation.
type client struct {
	place place
	http  *http.Client
	base  *http.Transport
	// byRoot is true if root listened at the other end of the last connection.
	byRoot atomic.Bool
	// podman is true if version has found Podman.
	podman bool
}

func newClient(p place) *client {
	c := &client{place: p}
	c.base = &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			conn, err := p.dial(ctx)
			if err == nil {
				c.byRoot.Store(listensAsRoot(conn))
			}
			return conn, err
		},
		MaxResponseHeaderBytes: maxHeader,
		MaxIdleConns:           parallel,
		MaxIdleConnsPerHost:    parallel,
		IdleConnTimeout:        time.Minute,
		DisableCompression:     true,
	}
	c.http = &http.Client{
		Transport:     c.base,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return c
}

// close closes the idle connections. It is called after the last request.
func (c *client) close() { c.base.CloseIdleConnections() }

// statusError is an answer that is not 200.
type statusError struct {
	status int
	text   string
}

func (e *statusError) Error() string {
	if e.text == "" {
		return "it answers with status " + strconv.Itoa(e.status)
	}
	return "it says: " + e.text
}

// errTooLarge is an answer over its limit.
var errTooLarge = errors.New("its answer is too large")

func isGone(err error) bool {
	var status *statusError
	return errors.As(err, &status) && status.status == http.StatusNotFound
}

// isOfOne reports whether an error is about the container or image that was asked for,
// not about the engine. Engines answer with status 500 for one that is being removed or
// whose storage is damaged.
func isOfOne(err error) bool {
	var status *statusError
	return errors.As(err, &status) || errors.Is(err, errTooLarge)
}

// open sends a GET request. The caller closes the body.
func (c *client) open(ctx context.Context, path string, query url.Values) (*http.Response, error) {
	// The name does not count: the transport dials the place.
	target := url.URL{Scheme: "http", Host: "localhost", Path: path, RawQuery: query.Encode()}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target.String(), http.NoBody)
	if err != nil {
		return nil, err
	}
	resp, err := c.http.Do(req)
	var inURL *url.Error
	if errors.As(err, &inURL) {
		err = inURL.Err // without the address, which is made up
	}
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		defer resp.Body.Close()
		var said struct{ Message string }
		content, _ := io.ReadAll(io.LimitReader(resp.Body, 4<<10))
		_ = json.Unmarshal(content, &said) // without a text, the status is enough
		return nil, &statusError{resp.StatusCode, shorten(said.Message, 200)}
	}
	return resp, nil
}

// get reads the answer to a GET request, of at most limit bytes, and returns the time
// when the engine sent it; zero if it does not say.
func (c *client) get(ctx context.Context, path string, query url.Values, limit int64, into any) (time.Time, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	resp, err := c.open(ctx, path, query)
	if err != nil {
		return time.Time{}, err
	}
	defer resp.Body.Close()
	content, err := io.ReadAll(io.LimitReader(resp.Body, limit+1))
	if err != nil {
		return time.Time{}, err
	}
	if int64(len(content)) > limit {
		return time.Time{}, fmt.Errorf("%w: more than %d MiB", errTooLarge, limit>>20)
	}
	if err := json.Unmarshal(content, into); err != nil {
		return time.Time{}, fmt.Errorf("its answer is not the JSON of Docker's API: %w", err)
	}
	at, _ := http.ParseTime(resp.Header.Get("Date")) // zero if it is missing
	return at, nil
}

// version asks the engine what it is, and what time it is there.
func (c *client) version(ctx context.Context) (Engine, time.Time, error) {
	e := Engine{Address: c.place.address(), Source: c.place.source}
	var v apiVersion
	at, err := c.get(ctx, "/version", nil, maxInspect, &v)
	if err != nil {
		return e, at, err
	}
	e.Name, e.Version = "Docker", shorten(v.Version, 50)
	for _, part := range v.Components {
		if strings.HasPrefix(part.Name, "Podman") {
			e.Name, c.podman = "Podman", true
		}
	}
	return e, at, nil
}

// follow calls stir for each event that can change a snapshot, until ctx or the stream
// ends. since is the engine's time from which on events are sent.
func (c *client) follow(ctx context.Context, since time.Time, stir func()) error {
	filters, err := json.Marshal(map[string][]string{"type": {"container", "network"}})
	if err != nil {
		return err
	}
	query := url.Values{"filters": {string(filters)}}
	if !since.IsZero() {
		query.Set("since", strconv.FormatInt(since.Unix(), 10))
	}
	resp, err := c.open(ctx, "/events", query)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	return readEvents(resp.Body, stir)
}

// readEvents calls stir for each event that can change a snapshot. Events are JSON
// objects, one after the other.
func readEvents(body io.Reader, stir func()) error {
	limited := &eventLimit{from: bufio.NewReader(body)}
	for decoder := json.NewDecoder(limited); ; {
		limited.left = maxEvent
		var event apiEvent
		if err := decoder.Decode(&event); errors.Is(err, io.EOF) {
			return errors.New("it has ended the stream of events")
		} else if err != nil {
			return err
		}
		if event.counts() {
			stir()
		}
	}
}

// eventLimit bounds what a decoder reads for one event.
type eventLimit struct {
	from io.Reader
	left int
}

func (l *eventLimit) Read(p []byte) (int, error) {
	if l.left <= 0 {
		return 0, fmt.Errorf("an event has more than %d MiB", maxEvent>>20)
	}
	n, err := l.from.Read(p[:min(len(p), l.left)])
	l.left -= n
	return n, err
}

// away returns what to say of an engine that has stopped answering.
func away(p place, err error) error {
	reason := why(err)
	if reason == noAnswer {
		return failure.Errorf(p.fix(), "the container engine at %s %s", p.path, reason)
	}
	return failure.Errorf(p.fix(), "the container engine at %s can't be used: %s", p.path, reason)
}
