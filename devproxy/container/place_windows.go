package container

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/windows"
)

const (
	pipes       = true
	startEngine = "start Docker Desktop or `podman machine start`, or set DOCKER_HOST"
	joinGroup   = "add this user to the group docker-users and log in again"
)

// defaultPlaces returns the pipe of Docker Desktop. It was not tried on Windows.
func defaultPlaces(_, _ string) []place {
	return []place{{network: "npipe", path: "//./pipe/docker_engine", source: "the default"}}
}

func checkOwner(string) error { return nil }

// pipeBusy is how long to wait while all instances of a pipe are in use.
const pipeBusy = 10 * time.Millisecond

// dialPipe connects to a named pipe. The program behind it learns nothing about this user
// and cannot act as this user. It was not tried on Windows.
func dialPipe(ctx context.Context, path string) (net.Conn, error) {
	name, err := windows.UTF16PtrFromString(filepath.FromSlash(path))
	if err != nil {
		return nil, err
	}
	for {
		handle, err := windows.CreateFile(name, windows.GENERIC_READ|windows.GENERIC_WRITE, 0, nil, windows.OPEN_EXISTING,
			windows.FILE_FLAG_OVERLAPPED|windows.SECURITY_SQOS_PRESENT|windows.SECURITY_ANONYMOUS, 0)
		if err == nil {
			return pipeConn{os.NewFile(uintptr(handle), path)}, nil
		}
		if !errors.Is(err, windows.ERROR_PIPE_BUSY) {
			return nil, &os.PathError{Op: "open", Path: path, Err: err}
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(pipeBusy):
		}
	}
}

// pipeConn is a named pipe as a connection.
type pipeConn struct{ *os.File }

func (c pipeConn) LocalAddr() net.Addr  { return pipeAddr(c.Name()) }
func (c pipeConn) RemoteAddr() net.Addr { return pipeAddr(c.Name()) }

type pipeAddr string

func (pipeAddr) Network() string  { return "npipe" }
func (a pipeAddr) String() string { return string(a) }
