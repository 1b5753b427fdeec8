package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/devproxy/devproxy/devproxy/runtimedir"
	"github.com/devproxy/devproxy/tunnel/neterror"
)

// ErrNotRunning is the error for a folder in which no instance runs.
var ErrNotRunning = errors.New("devproxy is not running here")

const (
	// maxAnswer bounds an instance's answer: a status of ten thousand routes.
	maxAnswer = 16 << 20
	// askTimeout bounds a request: an instance answers at once.
	askTimeout = 5 * time.Second
)

// Client talks to the instance of a folder.
type Client struct {
	base   string
	holder Holder // as Dial found it; zero when it has no file
	http   *http.Client
	stream *http.Client // for responses that last
}

// Dial finds the instance that runs folder; ErrNotRunning when none does.
func Dial(runtimeDir, folder string) (*Client, error) {
	folder, err := realFolder(folder)
	if err != nil {
		return nil, err
	}
	if err := runtimedir.Check(runtimeDir); errors.Is(err, fs.ErrNotExist) {
		return nil, ErrNotRunning
	} else if err != nil {
		return nil, err
	}
	return dial(context.Background(), base(runtimeDir, folder))
}

// dial tries the socket. It leaves the lock alone: testing it means holding it for
// an instant, in which an `up` would be refused.
func dial(ctx context.Context, base string) (*Client, error) {
	c := newClient(base)
	switch err := c.try(ctx); {
	case isGone(err):
		return nil, ErrNotRunning
	case err != nil:
		return nil, fmt.Errorf("cannot connect to the devproxy that is running here: %w", err)
	}
	c.holder, _ = readHolder(base)
	return c, nil
}

func newClient(base string) *Client {
	c := &Client{base: base}
	transport := &http.Transport{DisableKeepAlives: true, DialContext: c.connect, ResponseHeaderTimeout: askTimeout}
	c.http = &http.Client{Timeout: askTimeout, Transport: transport}
	c.stream = &http.Client{Transport: transport}
	return c
}

// Holder returns the process of the instance, as far as it is known.
func (c *Client) Holder() Holder { return c.holder }

func (c *Client) connect(ctx context.Context, _, _ string) (net.Conn, error) {
	d := net.Dialer{Timeout: askTimeout}
	return d.DialContext(ctx, "unix", c.base+socketSuffix)
}

// try connects to the socket, and closes the connection.
func (c *Client) try(ctx context.Context) error {
	conn, err := c.connect(ctx, "", "")
	if err == nil {
		conn.Close()
	}
	return err
}

// isGone reports whether err is that of a socket that no process listens on.
func isGone(err error) bool { return errors.Is(err, fs.ErrNotExist) || neterror.Refused(err) }

// name is the instance as errors call it.
func (c *Client) name() string {
	if c.holder.PID == 0 {
		return "the running devproxy"
	}
	return fmt.Sprintf("the running devproxy (pid %d)", c.holder.PID)
}

// Status returns the state of the instance.
func (c *Client) Status(ctx context.Context) (status Status, err error) {
	body, err := c.ask(ctx, http.MethodGet, statusPath)
	if err == nil {
		err = c.decode(body, &status)
	}
	return status, err
}

// Share sends a request about the instance's share and returns the share's state after
// it. The error is a *ShareError when the instance refuses.
func (c *Client) Share(ctx context.Context, request ShareRequest) (state Share, err error) {
	text, err := json.Marshal(request)
	if err != nil {
		return state, err
	}
	status, body, err := c.send(ctx, http.MethodPost, sharePath, bytes.NewReader(text))
	if err != nil {
		return state, err
	}
	switch status {
	case http.StatusOK:
		err = c.decode(body, &state)
		return state, err
	case http.StatusConflict:
		refused := &ShareError{}
		if err := c.decode(body, refused); err != nil {
			return state, err
		}
		return state, refused
	case http.StatusNotFound:
		return state, &ShareError{c.name() + " is an older version that cannot share", "devproxy down, then devproxy up --share"}
	}
	return state, c.statusError(status, sharePath)
}

// downPoll is the pause between two checks of whether the instance has ended.
const downPoll = 20 * time.Millisecond

// Down stops the instance and returns when it has released the folder, or with
// ctx's error when it has not by then.
func (c *Client) Down(ctx context.Context) error {
	_, err := c.ask(ctx, http.MethodPost, downPath)
	isEnding := errors.Is(err, ErrNotRunning) // it answers no more
	if err != nil && !isEnding && !c.gone() {
		return err
	}
	tick := time.NewTicker(downPoll)
	defer tick.Stop()
	for !c.gone() {
		select {
		case <-ctx.Done():
			return fmt.Errorf("the devproxy with pid %d is still finishing requests: %w; end it at once with kill %[1]d", c.holder.PID, ctx.Err())
		case <-tick.C:
		}
	}
	return nil
}

// gone reports whether the instance that Dial found has ended: it removes its holder
// file last, and a killed process is not a holder.
func (c *Client) gone() bool {
	holder, ok := readHolder(c.base)
	return !ok || holder.PID != c.holder.PID || !holder.Started.Equal(c.holder.Started)
}

func (c *Client) ask(ctx context.Context, method, path string) ([]byte, error) {
	status, body, err := c.send(ctx, method, path, http.NoBody)
	if err == nil && status >= http.StatusMultipleChoices {
		err = c.statusError(status, path)
	}
	return body, err
}

func (c *Client) statusError(status int, path string) error {
	return fmt.Errorf("%s answered %d %s to %s", c.name(), status, http.StatusText(status), path)
}

func (c *Client) decode(body []byte, to any) error {
	if err := json.Unmarshal(body, to); err != nil {
		return fmt.Errorf("%s sent an answer that this version cannot read: %w; stop it with devproxy down and start it again", c.name(), err)
	}
	return nil
}

// send sends one request and returns the answer, whatever its status.
func (c *Client) send(ctx context.Context, method, path string, body io.Reader) (status int, answer []byte, err error) {
	res, err := c.do(ctx, c.http, method, path, body)
	if err != nil {
		return 0, nil, err
	}
	defer res.Body.Close()
	answer, err = io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return 0, nil, fmt.Errorf("the answer of %s broke off: %w", c.name(), err)
	}
	return res.StatusCode, answer, nil
}

// silentError is the error of an instance that does not answer in time.
type silentError string

func (e silentError) Error() string { return string(e) + " does not answer in time" }

// Unwrap is for callers that look for the error of a context.
func (e silentError) Unwrap() error { return context.DeadlineExceeded }

// do sends a request. The caller closes the body of the response.
func (c *Client) do(ctx context.Context, client *http.Client, method, path string, body io.Reader) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://devproxy"+path, body)
	if err != nil {
		return nil, err
	}
	req.Header.Set(protocolField, protocol)
	res, err := client.Do(req)
	if isGone(err) {
		return nil, fmt.Errorf("%s has ended: %w", c.name(), ErrNotRunning)
	}
	if failed, ok := errors.AsType[*url.Error](err); ok && failed.Timeout() {
		return nil, silentError(c.name())
	} else if ok {
		err = failed.Err // without the address, which means nothing to a person
	}
	if err != nil {
		return nil, fmt.Errorf("%s does not answer: %w", c.name(), err)
	}
	// Any version can be stopped.
	if theirs := res.Header.Get(protocolField); theirs != protocol && path != downPath {
		res.Body.Close()
		return nil, fmt.Errorf("%s is another version: its control protocol is %q, this one's %q; stop it with devproxy down and start it again", c.name(), theirs, protocol)
	}
	return res, nil
}
