// Package containertest is an engine for tests: it speaks as much of Docker's API on a
// Unix socket as package container uses. Only tests import it.
package containertest

import (
	"testing"
)

// Engine is an engine without containers. Make one with [New].
type Engine struct {
	host string
}

// Container is a container of an Engine, in the terms of `docker run`.
type Container struct {
	// ID and Name; an ID is made up from the name if it is empty.
	ID, Name string
	// State is "running" if it is empty.
	State string
	// Health is empty, "starting", "healthy" or "unhealthy".
	Health, HealthLog string
	// Labels are all labels; ImageLabels those that come from the image.
	Labels, ImageLabels map[string]string
	// Exposed are the TCP ports that the image exposes.
	Exposed []uint16
	// Published maps TCP ports of the container to ports on 127.0.0.1.
	Published map[uint16]uint16
	// HostNetwork is true for --network host.
	HostNetwork bool
	// IP is the address in a network whose gateway is Gateway; both may be empty.
	IP, Gateway string
}

// New returns a running Engine, which ends with the test.
func New(t testing.TB) *Engine { return &Engine{} }

// Host returns the value for DOCKER_HOST.
func (e *Engine) Host() string { return e.host }

// Set replaces all containers and sends an event for each difference.
func (e *Engine) Set(containers ...Container) {}

// Stop closes the socket and all connections, as when the engine ends. Start undoes it.
func (e *Engine) Stop() {}

// Start listens again after Stop.
func (e *Engine) Start() {}

// Compose returns the labels that Compose sets on the container number of a service of
// the project in folder.
func Compose(folder, service string, number int) map[string]string { return nil }
