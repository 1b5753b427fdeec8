package control

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/devproxy/devproxy/devproxy/journal"
)

const (
	// maxFollowers is how many processes may read an instance's output at once.
	maxFollowers = 64
	// maxLineJSON bounds a line of output as JSON, which may escape each byte.
	maxLineJSON = 128 << 10
)

// OutputRequest asks for output.
type OutputRequest struct {
	// Last is how many of the lines so far are sent; negative for all that are kept.
	Last int
	// After is the number of the last line that the reader has: what came later is
	// sent, and Last is ignored. 0 is none.
	After uint64
	// Service chooses the lines of one service; empty for all.
	Service string
	// Follow sends new lines until the instance ends.
	Follow bool
}

func (r OutputRequest) query() string {
	values := url.Values{
		"last": {strconv.Itoa(r.Last)}, "after": {strconv.FormatUint(r.After, 10)},
		"service": {r.Service}, "follow": {strconv.FormatBool(r.Follow)},
	}
	return values.Encode()
}

func parseOutputRequest(values url.Values) (r OutputRequest, err error) {
	r.Service = values.Get("service")
	var errs [3]error
	r.Last, errs[0] = strconv.Atoi(values.Get("last"))
	r.After, errs[1] = strconv.ParseUint(values.Get("after"), 10, 64)
	r.Follow, errs[2] = strconv.ParseBool(values.Get("follow"))
	return r, errors.Join(errs[:]...)
}

// outputHandler sends lines of the journal, each as a line of JSON. A client that
// reads nothing for writeTimeout is cut off, and may come back for the rest.
type outputHandler struct {
	journal   *journal.Journal
	followers atomic.Int32
}

func (h *outputHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	request, err := parseOutputRequest(r.URL.Query())
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	defer h.followers.Add(-1)
	if h.followers.Add(1) > maxFollowers {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	conn := http.NewResponseController(w)
	if conn.SetReadDeadline(time.Time{}) != nil { // that of the server ends the context
		return
	}
	out := &outputWriter{to: w, conn: conn, encoder: json.NewEncoder(w), service: request.Service}
	w.Header().Set("Content-Type", "application/x-ndjson")
	next := h.journal.Next() // before the head: what is printed after that is new to the client
	if out.flush() != nil {
		return
	}
	from := request.After + 1
	if request.After == 0 {
		if from, err = h.sendLast(r.Context(), out, request.Last, next); err != nil {
			return
		}
	}
	for request.Follow || from < next {
		lines, err := h.journal.Read(r.Context(), from)
		if err != nil || out.send(lines) != nil {
			return // it has ended, or the client has left
		}
		from = lines[len(lines)-1].Number + 1
	}
}

// sendLast sends the last n lines before the number next, and returns next.
func (h *outputHandler) sendLast(ctx context.Context, out *outputWriter, n int, next uint64) (uint64, error) {
	var kept []journal.Line
	for from := uint64(0); n != 0 && from < next && next > 1; {
		lines, err := h.journal.Read(ctx, from)
		if err != nil {
			return 0, err
		}
		for _, line := range lines {
			line.Missed = 0
			if line.Number < next && out.wants(line) {
				kept = append(kept, line)
			}
		}
		from = lines[len(lines)-1].Number + 1
	}
	if n >= 0 {
		kept = kept[max(0, len(kept)-n):]
	}
	return next, out.send(kept)
}

// outputWriter writes lines to a client.
type outputWriter struct {
	to      io.Writer
	conn    *http.ResponseController
	encoder *json.Encoder
	service string
	missed  uint64 // that no line has told the client yet
}

func (o *outputWriter) wants(line journal.Line) bool {
	return o.service == "" || line.Service == o.service
}

func (o *outputWriter) send(lines []journal.Line) error {
	if err := o.conn.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return err
	}
	for _, line := range lines {
		o.missed += line.Missed
		if !o.wants(line) {
			continue
		}
		line.Missed, o.missed = o.missed, 0
		if err := o.encoder.Encode(line); err != nil {
			return err
		}
	}
	return o.conn.Flush()
}

// flush sends the head of the response.
func (o *outputWriter) flush() error {
	if err := o.conn.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return err
	}
	return o.conn.Flush()
}

// Output is the output of an instance. It must be closed.
type Output struct {
	body    io.Closer
	lines   *bufio.Scanner
	context context.Context
	name    string
}

// ErrNoOutput is the error of an older version, which does not keep its output.
var ErrNoOutput = errors.New("is an older version, which does not keep its output")

// Output asks for output. Its lines end when ctx does.
func (c *Client) Output(ctx context.Context, request OutputRequest) (*Output, error) {
	res, err := c.do(ctx, c.stream, http.MethodGet, outputPath+"?"+request.query(), http.NoBody)
	if err != nil {
		return nil, err
	}
	if res.StatusCode != http.StatusOK {
		res.Body.Close()
		switch res.StatusCode {
		case http.StatusNotFound:
			return nil, fmt.Errorf("%s %w", c.name(), ErrNoOutput)
		case http.StatusServiceUnavailable:
			return nil, fmt.Errorf("%d processes already read the output of %s; end one of them", maxFollowers, c.name())
		}
		return nil, c.statusError(res.StatusCode, outputPath)
	}
	o := &Output{body: res.Body, lines: bufio.NewScanner(res.Body), context: ctx, name: c.name()}
	o.lines.Buffer(nil, maxLineJSON)
	return o, nil
}

// Next returns the next line. The error is io.EOF when the instance has ended or, without
// Follow, when there are no more lines.
func (o *Output) Next() (line journal.Line, err error) {
	if !o.lines.Scan() {
		switch err := o.lines.Err(); {
		case o.context.Err() != nil:
			return line, o.context.Err()
		case err != nil:
			return line, fmt.Errorf("the output of %s broke off: %w", o.name, err)
		}
		return line, io.EOF
	}
	if err := json.Unmarshal(o.lines.Bytes(), &line); err != nil {
		return line, fmt.Errorf("%s sent a line that this version cannot read: %w; stop it with devproxy down and start it again", o.name, err)
	}
	return line, nil
}

// Close ends the output.
func (o *Output) Close() error { return o.body.Close() }
