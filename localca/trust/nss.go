package trust

import (
	"bytes"
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
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
			Fix: s.machine.RootLine("apt", "install", "libnss3-tools") + " (Debian, Ubuntu), " + s.machine.RootLine("dnf", "install", "nss-tools") + " (Fedora), " +
				s.machine.RootLine("pacman", "-S", "nss") + " (Arch), brew install nss (macOS)"}
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

// database is one NSS database of a browser, written with certutil.
type database struct {
	*nss
	certutil string
	dir      string
}

// hasDatabase reports whether a folder is an NSS database.
func hasDatabase(dir string) bool { return exists(filepath.Join(dir, "cert9.db")) }

// verify makes NSS itself check whether a browser with this database would
// accept the root as the issuer of a server's certificate ("L": a CA for SSL).
func (db database) verify(ctx context.Context) error {
	if !hasDatabase(db.dir) {
		return errors.New("no database yet")
	}
	nick, err := db.rootNick(ctx)
	switch {
	case err != nil:
		return err
	case nick == "":
		return errors.New("the root is not there")
	}
	if output, err := db.run(ctx, "-V", "-n", nick, "-u", "L"); err != nil {
		return fmt.Errorf("the root is there but not trusted: %w", db.complaint(output))
	}
	return db.connect(ctx)
}

// connect makes NSS's own TLS client, if it is installed, connect with this database. It
// counts only when it refuses the certificate: its options differ between versions.
func (db database) connect(ctx context.Context) error {
	client, err := db.machine.Find("tstclnt")
	if err != nil || db.machine.Handshake == nil {
		return nil // certutil's answer is enough
	}
	addr, stop, err := db.machine.Handshake(ctx)
	if err != nil {
		return nil // without loopback nothing can be served either
	}
	defer stop()
	_, port, _ := net.SplitHostPort(addr) // our own listener's
	output, err := db.machine.Run(ctx, client, "-4", "-h", "localhost", "-a", db.root.host(), "-p", port, "-d", "sql:"+db.dir, "-W", os.DevNull, "-Q")
	if _, reason, refused := strings.Cut(string(output), "authentication of server cert failed: "); err != nil && refused {
		return fmt.Errorf("NSS refuses a connection: %s", firstLine([]byte(reason)))
	}
	return nil
}

// rootNick returns the nickname of the root in the database, trusted or not: ours, or the
// one that a browser gave it when a person imported the file. It is empty when the root
// is not there.
func (db database) rootNick(ctx context.Context) (nick string, err error) {
	nicks, err := db.nicks(ctx)
	if err != nil {
		return "", err
	}
	for _, nick := range nicks {
		if db.has(ctx, nick) {
			return nick, nil
		}
	}
	return "", nil
}

// has reports whether the root has this nickname. NSS files certificates by subject: a
// root that was made again for the same key shares its nickname with the old one.
func (db database) has(ctx context.Context, nick string) bool {
	if db.root.Cert == nil {
		return false
	}
	der, err := db.run(ctx, "-L", "-n", nick, "-r")
	return err == nil && bytes.Contains(der, db.root.Cert.Raw)
}

// nicks are the nicknames in the database that one of devproxy's roots may have.
// Browsers make them from the certificate's names, which begin as our own do.
func (db database) nicks(ctx context.Context) ([]string, error) {
	output, err := db.run(ctx, "-L")
	if err != nil {
		return nil, db.complaint(output)
	}
	return listed(output, db.nickOf), nil
}

// listed are the nicknames that read finds in the lines of `certutil -L`.
func listed(output []byte, read func(line string) (string, bool)) (nicks []string) {
	for line := range strings.Lines(string(output)) {
		if nick, ok := read(line); ok {
			nicks = append(nicks, nick)
		}
	}
	return nicks
}

// nickOf is the nickname in a line of `certutil -L`, if a root of devproxy may have it.
func (s *nss) nickOf(line string) (string, bool) {
	if nick, ok := listedNick(line); ok && strings.HasPrefix(nick, s.root.nickPrefix()) {
		return nick, true
	}
	return "", false
}

// listedNick is the nickname in a line of `certutil -L`: the text before the
// trust flags.
func listedNick(line string) (string, bool) {
	line = strings.TrimRight(line, " \r\n")
	end := strings.LastIndexByte(line, ' ')
	if end < 0 || strings.Count(line[end:], ",") != 2 {
		return "", false
	}
	nick := strings.TrimRight(line[:end], " ")
	return nick, nick != "" && line[end:] != " SSL,S/MIME,JAR/XPI" // the heading
}

