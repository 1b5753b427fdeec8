package container

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/devproxy/devproxy/devproxy/failure"
	"github.com/devproxy/devproxy/tunnel/neterror"
)

const (
	// dialTimeout bounds a connection to an engine, which is on this machine.
	dialTimeout = 2 * time.Second
	// maxConfig bounds a file of Docker's client, in bytes.
	maxConfig = 1 << 20
)

// place is where an engine may listen.
type place struct {
	network string // "unix" or "npipe"
	path    string
	source  string // as in Engine
	// chosen is true for a place that the user has chosen. Others must belong to the user
	// or to the system.
	chosen bool
}

func (p place) address() string { return p.network + "://" + p.path }

// fix returns what helps if nothing listens there.
func (p place) fix() string {
	if p.chosen {
		return "start it, or change " + p.source
	}
	return startEngine
}

// dial connects to the place.
func (p place) dial(ctx context.Context) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	if p.network == "npipe" {
		return dialPipe(ctx, p.path)
	}
	if !p.chosen {
		if err := checkOwner(p.path); err != nil {
			return nil, err
		}
	}
	var d net.Dialer
	return d.DialContext(ctx, "unix", p.path)
}

// places returns where an engine may listen, the preferred place first: DOCKER_HOST, or
// the context of Docker's client, or the usual places.
func (o *Options) places() ([]place, error) {
	if host := o.getenv("DOCKER_HOST"); host != "" {
		p, err := parsePlace(host, "DOCKER_HOST")
		return []place{p}, err
	}
	name, host, err := o.dockerContext()
	if err != nil {
		return nil, err
	}
	if host != "" {
		p, err := parsePlace(host, fmt.Sprintf("the Docker context %q", name))
		return []place{p}, err
	}
	return defaultPlaces(o.getenv("XDG_RUNTIME_DIR"), o.Home), nil
}

// parsePlace reads an address of an engine, in the form of DOCKER_HOST. An engine on
// another machine is refused: its containers are not reached at addresses of this one.
func parsePlace(host, source string) (place, error) {
	network, path, found := strings.Cut(host, "://")
	p := place{network, path, source, true}
	switch {
	case found && network == "unix" && filepath.IsAbs(path):
		return p, nil
	case found && network == "npipe" && pipes:
		return p, nil
	}
	return p, failure.Errorf("set DOCKER_HOST to a socket of this machine, such as unix:///var/run/docker.sock",
		"%s says %q, and devproxy only uses engines on this machine", source, shorten(host, 200))
}

// dockerContext returns the context that the user has chosen in Docker's client, and its
// address. Both are empty for the default context.
func (o *Options) dockerContext() (name, host string, err error) {
	dir := o.getenv("DOCKER_CONFIG")
	if dir == "" {
		if o.Home == "" {
			return "", "", nil
		}
		dir = filepath.Join(o.Home, ".docker")
	}
	if name = o.getenv("DOCKER_CONTEXT"); name == "" {
		var config struct {
			CurrentContext string `json:"currentContext"`
		}
		// Without the file, or with one that Docker's client would not read, it is the default.
		if readJSON(filepath.Join(dir, "config.json"), &config) != nil {
			return "", "", nil
		}
		name = config.CurrentContext
	}
	if name == "" || name == "default" {
		return "", "", nil
	}
	var meta struct {
		Endpoints map[string]struct{ Host string }
	}
	id := sha256.Sum256([]byte(name))
	err = readJSON(filepath.Join(dir, "contexts", "meta", hex.EncodeToString(id[:]), "meta.json"), &meta)
	if err == nil && meta.Endpoints["docker"].Host == "" {
		err = errors.New("it has no address")
	}
	if err != nil {
		return "", "", failure.Errorf("docker context use default", "can't read the Docker context %q: %w", shorten(name, 100), err)
	}
	return name, meta.Endpoints["docker"].Host, nil
}

func readJSON(path string, into any) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	content, err := io.ReadAll(io.LimitReader(file, maxConfig))
	if err != nil {
		return err
	}
	return json.Unmarshal(content, into)
}

// connect returns the first place where an engine accepts a connection. The error says
// what was tried.
func (o *Options) connect(ctx context.Context) (place, error) {
	all, err := o.places()
	if err != nil {
		return place{}, err
	}
	return firstThatAccepts(ctx, all)
}

func firstThatAccepts(ctx context.Context, all []place) (place, error) {
	var tried []string
	var forbidden bool
	for _, p := range all {
		conn, err := p.dial(ctx)
		if err == nil {
			_ = conn.Close() // it has carried nothing
			return p, nil
		}
		forbidden = forbidden || errors.Is(err, os.ErrPermission)
		tried = append(tried, p.path+" ("+why(err)+")")
	}
	fix := all[0].fix()
	if forbidden {
		fix = joinGroup
	}
	if len(all) == 1 {
		return all[0], failure.Errorf(fix, "no container engine at %s, named by %s", tried[0], all[0].source)
	}
	return place{}, failure.Errorf(fix, "no container engine: tried %s", strings.Join(tried, ", "))
}

const noAnswer = "does not answer"

// why returns what an error of a connection means.
func why(err error) string {
	switch {
	case errors.Is(err, os.ErrNotExist):
		return "does not exist"
	case errors.Is(err, os.ErrPermission):
		return "this user may not connect"
	case neterror.Refused(err):
		return "nothing listens"
	case neterror.Broken(err):
		return "has closed the connection"
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return noAnswer
	}
	return failure.Text(err)
}
