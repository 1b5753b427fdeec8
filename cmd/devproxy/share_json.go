package main

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/devproxy/devproxy/devproxy/control"
)

// shareJSON prints the share's events of the command line's contract.
type shareJSON struct{ streams *streams }

func (j shareJSON) tell(e shareEvent) {
	switch e.kind {
	case shareShown, shareLater:
		j.print(sharedEvent(e.share))
	case shareBegun, shareLost, shareBack:
		j.print(struct {
			Event string `json:"event"`
			State string `json:"state"`
			Relay string `json:"relay"`
			Error string `json:"error,omitempty"`
			Fix   string `json:"fix,omitempty"`
		}{"relay", e.share.State, e.share.Relay, e.share.Error, e.share.Fix})
	case shareMoved:
		j.print(struct {
			Event string `json:"event"`
			State string `json:"state"`
			Relay string `json:"relay"`
			From  string `json:"from"`
			Error string `json:"error"`
		}{"relay", e.share.State, e.share.Relay, e.before.Relay, e.share.Error})
	case shareOver:
		j.print(struct {
			Event  string `json:"event"`
			Reason string `json:"reason"`
			Error  string `json:"error,omitempty"`
			Fix    string `json:"fix,omitempty"`
			// Again is that it is tried again.
			Again bool `json:"again,omitempty"`
		}{"unshared", e.share.State, e.share.Error, e.share.Fix, e.share.Again})
	case shareTrouble:
		j.print(struct {
			Event string `json:"event"`
			Error string `json:"error"`
			Fix   string `json:"fix,omitempty"`
		}{"share_failed", e.share.Error, e.share.Fix})
	case shareAdded:
		j.print(struct {
			Event  string   `json:"event"`
			Hosts  []string `json:"hosts"`
			Reason string   `json:"reason"`
			Fix    string   `json:"fix"`
		}{"not_shared", e.added, reasonAdded, "devproxy share"})
	}
}

func sharedEvent(sh control.Share) any {
	hosts := make(map[string]string, len(sh.Hosts))
	for _, host := range sh.Hosts {
		hosts[host.Name] = host.URL
	}
	return struct {
		Event   string            `json:"event"`
		URL     string            `json:"url"`
		Hosts   map[string]string `json:"hosts"`
		Expires time.Time         `json:"expires"`
		Relay   string            `json:"relay"`
		// Operator and Cannot are of a provider: who can read the traffic, and what
		// does not pass.
		Operator string   `json:"operator,omitempty"`
		Cannot   []string `json:"cannot,omitempty"`
		// Notes are what else the user should know of it.
		Notes []string `json:"notes,omitempty"`
		// Advisories are about dev servers with known holes.
		Advisories []string `json:"advisories,omitempty"`
	}{"shared", sh.URL, hosts, sh.Expires.UTC().Truncate(time.Second), sh.Relay, sh.Operator, sh.Cannot, sh.Notes, sh.Advisories}
}

func (j shareJSON) print(event any) {
	if text, err := json.Marshal(event); err == nil { // our own types
		fmt.Fprintf(j.streams.Out, "%s\n", text)
	}
}
