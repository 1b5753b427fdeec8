package control

import (
	"encoding/json"
	"errors"
	"net/http"
	"time"
)

// Share is what a running instance says of its share. Its JSON is stable:
// fields are added, never changed.
type Share struct {
	// State is one of the Share constants below.
	State string `json:"state"`
	// Link counts the links of this instance from 1, so that who looks now and
	// then sees that it is another.
	Link uint64 `json:"link"`
	// URL is the first host's public address, with the link's secret where it
	// has one; empty until the relay has granted it.
	URL   string       `json:"url,omitempty"`
	Hosts []SharedHost `json:"hosts,omitempty"`
	// NotShared are the other hosts of the plan.
	NotShared []NotShared `json:"not_shared,omitempty"`
	Relay     string      `json:"relay,omitempty"` // "t.example.com"
	// Operator is who runs the provider that carries the share and can read the
	// traffic; empty for a relay. Cannot is what does not pass there, for a person.
	Operator string   `json:"operator,omitempty"`
	Cannot   []string `json:"cannot,omitempty"`
	// Notes are sentences of the provider's: that the key of its server was
	// remembered.
	Notes []string `json:"notes,omitempty"`
	// Expires is when the link ends for good; zero while nothing is shared.
	Expires time.Time `json:"expires,omitzero"`
	// Password is true when visitors are asked for one.
	Password bool `json:"password,omitempty"`
	// Public, Paths, Show and Allow are the Proxyfile's; empty asks nothing.
	Public []string `json:"public,omitempty"`
	Paths  []string `json:"paths,omitempty"`
	Show   []string `json:"show,omitempty"`
	Allow  []string `json:"allow,omitempty"`
	// Advisories are sentences about dev servers of the project whose versions
	// have known holes that a visitor could use.
	Advisories []string `json:"advisories,omitempty"`
	// Error and Fix say what is wrong now: why it waits, or why it failed.
	Error string `json:"error,omitempty"`
	Fix   string `json:"fix,omitempty"`
	// Again is true when a share that failed is tried again by itself.
	Again bool `json:"again,omitempty"`
}

// SharedHost is a host with its public address.
type SharedHost struct {
	Name string `json:"name"` // "shop.localhost"
	URL  string `json:"url"`  // "https://shop-….t.example.com"
}

// NotShared is a host without a public address, and why.
type NotShared struct {
	Name   string `json:"name"`
	Reason string `json:"reason"` // "share = false"
}

// The states of a share.
const (
	ShareNone       = "none"       // nothing was shared yet
	ShareConnecting = "connecting" // on the way to the relay, for the first time
	ShareUp         = "up"
	ShareResuming   = "resuming" // the connection is lost; visitors wait
	ShareWaiting    = "waiting"  // the relay cannot be reached; it is tried again
	ShareAsleep     = "asleep"   // stopped; the same link comes back
	ShareExpired    = "expired"  // over for good
	ShareEnded      = "ended"    // over for good, as somebody asked
	ShareFailed     = "failed"   // stopped, as Error says
)

// ShareRequest asks for something to be done with the share.
type ShareRequest struct {
	// Op is one of the Op constants.
	Op string `json:"op"`
	// Hosts are the hosts to share, for OpStart; empty is what the Proxyfile says.
	Hosts []string `json:"hosts,omitempty"`
	// Relay overrides the Proxyfile's, for OpStart: one, or several that are tried
	// in order, separated by commas.
	Relay string `json:"relay,omitempty"`
	// Key is the file with the key that the link belongs to, an absolute path, for
	// OpStart; empty is the key of the project's folder.
	Key string `json:"key,omitempty"`
	// Keep has a share that failed tried again, where that can help.
	Keep bool `json:"keep,omitempty"`
	// For is how long the link lasts from now (OpStart; 0 is what the Proxyfile
	// says) or how much longer (OpExtend).
	For time.Duration `json:"for,omitempty"`
}

// What may be asked of a share.
const (
	OpLook   = "look"   // only tell
	OpStart  = "start"  // share, or change what is shared; does not wait for the relay
	OpExtend = "extend" // let the link last longer
	OpNew    = "new"    // end the link and make another
	OpSleep  = "sleep"  // stop; the same link comes back
	OpEnd    = "end"    // end the link for good
)

// ShareError is why what was asked cannot be done.
type ShareError struct {
	Text string `json:"error"`
	Fix  string `json:"fix,omitempty"` // the command or edit that helps
}

func (e *ShareError) Error() string { return e.Text }

// answerShare does what a request asks.
func (v Verbs) answerShare(w http.ResponseWriter, r *http.Request) {
	var request ShareRequest
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewDecoder(r.Body).Decode(&request); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	state, err := v.Share(r.Context(), request)
	if err == nil {
		_ = json.NewEncoder(w).Encode(state) // the client left: nobody to tell
		return
	}
	var refused *ShareError
	if !errors.As(err, &refused) {
		refused = &ShareError{Text: err.Error()}
	}
	w.WriteHeader(http.StatusConflict)
	_ = json.NewEncoder(w).Encode(refused)
}
