// Package trust puts a root certificate into the trust stores of a machine,
// takes it out again, and proves store by store whether it is there: the
// system's, the NSS databases of Chromium and Firefox, Java's, and the Windows
// one from inside WSL.
//
// Stores are independent: one that fails never stops the others. Nothing here
// asks for a password or becomes root by itself; a store that needs root says
// so with the command.
package trust

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

// State is what a store says of the root.
type State string

// The states of a store.
const (
	Trusted   State = "trusted"
	Untrusted State = "untrusted"
	// Skipped is a store that is not on this machine, or that cannot be asked.
	Skipped State = "skipped"
	// NeedsRoot is a store that only root may change; Fix is the command.
	NeedsRoot State = "needs root"
	Failed    State = "failed"
)

// Result is the outcome for one store. Its JSON is stable.
type Result struct {
	Store  string `json:"store"`
	State  State  `json:"state"`
	Detail string `json:"detail,omitempty"` // how it was proven, or why not
	Fix    string `json:"fix,omitempty"`    // the command that helps, as a shell reads it
	// AsRoot is Fix as arguments, for NeedsRoot; nil for every other state.
	AsRoot []string `json:"-"`
	// Changed is true when Install or Uninstall had something to do, and did it.
	Changed bool `json:"-"`
	// Places are the files and folders that were looked at.
	Places []string `json:"places,omitempty"`
}

// Store is one kind of trust store.
type Store interface {
	// Name is the word for --store.
	Name() string
	// Check changes nothing.
	Check(ctx context.Context) Result
	// Install makes the store trust the root; nothing is done when it does.
	Install(ctx context.Context) Result
	// Uninstall takes the root, and older ones of devproxy's, out.
	Uninstall(ctx context.Context) Result
}

// Machine is what the stores need of the machine they are on. Every field but
// Handshake must be set; Here fills them for this one.
type Machine struct {
	// OS is runtime.GOOS.
	OS     string
	Getenv func(string) string
	// Home is the user's home directory.
	Home string
	// Root is true for a process that may write to the system's store.
	Root bool
	// Find is exec.LookPath.
	Find func(program string) (string, error)
	// Run runs a program without a shell, a standard input, and the variables
	// that would change whom it trusts. It returns what it printed to standard
	// output; where it failed, to standard error too.
	Run func(ctx context.Context, argv ...string) ([]byte, error)
	// Handshake makes a TLS listener with a leaf of the root and returns its
	// address; nil leaves out the proofs that need one.
	Handshake func(ctx context.Context) (addr string, close func(), err error)
	// SystemCommand is the command that does a verb, trust or untrust, to the
	// system's store as root, for a person to run.
	SystemCommand func(verb string) []string
	// JavaCommand is the same for the store of the JDK in the folder home.
	JavaCommand func(verb, home string) []string
}

// Here is this machine, without Handshake, SystemCommand and JavaCommand.
func Here() Machine {
	home, _ := os.UserHomeDir() // empty: stores below it are not there
	return Machine{
		OS:     runtime.GOOS,
		Getenv: os.Getenv,
		Home:   home,
		// On Windows the user's own store is written.
		Root: runtime.GOOS == "windows" || os.Geteuid() == 0,
		Find: exec.LookPath,
		Run:  run,
	}
}

// settings are variables with which a user changes what curl and OpenSSL trust
// and what keytool prints: a proof is about the machine without them.
func settings() []string {
	return []string{"CURL_CA_BUNDLE", "CURL_HOME", "CURL_SSL_BACKEND", "SSL_CERT_FILE", "SSL_CERT_DIR", "OPENSSL_CONF", "JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS"}
}

func run(ctx context.Context, argv ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	// What it starts may keep its output open after it was killed.
	cmd.WaitDelay = time.Second
	cmd.Env = slices.DeleteFunc(os.Environ(), func(entry string) bool {
		name, _, _ := strings.Cut(entry, "=")
		return slices.Contains(settings(), name)
	})
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if err != nil {
		stderr.WriteTo(&stdout)
	}
	return stdout.Bytes(), err
}

// Root is the certificate the stores are about. The zero Root means that there
// is none any more: then a store can only be asked to Uninstall, which takes
// out the older ones of devproxy's that it can tell.
type Root struct {
	Cert *x509.Certificate
	// File is its path, PEM, for texts. What a store gets is Cert: the file may
	// have changed since.
	File string
}

// unknownRoot is the result's detail for a store whose roots are told apart by
// the certificate alone, when there is none.
const unknownRoot = "without the CA, its root cannot be told from others"

// nickPrefix begins the name of every root of devproxy's in a store.
const nickPrefix = "devproxy local CA "

// nickDigits is how much of the fingerprint is in the name: enough that no two
// roots of one person share it.
const nickDigits = 12

// nick is the root's own name in stores that keep certificates by name.
func (r Root) nick() string { return nickPrefix + r.fingerprint()[:nickDigits] }

// fingerprint is the SHA-256 of the certificate in hexadecimal.
func (r Root) fingerprint() string {
	sum := sha256.Sum256(r.Cert.Raw)
	return hex.EncodeToString(sum[:])
}

// Stores are the stores that can be on a machine of this kind, in the order in
// which a user reads them.
func Stores(m Machine, root Root) []Store {
	stores := []Store{
		&system{m, root},
		&nss{machine: m, root: root, name: "chromium", find: chromiumDatabases},
		&nss{machine: m, root: root, name: "firefox", find: firefoxDatabases},
		&java{m, root},
	}
	if isWSL(m) {
		stores = append(stores, &windows{m, root})
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

// firstLine is what a program said, for an error message.
func firstLine(output []byte) string {
	line, _, _ := bytes.Cut(bytes.TrimSpace(output), []byte("\n"))
	return string(line)
}

// needsRoot is the result for a store that only root may change.
func needsRoot(store, detail string, argv []string) Result {
	return Result{Store: store, State: NeedsRoot, Detail: detail, Fix: ShellLine(argv), AsRoot: argv}
}

// ShellLine is a command as a person types it into a shell: words with anything
// but plain characters are quoted.
func ShellLine(argv []string) string {
	words := make([]string, len(argv))
	for i, word := range argv {
		special := func(r rune) bool {
			return !strings.ContainsRune("-_=+,./:@%", r) && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
		}
		if words[i] = word; word == "" || strings.ContainsFunc(word, special) {
			words[i] = "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
		}
	}
	return strings.Join(words, " ")
}
