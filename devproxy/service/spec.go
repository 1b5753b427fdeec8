// Package service runs the commands of a project's services. A Runner starts, restarts
// and stops them; each command runs below a guard, which is a process of its own that
// ends the command and everything it has started, even when devproxy itself is killed.
package service

import (
	"slices"
	"time"
)

// DefaultStop is how long a service may take to end after SIGTERM.
const DefaultStop = 5 * time.Second

// Spec says how a service runs. Two services with equal specs are the same one.
type Spec struct {
	Name string
	// Args are the program and its arguments. A program without a slash is looked up in
	// the PATH of Env; relative entries of PATH are skipped.
	Args []string
	Dir  string // the working directory, absolute
	// RealDir is Dir with links followed. The command does not start while Dir leads
	// elsewhere: a pull can put a link there. Empty allows any folder.
	RealDir string
	Env     []string // the complete environment, as NAME=value
	// Port is where the service is asked to listen, on loopback.
	Port  uint16
	Ready Ready
	// DependsOn are the names of services that must be ready before it starts.
	DependsOn []string
	Restart   Restart       // empty means OnFailure
	Stop      time.Duration // from SIGTERM to SIGKILL; 0 means DefaultStop
}

// Ready is the condition under which a service is ready. The zero value is that its
// port accepts a connection.
type Ready struct {
	// Path is requested with GET until the response has the Status.
	Path   string
	Status int // 0 means 200 to 399
	// Log is text that a line of output contains. A "*" in it matches any text. The port
	// need not accept connections then.
	Log string
}

// Restart says when a service that has ended starts again.
type Restart string

// The forms of Restart.
const (
	// OnFailure starts a service again that has ended with a status other than 0, or
	// that could not be started. The pauses are firstPause to lastPause.
	OnFailure Restart = "on_failure"
	// Never leaves it as it is.
	Never Restart = "never"
)

// Equal reports whether s and other are the same service with the same settings.
func (s Spec) Equal(other Spec) bool {
	return s.Name == other.Name && slices.Equal(s.Args, other.Args) && s.Dir == other.Dir && s.RealDir == other.RealDir && slices.Equal(s.Env, other.Env) &&
		s.Port == other.Port && s.Ready == other.Ready && slices.Equal(s.DependsOn, other.DependsOn) &&
		s.restart() == other.restart() && s.stop() == other.stop()
}

func (s Spec) restart() Restart {
	if s.Restart == "" {
		return OnFailure
	}
	return s.Restart
}

func (s Spec) stop() time.Duration {
	if s.Stop == 0 {
		return DefaultStop
	}
	return s.Stop
}
