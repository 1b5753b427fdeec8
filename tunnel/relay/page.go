package relay

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"time"

	"github.com/devproxy/devproxy/tunnel/message"
	"github.com/devproxy/devproxy/tunnel/page"
)

// pageOf is the page for a visitor whose request could not be passed on.
func pageOf(err error) page.Page {
	var (
		ended *EndedError
		large *http.MaxBytesError
		body  *malformedError
	)
	switch {
	case errors.As(err, &ended):
		return page.Page{Status: http.StatusGone, Public: true, Title: "This link has ended.",
			Lead:  "It was open until " + spoken(ended.At) + ". Ask the person who sent it for a new one.",
			Hints: []string{"Yours? Run `devproxy share` in the project for a new link."}}
	case errors.Is(err, errUnknown):
		return page.Page{Status: http.StatusNotFound, Public: true, Title: "This link does not exist.",
			Lead: "Nothing is shared under this name. Is the address complete? Ask the person who sent it."}
	case errors.Is(err, errAsleep):
		return page.Page{Status: http.StatusServiceUnavailable, Public: true, Title: "This share is asleep.",
			Lead:  "The computer that shares it is not connected now. This page opens by itself when it is back.",
			Hints: []string{"Yours? Run `devproxy share` in the project; the link stays the same."}, RetryAfter: 10}
	case errors.Is(err, errAway):
		return page.Page{Status: http.StatusServiceUnavailable, Public: true, Title: "This share is not connected at the moment.",
			Lead:  "The computer that it comes from may be asleep, or between two networks. This page opens by itself when it is back.",
			Hints: []string{"Yours? Run `devproxy share` in the project if it is not running; the link stays the same."}, RetryAfter: 1}
	case errors.Is(err, errBusy):
		return page.Page{Status: http.StatusServiceUnavailable, Public: true, Title: "This share has too many visitors right now.",
			Lead: "Try again in a moment.", RetryAfter: 1}
	case errors.As(err, &large):
		return page.Page{Status: http.StatusRequestEntityTooLarge, Public: true, Title: "This upload is too large.",
			Lead: fmt.Sprintf("The relay takes at most %d bytes at once.", large.Limit)}
	case errors.As(err, &body):
		return page.Page{Status: http.StatusBadRequest, Public: true, Title: "The body of this request is malformed.", Lead: page.Sentence(body.Error())}
	case errors.Is(err, os.ErrDeadlineExceeded):
		return page.Page{Status: http.StatusRequestTimeout, Public: true, Title: "The upload stalled."}
	}
	return page.Page{Status: http.StatusBadGateway, Public: true, Title: "The connection to this share was lost.",
		Lead: "No response arrived. Try again.", RetryAfter: 1}
}

// refusalPage is the page of a request that has more than one reading, or none.
func refusalPage(refusal *message.Refusal) page.Page {
	p, _ := page.For(refusal)
	p.Public = true
	return p
}

// spoken is a moment as people say it: "15:04 UTC, 22 November".
func spoken(at time.Time) string { return at.UTC().Format("15:04 UTC, 2 January") }

// otherHost is the page of a name that is not below the relay's domain.
var otherHost = page.Page{Status: http.StatusMisdirectedRequest, Public: true, Title: "This name is not served here."}
