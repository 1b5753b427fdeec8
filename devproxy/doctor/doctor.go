// Package doctor looks for what keeps a project or the machine from working with
// devproxy, and says what to do about each fault. It changes nothing.
//
// Each check is an entry of the table of checks: a function with a name. Checks run at
// once, at most as many as this machine has processors. Everything is bounded: Timeout
// for all checks, clientTimeout for each program that is run, dialTimeout for each
// connection. A check that has not ended by then is reported as not checked.
//
// Programs of the machine are run with fixed arguments, without a shell, outside of the
// project's folder, and never if they are in it: nothing of a cloned repository runs.
// Nothing leaves the machine but what the resolver of a client asks. Values of the
// environment are never part of a text.
package doctor

import (
	"context"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/devproxy/devproxy/devproxy/listen"
	"github.com/devproxy/devproxy/devproxy/plan"
	"github.com/devproxy/devproxy/devproxy/programs"
	"github.com/devproxy/devproxy/localca"
	"github.com/devproxy/devproxy/localca/trust"
)

// Timeout bounds all checks together.
const Timeout = 30 * time.Second

// State is the result of a check.
type State string

// The states of a finding.
const (
	Fine    State = "fine"
	Warning State = "warning" // works, but not as well as it could
	Fault   State = "fault"   // something does not work
	Unknown State = "unknown" // could not be checked
)

// Finding is a result of a check. Its JSON is stable.
type Finding struct {
	Group  string `json:"group"` // "ports", "names", "trust", "project", "machine"; of a share "name", "relay", "app"
	Check  string `json:"check"` // what was checked: "443", "Node"
	State  State  `json:"state"`
	Detail string `json:"detail"`
	// Fix is the command that helps, or the edit; empty if there is none.
	Fix string `json:"fix,omitempty"`
}

// Subject is what the checks look at. Close releases what they have opened.
type Subject struct {
	// Getenv is os.Getenv, except in tests.
	Getenv func(string) string
	// Home is the folder of the CA; empty if HomeErr says why there is none.
	Home    string
	HomeErr error
	// Runtime is the user's runtime directory; empty if RuntimeErr says why there is
	// none.
	Runtime    string
	RuntimeErr error
	// Stores are the trust stores of Machine, for the CA in Home.
	Stores []trust.Store
	// Domains are the stores for the roots of other domains, by domain: of those that
	// the project's names are in.
	Domains map[string][]trust.Store
	// Hosts is the path of the hosts file, and User the id in the marks of the user's
	// lines there.
	Hosts, User string
	// Built is the time of the sources of this program; zero if it is not known.
	Built time.Time
	// SudoUser is the user that runs devproxy through sudo; empty for none.
	SudoUser string
	// Project is the project of the folder; nil without a Proxyfile.
	Project *Project
	// Avoid are other folders in which nothing is run, without links: that of the
	// repository, also without a Proxyfile.
	Avoid []string

	caOnce     sync.Once
	ca         *localca.CA
	caErr      error
	serverOnce sync.Once
	server     *server // nil if it could not be opened
	runsOnce   sync.Once
	found      running
	clients    sync.Map // *client to func() answer
	listOnce   sync.Once
	listening  []listen.Process
}

// Project is a Proxyfile.
type Project struct {
	// File is the path of the Proxyfile as people know it, Folder its folder, and Root
	// that of the project, both without links.
	File, Folder, Root string
	// Err says why the Proxyfile cannot be read; nil if it can.
	Err error
	// Mistakes counts the errors in it. With one, Plan is nil.
	Mistakes int
	// Plan is its plan.
	Plan *plan.Plan
	// HTTPS and HTTP are the addresses that it listens on; empty for the default
	// ports.
	HTTPS, HTTP string
}

// plan returns the project's plan; nil without one.
func (s *Subject) plan() *plan.Plan {
	if s.Project == nil {
		return nil
	}
	return s.Project.Plan
}

// CA returns the CA of the user, and makes none.
func (s *Subject) CA() (*localca.CA, error) {
	s.caOnce.Do(func() {
		if s.caErr = s.HomeErr; s.caErr == nil {
			s.ca, s.caErr = localca.Load(s.Home)
		}
	})
	return s.ca, s.caErr
}

// Close releases what the checks have opened.
func (s *Subject) Close() {
	s.serverOnce.Do(func() {})
	if s.server != nil {
		s.server.close()
	}
}

