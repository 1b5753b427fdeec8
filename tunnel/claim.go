package tunnel

import "time"

// Request is a request of an agent to its relay, as JSON: it is everything that is
// written on a stream that the agent opens with the head ControlHead. The relay's
// whole answer there is a Reply. (The hello of a new session is a Claim alone.)
type Request struct {
	// Op is "claim", to change the share, "end", to end the link for good, or "state", to
	// have the callback host lead to the share.
	Op    string `json:"op"`
	Claim *Claim `json:"claim,omitempty"`
	// State is StateHash of a value that the callback is expected with.
	State string `json:"state,omitempty"`
}

// Reply is the relay's answer to a Request.
type Reply struct {
	Grant *Grant `json:"grant,omitempty"`
	// Code and Error say why the request failed; Code 0 is success.
	Code  Code   `json:"code,omitempty"`
	Error string `json:"error,omitempty"`
}

// ControlHead is the head of streams that agents open.
const ControlHead = "control/1"

// Claim says which public names an agent requests.
type Claim struct {
	// Enrol is a token that makes the relay know this key; empty for a key it knows.
	Enrol string `json:"enrol,omitempty"`
	// Project is the label that public names are made of: "shop".
	Project string `json:"project"`
	// Link is the secret part of unguessable names, 16 characters of
	// Alphabet; empty with Name.
	Link string `json:"link,omitempty"`
	// Name is a plain lasting name; empty for unguessable names.
	Name string `json:"name,omitempty"`
	// Names is the version of the rules by which PublicNames makes the names. A
	// relay that does not know the version uses the newest one that it knows.
	Names Names `json:"names,omitempty"`
	// SharedCookies requests names below a zone, so that the hosts can have cookies
	// in common. NamesByZone does not read it.
	SharedCookies bool `json:"shared_cookies,omitempty"`
	// Domain is a domain of the user's own, which becomes the public name of the first of
	// Hosts. A DNS record of it must name OwnName. A relay that does not know this field
	// ignores it, so that the first host has a name of the relay.
	Domain string `json:"domain,omitempty"`
	// Callback requests a callback host; nil for none. A relay that does not know this
	// field ignores it, which its grant shows.
	Callback *Callback `json:"callback,omitempty"`
	// Release is a plain name to give up, so that any key may claim it. The rest of
	// the claim is ignored then, and the answer is a Refusal with CodeReleased.
	Release string `json:"release,omitempty"`
	// Hosts are the shared hosts, each without the project's domain: "" for the
	// domain itself, "admin", "*.tenant". Empty claims nothing (only enrols).
	Hosts []string `json:"hosts"`
	// Ports are the shared ports, MaxPorts at most. A relay that does not know this field
	// ignores it, so that its grant has none.
	Ports []Port `json:"ports,omitempty"`
	// Until is when the link ends for good; zero is never.
	Until time.Time `json:"until,omitzero"`
}

// Names is a version of the rules by which public names are made.
type Names int

// The versions.
const (
	// NamesByZone is the version of agents that send none: several hosts are below a
	// zone of the key, which needs its own certificate.
	NamesByZone Names = iota
	// NamesInOneLabel puts each host into one label below the relay's domain.
	NamesInOneLabel

	// NewestNames is the version of new links.
	NewestNames = NamesInOneLabel
)

// Grant is the relay's answer to a Claim.
type Grant struct {
	// Domain is the relay's: "t.example.com".
	Domain string `json:"domain"`
	// Port is the port of visitors' URLs, 443 when they need none.
	Port uint16 `json:"port"`
	// Zone is the parent of all public names, which the names of no other key have;
	// empty without such a parent.
	Zone string `json:"zone,omitempty"`
	// Hosts are the public names, in the order of Claim.Hosts; that of a wildcard
	// host has a "*" too ("shop-…--*--tenant.t.example.com").
	Hosts []string `json:"hosts"`
	// Ports are the ports of Domain where visitors reach Claim.Ports, in the same order;
	// 0 is one that was not granted. Empty is a relay that does not know ports.
	Ports []int `json:"ports,omitempty"`
	// PortsRefused says why some of Ports are 0, for people.
	PortsRefused string `json:"ports_refused,omitempty"`
	// Callback is the name of the callback host; empty for none.
	Callback string `json:"callback,omitempty"`
}
