package main

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/devproxy/devproxy/devproxy"
	"github.com/devproxy/devproxy/devproxy/control"
)

// printHosts prints each host's address with its routes below it, in columns
// where the terminal has room for them.
func printHosts(s *streams, hosts []control.Host) {
	columns, _ := s.size()
	var urls, places, paths, answers int
	for _, host := range hosts {
		urls = max(urls, utf8.RuneCountInString(host.URL))
		places = max(places, utf8.RuneCountInString(writtenAt(host)))
		for _, route := range host.Routes {
			paths = max(paths, utf8.RuneCountInString(route.Path))
			answers = max(answers, utf8.RuneCountInString(route.Upstream))
			for _, m := range route.Members {
				answers = max(answers, utf8.RuneCountInString(m.Upstream))
			}
		}
	}
	if columns > 0 && urls+len("   ")+places > columns {
		urls = 0 // each place right behind its address
	}
	told := map[string]bool{}
	for _, host := range hosts {
		line := pad(host.URL, urls)
		filler := strings.TrimPrefix(line, host.URL)
		place := writtenAt(host)
		if place != "" && columns > 0 && utf8.RuneCountInString(line+"   "+place) > columns {
			place = ""
		}
		if place != "" {
			place = s.dim("   " + place)
		}
		fmt.Fprintf(s.Out, "%s%s%s\n", s.style("1;36", host.URL), filler, place)
		for _, route := range host.Routes {
			if told[route.Upstream] {
				route.Members = nil // their states stand above
			}
			told[route.Upstream] = true
			printRoute(s, route, paths, answers)
		}
	}
}

// writtenAt is where a host is written: "Proxyfile:7"; empty for one without a file.
func writtenAt(host control.Host) string {
	if host.Line == 0 {
		return ""
	}
	return fmt.Sprintf("%s:%d", host.File, host.Line)
}

// printRoute prints a route with its state. What a narrow terminal has no room for
// goes below, next to the path.
func printRoute(s *streams, route control.Route, paths, answers int) {
	columns, _ := s.size()
	below := len("  ") + paths + len("   ")
	line := "  " + pad(route.Path, paths) + "   "
	if route.State == devproxy.StateReady {
		fmt.Fprintln(s.Out, line+route.Upstream)
		return
	}
	whole := line + pad(route.Upstream, answers) + "   " + stateText(s, route.State, route.Detail)
	if columns == 0 || shownWidth(whole) <= columns {
		fmt.Fprintln(s.Out, whole)
	} else {
		fmt.Fprintln(s.Out, line+route.Upstream+"   "+stateText(s, route.State, ""))
		s.indented(below, route.Detail)
	}
	for _, m := range route.Members {
		fmt.Fprintf(s.Out, "%*s%s   %s\n", below, "", pad(m.Upstream, answers), memberText(s, m))
	}
	for _, hint := range route.Hints {
		indent := below + answers + len("   waiting   ")
		if columns > 0 && indent+utf8.RuneCountInString(hint) > columns {
			indent = below
		}
		s.indented(indent, hint)
	}
}

// stateText is "up", or "waiting" with the reason behind it.
func stateText(s *streams, state, detail string) string {
	switch state {
	case devproxy.StateUp:
		return s.green(state)
	case devproxy.StateWaiting:
		state = s.yellow(state)
	case devproxy.StateUnhealthy:
		state = s.yellow("unhealthy")
	}
	if detail != "" {
		state += "   " + detail
	}
	return state
}

// memberText is "up, 3 under way", or "fallback, unknown".
func memberText(s *streams, m control.Member) string {
	text := stateText(s, m.State, m.Detail)
	if m.Active > 0 {
		text += fmt.Sprintf("   %d under way", m.Active)
	}
	if m.Fallback {
		text += "   " + s.dim("fallback")
	}
	return text
}
