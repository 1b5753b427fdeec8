package container

import (
	"net/netip"
	"time"
)

// Snapshot is what is known of a project's containers at one moment. It is immutable.
// Its zero value is the snapshot before the engine has answered.
type Snapshot struct {
	Engine Engine
	// Err says why the engine does not answer, with what helps (a [failure.Error]). Nil
	// while it does.
	Err error
	// Listed reports whether Containers is up to date. It is false until the first list
	// has come. While the engine is away, the last list stays for at most 30
	// seconds: after that, another program may have the addresses.
	Listed bool
	// Containers are those of the project, running or not, ordered by service, number,
	// name and ID; at most 500.
	Containers []Container
	// Problems are containers that look as if they should count and do not, each with
	// the reason; at most 20.
	Problems []Problem
}

// Engine is the program that runs containers.
type Engine struct {
	// Address is where its API listens, such as "unix:///var/run/docker.sock". Empty means
	// that no engine was found.
	Address string
	// Source says what named Address: "DOCKER_HOST", `the Docker context "colima"`, or
	// "the default".
	Source string
	// Name is "Docker" or "Podman"; Version is its version, such as "28.2.2". Both are
	// empty until it has answered.
	Name, Version string
}

// Container is one container of the project. All its texts are what the engine says:
// valid UTF-8 without control characters, and of limited length, but untrusted.
type Container struct {
	// ID has 64 hexadecimal digits.
	ID string
	// Name is unique on the engine: "shop-api-1".
	Name string
	// State is one of the states of Docker.
	State State
	// Health is the result of the container's health check.
	Health Health
	// HealthLog is the last line that a failed health check printed, at most 200 bytes.
	HealthLog string
	// Created is when the container was made.
	Created time.Time

	// Service is the name of the Compose service. Empty without Compose.
	Service string
	// Number is the container's number in the service, from 1. 0 means none.
	Number int
	// Project is the name of the Compose project. Empty without Compose.
	Project string
	// Folder is Compose's working directory, or what devproxy.project says.
	Folder string

	// Host, Path and Port are the labels devproxy.host, devproxy.path and devproxy.port
	// as they are written; empty means that the label does not exist. See [Container.Reach]
	// for what Port does.
	Host, Path, Port string

	// IP is the container's address, if this machine reaches it; otherwise invalid. It is
	// 127.0.0.1 for a container that uses the host's network on Linux.
	IP netip.Addr
	// Ports are the TCP ports that the container exposes or publishes, in ascending order;
	// at most 100.
	Ports []Port

	image *apiImage // while a list is made
}

// Port is a TCP port of a container.
type Port struct {
	// Number is the port inside the container.
	Number uint16
	// Published is where this machine reaches it; invalid if it is not published here.
	Published netip.AddrPort
}

// State says whether a container runs.
type State string

// The states of the engine's API. Another one is passed on as it is.
const (
	Created    State = "created"
	Running    State = "running"
	Paused     State = "paused"
	Restarting State = "restarting"
	Removing   State = "removing"
	Exited     State = "exited"
	Dead       State = "dead"
)

// Health is the result of a container's health check.
type Health string

// The values of Health. Unchecked is for a container without a health check.
const (
	Unchecked Health = ""
	Starting  Health = "starting"
	Healthy   Health = "healthy"
	Unhealthy Health = "unhealthy"
)

// Problem is a container that does not count, with the reason.
type Problem struct {
	Container string // its name
	Err       error  // a [failure.Error] if something helps
}
