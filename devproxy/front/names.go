package front

import (
	"errors"
	"fmt"
)

// ErrUnsupported is the error of Join on systems whose processes do not pass sockets
// as this package does. Each project then has ports of its own.
var ErrUnsupported = errors.New("projects do not share a port on this system")

// Name is a host name that a project serves, or *.rest for every name with one
// more label.
type Name struct {
	Name string `json:"name"` // in lower case
	// File and Line are where the name is written; empty and 0 if it is not
	// written in a file.
	File string `json:"file,omitempty"`
	Line int    `json:"line,omitempty"`
}

// TakenError is the error of a name that another project serves already.
type TakenError struct {
	// First is the other project's entry for the name.
	First Name
}

// Error is "shop.localhost is already served by /home/ann/a/Proxyfile, line 3".
func (e *TakenError) Error() string {
	text := e.First.Name + " is already served by "
	if e.First.File == "" {
		return text + "another devproxy"
	}
	return fmt.Sprintf("%s%s, line %d", text, e.First.File, e.First.Line)
}
