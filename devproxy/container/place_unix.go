//go:build !windows

package container

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"

	"github.com/devproxy/devproxy/hcl"
)

const (
	pipes = false
	// startEngine and joinGroup are fixes.
	startEngine = "start one: `sudo systemctl start docker`, `systemctl --user start podman.socket` or Docker Desktop; or set DOCKER_HOST"
	joinGroup   = "start rootless Podman with `systemctl --user start podman.socket`, or allow this user with `sudo usermod -aG docker $USER` and log in again"
)

// defaultPlaces returns the usual sockets of Docker and Podman. runtime is the user's
// runtime directory; it and home may be empty.
func defaultPlaces(runtime, home string) []place {
	paths := []string{"/var/run/docker.sock"}
	if runtime != "" {
		paths = append(paths, filepath.Join(runtime, "docker.sock"))
	}
	if home != "" {
		paths = append(paths, filepath.Join(home, ".docker", "run", "docker.sock"))
	}
	if runtime != "" {
		paths = append(paths, filepath.Join(runtime, "podman", "podman.sock"))
	}
	paths = append(paths, "/run/podman/podman.sock")
	paths = slices.DeleteFunc(paths, func(path string) bool { return !filepath.IsAbs(path) })
	all := make([]place, len(paths))
	for i, path := range paths {
		all[i] = place{network: "unix", path: path, source: "the default"}
	}
	return all
}

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
