package page

import "net/http"

// Restarting is the waiting page for the visitor of a share: it says nothing of
// the machine behind it. poll is as in Page.
func Restarting(poll string) Page {
	return Page{
		Status: http.StatusServiceUnavailable, Title: "This site is restarting.", Lead: "The page opens by itself.",
		Poll: poll, RetryAfter: 1,
	}
}
