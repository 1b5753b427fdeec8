package trust

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
)

// verify asks NSS itself whether a browser with this database would accept the
// root as the issuer of a server's certificate ("L": a CA for SSL).
func (s *nss) verify(ctx context.Context, certutil, db string) error {
	if !hasDatabase(db) {
		return errors.New("there is no database yet")
	}
	nick, err := s.held(ctx, certutil, db)
	switch {
	case err != nil:
		return err
	case nick == "":
		return errors.New("the root is not there")
	}
	if output, err := s.run(ctx, certutil, "-V", db, "-n", nick, "-u", "L"); err != nil {
		return fmt.Errorf("the root is there but not trusted: %w", s.complaint(output))
	}
	return s.connect(ctx, db)
}

// connect makes NSS's own TLS client, where it is installed, connect with this
// database. It counts only when it refuses the certificate: its options differ
// from version to version.
func (s *nss) connect(ctx context.Context, db string) error {
	client, err := s.machine.Find("tstclnt")
	if err != nil || s.machine.Handshake == nil {
		return nil // certutil's word has to do
	}
	addr, stop, err := s.machine.Handshake(ctx)
	if err != nil {
		return nil // without loopback there is nothing to serve either
	}
	defer stop()
	_, port, _ := net.SplitHostPort(addr) // our own listener's
	output, err := s.machine.Run(ctx, client, "-4", "-h", "localhost", "-p", port, "-d", "sql:"+db, "-W", os.DevNull, "-Q")
	if _, reason, refused := strings.Cut(string(output), "authentication of server cert failed: "); err != nil && refused {
		return fmt.Errorf("NSS refuses a connection: %s", firstLine([]byte(reason)))
	}
	return nil
}

// held is the nickname under which the root is in the database, trusted or not:
// ours, or the one that a browser gave it when a person imported the file. It is
// empty when the root is not there.
func (s *nss) held(ctx context.Context, certutil, db string) (nick string, err error) {
	nicks, err := s.nicks(ctx, certutil, db)
	if err != nil {
		return "", err
	}
	for _, nick := range nicks {
		if s.holds(ctx, certutil, db, nick) {
			return nick, nil
		}
	}
	return "", nil
}

// holds reports whether the root is what a nickname stands for. NSS files
// certificates by subject: the nickname of a root that was written anew for the
// same key stands for the old certificate and the new one.
func (s *nss) holds(ctx context.Context, certutil, db, nick string) bool {
	if s.root.Cert == nil {
		return false
	}
	der, err := s.run(ctx, certutil, "-L", db, "-n", nick, "-r")
	return err == nil && bytes.Contains(der, s.root.Cert.Raw)
}

// nicks are the nicknames in a database that one of devproxy's roots may have.
func (s *nss) nicks(ctx context.Context, certutil, db string) ([]string, error) {
	output, err := s.run(ctx, certutil, "-L", db)
	if err != nil {
		return nil, s.complaint(output)
	}
	var nicks []string
	for line := range strings.Lines(string(output)) {
		if nick, ok := nickOf(line); ok {
			nicks = append(nicks, nick)
		}
	}
	return nicks, nil
}

// nickOf is the nickname in a line of `certutil -L`, when a root of devproxy's
// may have it: browsers make it of the certificate's names, which begin as our
// own nicknames do. The trust flags stand behind it.
func nickOf(line string) (string, bool) {
	line = strings.TrimRight(line, " \r\n")
	end := strings.LastIndexByte(line, ' ')
	if end < 0 || strings.Count(line[end:], ",") != 2 {
		return "", false
	}
	if nick := strings.TrimRight(line[:end], " "); strings.HasPrefix(nick, nickPrefix) {
		return nick, true
	}
	return "", false
}

// given reports whether a nickname is one that devproxy gave.
func given(nick string) bool {
	id, err := hex.DecodeString(strings.TrimPrefix(nick, nickPrefix))
	return err == nil && len(id) == nickDigits/2
}

