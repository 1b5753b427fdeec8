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
		}
	}
	for _, host := range hosts {
		place := ""
		if host.Line > 0 {
			place = s.dim(fmt.Sprintf("   %s:%d", host.File, host.Line))
		}
		filler := strings.TrimPrefix(pad(host.URL, urls), host.URL)
		fmt.Fprintf(s.Out, "%s%s%s\n", s.style("1;36", host.URL), filler, place)
		for _, route := range host.Routes {
			printRoute(s, route, paths, answers)
		}
	}
}

func printRoute(s *streams, route control.Route, paths, answers int) {
	line := "  " + pad(route.Path, paths) + "   "
	switch route.State {
	case devproxy.StateUp:
		line += pad(route.Upstream, answers) + "   " + s.green("up")
	case devproxy.StateWaiting:
		line += pad(route.Upstream, answers) + "   " + s.yellow("waiting")
		if route.Detail != "" {
			line += "   " + route.Detail
		}
	default:
		line += route.Upstream
	}
	fmt.Fprintln(s.Out, line)
	for _, hint := range route.Hints {
		indent := paths + answers + len("  ") + len("   ") + len("   waiting   ")
		fmt.Fprintf(s.Out, "%*s%s\n", indent, "", hint)
	}
}
