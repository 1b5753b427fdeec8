package control

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Status describes a running instance. Its JSON is stable: fields are added, never
// changed.
type Status struct {
	Folder     string    `json:"folder"`
	PID        int       `json:"pid"`
	Version    string    `json:"version"`
	Started    time.Time `json:"started"`
	Generation uint64    `json:"generation"`
	URLs       []string  `json:"urls"`
	HTTPS      string    `json:"https"`    // "127.0.0.1:8443"
	HTTP       *string   `json:"http"`     // null without plain HTTP
	Shared     bool      `json:"shared"`   // its ports are those that all projects share
	Hosts      []Host    `json:"hosts"`    // in the order of the file
	Streams    int       `json:"streams"`  // open upgraded connections and event streams
	Rejected   *Rejected `json:"rejected"` // null when the last save was applied
	// Share is null before the first share.
	Share *Share `json:"share"`
	// Proxyfile is its name in the folder; empty for `up PORT`.
	Proxyfile string `json:"proxyfile,omitempty"`
	// Services are those with a command, by name.
	Services []Service `json:"services,omitempty"`
	// Ports are the tcp and udp blocks that are served, tcp first.
	Ports []Port `json:"ports,omitempty"`
	// Worktree is the linked git worktree whose hosts have moved, if there is one.
	Worktree *Worktree `json:"worktree,omitempty"`
	// Engine runs the containers that the plan uses, if it uses any.
	Engine *Engine `json:"engine,omitempty"`
	// Log is the log file of an instance in the background.
	Log string `json:"log,omitempty"`
	// Error is why the instance did not answer. Only Folder, PID and Started are
	// known then.
	Error string `json:"error,omitempty"`
}

// Worktree is a linked git worktree.
type Worktree struct {
	Name       string `json:"name"`       // the branch, or the folder's name without one
	Label      string `json:"label"`      // "fix-ui"
	Repository string `json:"repository"` // the folder of the main worktree, or of the bare repository
	From       string `json:"from"`       // the domain in the Proxyfile: "shop.localhost"
	Domain     string `json:"domain"`     // where that has moved: "fix-ui.shop.localhost"
}

// Engine is the program that runs containers.
type Engine struct {
	Name    string `json:"name,omitempty"`    // "Docker"; empty until it has answered
	Version string `json:"version,omitempty"` // "28.2.2"
	Address string `json:"address,omitempty"` // "unix:///var/run/docker.sock"; empty if none was found
	Source  string `json:"source,omitempty"`  // what named the address: "DOCKER_HOST"
	// Error says why it does not answer, and Fix what helps.
	Error string `json:"error,omitempty"`
	Fix   string `json:"fix,omitempty"`
}

// Text describes the engine: "Docker 28.2.2, unix:///var/run/docker.sock".
func (e Engine) Text() string {
	text := strings.TrimSpace(e.Name + " " + e.Version)
	switch {
	case e.Error != "":
		text = e.Error
	case text == "":
		text = "the container engine has not answered yet"
	case e.Address != "":
		text += ", " + e.Address
	}
	return text
}

// Host is a served host.
type Host struct {
	Name    string   `json:"name"`
	Aliases []string `json:"aliases,omitempty"` // its further names
	URL     string   `json:"url"`
	File    string   `json:"file"`
	Line    int      `json:"line"`
	Routes  []Route  `json:"routes"`
}

// Place is where the host is written, "Proxyfile:7"; empty if it has no file.
func (h Host) Place() string {
	if h.Line == 0 {
		return ""
	}
	return fmt.Sprintf("%s:%d", h.File, h.Line)
}

// Route is a served route.
type Route struct {
	Path     string `json:"path"`
	Upstream string `json:"upstream"` // the answer: ":5173", "files docs", "respond 204"
	// State is "up", "waiting", "unhealthy" when every member is, "withheld"
	// without consent, or "ready" without an upstream.
	State  string `json:"state"`
	Detail string `json:"detail,omitempty"` // why it waits
	// Hints name processes of the project that listen on other ports, and two that
	// share this one.
	Hints []string `json:"hints,omitempty"`
	// Members are those of an upstream with several or with health, the fallback
	// members last.
	Members []Member `json:"members,omitempty"`
}

// Member is one address of an upstream.
type Member struct {
	Upstream string `json:"upstream"` // ":3001"
	// State is "up", "waiting", "unhealthy" or, before the first connection,
	// "unknown".
	State    string `json:"state"`
	Detail   string `json:"detail,omitempty"` // why it waits or is unhealthy
	Active   int    `json:"active"`           // exchanges in progress
	Fallback bool   `json:"fallback,omitempty"`
}

