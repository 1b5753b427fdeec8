package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/devproxy/devproxy/devproxy"
	"github.com/devproxy/devproxy/devproxy/hostsfile"
	"github.com/devproxy/devproxy/hcl"
)

const (
	// resolveTimeout bounds a question to the system's resolver, which may ask a
	// server.
	resolveTimeout = 5 * time.Second
	// maxQuestions is how many questions are asked at once.
	maxQuestions = 8
	// unusedName is a name that no project serves. A resolver that finds it answers all of
	// *.localhost.
	unusedName = "devproxy-names-check.localhost"
)

// What the system's resolver says of a name.
const (
	resolvesHere      = "loopback"
	resolvesNot       = "nothing"
	resolvesElsewhere = "elsewhere" // at least one address is not this machine's
	resolvesUnknown   = "unknown"   // the resolver can't be asked
)

// nameJSON is a name that a project serves, or that of the machine's page, which has no
// folder.
type nameJSON struct {
	Name   string `json:"name"`
	Folder string `json:"folder"`
	File   string `json:"file"`
	Line   int    `json:"line"`
	// HostsFile says whether the name is in the user's block, and Resolves what the
	// system's resolver answers.
	HostsFile bool     `json:"hosts_file"`
	Resolves  string   `json:"resolves"`
	Addresses []string `json:"addresses,omitempty"`
	// Reason is why the name cannot be in the hosts file.
	Reason string `json:"reason,omitempty"`
}

func runNames(ctx context.Context, s *streams, opts namesOptions) error {
	served, err := servedNames(ctx)
	if err != nil {
		return err
	}
	list, everything, err := listNames(ctx, opts, served)
	if err != nil {
		return err
	}
	missing := 0
	for _, name := range list {
		if name.Resolves == resolvesNot || name.Resolves == resolvesElsewhere {
			missing++
		}
		if opts.json {
			if err := s.json(name); err != nil {
				return err
			}
		}
	}
	if !opts.json {
		printNames(s, list)
		switch {
		case len(list) == 0:
			fmt.Fprintln(s.Err, typed(noProject+"; to start one: devproxy up"))
		case everything && missing == 0:
			s.line(systemAnswers)
		case missing > 0:
			s.inlineCommand("Programs that ask the system's resolver don't find "+count(missing, "name")+":", typed("devproxy names sync"))
		}
	}
	if opts.check && missing > 0 {
		return exit(exitFailed)
	}
	return nil
}

// systemAnswers says when nothing has to be done.
const systemAnswers = "The system's resolver finds every name below .localhost, so programs that use it (Node, Python, Java) need nothing. " +
	"Programs that read only the hosts file, such as Go programs without cgo, need `devproxy names sync`."

// listNames asks the resolver for every name. everything is true if it finds each name
// below .localhost by itself.
func listNames(ctx context.Context, opts namesOptions, served []servedName) (list []nameJSON, everything bool, err error) {
	id, err := userID()
	if err != nil {
		return nil, false, err
	}
	text, err := hostsfile.Read(opts.hosts)
	if err != nil {
		return nil, false, err
	}
	written, err := hostsfile.Names(text, id)
	if err != nil {
		return nil, false, namesError(opts.hosts, err)
	}
	domains := trustedDomains()
	list = make([]nameJSON, len(served))
	var group errgroup.Group
	group.SetLimit(maxQuestions)
	for i, name := range served {
		list[i] = nameJSON{
			Name: name.name, Folder: name.folder, File: name.file, Line: name.line,
			HostsFile: slices.Contains(written, name.name), Resolves: resolvesUnknown,
		}
		if fault := hostsfile.Check(name.name, domains); fault != nil {
			list[i].Reason = fault.Error()
		}
		group.Go(func() error {
			asked := strings.Replace(name.name, "*.", "devproxy-names-check.", 1)
			list[i].Resolves, list[i].Addresses = resolve(ctx, asked)
			return nil
		})
	}
	group.Go(func() error {
		answer, _ := resolve(ctx, unusedName)
		everything = answer == resolvesHere
		return nil
	})
	return list, everything, group.Wait()
}

// resolve asks the system's resolver, as programs of this machine do.
func resolve(ctx context.Context, name string) (answer string, addresses []string) {
	ctx, cancel := context.WithTimeout(ctx, resolveTimeout)
	defer cancel()
	addresses, err := systemAddresses(ctx, name)
	switch {
	case err != nil:
		return resolvesUnknown, nil
	case len(addresses) == 0:
		return resolvesNot, nil
	case slices.ContainsFunc(addresses, func(text string) bool {
		addr, err := netip.ParseAddr(text)
		return err != nil || !addr.Unmap().IsLoopback()
	}):
		return resolvesElsewhere, addresses
	}
	return resolvesHere, addresses
}

// systemAddresses returns the addresses of a name; none if the resolver does not find it.
// On Linux getent asks the C library with its modules, which Go's own resolver does not
// have. macOS and Windows have one resolver; not tried there.
func systemAddresses(ctx context.Context, name string) ([]string, error) {
	if runtime.GOOS != "linux" {
		addresses, err := net.DefaultResolver.LookupHost(ctx, name)
		if failed, ok := errors.AsType[*net.DNSError](err); ok && failed.IsNotFound {
			return nil, nil
		}
		return addresses, err
	}
	getent, err := programPath().Find("getent")
	if err != nil {
		return nil, fmt.Errorf("cannot run getent: %w", err)
	}
	out, err := exec.CommandContext(ctx, getent, "ahosts", name).Output()
	if ended, ok := errors.AsType[*exec.ExitError](err); ok && ended.ExitCode() == 2 { // getent(1): not found
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var addresses []string
	for line := range strings.Lines(string(out)) {
		if fields := strings.Fields(line); len(fields) > 0 && !slices.Contains(addresses, fields[0]) {
			addresses = append(addresses, fields[0])
		}
	}
	return addresses, nil
}

// printNames prints a line for each name: where it is served, and who finds it.
func printNames(s *streams, list []nameJSON) {
	names := widest(each(list, func(n nameJSON) string { return n.Name }))
	for _, name := range list {
		state := map[string]string{
			resolvesHere: s.green("found"), resolvesNot: s.yellow("not found"),
			resolvesElsewhere: s.red("found at " + strings.Join(name.Addresses, ", ")), resolvesUnknown: "not asked",
		}[name.Resolves]
		state += when(name.HostsFile, ", in the hosts file")
		if strings.HasPrefix(name.Name, "*.") {
			state += ", can't be in a hosts file (wildcard)"
		}
		place := printable(devproxy.Home(name.Folder))
		if name.Name == hcl.OwnHost {
			place = typed("devproxy open")
		}
		start := pad(name.Name, names) + "   "
		s.hang(s.Out, start, shownWidth(start), state+"   "+s.dim(place))
	}
}
