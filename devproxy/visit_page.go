package devproxy

import (
	"net/http"

	"github.com/devproxy/devproxy/devproxy/page"
)

// visitorPage is what a visitor of a share is shown in place of p: our own
// texts name files, ports and addresses of this machine.
func visitorPage(p page.Page) page.Page {
	shown := page.Page{Status: p.Status, Title: visitorTitle(p.Status), Poll: p.Poll, RetryAfter: p.RetryAfter, Again: p.Again, Visitor: true}
	switch p.Status {
	case http.StatusServiceUnavailable:
		shown.Lead = page.OpensLater
	case http.StatusLoopDetected:
		shown.Status = http.StatusBadGateway // that there is a loop is ours to know
	}
	return shown
}

func visitorTitle(status int) string {
	switch {
	case status == http.StatusNotFound:
		return "There is no such page here."
	case status == http.StatusMethodNotAllowed:
		return "This page can only be read."
	case status == http.StatusServiceUnavailable:
		return "This site is restarting."
	case status == http.StatusGatewayTimeout:
		return "This site took too long to answer."
	case status < http.StatusInternalServerError || status == http.StatusNotImplemented:
		return "This request cannot be answered as it is."
	}
	return "This site gave no answer."
}
