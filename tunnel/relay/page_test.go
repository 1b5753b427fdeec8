package relay

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/devproxy/devproxy/tunnel/message"
)

// TestPages: each reason has its page.
func TestPages(t *testing.T) {
	ended := time.Date(2026, time.November, 22, 15, 4, 0, 0, time.FixedZone("", 3600))
	for _, c := range []struct {
		err         error
		status      int
		title, lead string
		retry       int
	}{
		{&EndedError{token, ended}, 410, "This link has ended.", "until 14:04 UTC, 22 November.", 0},
		{errUnknownName, 404, "This link does not exist.", "complete?", 0},
		{errAsleep, 503, "This share is asleep.", "opens by itself", 10},
		{errSuccessorOffline, 503, "This share is asleep.", "opens by itself", 10},
		{errBusy, 503, "too many visitors", "in a moment", 1},
		{&http.MaxBytesError{Limit: 7}, 413, "too large", "at most 7 bytes", 0},
		{&malformedError{errors.New("a chunk is broken")}, 400, "is malformed", "A chunk is broken.", 0},
		{os.ErrDeadlineExceeded, 408, "stalled", "", 0},
		{errors.New("anything else"), 502, "was lost", "Try again", 1},
	} {
		got := pageOf(&brokenError{err: fmt.Errorf("no: %w", c.err)})
		if got.Status != c.status || !strings.Contains(got.Title, c.title) || !strings.Contains(got.Lead, c.lead) || got.RetryAfter != c.retry || !got.Public {
			t.Errorf("%v: %+v", c.err, got)
		}
	}
	if got := pageOf(&message.Refusal{Status: 417, Reason: "expect is odd", Section: "RFC 1"}); got.Status != 417 || got.Lead != "Expect is odd (RFC 1)." {
		t.Errorf("%+v", got)
	}
}
