package listen

import (
	"context"
	"strings"

	"github.com/devproxy/devproxy/devproxy/programs"
	"github.com/devproxy/devproxy/tunnel/neterror"
)

// Permission443 is whether this user may listen on port 443, and what allows it.
type Permission443 struct {
	Allowed bool
	// Fix is a shell command that allows it for good, for a person to paste. Empty if
	// it is allowed, or no command allows it.
	Fix string
	// Steps are the programs of Fix, to be run as root, one after the other, without a shell.
	// Empty where a person has to run Fix.
	Steps []Step
	// Obstacle is why no command allows it, and what to do; empty if one does.
	Obstacle string
}

// Step is a program with its arguments and its standard input.
type Step struct {
	Args  []string
	Input string
}

// MayUse443 finds out by listening on the port for an instant. A port that is taken is
// allowed.
func MayUse443(ctx context.Context) Permission443 {
	socket, err := listenOn(ctx, onLoopback(defaultHTTPS).at(0))
	if err == nil {
		socket.Close()
	}
	if !neterror.Forbidden(err) || wildcardAllowed {
		return Permission443{Allowed: true}
	}
	var p Permission443
	p.Fix, p.Obstacle = permissionFix(defaultHTTPS)
	if p.Fix != "" {
		p.Steps = permissionSteps(defaultHTTPS)
	}
	return p
}

// In returns p with the programs of path in Fix.
func (p Permission443) In(path programs.Path) Permission443 {
	if len(p.Steps) > 0 {
		p.Fix = lineIn(path, p.Steps)
	}
	return p
}

// shellLine is steps as one line for a shell.
func shellLine(steps []Step) string { return lineIn(programs.Here(), steps) }

func lineIn(path programs.Path, steps []Step) string {
	var commands []string
	for _, step := range steps {
		command := path.RootLine(step.Args...)
		if step.Input != "" {
			command = "echo " + strings.TrimSuffix(step.Input, "\n") + " | " + command
		}
		commands = append(commands, command)
	}
	return strings.Join(commands, " && ")
}