// given reports whether devproxy gave this nickname.
func (s *nss) given(nick string) bool {
	id, ours := strings.CutPrefix(nick, s.root.nickPrefix())
	return ours && isNickID(id)
}

// isNickID reports whether a text can be the end of a name that devproxy gave.
func isNickID(text string) bool {
	id, err := hex.DecodeString(text)
	return err == nil && len(id) == nickDigits/2
}

// add makes the database trust the root. It reports whether it changed anything.
func (db database) add(ctx context.Context) (changed bool, err error) {
	if !hasDatabase(db.dir) {
		if err := db.create(ctx); err != nil {
			return false, fmt.Errorf("can't make the database: %w", err)
		}
	}
	if db.verify(ctx) == nil {
		return false, nil
	}
	was, err := db.rootNick(ctx)
	if err != nil {
		return false, err
	}
	var output []byte
	err = db.root.withCopy(func(path string) (err error) {
		output, err = db.run(ctx, "-A", "-t", "C,,", "-n", db.root.nick(), "-i", path)
		return err
	})
	if err == nil {
		return true, db.verify(ctx)
	}
	if output == nil {
		return false, err // certutil did not run
	}
	if was == "" {
		// certutil stores the certificate first and its trust second. If the second
		// failed, the first would be left, distrusted.
		_, _ = db.run(ctx, "-D", "-n", db.root.nick())
	}
	return false, db.complaint(output)
}

// remove deletes every root of devproxy: this one, whatever its nickname, and older ones
// that devproxy added. It reports whether it found one.
func (db database) remove(ctx context.Context) (changed bool, err error) {
	nicks, err := db.nicks(ctx)
	if err != nil {
		return false, err
	}
	for _, nick := range nicks {
		if !db.given(nick) && !db.has(ctx, nick) {
			continue
		}
		if output, err := db.run(ctx, "-D", "-n", nick); err != nil {
			return changed, db.complaint(output)
		}
		changed = true
	}
	db.removeIfEmpty(ctx)
	return changed, nil
}

// madeMark is a file in the folder of a database that devproxy has made. Its text says
// whether devproxy has made the folder too.
const (
	madeMark     = "made-by-devproxy"
	madeDatabase = "devproxy untrust removes this database if nothing else is in it.\n"
	madeFolder   = "devproxy untrust removes this folder if nothing else is in it.\n"
)

func (db database) create(ctx context.Context) error {
	made := madeDatabase
	if !exists(db.dir) {
		made = madeFolder
	}
	if err := os.MkdirAll(db.dir, 0o700); err != nil {
		return err
	}
	if output, err := db.machine.Run(ctx, db.certutil, "-N", "-d", "sql:"+db.dir, "--empty-password"); err != nil {
		return db.complaint(output)
	}
	return os.WriteFile(filepath.Join(db.dir, madeMark), []byte(made), 0o600)
}

// removeIfEmpty removes a database that devproxy has made, with its folder, if nothing
// else was added to it. Otherwise it is the browser's.
func (db database) removeIfEmpty(ctx context.Context) {
	made, err := os.ReadFile(filepath.Join(db.dir, madeMark))
	if err != nil {
		return
	}
	certs, err := db.run(ctx, "-L")
	if err != nil || len(listed(certs, listedNick)) > 0 {
		return
	}
	// It fails without keys, and says so.
	if keys, err := db.run(ctx, "-K"); err == nil || !bytes.Contains(keys, []byte("no keys found")) {
		return
	}
	for _, name := range []string{"cert9.db", "key4.db", "pkcs11.txt", madeMark} {
		_ = os.Remove(filepath.Join(db.dir, name)) // the remaining folder is empty
	}
	// Folders with something else in them stay.
	if string(made) == madeFolder && os.Remove(db.dir) == nil {
		_ = os.Remove(filepath.Dir(db.dir))
	}
}

// run runs certutil on the database. -f with an empty file answers a database that has a
// password with a wrong one; without it certutil opens the terminal to ask, whatever its
// standard input is.
func (db database) run(ctx context.Context, action string, args ...string) ([]byte, error) {
	argv := append([]string{db.certutil, action, "-d", "sql:" + db.dir, "-f", os.DevNull}, args...)
	return db.machine.Run(ctx, argv...)
}

// complaint is why certutil failed, from its output.
func (db database) complaint(output []byte) error {
	if bytes.Contains(output, []byte("SEC_ERROR_BAD_PASSWORD")) {
		return fmt.Errorf("it has a primary password; import %s in the browser's own settings", db.root.File)
	}
	_, reason, found := strings.Cut(string(output), "certutil: ")
	if !found {
		reason = string(output)
	}
	return fmt.Errorf("certutil: %s", firstLine([]byte(reason)))
}
