package trust

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
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
	return s.each(dbs, func(db string) error { return s.verify(ctx, certutil, db) }, Untrusted)
}

func (s *nss) Install(ctx context.Context) Result {
	dbs := s.find(s.machine)
	certutil, stop := s.begin(dbs)
	if stop != nil {
		return *stop
	}
	return s.each(dbs, func(db string) error { return s.add(ctx, certutil, db) }, Failed)
}

func (s *nss) Uninstall(ctx context.Context) Result {
	dbs := s.find(s.machine)
	dbs.create = "" // what is not there holds nothing
	certutil, stop := s.begin(dbs)
	if stop != nil {
		return *stop
	}
	result := s.each(dbs, func(db string) error { return s.remove(ctx, certutil, db) }, Failed)
	if result.State == Trusted { // each did what was wanted
		result.State = Untrusted
	}
	return result
}

// begin is certutil, or the result where there is nothing to do or to do it with.
func (s *nss) begin(dbs databases) (certutil string, stop *Result) {
	if len(dbs.all()) == 0 {
		noun := cmp.Or(dbs.noun, "database")
		return "", &Result{Store: s.name, State: Skipped, Detail: "no " + s.name + " " + noun + " here"}
	}
	return s.certutil()
}

// each does one thing to every database. One that fails never stops the
// others; the result is then bad.
func (s *nss) each(dbs databases, do func(db string) error, bad State) Result {
	result := Result{Store: s.name, State: Trusted, Places: dbs.all()}
	var failures []string
	for _, db := range dbs.all() {
		if err := do(db); err != nil {
			failures = append(failures, s.machine.shorten(db)+": "+err.Error())
		}
	}
	if failures == nil {
		result.Detail = s.describe(dbs)
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
	if dbs.after != "" {
		text += "; " + dbs.after
	}
	return text
}

// verify asks NSS itself whether it would accept the root as the issuer of a
// server's certificate ("L": a CA for SSL).
func (s *nss) verify(ctx context.Context, certutil, db string) error {
	if !hasDatabase(db) {
		return errors.New("there is no database yet")
	}
	if !s.holds(ctx, certutil, db) {
		return errors.New("the root is not there")
	}
	if output, err := s.run(ctx, certutil, "-V", db, "-n", s.root.nick(), "-u", "L"); err != nil {
		return fmt.Errorf("the root is there but not trusted: %w", s.complaint(output))
	}
	return nil
}

// holds reports whether the root is in the database, trusted or not.
func (s *nss) holds(ctx context.Context, certutil, db string) bool {
	der, err := s.run(ctx, certutil, "-L", db, "-n", s.root.nick(), "-r")
	return err == nil && bytes.Equal(der, s.root.Cert.Raw)
}

func (s *nss) add(ctx context.Context, certutil, db string) error {
	if !hasDatabase(db) {
		if err := s.makeDatabase(ctx, certutil, db); err != nil {
			return err
		}
	}
	if s.verify(ctx, certutil, db) == nil {
		return nil
	}
	held := s.holds(ctx, certutil, db)
	output, err := s.run(ctx, certutil, "-A", db, "-t", "C,,", "-n", s.root.nick(), "-i", s.root.File)
	if err == nil {
		return s.verify(ctx, certutil, db)
	}
	if !held {
		// certutil stores the certificate first and its trust second: where the
		// second failed, the first would be left, distrusted.
		_, _ = s.run(ctx, certutil, "-D", db, "-n", s.root.nick())
	}
	return s.complaint(output)
}

// run runs certutil on a database. -f with an empty file answers a database
// that has a password with a wrong one; without it certutil opens the terminal
// to ask, whatever its standard input is.
func (s *nss) run(ctx context.Context, certutil, action, db string, args ...string) ([]byte, error) {
	argv := append([]string{certutil, action, "-d", "sql:" + db, "-f", os.DevNull}, args...)
	return s.machine.Run(ctx, argv...)
}

// complaint is why certutil failed, from what it printed.
func (s *nss) complaint(output []byte) error {
	if bytes.Contains(output, []byte("SEC_ERROR_BAD_PASSWORD")) {
		return fmt.Errorf("it has a primary password; import %s in the browser's own settings", s.root.File)
	}
	_, reason, found := strings.Cut(string(output), "certutil: ")
	if !found {
		reason = string(output)
	}
	return fmt.Errorf("certutil: %s", firstLine([]byte(reason)))
}

// remove deletes every root of devproxy's, of this key and of older ones.
func (s *nss) remove(ctx context.Context, certutil, db string) error {
	output, err := s.run(ctx, certutil, "-L", db)
	if err != nil {
		return s.complaint(output)
	}
	for line := range strings.Lines(string(output)) {
		nick, ok := nickOf(line)
		if !ok {
			continue
		}
		if output, err := s.run(ctx, certutil, "-D", db, "-n", nick); err != nil {
			return s.complaint(output)
		}
	}
	return nil
}

// nickOf is the nickname in a line of `certutil -L`, when it is one of ours.
// The trust flags stand behind it.
func nickOf(line string) (string, bool) {
	rest, ours := strings.CutPrefix(line, nickPrefix)
	id, _, flagged := strings.Cut(rest, " ")
	if !ours || !flagged || id == "" {
		return "", false
	}
	return nickPrefix + id, true
}

func (s *nss) makeDatabase(ctx context.Context, certutil, db string) error {
	if err := os.MkdirAll(db, 0o700); err != nil {
		return fmt.Errorf("cannot make the database: %w", err)
	}
	output, err := s.machine.Run(ctx, certutil, "-N", "-d", "sql:"+db, "--empty-password")
	if err != nil {
		return fmt.Errorf("cannot make the database: %w", s.complaint(output))
	}
	return nil
}

// hasDatabase reports whether a folder is an NSS database.
func hasDatabase(dir string) bool { return exists(filepath.Join(dir, "cert9.db")) }

// chromiumDatabases: Chromium reads ~/.pki/nssdb alone when that folder exists,
// else $XDG_DATA_HOME/pki/nssdb (since version 146). So a root is put into each
// that exists. The first folder is never made, since that would hide the second
// from Chromium; in one that is there but empty the database is made, since
// Chromium has settled on it.
func chromiumDatabases(m Machine) databases {
	data := m.Getenv("XDG_DATA_HOME")
	if !filepath.IsAbs(data) {
		data = filepath.Join(m.Home, ".local", "share")
	}
	legacy := filepath.Join(m.Home, ".pki", "nssdb")
	modern := filepath.Join(data, "pki", "nssdb")
	dbs := databases{}
	for _, dir := range append([]string{legacy, modern}, packagedChromium(m)...) {
		if hasDatabase(dir) && !slices.Contains(dbs.existing, dir) {
			dbs.existing = append(dbs.existing, dir)
		}
	}
	switch {
	case exists(legacy) && !hasDatabase(legacy):
		dbs.create = legacy
	case !exists(legacy) && !hasDatabase(modern):
		dbs.create = modern
	}
	return dbs
}

// packagedChromium are the databases inside snap's and flatpak's homes. Those
// that are not there are left to the browser, whose first start makes them.
func packagedChromium(m Machine) []string {
	snap := filepath.Join(m.Home, "snap", "chromium", "current")
	dirs := []string{
		filepath.Join(snap, ".pki", "nssdb"),
		filepath.Join(snap, ".local", "share", "pki", "nssdb"),
	}
	for _, app := range []string{"org.chromium.Chromium", "com.google.Chrome"} {
		flatpak := filepath.Join(m.Home, ".var", "app", app)
		dirs = append(dirs, filepath.Join(flatpak, ".pki", "nssdb"), filepath.Join(flatpak, "data", "pki", "nssdb"))
	}
	return dirs
}
