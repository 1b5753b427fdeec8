package doctor

import (
	"context"
	"errors"
	"os"
	"strings"

	"github.com/devproxy/devproxy/devproxy/container"
	"github.com/devproxy/devproxy/devproxy/failure"
)

// checkContainers asks the container engine what it is, if the project uses containers. It
// does not ask for containers: that needs consent, which `devproxy up` asks for.
func checkContainers(ctx context.Context, s *Subject) []Finding {
	if !s.plan().UsesContainers() {
		return nil
	}
	engine, err := container.Probe(ctx, s.containerOptions())
	if err != nil {
		fix := ""
		if failed, ok := errors.AsType[*failure.Error](err); ok {
			fix = failed.Fix
		}
		return []Finding{fault(failure.Text(err), fix)}
	}
	text := strings.TrimSpace(engine.Name+" "+engine.Version) + " answers at " + engine.Address
	if engine.Source != "" {
		text += ", named by " + engine.Source
	}
	return []Finding{fine(text)}
}

// containerOptions say whose containers are meant, and which engine.
func (s *Subject) containerOptions() container.Options {
	home, _ := os.UserHomeDir() // empty if it is not known
	return container.Options{Folder: s.Project.Folder, Getenv: s.Getenv, Home: home}
}
