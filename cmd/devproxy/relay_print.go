package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strconv"
)

// relayPrinter tells what a relay does, on standard output.
type relayPrinter struct {
	*streams
	cfg relayConfig
}

// relayReady is the ready event of --json.
type relayReady struct {
	Event  string  `json:"event"`
	Domain string  `json:"domain"`
	Listen string  `json:"listen"`
	HTTP   *string `json:"http"`
	Admin  *string `json:"admin"`
	PID    int     `json:"pid"`
}

// relayHandover is the handover event of --json: what happened to a SIGHUP.
type relayHandover struct {
	Event string `json:"event"`
	// PID is the process that serves from now on; 0 when it failed.
	PID int `json:"pid,omitempty"`
	// Error is why there is none, and this process goes on.
	Error string `json:"error,omitempty"`
}

func (p relayPrinter) event(value any) {
	text, err := json.Marshal(value)
	if err == nil { // our own types
		fmt.Fprintf(p.Out, "%s\n", text)
	}
}

func (p relayPrinter) ready(run *relayRun) {
	if p.cfg.json {
		p.event(relayReady{"ready", p.cfg.domain, addressOf(run.sockets.https), optional(addressOf(run.sockets.http)), optional(addressOf(run.sockets.admin)), os.Getpid()})
		return
	}
	at := p.cfg.domain
	if port := run.publicPort(); port != 443 {
		at += ":" + strconv.Itoa(int(port))
	}
	fmt.Fprintf(p.Out, "%s\n", p.bold("https://"+at))
	fmt.Fprintf(p.Out, "  share   devproxy share --relay %s\n", at)
	fmt.Fprintf(p.Out, "  agents  %s\n", p.admission())
	if at := addressOf(run.sockets.http); at != "" {
		fmt.Fprintf(p.Out, "  http    %s redirects\n", at)
	}
	if at := addressOf(run.sockets.admin); at != "" {
		fmt.Fprintf(p.Out, "  admin   http://%s/metrics\n", at)
	}
}

// admission is who may connect.
func (p relayPrinter) admission() string {
	switch {
	case p.cfg.open:
		return "everybody on this machine (--dev)"
	case p.cfg.token != "" && p.cfg.authorizedKeys != "":
		return "the keys in " + p.cfg.authorizedKeys + ", and whoever has the token"
	case p.cfg.token != "":
		return "whoever has the token"
	case p.cfg.authorizedKeys != "":
		return "the keys in " + p.cfg.authorizedKeys
	}
	return p.yellow("only those enrolled before: give --authorized-keys or --token")
}

func (p relayPrinter) stopping() {
	if !p.cfg.json {
		fmt.Fprintln(p.Out, "stopping; again: now")
	}
}

func (p relayPrinter) stopped() {
	if p.cfg.json {
		p.event(struct {
			Event string `json:"event"`
			PID   int    `json:"pid"`
		}{"stopped", os.Getpid()})
		return
	}
	fmt.Fprintln(p.Out, "stopped")
}

// handedOver tells that a successor serves, whose ready event has come before.
func (p relayPrinter) handedOver(successor int) {
	if p.cfg.json {
		p.event(relayHandover{Event: "handover", PID: successor})
		return
	}
	fmt.Fprintf(p.Out, "pid %d has taken over; this one, %d, finishes what is under way\n", successor, os.Getpid())
}

func (p relayPrinter) notHandedOver(err error) {
	if p.cfg.json {
		p.event(relayHandover{Event: "handover", Error: err.Error()})
		return
	}
	fmt.Fprintf(p.Err, "devproxy: the new process did not take over, so this one, pid %d, goes on: %v\n", os.Getpid(), err)
}

// optional is nil for an empty text.
func optional(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}
