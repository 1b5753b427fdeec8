// Package trust adds a root certificate to the trust stores of a machine, removes it,
// and proves store by store whether it is there: the system's, the NSS databases of
// Chromium and Firefox, Java's, and the Windows one from inside WSL.
//
// Stores are independent: a failure in one never stops the others. Nothing here
// asks for a password or becomes root by itself. A store that needs root
// returns the command.
package trust

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/devproxy/devproxy/devproxy/programs"
)

// State is the state of the root in a store.
type State string

// The states of a store.
const (
	Trusted   State = "trusted"
	Untrusted State = "untrusted"
	// Skipped is a store that is not on this machine, or whose state is unknown.
	Skipped State = "skipped"
	// NeedsRoot is a store that only root may change. Fix is the command.
	NeedsRoot State = "needs root"
	Failed    State = "failed"
)

// Result is the outcome for one store. Its JSON is stable.
type Result struct {
	Store  string `json:"store"`
	State  State  `json:"state"`
	Detail string `json:"detail,omitempty"` // how it was proven, or why not
	Fix    string `json:"fix,omitempty"`    // the command that helps, quoted for a shell
	// AsRoot is Fix as arguments, for NeedsRoot; nil for every other state.
	AsRoot []string `json:"-"`
	// Changed is true when Install or Uninstall changed the store.
	Changed bool `json:"-"`
	// Places are the files and folders of the store.
	Places []string `json:"places,omitempty"`
	// Domain is the root's; empty for that of localhost.
	Domain string `json:"domain,omitempty"`
}

// kind is how one kind of store is read and written. Its results have no name yet.
type kind interface {
	check(ctx context.Context) Result
	// add makes the store trust the root; nil means that it was added.
	add(ctx context.Context) *Result
	remove(ctx context.Context) Result
}

// Store is one kind of trust store.
type Store struct {
	name string
	kind kind
	// unproven is true when the root is added even if nothing can prove that it is
	// there.
	unproven bool
	// domain is the root's.
	domain string
}

// Name is the word for --store.
func (s Store) Name() string { return s.name }

func (s Store) named(r Result) Result {
	r.Store, r.Domain = s.name, s.domain
	return r
}

// Check changes nothing.
func (s Store) Check(ctx context.Context) Result {
	result := s.named(s.kind.check(ctx))
	if result.State == Untrusted {
		result.Fix = "devproxy trust --store " + s.name
		if s.domain != "" {
			result.Fix += " --domain " + s.domain
		}
	}
	return result
}

// Install makes the store trust the root, unless it already does.
func (s Store) Install(ctx context.Context) Result {
	known := s.Check(ctx)
	if known.State != Untrusted && (known.State != Skipped || !s.unproven) {
		return known
	}
	if result := s.kind.add(ctx); result != nil {
		return s.named(*result)
	}
	result := s.Check(ctx)
	result.Changed = true
	return result
}

// Uninstall removes the root, and older ones of devproxy.
func (s Store) Uninstall(ctx context.Context) Result { return s.named(s.kind.remove(ctx)) }

func skipped(detail string) *Result { return &Result{State: Skipped, Detail: detail} }

func failed(err error, places ...string) *Result {
	return &Result{State: Failed, Detail: err.Error(), Places: places}
}

// needsRoot is the result for a store that only root may change.
func needsRoot(detail string, argv []string) *Result {
	return &Result{State: NeedsRoot, Detail: detail, Fix: programs.Line(argv), AsRoot: argv}
}

// Machine describes the machine to its stores. Every field but Handshake must
// be set; Here fills them for this one.
type Machine struct {
	// OS is runtime.GOOS.
	OS     string
	Getenv func(string) string
	// Home is the user's home directory.
	Home string
	// Root is true for a process that may write to the system's store.
	Root bool
	// Find returns the path of a program; the error is exec.ErrNotFound for none.
	Find func(program string) (string, error)
	// Run runs a program without a shell, without standard input, and without the
	// variables that would change its trusted roots. It returns its standard
	// output; if it failed, followed by its standard error.
	Run func(ctx context.Context, argv ...string) ([]byte, error)
	// Handshake starts a TLS listener with a leaf of the root and returns its address;
	// nil leaves out the proofs that need one.
	Handshake func(ctx context.Context) (addr string, close func(), err error)
	// SystemCommand is the command with which a person trusts or untrusts the root in
	// the system's store as root.
	SystemCommand func(verb string) []string
	// RootLine returns the command that runs another as root, as a person types it.
	RootLine func(argv ...string) string
	// JavaCommand is the same for the store of the JDK in the folder home.
	JavaCommand func(verb, home string) []string
}