// Port is a tcp or udp block.
type Port struct {
	Network  string `json:"network"`  // "tcp" or "udp"
	Name     string `json:"name"`     // "postgres"
	Listen   string `json:"listen"`   // "127.0.0.1:15432"
	Upstream string `json:"upstream"` // ":5432"
	File     string `json:"file"`
	Line     int    `json:"line"`
	// State is "ready" while it accepts, "unavailable" if it can't be listened on, or
	// "waiting" if the upstream refused the last connection, or "withheld" without consent.
	State  string `json:"state"`
	Detail string `json:"detail,omitempty"` // why it is unavailable or waits
	Fix    string `json:"fix,omitempty"`    // a command that shows more
	Open   int    `json:"open"`             // connections, or clients of UDP
}

// String names the block: "tcp postgres".
func (p Port) String() string { return p.Network + " " + p.Name }

// The states of a route, a member and a port.
const (
	StateUp      = "up"
	StateWaiting = "waiting"
	StateReady   = "ready" // answered by devproxy itself
	// StateWithheld is the state of routes and ports that need consent.
	StateWithheld = "withheld"
	// StateUnhealthy is the state of members whose health check fails, and of
	// upstreams with no other member.
	StateUnhealthy = "unhealthy"
	// StateUnavailable is the state of ports that can't be listened on.
	StateUnavailable = "unavailable"
	// StateUnknown is the state of members before the first connection.
	StateUnknown = "unknown"
)

// Rejected is a save that changed nothing.
type Rejected struct {
	At    time.Time `json:"at"`
	Error string    `json:"error,omitempty"` // what kept the file from being read
	// Diagnostics is the array that "rejected" has in `devproxy up --json`.
	Diagnostics json.RawMessage `json:"diagnostics"`
}

// Share is the state of an instance's share. Its JSON is stable: fields are added,
// never changed.
type Share struct {
	// State is one of the Share constants below.
	State string `json:"state"`
	// Link counts the links of this instance from 1, so that a program that looks
	// now and then notices another link.
	Link uint64 `json:"link"`
	// URL is the first host's public address, with the link's secret where it
	// has one; empty until the relay has granted it.
	URL   string       `json:"url,omitempty"`
	Hosts []SharedHost `json:"hosts,omitempty"`
	// Ports are the tcp and udp blocks that visitors can connect to.
	Ports []SharedPort `json:"ports,omitempty"`
	// NotShared are the other hosts of the plan.
	NotShared []NotShared `json:"not_shared,omitempty"`
	Relay     string      `json:"relay,omitempty"` // "t.example.com"
	// Operator runs the provider that carries the share and can read the traffic;
	// empty for a relay. Cannot lists the features that it does not support, as
	// text for people.
	Operator string   `json:"operator,omitempty"`
	Cannot   []string `json:"cannot,omitempty"`
	// Notes are sentences of the provider's: that the key of its server was
	// remembered.
	Notes []string `json:"notes,omitempty"`
	// Domain is the domain of the user's own that the Proxyfile asks for; nil without one,
	// and before the relay has answered.
	Domain *Domain `json:"domain,omitempty"`
	// Expires is when the link ends for good; zero while nothing is shared.
	Expires time.Time `json:"expires,omitzero"`
	// Password is true when visitors must enter one.
	Password bool `json:"password,omitempty"`
	// Public, Paths, Show and Allow are the Proxyfile's; empty if not set there.
	Public []string `json:"public,omitempty"`
	Paths  []string `json:"paths,omitempty"`
	Show   []string `json:"show,omitempty"`
	Allow  []string `json:"allow,omitempty"`
	// Callback are the URLs that OAuth providers send browsers back to; they stay the same
	// with other links.
	Callback []string `json:"callback,omitempty"`
	// Advisories are sentences about dev servers of the project whose versions
	// have known vulnerabilities that a visitor could use.
	Advisories []string `json:"advisories,omitempty"`
	// Error says why the share waits or why it failed, and Fix what to do.
	Error string `json:"error,omitempty"`
	Fix   string `json:"fix,omitempty"`
	// Again is true when a failed share is retried automatically.
	Again bool `json:"again,omitempty"`
	// Check is the token of a check, in the answer to OpCheck alone.
	Check string `json:"check,omitempty"`
}

