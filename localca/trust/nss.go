package trust

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
)

// nss is the store of a browser that keeps its roots in NSS databases. They are
// written with certutil, NSS's own tool: smallstep/truststore knows only some of the
// places (not Chromium's since version 146, nor Firefox's XDG, snap and flatpak ones).
type nss struct {
	machine Machine
	root    Root
	name    string
	find    func(Machine) databases
}

// databases are the NSS databases of a browser: folders with a cert9.db.
type databases struct {
	existing []string
	// create is a folder to make a database in; empty when every one that the browser
	// reads exists, or the browser makes its own.
	create string
	// noun is the user's word for one of them: "profile"; empty shows paths.
	noun string
	// after is the step that makes a change take effect.
	after string
	// elsewhere says where the browser keeps its roots if it has no NSS databases on
	// this kind of machine; empty when it has.
	elsewhere string
}

// all are the existing ones and the one to make.
func (d databases) all() []string {
	if d.create == "" {
		return d.existing
	}
	return append(slices.Clone(d.existing), d.create)
}

func (s *nss) check(ctx context.Context) Result {
	return s.each(s.find(s.machine), Untrusted, func(db database) (bool, error) { return false, db.verify(ctx) })
}

func (s *nss) add(ctx context.Context) *Result {
	result := s.each(s.find(s.machine), Failed, func(db database) (bool, error) { return db.add(ctx) })
	return &result
}

func (s *nss) remove(ctx context.Context) Result {
	dbs := s.find(s.machine)
	dbs.create = "" // a missing one has no root
	result := s.each(dbs, Failed, func(db database) (bool, error) { return db.remove(ctx) })
	if result.State == Trusted { // every call succeeded
		result.State = Untrusted
	}
	return result
}

// each calls do for every database. do reports whether it changed the database.
// A failure does not stop the others; the result is then bad.
func (s *nss) each(dbs databases, bad State, do func(database) (changed bool, err error)) Result {
	all := dbs.all()
	if dbs.elsewhere != "" {
		return *skipped(dbs.elsewhere)
	}
	if len(all) == 0 {
		return *skipped("no " + s.name + " " + cmp.Or(dbs.noun, "database") + " here")
	}
	certutil, err := s.machine.Find("certutil")
	if err != nil {
		return Result{State: Skipped, Detail: "certutil is not installed",
			Fix: "sudo apt install libnss3-tools (Debian, Ubuntu), sudo dnf install nss-tools (Fedora), sudo pacman -S nss (Arch), brew install nss (macOS)"}
	}
	result := Result{State: Trusted, Places: all, Detail: s.describe(all, dbs.noun)}
	var failures []string
	for _, dir := range all {
		changed, err := do(database{s, certutil, dir})
		if err != nil {
			failures = append(failures, s.machine.shorten(dir)+": "+err.Error())
		}
		result.Changed = result.Changed || changed
	}
	switch {
	case failures != nil:
		result.State, result.Detail = bad, strings.Join(failures, "; ")
	case result.Changed && dbs.after != "":
		result.Detail += "; " + dbs.after
	}
	return result
}

// describe is "2 profiles", or the paths.
func (s *nss) describe(all []string, noun string) string {
	switch {
	case noun != "" && len(all) == 1:
		return "1 " + noun
	case noun != "":
		return fmt.Sprintf("%d %ss", len(all), noun)
	}
	short := make([]string, len(all))
	for i, dir := range all {
		short[i] = s.machine.shorten(dir)
	}
	return strings.Join(short, ", ")
}
