package main

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// portArgument reads the port of a dev server on this machine as people give
// one: 5173, :5173, localhost:5173, or the URL that the server prints:
// http://localhost:5173/. meant is false for a text that does not mean a port,
// such as a host name; err then shows the form of a port.
func portArgument(text string) (port uint16, meant bool, err error) {
	if isDigits(text) {
		port, err := parsePort(text)
		return port, true, err
	}
	rest := text
	scheme, after, isURL := strings.Cut(text, "://")
	if isURL {
		rest = after
	}
	rest, path, _ := strings.Cut(rest, "/")
	host, digits, hasPort := rest, "", false
	if h, p, err := net.SplitHostPort(rest); err == nil {
		host, digits, hasPort = h, p, true
	}
	if !isThisMachine(host) && (!hasPort || host != "") {
		return 0, false, notAPort(text)
	}
	switch {
	case isURL && !strings.EqualFold(scheme, "http"):
		return 0, true, usagef(fmt.Sprintf("in a Proxyfile: upstream = %q", text), "up PORT needs a dev server with plain HTTP, not %s", strings.ToLower(scheme))
	case path != "":
		return 0, true, usagef("leave out /"+path+"; or use a Proxyfile, which can send paths to different servers", "up PORT serves a whole dev server, not a path of it")
	case !hasPort && isURL:
		return 80, true, nil
	case !hasPort:
		return 0, true, usagef("devproxy up 5173", "%q has no port", text)
	}
	port, err = parsePort(digits)
	return port, true, err
}

func parsePort(digits string) (uint16, error) {
	port, err := strconv.ParseUint(digits, 10, 16)
	if err != nil || port == 0 || !isDigits(digits) {
		return 0, notAPort(digits)
	}
	return uint16(port), nil
}

func notAPort(text string) error {
	return usagef("devproxy up 5173", "%q is not a port (1 to 65535)", text)
}

func isDigits(text string) bool {
	return text != "" && strings.Trim(text, "0123456789") == ""
}

// isThisMachine reports whether a dev server that listens on host can be reached on
// the loopback of this machine: localhost, a loopback address, or every address.
func isThisMachine(host string) bool {
	if strings.EqualFold(strings.TrimSuffix(host, "."), "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil && (ip.Unmap().IsLoopback() || ip.IsUnspecified())
}

// hostArgument returns a host of the Proxyfile that is given as people give one:
// shop.localhost, or its URL as devproxy prints it.
func hostArgument(text string) string {
	for _, scheme := range []string{"https://", "http://"} {
		if len(text) > len(scheme) && strings.EqualFold(text[:len(scheme)], scheme) {
			text = strings.TrimSuffix(text[len(scheme):], "/")
			break
		}
	}
	if host, port, err := net.SplitHostPort(text); err == nil && isDigits(port) {
		return host
	}
	return text
}

// shortestLifetime is the least --for, as its error says.
const shortestLifetime = time.Second

// lifetime is the value of --for: how long a link lasts. 0 means that it is not set.
type lifetime time.Duration

func (l *lifetime) Type() string { return "DURATION" }

func (l *lifetime) String() string {
	if *l == 0 {
		return ""
	}
	return lasting(time.Duration(*l))
}

// Set reads a duration as Go and the Proxyfile write it, longer than zero.
func (l *lifetime) Set(text string) error {
	d, err := time.ParseDuration(text)
	number, unit := cutNumber(text)
	switch {
	case err == nil && d >= shortestLifetime:
		*l = lifetime(d)
		return nil
	case err == nil && d > 0:
		return failf("write one like 90m or 2h", "a link must last at least 1 s, not %s", text)
	case err == nil:
		return failf("write one like 90m or 2h", "a link must last longer than zero, not %s", text)
	case number > 0 && unit == "":
		return failf(fmt.Sprintf("write %sh for hours, %sm for minutes", text, text), "%q has no unit", text)
	case number > 0 && (unit == "h" || unit == "m" || unit == "s"):
		return failf("write one like 90m or 2h", "%s is too long", text)
	case number > 0 && (unit == "d" || unit == "day" || unit == "days"):
		return failf(fmt.Sprintf("write %dh", number*24), "%q is not in hours, minutes or seconds", text)
	}
	return failf("write one like 90m, 2h or 1h30m", "%q is not a duration", text)
}

// cutNumber returns the whole number that text starts with, 0 for none, and the
// rest.
func cutNumber(text string) (number int, rest string) {
	end := strings.IndexFunc(text+" ", func(r rune) bool { return r < '0' || r > '9' })
	number, err := strconv.Atoi(text[:end])
	if err != nil {
		return 0, text
	}
	return number, strings.ToLower(strings.TrimSpace(text[end:]))
}
