package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/devproxy/devproxy/devproxy/control"
)

// printPorts prints a line for each tcp and udp block, with what keeps it from working
// below it.
func printPorts(s *streams, ports []control.Port) {
	var names, addresses []string
	for _, p := range ports {
		names, addresses = append(names, p.String()), append(addresses, p.Listen)
	}
	const gap = "   "
	for _, p := range ports {
		start := s.bold(pad(p.String(), widest(names))) + gap + s.style("1;36", p.Listen) + strings.Repeat(" ", widest(addresses)-len(p.Listen)) + gap
		detail := printable(p.Upstream)
		if p.State != control.StateReady {
			detail += gap + s.yellow(p.State)
		}
		if p.Open > 0 {
			detail += gap + fmt.Sprintf("%d open", p.Open)
		}
		s.hang(s.Out, start, shownWidth(start), detail)
		if p.Detail != "" {
			s.hang(s.Out, "  ", 2, portDetail(p))
		}
	}
}

// portDetail says why a port does not work, and what to do.
func portDetail(p control.Port) string {
	if p.State != control.StateUnavailable {
		return printable(p.Detail)
	}
	text := printable(p.Detail) + ". devproxy tries again until it is free."
	if p.Fix != "" {
		text += " To free it or see what uses it: " + unbroken(typed(p.Fix)) + "."
	}
	return text + fmt.Sprintf(" If that is another worktree, remove listen from %s %q, or set another in Proxyfile.local.", p.Network, p.Name)
}

// portEvent: a tcp or udp block can't be listened on or its upstream refuses connections,
// or that has ended.
type portEvent struct {
	Event string       `json:"event"`
	Port  control.Port `json:"port"`
}

func (e portEvent) print(r *reporter) {
	p := e.Port
	if p.State == control.StateReady {
		r.event(time.Now(), fmt.Sprintf("%s is %s on %s", p, r.green(p.State), p.Listen))
		return
	}
	r.event(time.Now(), fmt.Sprintf("%s is %s: %s", p, r.yellow(p.State), portDetail(p)))
}
