package share

import (
	"net/http"
	"regexp"
	"strings"
)

// closedReferrer tells no other site where its visitors come from. It is not
// no-referrer, with which browsers send "Origin: null" with forms.
const closedReferrer = "same-origin"

// outwardReferrer sets the Referrer-Policy in a share with an unguessable name.
// There every policy that tells other sites the origin gives the name away, so the
// project may choose only among those that do not. A page can still choose
// another policy by <meta name="referrer"> or a referrerpolicy attribute: bodies
// are left as they are here.
//
// No policy tells the origin to the share's other hosts and to nobody else. Browsers
// take the Origin of a form from the same policy as the Referer (WHATWG Fetch,
// "append a request Origin header"), so a form that a page posts to another host
// arrives with "Origin: null". The receiver must not read that as one of the share's
// hosts: any page in the relay's domain can have it sent.
//
// Other names are no secret: there the project's policy counts, or the browser's.
func (s *Share) outwardReferrer(h http.Header) {
	if s.named {
		return
	}
	policy := effectiveReferrer(h["Referrer-Policy"])
	if policy != "no-referrer" {
		policy = closedReferrer
	}
	h["Referrer-Policy"] = []string{policy}
}

// effectiveReferrer is the policy that browsers take from the field: the last
// one that they know (Referrer Policy, section 8.1). It is empty for none.
func effectiveReferrer(lines []string) (policy string) {
	for _, line := range lines {
		for element := range strings.SplitSeq(line, ",") {
			switch name := lower(strings.Trim(element, " \t\r\n\f")); name {
			case "no-referrer", "no-referrer-when-downgrade", "same-origin", "origin", "strict-origin",
				"origin-when-cross-origin", "strict-origin-when-cross-origin", "unsafe-url":
				policy = name
			}
		}
	}
	return policy
}

// withoutReferrerPolicy renames the parameter of a Link by which it chooses a
// policy of its own; text holds neither targets nor quoted values.
func withoutReferrerPolicy(text string) string {
	return referrerParameter.ReplaceAllString(text, "x-${1}-${2}")
}

var referrerParameter = regexp.MustCompile(`(?i)(referrer)(policy)`)