// Links are the hosts with the addresses to open: the first may have the link's secret.
func (s Share) Links() []SharedHost {
	links := slices.Clone(s.Hosts)
	if len(links) > 0 && s.URL != "" {
		links[0].URL = s.URL
	}
	return links
}

// SharedHost is a host with its public address.
type SharedHost struct {
	Name string `json:"name"` // "shop.localhost"
	URL  string `json:"url"`  // "https://shop-….t.example.com"
}

// Domain is a domain of the user's own, which becomes the public name of a host.
type Domain struct {
	Name  string `json:"name"` // "demo.example.com"
	Host  string `json:"host"` // "shop.localhost"
	State string `json:"state"`
	// Target is the name that a DNS record of the domain must name; empty until the relay
	// has granted the share.
	Target string `json:"target,omitempty"`
	// Error says why the host has a name of the relay instead, and Fix what to do.
	Error string `json:"error,omitempty"`
	Fix   string `json:"fix,omitempty"`
}

// The states of a domain.
const (
	DomainAsking   = "asking"   // the relay has not answered yet
	DomainUp       = "up"       // the host has it
	DomainUnproven = "unproven" // no DNS record of it names Target; the relay is asked again
	DomainRefused  = "refused"  // the relay does not take it, as Error says; it is asked again
)

// SharedPort is a tcp or udp block of a share.
type SharedPort struct {
	Network string `json:"network"` // "tcp" or "udp"
	Name    string `json:"name"`    // "postgres"
	// Address is where visitors connect, "t.example.com:20017"; empty before the relay has
	// granted it, and if it did not: Error says why then, and Fix what to do.
	Address string   `json:"address,omitempty"`
	Public  bool     `json:"public,omitempty"` // every visitor can connect
	Allow   []string `json:"allow,omitempty"`  // the addresses that can otherwise
	Error   string   `json:"error,omitempty"`
	Fix     string   `json:"fix,omitempty"`
}

// String names the block: "tcp postgres".
func (p SharedPort) String() string { return p.Network + " " + p.Name }

// NotShared is a host without a public address, and why.
type NotShared struct {
	Name   string `json:"name"`
	Reason string `json:"reason"` // "share = false"
}

// The states of a share.
const (
	ShareNone       = "none"       // nothing was shared yet
	ShareConnecting = "connecting" // to the relay, for the first time
	ShareUp         = "up"
	ShareResuming   = "resuming" // the connection is lost; visitors wait
	ShareWaiting    = "waiting"  // the relay cannot be reached; it is retried
	ShareAsleep     = "asleep"   // stopped; the same link comes back
	ShareExpired    = "expired"  // over for good
	ShareEnded      = "ended"    // over for good, by request
	ShareFailed     = "failed"   // stopped, as Error says
)

// ShareRequest is a request about the share.
type ShareRequest struct {
	// Op is one of the Op constants.
	Op string `json:"op"`
	// Hosts are the hosts to share, for OpStart; empty means the Proxyfile's
	// hosts.
	Hosts []string `json:"hosts,omitempty"`
	// Relay overrides the Proxyfile's, for OpStart: one, or several that are tried
	// in order, separated by commas.
	Relay string `json:"relay,omitempty"`
	// Key is the file with the key that the link belongs to, an absolute path, for
	// OpStart; empty is the key of the project's folder.
	Key string `json:"key,omitempty"`
	// Keep retries a share that failed, where that can help.
	Keep bool `json:"keep,omitempty"`
	// For is how long the link lasts from now (OpStart; 0 means the Proxyfile's
	// value) or how much longer (OpExtend).
	For time.Duration `json:"for,omitempty"`
	// Check is the token of the check that ends, for OpChecked.
	Check string `json:"check,omitempty"`
}

// The operations of a ShareRequest.
const (
	OpLook   = "look"   // only return the state
	OpStart  = "start"  // start or change the share; does not wait for the relay
	OpExtend = "extend" // let the link last longer
	OpNew    = "new"    // end the link and make another
	OpSleep  = "sleep"  // stop; the same link comes back
	OpEnd    = "end"    // end the link for good
	// OpCheck begins a check of the link, which OpChecked ends.
	OpCheck   = "check"
	OpChecked = "checked"
)

// ShareError is why a ShareRequest was refused.
type ShareError struct {
	Text string `json:"error"`
	Fix  string `json:"fix,omitempty"` // the command or edit that helps
}

func (e *ShareError) Error() string { return e.Text }
