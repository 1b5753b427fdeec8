package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/devproxy/devproxy/devproxy/control"
	"github.com/devproxy/devproxy/devproxy/service"
)

// printServices prints a line for each service with a command.
func printServices(s *streams, services []control.Service) {
	var names, states []string
	for _, status := range services {
		names, states = append(names, status.Name), append(states, status.State)
	}
	const gap = "   "
	for _, status := range services {
		state := pad(status.State, widest(states))
		switch service.Phase(status.State) {
		case service.Running:
			state = s.green(state)
		case service.Failed:
			state = s.red(state)
		default:
			state = s.yellow(state)
		}
		start := s.bold(pad(status.Name, widest(names))) + gap + state + gap
		s.hang(s.Out, start, shownWidth(start), serviceDetail(status))
	}
}

// serviceDetail says more about a state: "pid 4711, :20123".
func serviceDetail(status control.Service) string {
	var parts []string
	if status.PID != 0 {
		parts = append(parts, fmt.Sprintf("pid %d", status.PID))
	}
	if status.Port != 0 {
		parts = append(parts, fmt.Sprintf(":%d", status.Port))
	}
	if len(status.WaitsFor) > 0 {
		parts = append(parts, "for "+strings.Join(status.WaitsFor, ", "))
	}
	if status.Late != "" {
		parts = append(parts, "not ready: "+printable(status.Late))
	}
	if status.Exit != "" {
		parts = append(parts, printable(status.Exit))
	}
	if status.Next != nil {
		parts = append(parts, "starts again in "+short(max(0, time.Until(*status.Next))))
	}
	return strings.Join(parts, ", ")
}

// serviceEvent: the state of a service has changed.
type serviceEvent struct {
	Event   string          `json:"event"`
	Service control.Service `json:"service"`

	state, before service.State
}

func newServiceEvent(state, before service.State) serviceEvent {
	return serviceEvent{"service", serviceStatus(state), state, before}
}

func (e serviceEvent) print(r *reporter) {
	name, text := e.state.Name, ""
	switch e.state.Phase {
	case service.Running:
		text = name + " is " + r.green("ready")
		if e.state.Port != 0 {
			text += fmt.Sprintf(" on :%d", e.state.Port)
		}
		if e.before.Phase == service.Starting && e.before.Port != e.state.Port {
			text += fmt.Sprintf(" and not on :%d, where it was asked to listen", e.before.Port)
		}
		if e.before.Phase == service.Running {
			return // its pid is known now
		}
		text += " after " + short(e.state.Since.Sub(e.before.Since))
	case service.Starting:
		if e.state.Late != "" {
			text = fmt.Sprintf("%s is %s after %s: %s", name, r.yellow("not ready"), short(time.Since(e.state.Since)), printable(e.state.Late))
			break
		}
		if e.before.Phase != service.Ending {
			return
		}
		text = name + " " + r.yellow("restarts")
	case service.Waiting:
		text = name + " " + r.yellow("waits") + " for " + strings.Join(e.state.WaitsFor, ", ")
	case service.Failed:
		text = name + " " + r.red(e.state.Exit.String())
		if e.state.Exit.Error != "" {
			text = name + " " + r.red("can't run") + ": " + printable(e.state.Exit.Error)
		}
		if e.state.Next.IsZero() {
			text += ". To start it again: " + unbroken(typed("devproxy restart "+name))
		} else {
			text += "; it starts again in " + short(time.Until(e.state.Next).Round(100*time.Millisecond))
		}
	case service.Stopped:
		text = name + " has stopped"
		if e.before.Phase != service.Ending {
			text = name + " " + r.yellow(e.state.Exit.String())
		}
	default:
		return
	}
	r.event(time.Now(), text)
}

func (e serviceEvent) serviceName() string { return e.state.Name }

// endingEvent: services take long to end. It is for people only.
type endingEvent struct{ names []string }

func (e endingEvent) print(r *reporter) {
	r.say("waiting until " + strings.Join(e.names, ", ") + " ends" + when(r.ending != "", " (Ctrl-C again ends it now)"))
}

// outputEvent is a line that a service has printed.
type outputEvent struct {
	Event string `json:"event"`
	Name  string `json:"name"` // of the service
	Line  string `json:"line"`

	colored string
	width   int
	color   string
}

func (e outputEvent) serviceName() string { return e.Name }

func (e outputEvent) print(r *reporter) {
	line := e.Line
	if r.Color && e.colored != e.Line {
		line = e.colored + "\x1b[0m"
	}
	fmt.Fprintln(r.Err, r.style(e.color, pad(e.Name, e.width)+" |")+" "+line)
}
