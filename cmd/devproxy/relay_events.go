package main

import (
	"fmt"
	"os"
)

// relayPrinter prints a relay's events on standard output.
type relayPrinter struct {
	*streams
	cfg relayOptions
}

// The events of --json.
type (
	// relayReady: the relay accepts connections.
	relayReady struct {
		Event  string  `json:"event"`
		Domain string  `json:"domain"`
		Listen string  `json:"listen"`
		HTTP   *string `json:"http"`
		Admin  *string `json:"admin"`
		PID    int     `json:"pid"`
	}
	// relayHandover: a SIGHUP had a result.
	relayHandover struct {
		Event string `json:"event"`
		// PID is the process that serves from now on; 0 if the handover failed.
		PID int `json:"pid,omitempty"`
		// Error is why it failed, and this process continues.
		Error string `json:"error,omitempty"`
	}
	// relayStopped is the last event of a process.
	relayStopped struct {
		Event string `json:"event"`
		PID   int    `json:"pid"`
	}
)

// emit prints an event, or its text for a person.
func (p relayPrinter) emit(event any, text string, args ...any) {
	if p.cfg.json {
		_ = p.json(event) // print errors are ignored
		return
	}
	fmt.Fprintf(p.Out, text, args...)
}

func (p relayPrinter) ready(run *relayRun) {
	optional := func(address string) *string {
		if address == "" {
			return nil
		}
		return &address
	}
	https, http, admin := run.address("https"), run.address("http"), run.address("admin")
	at := p.cfg.domain + when(run.publicPort() != 443, fmt.Sprint(":", run.publicPort()))
	text := fmt.Sprintf("%s\n  share   devproxy share --relay %s\n  agents  %s\n", p.bold("https://"+at), at, p.admission()) +
		when(http != "", "  http    "+http+" redirects\n") +
		when(admin != "", "  admin   http://"+admin+"/metrics\n")
	p.emit(relayReady{"ready", p.cfg.domain, https, optional(http), optional(admin), os.Getpid()}, "%s", text)
}

// admission says which agents may connect.
func (p relayPrinter) admission() string {
	switch {
	case p.cfg.open:
		return "all on this machine (--dev)"
	case p.cfg.token != "" && p.cfg.authorizedKeys != "":
		return "the keys in " + p.cfg.authorizedKeys + ", and anyone with the token"
	case p.cfg.token != "":
		return "anyone with the token"
	case p.cfg.authorizedKeys != "":
		return "the keys in " + p.cfg.authorizedKeys
	}
	return p.yellow("only those already enrolled; to admit others: --authorized-keys or --token")
}

func (p relayPrinter) stopping() {
	if !p.cfg.json {
		fmt.Fprintln(p.Out, "finishing requests (Ctrl-C again to stop now)")
	}
}

func (p relayPrinter) stopped() { p.emit(relayStopped{"stopped", os.Getpid()}, "stopped\n") }

// handedOver reports that a successor serves, whose ready event has come before.
func (p relayPrinter) handedOver(successor int) {
	p.emit(relayHandover{Event: "handover", PID: successor}, "pid %d has taken over; this process, %d, finishes its requests\n", successor, os.Getpid())
}

func (p relayPrinter) notHandedOver(err error) {
	if p.cfg.json {
		p.emit(relayHandover{Event: "handover", Error: err.Error()}, "")
		return
	}
	fmt.Fprintf(p.Err, "devproxy: the new process did not take over, so this one, pid %d, continues: %v\n", os.Getpid(), err)
}
