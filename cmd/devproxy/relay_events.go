package main

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
)

// The events of --json.
type (
	// relayReady: the relay accepts connections.
	relayReady struct {
		Event  string  `json:"event"`
		Domain string  `json:"domain"`
		Listen string  `json:"listen"`
		HTTP   *string `json:"http"`
		Admin  *string `json:"admin"`
		// DNS are the addresses that answer for the domain.
		DNS []string `json:"dns,omitempty"`
		PID int      `json:"pid"`
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
func (run *relayRun) emit(event any, text string, args ...any) {
	if run.cfg.json {
		_ = run.json(event) // print errors are ignored
		return
	}
	fmt.Fprintf(run.Out, text, args...)
}

func (run *relayRun) printReady() {
	optional := func(address string) *string {
		if address == "" {
			return nil
		}
		return &address
	}
	https, http, admin := run.address("https"), run.address("http"), run.address("admin")
	at := run.cfg.domain + when(run.publicPort() != 443, fmt.Sprint(":", run.publicPort()))
	text := fmt.Sprintf("%s\n  share   devproxy share --relay %s\n  agents  %s\n", run.bold("https://"+at), at, run.admission()) +
		when(run.zone != nil, "  dns     "+strings.Join(run.dnsAddresses(), ", ")+" answers for "+run.cfg.domain+"\n") +
		when(http != "", "  http    "+http+" redirects\n") +
		when(admin != "", "  admin   http://"+admin+"/metrics\n")
	run.emit(relayReady{"ready", run.cfg.domain, https, optional(http), optional(admin), run.dnsAddresses(), os.Getpid()}, "%s", text)
}

// dnsAddresses returns where DNS queries are answered.
func (run *relayRun) dnsAddresses() (addresses []string) {
	for _, name := range slices.Sorted(maps.Keys(run.sockets.Packets)) {
		addresses = append(addresses, run.sockets.Packets[name].LocalAddr().String())
	}
	return addresses
}

// admission says which agents may connect.
func (run *relayRun) admission() string {
	switch {
	case run.cfg.open:
		return "all on this machine (--dev)"
	case run.cfg.token != "" && run.cfg.authorizedKeys != "":
		return "the keys in " + run.cfg.authorizedKeys + ", and anyone with the token"
	case run.cfg.token != "":
		return "anyone with the token"
	case run.cfg.authorizedKeys != "":
		return "the keys in " + run.cfg.authorizedKeys
	}
	return run.yellow("only those already enrolled; to admit others: --authorized-keys or --token")
}

func (run *relayRun) printStopping() {
	if !run.cfg.json {
		fmt.Fprintln(run.Out, "finishing requests (Ctrl-C again to stop now)")
	}
}

func (run *relayRun) printStopped() { run.emit(relayStopped{"stopped", os.Getpid()}, "stopped\n") }

// printHandedOver reports that a successor serves, whose ready event has come before.
func (run *relayRun) printHandedOver(successor int) {
	run.emit(relayHandover{Event: "handover", PID: successor}, "pid %d has taken over; this process, %d, finishes its requests\n", successor, os.Getpid())
}

func (run *relayRun) printNotHandedOver(err error) {
	if run.cfg.json {
		run.emit(relayHandover{Event: "handover", Error: err.Error()}, "")
		return
	}
	fmt.Fprintf(run.Err, "devproxy: the new process did not take over, so this one, pid %d, continues: %v\n", os.Getpid(), err)
}
