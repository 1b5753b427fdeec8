package container

import "strings"

// The parts of Docker's API that devproxy reads. Podman has the same fields. They
// decode what any engine has sent since API version 1.24.

// apiVersion is the answer to /version.
type apiVersion struct {
	Version    string
	Components []struct{ Name string }
}

// apiSummary is an element of the answer to /containers/json.
type apiSummary struct {
	ID      string `json:"Id"`
	Names   []string
	ImageID string
	Labels  map[string]string
}

// apiContainer is the answer to /containers/ID/json.
type apiContainer struct {
	Name    string
	Created string
	State   struct {
		Status string
		Health *struct {
			Status string
			Log    []struct {
				ExitCode int
				Output   string
			}
		}
	}
	Config struct {
		ExposedPorts map[string]struct{}
	}
	HostConfig struct {
		NetworkMode string
	}
	NetworkSettings struct {
		Ports    map[string][]apiBinding
		Networks map[string]*apiNetwork
	}
}

type apiBinding struct{ HostIP, HostPort string }

type apiNetwork struct {
	Gateway, IPAddress             string
	IPv6Gateway, GlobalIPv6Address string
}

// apiImage is the answer to /images/ID/json.
type apiImage struct {
	Config struct {
		Labels       map[string]string
		ExposedPorts map[string]struct{}
	}
}

// apiEvent is one event of /events.
type apiEvent struct {
	Type, Action string
}

// counts reports whether a snapshot can be different after the event. Health checks
// make an event for each command that they run; those don't count.
func (e apiEvent) counts() bool {
	switch e.Type {
	case "container":
		for _, prefix := range []string{"exec", "top", "attach", "resize", "copy", "commit", "export", "archive", "extract"} {
			if strings.HasPrefix(e.Action, prefix) {
				return false
			}
		}
		return true
	case "network":
		return e.Action == "connect" || e.Action == "disconnect"
	}
	return false
}
