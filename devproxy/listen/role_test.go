package listen

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
)

// roleVariable tells this binary to be another process than the tests.
const roleVariable = "DEVPROXY_LISTEN_TEST_ROLE"

// runRole is what such a process does: it prints one line and ends when its
// standard input does.
func runRole(role string) int {
	act, ok := map[string]func() (any, error){"hold": hold, "namespace": openInNamespace, "passed": inheritPassed, "wildcard": askWildcard}[role]
	if !ok {
		fmt.Fprintln(os.Stderr, "no role is named", role)
		return 2
	}
	result, err := act()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	json.NewEncoder(os.Stdout).Encode(result)
	io.Copy(io.Discard, os.Stdin)
	return 0
}

// hold listens on a free port and tells it.
func hold() (any, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	return boundTo(l).Port(), nil
}

// opening is the result of Open.
type opening struct {
	HTTPS, HTTP []string
	Fallbacks   []Fallback
	Texts       []string
	Error, Fix  string
	// Processes are those that listen, as far as this user may know.
	Processes []Process
}

// openPorts opens the given ports, or the default ports without any.
func openPorts(https, http string) (any, error) {
	s, err := Open(context.Background(), Config{HTTPS: https, HTTP: http, TLS: &tls.Config{}})
	var failed *BindError
	if errors.As(err, &failed) {
		return opening{Error: err.Error(), Fix: failed.Fix}, nil
	}
	if err != nil {
		return nil, err
	}
	o := opening{Fallbacks: s.Fallbacks()}
	for _, at := range s.HTTPS() {
		o.HTTPS = append(o.HTTPS, at.String())
	}
	for _, at := range s.HTTP() {
		o.HTTP = append(o.HTTP, at.String())
	}
	for _, f := range o.Fallbacks {
		o.Texts = append(o.Texts, f.String())
	}
	return o, nil
}
