// Package page renders what devproxy itself answers when no upstream does:
// the waiting page, the unknown host, and why a request failed. It is pure: plain
// values become one response, HTML for a person who navigates and text for
// a program, both with the same facts.
//
// A page loads nothing: its style and script are inline, and the policy sent
// with it (CSP level 3) names them by hash, so that nothing that reaches
// a page by way of a host name or a path can ever run.
package page
