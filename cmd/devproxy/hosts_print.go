package main

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/devproxy/devproxy/devproxy"
	"github.com/devproxy/devproxy/devproxy/control"
)

// printHosts prints each host's address with its routes below it, in columns.
func printHosts(s *streams, hosts []control.Host) {
	var urls, paths, answers int
	for _, host := range hosts {
		urls = max(urls, utf8.RuneCountInString(host.URL))
		for _, route := range host.Routes {
			paths = max(paths, utf8.RuneCountInString(route.Path))
			answers = max(answers, utf8.RuneCountInString(route.Upstream))
			for _, m := range route.Members {
				answers = max(answers, utf8.RuneCountInString(m.Upstream))
			}
		}
	}
	told := map[string]bool{}
	for _, host := range hosts {
		place := ""
		if host.Line > 0 {
			place = s.dim(fmt.Sprintf("   %s:%d", host.File, host.Line))
		}
		filler := strings.TrimPrefix(pad(host.URL, urls), host.URL)
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

func printRoute(s *streams, route control.Route, paths, answers int) {
	line := "  " + pad(route.Path, paths) + "   "
	if route.State == devproxy.StateReady {
		line += route.Upstream
	} else {
		line += pad(route.Upstream, answers) + "   " + stateText(s, route.State, route.Detail)
	}
	fmt.Fprintln(s.Out, line)
	for _, m := range route.Members {
		fmt.Fprintf(s.Out, "%*s%s   %s\n", paths+len("  ")+len("   "), "", pad(m.Upstream, answers), memberText(s, m))
	}
	for _, hint := range route.Hints {
		indent := paths + answers + len("  ") + len("   ") + len("   waiting   ")
		fmt.Fprintf(s.Out, "%*s%s\n", indent, "", hint)
	}
}

// stateText is "up", or "waiting" with the reason behind it.
func stateText(s *streams, state, detail string) string {
	switch state {
	case devproxy.StateUp:
		return s.green(state)
	case devproxy.StateWaiting:
		state = s.yellow(state)
	case devproxy.StateIll:
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
