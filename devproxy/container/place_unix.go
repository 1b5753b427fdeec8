//go:build !windows

package container

import (
	"context"
	"errors"
	"net"
	"os"

	"github.com/devproxy/devproxy/hcl"
)

const (
	pipes = false
	// startEngine and joinGroup are fixes.
	startEngine = "start one: `sudo systemctl start docker`, `systemctl --user start podman.socket` or Docker Desktop; or set DOCKER_HOST"
	joinGroup   = "allow this user: `sudo usermod -aG docker $USER` and log in again, or start rootless Podman: `systemctl --user start podman.socket`"
)

func defaultPlaces(runtime, home string) []place { return unixPlaces(runtime, home) }

// checkOwner refuses a socket that another user has put into a usual place.
func checkOwner(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if !hcl.IsOwn(info) {
		return errors.New("belongs to another user")
	}
	return nil
}

func dialPipe(context.Context, string) (net.Conn, error) { return nil, errors.ErrUnsupported }
