package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/devproxy/devproxy/devproxy/listen"
	"github.com/devproxy/devproxy/devproxy/programs"
	"github.com/devproxy/devproxy/localca"
)

// allow443 offers to run the command that allows port 443 on this machine, if that is why
// another port is used, and moves to 443 after a yes. It asks on a terminal, once for
// each user of a machine; --yes runs the command without a question.
func (in *instance) allow443(ctx context.Context, wanted listen.Config) error {
	if !slices.ContainsFunc(in.sockets.Fallbacks(), needsPermission) {
		return nil
	}
	permission := listen.MayUse443(ctx)
	if len(permission.Steps) == 0 {
		return nil
	}
	path := programPath(in.source.folder)
	permission = permission.In(path) // what is shown is what runs
	if path.RootProgram() == "" {
		return nil // the command is printed with the reason of the port
	}
	s := in.report.own.streams
	if !in.opts.yes {
		file, err := portsFile()
		if err != nil || !canAsk(s, in.opts.json) || wasAsked(file) {
			return err
		}
		in.report.own.asked = true
		if !in.ask443(ctx, file, permission) {
			return nil
		}
	}
	if err := runSteps(ctx, s, path, permission.Steps); err != nil {
		in.report.say("Port 443 is still not allowed: " + err.Error())
		return nil
	}
	if now := listen.MayUse443(ctx); !now.Allowed {
		in.report.say("Port 443 is still not allowed, although the command has run" + when(now.Obstacle != "", ": "+now.Obstacle))
		return nil
	}
	return in.sockets.Reopen(ctx, wanted)
}

// needsPermission reports whether f is the fallback of HTTPS that a permission prevents.
func needsPermission(f listen.Fallback) bool {
	return f.Wanted == 443 && f.Reason == listen.Permission
}

// ask443 asks, and remembers that it did. No answer, as of Ctrl-C, is not remembered.
func (in *instance) ask443(ctx context.Context, file string, permission listen.Permission443) bool {
	to := *in.report.own.streams
	to.Out = to.Err // a question is not a result
	to.paragraph("This machine does not allow port 443, so every address needs a port number. To allow 443 permanently, for every user and all ports from 80 up:")
	fmt.Fprintf(to.Err, "  %s\n", to.bold(permission.Fix))
	answer, answered := prompt(ctx, &to, "Run it? [y/N] ")
	if answered {
		if err := rememberAsked(file); err != nil {
			in.report.say("devproxy is going to ask again: " + err.Error())
		}
	}
	return answer == "y" || answer == "yes"
}

// runSteps runs each step as root, as long as none fails. sudo asks for the password on the
// terminal itself.
func runSteps(ctx context.Context, s *streams, path programs.Path, steps []listen.Step) error {
	for _, step := range steps {
		own := &streams{In: s.In, Out: io.Discard, Err: s.Err}
		if step.Input != "" {
			own.In = strings.NewReader(step.Input)
		}
		if err := runAsRoot(ctx, own, path, path.AsRoot(step.Args...)); err != nil {
			return fmt.Errorf("%s: %w", strings.Join(step.Args, " "), err)
		}
	}
	return nil
}

// portsState is the content of portsFile.
type portsState struct {
	// Asked is when the user answered the question of ask443.
	Asked time.Time `json:"asked"`
}

// portsFile is where the answer to the question is remembered, for all projects.
func portsFile() (string, error) {
	store, err := openStore()
	return filepath.Join(store.Home, "ports.json"), err
}

// wasAsked reports whether the question was answered before. A file that cannot be read
// counts as an answer: a question at every start is worse than none.
func wasAsked(file string) bool {
	_, err := os.Stat(file)
	return !errors.Is(err, fs.ErrNotExist)
}

func rememberAsked(file string) error {
	text, err := json.Marshal(portsState{Asked: time.Now().UTC().Truncate(time.Second)})
	if err != nil {
		return err
	}
	return localca.WriteFile(file, append(text, '\n'), 0o600)
}