// Here returns this machine, without Handshake, SystemCommand and JavaCommand. Programs
// are found in path, and so are those that they run.
func Here(path programs.Path) Machine {
	home, _ := os.UserHomeDir() // empty: no store is below it
	return Machine{
		OS:     runtime.GOOS,
		Getenv: os.Getenv,
		Home:   home,
		// On Windows the user's own store is written.
		Root:     runtime.GOOS == "windows" || os.Geteuid() == 0,
		Find:     func(program string) (string, error) { return path.Find(program) },
		Run:      func(ctx context.Context, argv ...string) ([]byte, error) { return run(ctx, path, argv) },
		RootLine: path.RootLine,
	}
}

// settings are variables with which a user changes what curl and OpenSSL trust and
// what keytool prints. A proof is about the machine without them.
func settings() []string {
	return []string{"CURL_CA_BUNDLE", "CURL_HOME", "CURL_SSL_BACKEND", "SSL_CERT_FILE", "SSL_CERT_DIR", "OPENSSL_CONF", "JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS"}
}

func run(ctx context.Context, path programs.Path, argv []string) ([]byte, error) {
	program, err := path.Find(argv[0])
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, program, argv[1:]...)
	// Its children may keep its output open after it was killed.
	cmd.WaitDelay = time.Second
	cmd.Env = slices.DeleteFunc(path.Environment(os.Environ()), func(entry string) bool {
		name, _, _ := strings.Cut(entry, "=")
		return slices.Contains(settings(), name)
	})
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err = cmd.Run()
	if err != nil {
		stderr.WriteTo(&stdout)
	}
	return stdout.Bytes(), err
}

// Root is the certificate for the stores. The zero Root means that the
// certificate no longer exists: then only Uninstall works, which removes the
// older ones of devproxy that it recognises.
type Root struct {
	Cert *x509.Certificate
	// File is its path, in PEM, for texts. A store gets Cert: the file may have
	// changed.
	File string
	// Domain is the one that the certificate is constrained to; empty for localhost. A
	// store keeps the roots of each domain apart.
	Domain string
}

// host is a name for which the root can sign a certificate.
func (r Root) host() string { return cmp.Or(r.Domain, "localhost") }

// unknownRoot is the detail of a result for a store that recognises roots by the
// certificate alone, when that is missing.
const unknownRoot = "without the CA, its root can't be told from others"

// nickPrefix begins the name of every root of devproxy's for this domain in a store.
func (r Root) nickPrefix() string {
	if r.Domain != "" {
		return "devproxy CA for " + r.Domain + " "
	}
	return "devproxy local CA "
}

// nickDigits is how many digits of the fingerprint are in the name: enough to tell the
// roots of one person apart.
const nickDigits = 12

// nick is the root's own name in stores that keep certificates by name.
func (r Root) nick() string { return r.nickPrefix() + r.fingerprint()[:nickDigits] }

// fingerprint is the SHA-256 of the certificate in hexadecimal.
func (r Root) fingerprint() string {
	sum := sha256.Sum256(r.Cert.Raw)
	return hex.EncodeToString(sum[:])
}

// Stores returns the stores that can be on a machine of this kind, in the order in
// which a user reads them.
func Stores(m Machine, root Root) []Store {
	stores := []Store{
		{name: "system", kind: &system{m, root}, unproven: true},
		{name: "chromium", kind: &nss{machine: m, root: root, name: "chromium", find: chromiumDatabases}},
		{name: "firefox", kind: &nss{machine: m, root: root, name: "firefox", find: firefoxDatabases}},
		{name: "java", kind: &java{m, root}},
	}
	if isWSL(m) {
		stores = append(stores, Store{name: "windows", kind: &windows{m, root}})
	}
	for i := range stores {
		stores[i].domain = root.Domain
	}
	return stores
}

// exists reports whether there is a file or folder at path.
func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// shorten writes a path below the home directory with "~".
func (m Machine) shorten(path string) string {
	if rest, ok := strings.CutPrefix(path, m.Home+string(filepath.Separator)); ok && m.Home != "" {
		return "~" + string(filepath.Separator) + rest
	}
	return path
}

// firstLine is the first line of a program's output, for an error message.
func firstLine(output []byte) string {
	line, _, _ := bytes.Cut(bytes.TrimSpace(output), []byte("\n"))
	return string(line)
}

// withCopy calls use with the path of a PEM file of the certificate, which only this
// process and root can change, and removes it after that. Programs that write to a store
// read that file: Root.File may have changed since it was checked, and a user who can
// write to it must not decide what a store trusts.
func (r Root) withCopy(use func(path string) error) error {
	dir, err := privateDir()
	if err != nil {
		return fmt.Errorf("can't copy the root: %w", err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "devproxy-root.crt")
	err = os.WriteFile(path, encode(r.Cert.Raw), 0o644)
	if err == nil {
		err = os.Chmod(dir, 0o755) // Windows reads it as WSL's default user
	}
	if err != nil {
		return fmt.Errorf("can't copy the root: %w", err)
	}
	return use(path)
}
