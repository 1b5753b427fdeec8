package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/devproxy/devproxy/hcl"
)

const (
	// inContainer is the folder of a container that the certificates are mounted in.
	inContainer = "/etc/devproxy"
	// hostGateway is what engines replace by the address of the machine in extra_hosts.
	hostGateway = "host-gateway"
)

// containerEnv is how a container trusts the CA and reaches the project's names. Its JSON
// is stable.
type containerEnv struct {
	Mounts      []containerMount  `json:"mounts"`
	Environment map[string]string `json:"environment"`
	// NetworkMode is "host" where the container must share this machine's loopback.
	NetworkMode string `json:"network_mode,omitempty"`
	// ExtraHosts are "NAME:ADDRESS", for each name of the project.
	ExtraHosts []string `json:"extra_hosts"`
	Notes      []string `json:"notes"`
}

// containerMount is a file of this machine in a container.
type containerMount struct {
	Source   string `json:"source"`
	Target   string `json:"target"`
	ReadOnly bool   `json:"read_only"`
}

// newContainerEnv makes the files that are mounted: certificates, and never a key.
func newContainerEnv(names []string, goos string) (*containerEnv, error) {
	b, err := newBundler()
	if err != nil {
		return nil, err
	}
	roots, err := b.ownRoots()
	if err != nil {
		return nil, err
	}
	// The container has none of the files that variables of this shell name.
	bundle, err := b.bundle("")
	if err != nil {
		return nil, err
	}
	e := &containerEnv{Environment: map[string]string{}, ExtraHosts: []string{}}
	mount := func(source, name string) string {
		e.Mounts = append(e.Mounts, containerMount{filepath.ToSlash(source), inContainer + "/" + name, true})
		return inContainer + "/" + name
	}
	e.Environment[nodeVariable] = mount(roots, "root.pem")
	all := mount(bundle, "bundle.pem")
	for _, name := range bundleVariables() {
		e.Environment[name] = all
	}
	e.Notes = []string{"The files are certificates, and the mounts are read-only: what signs them stays outside. Java reads no variable: import root.pem with keytool."}
	if len(names) == 0 {
		return e, nil
	}
	address := hostGateway
	if goos == "linux" {
		address, e.NetworkMode = loopbackHost, "host"
		e.Notes = append(e.Notes,
			"devproxy listens on this machine's loopback only. On Linux, a container reaches that in the network of the host alone: with Docker and Podman, "+hostGateway+" is the address of a bridge, where nothing listens.",
			"With Docker Desktop, leave out network_mode, and write "+hostGateway+" instead of "+loopbackHost+". Rootless Podman can do the same for one container: podman run --network slirp4netns:allow_host_loopback=true --add-host NAME:10.0.2.2")
	} else {
		e.Notes = append(e.Notes, "Docker Desktop sends "+hostGateway+" to this machine's loopback, where devproxy listens. This was not tried on this system.",
			"curl takes every name below .localhost for the container itself: use curl --resolve there, or a domain of devproxy trust --domain.")
	}
	for _, name := range names {
		e.ExtraHosts = append(e.ExtraHosts, name+":"+address)
	}
	return e, nil
}

// printContainerEnv prints what a container needs, as lines of a compose file.
func printContainerEnv(ctx context.Context, s *streams, file fileFlags, asJSON bool) error {
	names, wild, err := hostNames(ctx, s, file)
	if err != nil {
		return err
	}
	e, err := newContainerEnv(names, runtime.GOOS)
	if err != nil {
		return err
	}
	if wild {
		e.Notes = append(e.Notes, "extra_hosts has no wildcards: add each name of a wildcard host that the container requests.")
	}
	if asJSON {
		return s.json(e)
	}
	fmt.Fprint(s.Out, e.compose())
	return nil
}

// hostNames returns the names of the project's hosts, and whether there are wildcards too.
// Without a Proxyfile there are none.
func hostNames(ctx context.Context, s *streams, file fileFlags) (names []string, wild bool, err error) {
	_, _, err = file.find()
	if _, missing := errors.AsType[*hcl.NotFoundError](err); missing && file.File == "" {
		return nil, false, nil
	}
	p, _, err := loadServed(ctx, s, file)
	if err != nil {
		return nil, false, err
	}
	for _, host := range p.Hosts() {
		for name := range host.Names() {
			if strings.HasPrefix(name, "*") {
				wild = true
			} else if !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	return names, wild, nil
}

// compose returns e as a part of a compose file.
func (e *containerEnv) compose() string {
	var out strings.Builder
	for _, note := range e.Notes {
		for _, line := range wrapped("# ", 0, note, composeWidth) {
			fmt.Fprintln(&out, "# "+strings.TrimPrefix(line, "# "))
		}
	}
	fmt.Fprintln(&out, "services:\n  NAME:")
	if e.NetworkMode != "" {
		fmt.Fprintln(&out, "    network_mode: "+e.NetworkMode)
	}
	if len(e.ExtraHosts) > 0 {
		fmt.Fprintln(&out, "    extra_hosts:")
		for _, host := range e.ExtraHosts {
			fmt.Fprintln(&out, "      - "+quoteCompose(host))
		}
	}
	fmt.Fprintln(&out, "    environment:")
	for _, name := range append([]string{nodeVariable}, bundleVariables()...) {
		fmt.Fprintf(&out, "      %s: %s\n", name, e.Environment[name])
	}
	fmt.Fprintln(&out, "    volumes:")
	for _, m := range e.Mounts {
		fmt.Fprintf(&out, "      - type: bind\n        source: %s\n        target: %s\n        read_only: true\n", quoteCompose(m.Source), m.Target)
	}
	return out.String()
}

// composeWidth is how many columns the comments of a compose file have.
const composeWidth = 80

// quoteCompose quotes a text as a double-quoted scalar of YAML, in which compose replaces
// no variable.
func quoteCompose(text string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "$", "$$", "\n", `\n`, "\t", `\t`).Replace(text) + `"`
}
