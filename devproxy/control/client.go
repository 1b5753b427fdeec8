package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"time"
)

// ErrNotRunning is the error of asking a folder in which nothing runs.
var ErrNotRunning = errors.New("nothing runs here")

// maxAnswer bounds an instance's answer: a status of ten thousand routes.
const maxAnswer = 16 << 20

// askTimeout bounds a question: an instance has its answers at hand.
const askTimeout = 5 * time.Second

// Client asks the instance of a folder.
type Client struct {
	base   string
	holder Holder // as Dial found it; zero when it has not said
	http   *http.Client
}

// Dial finds the instance that runs folder; ErrNotRunning when none does.
func Dial(runtimeDir, folder string) (*Client, error) {
	folder, err := realFolder(folder)
	if err != nil {
		return nil, err
	}
	if err := checkDir(runtimeDir); errors.Is(err, fs.ErrNotExist) {
		return nil, ErrNotRunning
	} else if err != nil {
		return nil, err
	}
	return dial(base(runtimeDir, folder))
}

// dial tries the socket. The lock is left alone: whoever only looks at it
// holds it for an instant, in which an `up` would be refused.
func dial(base string) (*Client, error) {
	c := &Client{base: base}
	conn, err := c.connect(context.Background(), "", "")
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, refused):
		return nil, ErrNotRunning
	case err != nil:
		return nil, fmt.Errorf("cannot reach the devproxy that runs here: %w", err)
	}
	conn.Close()
	c.holder, _ = readHolder(base)
	c.http = &http.Client{
		Timeout:   askTimeout,
		Transport: &http.Transport{DisableKeepAlives: true, DialContext: c.connect},
	}
	return c, nil
}

func (c *Client) connect(ctx context.Context, _, _ string) (net.Conn, error) {
	d := net.Dialer{Timeout: askTimeout}
	return d.DialContext(ctx, "unix", c.base+socketSuffix)
}

// gone reports whether the instance that Dial found has ended: its holder file
// goes last, and a killed process is no holder.
func (c *Client) gone() bool {
	holder, ok := readHolder(c.base)
	return !ok || holder.PID != c.holder.PID || !holder.Started.Equal(c.holder.Started)
}

// Status asks the instance what it serves.
func (c *Client) Status(ctx context.Context) (Status, error) {
	var status Status
	body, err := c.ask(ctx, http.MethodGet, statusPath)
	if err != nil {
		return status, err
	}
	if err := json.Unmarshal(body, &status); err != nil {
		return status, fmt.Errorf("the running devproxy answered in a form this version does not know: %w; stop it with devproxy down and start it again", err)
	}
	return status, nil
}

// downPoll is how often Down looks whether the instance is gone.
const downPoll = 20 * time.Millisecond

// Down asks the instance to end and returns when it has released the folder,
// or with ctx's error when it has not by then.
func (c *Client) Down(ctx context.Context) error {
	if _, err := c.ask(ctx, http.MethodPost, downPath); err != nil && !c.gone() {
		return err
	}
	tick := time.NewTicker(downPoll)
	defer tick.Stop()
	for !c.gone() {
		select {
		case <-ctx.Done():
			return fmt.Errorf("the devproxy with pid %d still finishes requests: %w; end it at once with kill %[1]d", c.holder.PID, ctx.Err())
		case <-tick.C:
		}
	}
	return nil
}

func (c *Client) ask(ctx context.Context, method, path string) ([]byte, error) {
	status, body, err := c.send(ctx, method, path, http.NoBody)
	if err == nil && status >= http.StatusMultipleChoices {
		err = fmt.Errorf("the devproxy that runs here%s answered %d %s to %s", c.pid(), status, http.StatusText(status), path)
	}
	return body, err
}

// send asks one question and gives the answer, whatever its status.
func (c *Client) send(ctx context.Context, method, path string, question io.Reader) (status int, answer []byte, err error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://devproxy"+path, question)
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set(protocolField, protocol)
	res, err := c.http.Do(req)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, refused) {
		return 0, nil, fmt.Errorf("the devproxy that ran here%s has ended: %w", c.pid(), ErrNotRunning)
	}
	if err != nil {
		return 0, nil, fmt.Errorf("the devproxy that runs here%s does not answer: %w", c.pid(), err)
	}
	defer res.Body.Close()
	answer, err = io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return 0, nil, fmt.Errorf("the devproxy that runs here%s broke off its answer: %w", c.pid(), err)
	}
	// Stopping is asked of any version.
	if spoken := res.Header.Get(protocolField); spoken != protocol && path != downPath {
		return 0, nil, fmt.Errorf("the devproxy that runs here%s is another version: it speaks control protocol %q, this one %q; stop it with devproxy down and start it again", c.pid(), spoken, protocol)
	}
	return res.StatusCode, answer, nil
}

// pid is for error texts.
func (c *Client) pid() string {
	if c.holder.PID == 0 {
		return ""
	}
	return fmt.Sprintf(" (pid %d)", c.holder.PID)
}
