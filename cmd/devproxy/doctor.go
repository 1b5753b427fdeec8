package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/devproxy/devproxy/devproxy"
	"github.com/devproxy/devproxy/devproxy/doctor"
	"github.com/devproxy/devproxy/devproxy/hostsfile"
	"github.com/devproxy/devproxy/devproxy/plan"
	"github.com/devproxy/devproxy/devproxy/runtimedir"
	"github.com/devproxy/devproxy/hcl"
	"github.com/devproxy/devproxy/localca"
	"github.com/devproxy/devproxy/localca/trust"
)

func newDoctorCmd(s *streams) *cobra.Command {
	var asJSON bool
	var file fileFlags
	cmd := &cobra.Command{
		Use:        "doctor",
		Short:      "find what does not work here, and the command that fixes it",
		SuggestFor: []string{"diagnose", "diagnostics", "health", "troubleshoot"},
		Long: fmt.Sprintf(`Checks the ports, the names, the trust stores, the project's upstreams and this machine's settings, and prints a line for
each: fine, or what is wrong with the command that fixes it. It changes nothing.

The browser, curl, Node, Python, Go and Java are tested if they are installed: each is started once and looks up the
project's names. Only what concerns this project and this machine is shown. Without a Proxyfile, only the
machine is checked. It takes %d seconds at most.

Exits 1 if something is wrong; warnings alone exit 0.
--json prints one object per check: {"group","check","state","detail","fix"}.`, int(doctor.Timeout.Seconds())),
		Example: "  devproxy doctor\n  devproxy doctor --json",
		Args:    noArgs,
		RunE: interruptible(func(ctx context.Context, _ []string) error {
			return runDoctor(ctx, s, file, asJSON)
		}),
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object per check")
	addFileFlags(cmd, &file)
	return cmd
}

func runDoctor(ctx context.Context, s *streams, file fileFlags, asJSON bool) error {
	subject := doctorSubject(file)
	defer subject.Close()
	d := &diagnosis{streams: s, asJSON: asJSON}
	doctor.Run(ctx, subject, d.add)
	if err := ctx.Err(); err != nil {
		return exit(exitFailed)
	}
	if !asJSON {
		d.summary(subject.Project == nil)
	}
	if d.counts[doctor.Fault] > 0 {
		return exit(exitFailed)
	}
	return nil
}

// doctorSubject returns what doctor looks at. What cannot be read is a result of its checks.
func doctorSubject(file fileFlags) *doctor.Subject {
	subject := &doctor.Subject{
		Getenv: os.Getenv, Hosts: hostsfile.Path(), SudoUser: sudoUser(), Project: doctorProject(file), Avoid: programPath(file.Dir).Projects(),
	}
	subject.User, _ = userID()                                    // empty: it has no lines
	subject.Built, _ = time.Parse(time.RFC3339, thisBuild().Time) // zero for none
	subject.Home, subject.HomeErr = localca.Home(os.Getenv)
	subject.Runtime, subject.RuntimeErr = runtimedir.Path(os.Getenv)
	if ca, err := subject.CA(); err == nil {
		subject.Stores = pickStores(subject.Machine(), ca, "", nil)
	}
	if subject.HomeErr == nil {
		subject.Domains = domainStores(subject)
	}
	return subject
}

// domainStores returns the stores for the CAs of other domains that the project's hosts
// are in.
func domainStores(subject *doctor.Subject) map[string][]trust.Store {
	stores := map[string][]trust.Store{}
	p := subject.Project
	if p == nil || p.Plan == nil {
		return stores
	}
	for _, domain := range trustedDomains() {
		ca, err := localca.LoadDomain(subject.Home, domain)
		if err != nil {
			continue
		}
		within := func(h *plan.Host) bool {
			for name := range h.Names() {
				if ca.Permits(name) {
					return true
				}
			}
			return false
		}
		if slices.ContainsFunc(p.Plan.Hosts(), within) {
			stores[domain] = pickStores(subject.Machine(), ca, domain, nil)
		}
	}
	return stores
}

// doctorProject returns the project of the folder; nil without a Proxyfile.
func doctorProject(file fileFlags) *doctor.Project {
	loaded, known, err := loadProject(file)
	if _, missing := errors.AsType[*hcl.NotFoundError](err); missing && file.File == "" {
		return nil
	}
	p := &doctor.Project{Err: err}
	if path, _, err := file.find(); err == nil {
		p.File, p.Folder = filepath.Base(path), realPath(filepath.Dir(path))
	}
	p.Root = p.Folder
	if known != nil {
		p.Root = realPath(cmp.Or(known.project.Root, p.Folder))
	}
	if err != nil {
		return p
	}
	for _, d := range loaded.Diagnostics {
		if d.Severity == hcl.Error {
			p.Mistakes++
		}
	}
	p.HTTPS, p.HTTP = loaded.File.Listen.HTTPS, loaded.File.Listen.HTTP
	if p.Mistakes == 0 {
		p.Plan = loaded.Plan
	}
	return p
}

// realPath is path without links, as far as it can be resolved.
func realPath(path string) string {
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return path
	}
	return real
}

// diagnosis prints the results of doctor as they come.
type diagnosis struct {
	*streams
	asJSON bool
	group  string // of the last line
	fix    string // of the last line
	counts map[doctor.State]int
}

// The columns of the results.
const (
	groupWidth = len("machine") + len("  ")
	checkWidth = len("hot reload") + len("  ")
	stateWidth = len("unchecked") + len("  ")
)

func (d *diagnosis) add(f doctor.Finding) {
	if d.counts == nil {
		d.counts = map[doctor.State]int{}
	}
	d.counts[f.State]++
	if d.asJSON {
		f.Fix = typed(f.Fix)
		_ = d.json(f) // print errors are ignored
		return
	}
	group := f.Group
	if group == d.group {
		group = ""
	}
	indent := groupWidth + checkWidth + stateWidth
	start := d.bold(pad(group, groupWidth)) + pad(printable(f.Check), checkWidth-1) + " " + d.stateText(f.State)
	fix := printable(typed(f.Fix))
	d.result(start, indent, shortenHome(printable(f.Detail)), when(fix != d.fix, fix))
	d.group, d.fix = f.Group, fix
}

func (d *diagnosis) stateText(state doctor.State) string {
	switch state {
	case doctor.Fine:
		return d.green(pad("fine", stateWidth))
	case doctor.Fault:
		return d.red(pad("fault", stateWidth))
	case doctor.Warning:
		return d.yellow(pad("warning", stateWidth))
	}
	return d.dim(pad("unchecked", stateWidth))
}

// summary counts the faults, the warnings and what was not checked.
func (d *diagnosis) summary(machineOnly bool) {
	var parts []string
	if n := d.counts[doctor.Fault]; n > 0 {
		parts = append(parts, count(n, "fault"))
	}
	if n := d.counts[doctor.Warning]; n > 0 {
		parts = append(parts, count(n, "warning"))
	}
	if n := d.counts[doctor.Unknown]; n > 0 {
		parts = append(parts, fmt.Sprintf("%d not checked", n))
	}
	text := cmp.Or(strings.Join(parts, ", "), "everything is fine")
	fmt.Fprintln(d.Out, capital(text)+".")
	if machineOnly {
		d.note("No Proxyfile was found here: only the machine was checked.")
	}
}

// shortenHome writes the home directory in a text as "~".
func shortenHome(text string) string {
	home, err := os.UserHomeDir()
	if err != nil || len(home) < 2 {
		return text
	}
	return strings.ReplaceAll(text, home+string(filepath.Separator), devproxy.Home(home)+string(filepath.Separator))
}