// check is an entry of the table of checks.
type check struct {
	group string
	name  string
	run   func(context.Context, *Subject) []Finding
}

// checks returns the table of checks, in the order in which a person reads the results.
// One that has nothing to say about this project and machine returns no finding.
func checks() []check {
	table := []check{
		{"ports", "443", checkHTTPS},
		{"ports", "80", checkHTTP},
		{"ports", "instances", checkInstances},
	}
	for _, c := range clients() {
		table = append(table, check{"names", c.name, func(ctx context.Context, s *Subject) []Finding { return s.checkNames(ctx, c) }})
	}
	return append(table,
		check{"names", "hosts file", checkHosts},
		check{"trust", "CA", checkCA},
		check{"trust", "stores", checkStores},
		check{"trust", "clients", checkTrustOfClients},
		check{"project", "Proxyfile", checkProxyfile},
		check{"project", "upstreams", checkUpstreams},
		check{"project", "containers", checkContainers},
		check{"project", "hot reload", checkHotReload},
		check{"project", "versions", checkVersions},
		check{"machine", "clock", checkClock},
		check{"machine", "proxy", checkProxy},
		check{"machine", "other tools", checkOtherTools},
		check{"machine", "leftovers", checkLeftovers},
		check{"machine", "user", checkUser},
		check{"machine", "system", checkSystem},
	)
}

// Run runs all checks and calls report with the findings of each, in the order of the
// table. It returns when all have ended, at most Timeout after it was called.
func Run(ctx context.Context, s *Subject, report func(Finding)) {
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	table := checks()
	slots := make(chan struct{}, runtime.GOMAXPROCS(0))
	results := make([]chan []Finding, len(table))
	for i := range table {
		results[i] = make(chan []Finding, 1)
	}
	go func() { // in order: later checks use the results of earlier ones
		for i, c := range table {
			slots <- struct{}{}
			go func() { // ends with ctx, as everything does that a check waits for
				defer func() { <-slots }()
				results[i] <- c.run(ctx, s)
			}()
		}
	}()
	for i, c := range table {
		for _, f := range <-results[i] {
			f.Group = c.group
			if f.Check == "" {
				f.Check = c.name
			}
			if p := s.plan(); p != nil {
				f.Check, f.Detail, f.Fix = p.Mask().Text(f.Check), p.Mask().Text(f.Detail), p.Mask().Text(f.Fix)
			}
			report(f)
		}
	}
}

func fine(detail string) Finding         { return Finding{State: Fine, Detail: detail} }
func warning(detail, fix string) Finding { return Finding{State: Warning, Detail: detail, Fix: fix} }
func fault(detail, fix string) Finding   { return Finding{State: Fault, Detail: detail, Fix: fix} }
func unknown(detail, fix string) Finding { return Finding{State: Unknown, Detail: detail, Fix: fix} }

// about sets what was checked.
func (f Finding) about(what string) Finding {
	f.Check = what
	return f
}

// inside reports whether path, links followed, is in the project's folder.
func (s *Subject) inside(path string) bool {
	return s.Project != nil && within(s.Project.Root, path)
}

// asRoot returns a command as this user types it.
func (s *Subject) asRoot(argv ...string) string {
	if os.Geteuid() == 0 {
		return programs.Line(argv)
	}
	return s.programs().RootLine(argv...)
}

// some joins the first few words, with the number of the others.
func some(words []string) string {
	const most = 3
	if more := len(words) - most; more > 1 {
		return strings.Join(words[:most], ", ") + " and " + count(more, "other")
	}
	return list(words)
}

// list is "curl", "curl and Node" or "curl, Node and Python".
func list(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " and " + words[last]
}

// names returns the names that the project's hosts have, without wildcards; at most
// maxNames.
func (s *Subject) names() (plain, wild []string) {
	if s.plan() == nil {
		return nil, nil
	}
	for _, h := range s.plan().Hosts() {
		for name := range h.Names() {
			if rest, is := strings.CutPrefix(name, "*"); is {
				wild = append(wild, rest)
			} else if !slices.Contains(plain, name) && len(plain) < maxNames {
				plain = append(plain, name)
			}
		}
	}
	return plain, wild
}

// maxNames bounds how many names of a project each client is asked for.
const maxNames = 50
