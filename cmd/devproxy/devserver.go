package main

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// portArgument is the port of a dev server on this machine, as people name one:
// 5173, :5173, localhost:5173, or what the server prints: http://localhost:5173/.
// meant is false for a text that does not mean a port at all, such as a host
// name; then err says what a port looks like.
func portArgument(text string) (port uint16, meant bool, err error) {
	refuse := func(format string, args ...any) error {
		return usagef("devproxy up 5173", format, args...)
	}
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
		return 0, false, refuse("%q is not a port (1 to 65535)", text)
	}
	switch {
	case isURL && !strings.EqualFold(scheme, "http"):
		return 0, true, usagef(fmt.Sprintf("in a Proxyfile: upstream = %q", text), "up PORT expects a dev server that speaks HTTP, not %s", strings.ToLower(scheme))
	case path != "":
		return 0, true, usagef("leave out /"+path+"; or use a Proxyfile, which can send paths to different servers", "up PORT serves all of a dev server, not only a path of it")
	case !hasPort && isURL:
		return 80, true, nil
	case !hasPort:
		return 0, true, refuse("%q has no port", text)
	}
	port, err = parsePort(digits)
	return port, true, err
}

func parsePort(digits string) (uint16, error) {
	port, err := strconv.ParseUint(digits, 10, 16)
	if err != nil || port == 0 || !isDigits(digits) {
		return 0, usagef("devproxy up 5173", "%q is not a port (1 to 65535)", digits)
	}
	return uint16(port), nil
}

func isDigits(text string) bool {
	return text != "" && strings.Trim(text, "0123456789") == ""
}

// isThisMachine reports whether a dev server that listens on host can be reached
// on this machine's loopback: localhost, a loopback address, or every address.
func isThisMachine(host string) bool {
	if strings.EqualFold(strings.TrimSuffix(host, "."), "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil && (ip.Unmap().IsLoopback() || ip.IsUnspecified())
}

// hostArgument is a host of the Proxyfile as people name one: shop.localhost, or
// its URL as devproxy prints it.
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

// relayArgument is a relay as people name one: t.example.com, or its URL from a
// browser's address bar. What is wrong with it is said where it is dialled.
func relayArgument(text string) string {
	const scheme = "https://"
	text = strings.TrimSpace(text)
	if len(text) > len(scheme) && strings.EqualFold(text[:len(scheme)], scheme) {
		return strings.ToLower(strings.TrimSuffix(text[len(scheme):], "/"))
	}
	return text
}
