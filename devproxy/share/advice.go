package share

import (
	"net/http"

	"github.com/devproxy/devproxy/tunnel/field"
)

// Advice returns what to tell the project's developer about a response to the
// visitor v: a sentence for each thing that works on this machine and not in the
// share, with what to write. r is the request as Admit made it; h is the response's
// header as the project wrote it.
func (s *Share) Advice(r *http.Request, h http.Header, status int, v Visitor) []string {
	sentences := s.keptCookies(h, v)
	if s.refusedForm(r, status) {
		sentences = append(sentences, `browsers send "Origin: null" with a form from another host of this share, so that its secret name stays here; with a name they send the origin: share { name = "…" }`)
	}
	return sentences
}

// refusedForm reports whether the project has refused a form that a page of the same
// site sent without an Origin, as outwardReferrer has browsers do.
func (s *Share) refusedForm(r *http.Request, status int) bool {
	if s.named || len(s.table.hosts) < 2 || r.Header.Get("Origin") != "null" || r.Header.Get("Sec-Fetch-Site") != "same-site" {
		return false
	}
	switch status {
	case http.StatusBadRequest, http.StatusForbidden, http.StatusUnprocessableEntity:
		return field.Upgrade(r) == ""
	}
	return false
}
