package trust

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
)

// nss is a kind of browser that keeps its roots in NSS databases. They are
// written with certutil, NSS's own tool: smallstep/truststore knows only some
// of the places (not Chromium's since version 146, nor Firefox's XDG, snap and
// flatpak ones).
type nss struct {
	machine Machine
	root    Root
	name    string
	find    func(Machine) databases
}

// databases are the NSS databases of a browser: folders with a cert9.db.
type databases struct {
	existing []string
	// create is a folder to make a database in; empty when every one that the
	// browser reads is there, or it makes its own.
	create string
	// noun is what one of them is to the user: "profile"; empty shows paths.
	noun string
	// after is what must be done for a change to show.
	after string
	// elsewhere says where the browser keeps its roots when it has no NSS
	// databases on this kind of machine; empty when it has.
	elsewhere string
}

// all are the existing ones and the one to make.
func (d databases) all() []string {
	if d.create == "" {
		return d.existing
	}
	return append(slices.Clone(d.existing), d.create)
}

func (s *nss) Name() string { return s.name }

// certutil is the program, or the result that says where to get it.
func (s *nss) certutil() (string, *Result) {
	path, err := s.machine.Find("certutil")
	if err == nil {
		return path, nil
	}
	return "", &Result{Store: s.name, State: Skipped, Detail: "certutil is not installed",
		Fix: "sudo apt install libnss3-tools (Debian, Ubuntu), sudo dnf install nss-tools (Fedora), sudo pacman -S nss (Arch), brew install nss (macOS)"}
}

func (s *nss) Check(ctx context.Context) Result {
	dbs := s.find(s.machine)
	certutil, stop := s.begin(dbs)
	if stop != nil {
		return *stop
	}
	return s.each(dbs, func(db string) (bool, error) { return false, s.verify(ctx, certutil, db) }, Untrusted)
}

func (s *nss) Install(ctx context.Context) Result {
	dbs := s.find(s.machine)
	certutil, stop := s.begin(dbs)
	if stop != nil {
		return *stop
	}
	return s.each(dbs, func(db string) (bool, error) { return s.add(ctx, certutil, db) }, Failed)
}

func (s *nss) Uninstall(ctx context.Context) Result {
	dbs := s.find(s.machine)
	dbs.create = "" // what is not there holds nothing
	certutil, stop := s.begin(dbs)
	if stop != nil {
		return *stop
	}
	result := s.each(dbs, func(db string) (bool, error) { return s.remove(ctx, certutil, db) }, Failed)
	if result.State == Trusted { // each did what was wanted
		result.State = Untrusted
	}
	return result
}

// begin is certutil, or the result where there is nothing to do or to do it with.
func (s *nss) begin(dbs databases) (certutil string, stop *Result) {
	if dbs.elsewhere != "" {
		return "", &Result{Store: s.name, State: Skipped, Detail: dbs.elsewhere}
	}
	if len(dbs.all()) == 0 {
		noun := cmp.Or(dbs.noun, "database")
		return "", &Result{Store: s.name, State: Skipped, Detail: "no " + s.name + " " + noun + " here"}
	}
	return s.certutil()
}

// each does one thing to every database and says whether that changed any. One
// that fails never stops the others; the result is then bad.
func (s *nss) each(dbs databases, do func(db string) (changed bool, err error), bad State) Result {
	result := Result{Store: s.name, State: Trusted, Places: dbs.all()}
	var failures []string
	for _, db := range dbs.all() {
		changed, err := do(db)
		if err != nil {
			failures = append(failures, s.machine.shorten(db)+": "+err.Error())
		}
		result.Changed = result.Changed || changed
	}
	if failures == nil {
		result.Detail = s.describe(dbs)
		if result.Changed && dbs.after != "" {
			result.Detail += "; " + dbs.after
		}
		return result
	}
	result.State = bad
	result.Detail = strings.Join(failures, "; ")
	if bad == Untrusted {
		result.Fix = "devproxy trust --store " + s.name
	}
	return result
}

func (s *nss) describe(dbs databases) string {
	all := dbs.all()
	text := fmt.Sprintf("%d %ss", len(all), dbs.noun)
	switch {
	case dbs.noun == "":
		short := make([]string, len(all))
		for i, db := range all {
			short[i] = s.machine.shorten(db)
		}
		text = strings.Join(short, ", ")
	case len(all) == 1:
		text = "1 " + dbs.noun
	}
	return text
}