// add reports whether there was something to do, and it was done.
func (s *nss) add(ctx context.Context, certutil, db string) (changed bool, err error) {
	if !hasDatabase(db) {
		if err := s.makeDatabase(ctx, certutil, db); err != nil {
			return false, err
		}
	}
	if s.verify(ctx, certutil, db) == nil {
		return false, nil
	}
	was, err := s.held(ctx, certutil, db)
	if err != nil {
		return false, err
	}
	var output []byte
	err = s.root.withCopy(func(path string) (err error) {
		output, err = s.run(ctx, certutil, "-A", db, "-t", "C,,", "-n", s.root.nick(), "-i", path)
		return err
	})
	if err == nil {
		return true, s.verify(ctx, certutil, db)
	}
	if output == nil {
		return false, err // certutil did not run
	}
	if was == "" {
		// certutil stores the certificate first and its trust second: where the
		// second failed, the first would be left, distrusted.
		_, _ = s.run(ctx, certutil, "-D", db, "-n", s.root.nick())
	}
	return false, s.complaint(output)
}

// remove deletes every root of devproxy's: this one, whatever its nickname, and
// older ones that devproxy put there. It reports whether there was one.
func (s *nss) remove(ctx context.Context, certutil, db string) (changed bool, err error) {
	nicks, err := s.nicks(ctx, certutil, db)
	if err != nil {
		return false, err
	}
	for _, nick := range nicks {
		if !given(nick) && !s.holds(ctx, certutil, db, nick) {
			continue
		}
		if output, err := s.run(ctx, certutil, "-D", db, "-n", nick); err != nil {
			return changed, s.complaint(output)
		}
		changed = true
	}
	s.removeDatabase(ctx, certutil, db)
	return changed, nil
}

// madeMark is a file in the folder of a database that devproxy has made. Its text
// says whether devproxy has made the folder too.
const (
	madeMark     = "made-by-devproxy"
	madeDatabase = "devproxy untrust removes this database if nothing else is in it.\n"
	madeFolder   = "devproxy untrust removes this folder if nothing else is in it.\n"
)

// removeDatabase removes a database that devproxy has made, with its folder, when
// nobody has put anything into it since. One that stays is the browser's.
func (s *nss) removeDatabase(ctx context.Context, certutil, db string) {
	made, err := os.ReadFile(filepath.Join(db, madeMark))
	if err != nil {
		return
	}
	certs, err := s.run(ctx, certutil, "-L", db)
	if err != nil || listsCerts(certs) {
		return
	}
	// It fails where there are no keys, and says so.
	if keys, err := s.run(ctx, certutil, "-K", db); err == nil || !bytes.Contains(keys, []byte("no keys found")) {
		return
	}
	for _, name := range []string{"cert9.db", "key4.db", "pkcs11.txt", madeMark} {
		_ = os.Remove(filepath.Join(db, name)) // what stays holds nothing
	}
	// Folders with something else in them stay.
	if string(made) == madeFolder && os.Remove(db) == nil {
		_ = os.Remove(filepath.Dir(db))
	}
}

// listsCerts reports whether `certutil -L` names a certificate: a line that ends
// with its trust.
func listsCerts(output []byte) bool {
	for line := range strings.Lines(string(output)) {
		if fields := strings.Fields(line); len(fields) > 1 && strings.Count(fields[len(fields)-1], ",") == 2 && !strings.Contains(line, "SSL,S/MIME,JAR/XPI") {
			return true
		}
	}
	return false
}

func (s *nss) makeDatabase(ctx context.Context, certutil, db string) error {
	made := madeDatabase
	if !exists(db) {
		made = madeFolder
	}
	if err := os.MkdirAll(db, 0o700); err != nil {
		return fmt.Errorf("cannot make the database: %w", err)
	}
	output, err := s.machine.Run(ctx, certutil, "-N", "-d", "sql:"+db, "--empty-password")
	if err != nil {
		return fmt.Errorf("cannot make the database: %w", s.complaint(output))
	}
	if err := os.WriteFile(filepath.Join(db, madeMark), []byte(made), 0o600); err != nil {
		return fmt.Errorf("cannot make the database: %w", err)
	}
	return nil
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

// hasDatabase reports whether a folder is an NSS database.
func hasDatabase(dir string) bool { return exists(filepath.Join(dir, "cert9.db")) }
