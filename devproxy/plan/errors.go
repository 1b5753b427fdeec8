package plan

import (
	"fmt"
	"strings"
)

// PathError is the error of a request whose path two programs could read
// differently, or that is no path at all. It is answered with 400.
type PathError struct {
	Path string // as it came
	// Reason is what is wrong with it, to be read after "the path …".
	Reason string
}

func (e *PathError) Error() string {
	return fmt.Sprintf("the path %q %s", e.Path, e.Reason)
}

func labelOf(r *Route) string {
	if r == nil {
		return "no route"
	}
	return fmt.Sprintf("route %q", r.Label())
}

// UnknownHostError is the error of a request for a host that no plan names. It
// is answered with 404.
type UnknownHostError struct {
	Host string // lower case, without a trailing dot
	// Near is the served name that was probably meant; empty when none is near.
	Near string
	// Served are all hosts of the plan. They must not be changed.
	Served []*Host
}

func (e *UnknownHostError) Error() string {
	text := fmt.Sprintf("host %q is not in any Proxyfile served now", e.Host)
	if e.Near != "" {
		text += fmt.Sprintf("; did you mean %q?", e.Near)
	}
	return text
}

// NoRouteError is the error of a request that none of its host's routes takes.
// It is answered with 404.
type NoRouteError struct {
	Host *Host
	Path string // as it came
}

func (e *NoRouteError) Error() string {
	labels := make([]string, len(e.Host.Routes))
	for i, r := range e.Host.Routes {
		labels[i] = r.Label()
	}
	return fmt.Sprintf("host %q has no route for %q, only: %s", e.Host.Name, e.Path, strings.Join(labels, ", "))
}

// ConflictError is the error of two folders that claim the same name.
type ConflictError struct {
	Name string
	// First and Second are the lines that claim it, in the order of the plans.
	First, Second Source
	// FirstFolder is the folder that has it already.
	FirstFolder string
}

func (e *ConflictError) Error() string {
	return fmt.Sprintf("host %q at %s is already served for %s (%s: %s)",
		e.Name, e.Second, e.FirstFolder, e.First, e.First.Text)
}

// String is the place as editors take it: "Proxyfile:3". It is empty for what
// is not written in a file.
func (s Source) String() string {
	if s.Line == 0 {
		return s.File
	}
	return fmt.Sprintf("%s:%d", s.File, s.Line)
}
