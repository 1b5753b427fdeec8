// Package scaffold is `devproxy init`: it reads the files of other tools in a
// folder and writes a Proxyfile for the dev servers that they start. It runs
// nothing that it reads, follows no link out of the folder, and limits what it
// reads.
//
// Readers turn files into candidates: servers, with the evidence for their port.
// Then one place, decide, chooses between the candidates.
package scaffold

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Found is a file that says something about a server.
type Found struct {
	File string // relative to the folder, with slashes
	Text string // "vite on 5173"
}

// Result is the result of Read.
type Result struct {
	Found []Found
	// Notes say what could not be carried over or determined, each thing once.
	Notes []Note
	// Text is the Proxyfile, formatted; nil if no file names a server.
	Text []byte
	// Starts is how many services have a command.
	Starts int
	// Install is the command that installs what the commands need; empty if it is there,
	// or unknown.
	Install string
	// Host is the project's own host name, NAME.localhost.
	Host string
}

// discovery is shared by the readers: the files of a folder, and the findings
// in them.
type discovery struct {
	*repository
	findings
	project    string // a DNS label
	packages   map[string]javascriptPackage
	commands   bool            // are written where they are known
	configured map[string]bool // configurations of dev servers that were read
	hotReload  notes           // those about hot reload that bypasses devproxy
	// hostNames, startScripts and assignedPorts are what portless.json says about
	// the apps in folders: their host names, the scripts that start them, and their
	// ports.
	hostNames, startScripts map[string]string
	assignedPorts           []*candidate
}

// Options say what Read may use.
type Options struct {
	// Listening are processes of this machine: one that runs in the folder determines a
	// port that no file sets.
	Listening []Listener
	// Commands writes commands that start the servers, where they are known. Otherwise
	// the Proxyfile has their ports only.
	Commands bool
}

// Read looks through dir, an absolute path, and the folders in it, and writes a
// Proxyfile for the servers that it finds. The error is about dir itself; a file that
// cannot be read or understood becomes a Note.
func Read(dir string, opts Options) (*Result, error) {
	d, err := discover(dir, opts)
	if err != nil {
		return nil, err
	}
	defer d.close()
	hosts, services := decision{d}.decide()
	return &Result{Found: d.found, Notes: d.notes.all(), Text: render(hosts, services), Starts: len(services), Install: d.install(services), Host: d.project + suffix}, nil
}

// HotReload returns the notes of Read about hot reload that bypasses devproxy.
func HotReload(dir string) ([]Note, error) {
	d, err := discover(dir, Options{})
	if err != nil {
		return nil, err
	}
	defer d.close()
	return d.hotReload.all(), nil
}

// discover reads everything in dir that names a server. The caller closes what it returns.
func discover(dir string, opts Options) (*discovery, error) {
	r, err := openRepository(dir)
	if err != nil {
		return nil, err
	}
	d := &discovery{repository: r, configured: map[string]bool{}, project: strings.TrimSuffix(allowed(label(r.projectName(filepath.Base(dir)))+suffix), suffix)}
	d.readNamed()
	d.readPackages()
	d.readProcfiles()
	d.readTasks()
	backendReader{d}.read()
	configReader{d}.readConfigs()
	d.applyAssignedPorts()
	composeReader{d}.read()
	d.readCaddyfiles()
	d.readHints()
	d.markFavoured()
	d.readListening(dir, opts.Listening)
	d.commands = opts.Commands
	d.addRecipes()
	d.dropStarts()
	return d, nil
}

// smallest is the Proxyfile for a folder without a known dev server. Each
// commented line of code in it is valid once it is uncommented.
const smallest = `# The dev server of this project, at https://HOST
host "HOST" {
  upstream = 5173 # the port that your dev server prints when it starts

  # Another server on the same origin, below a path:
  # route "/api" { upstream = 3000 }

  # A redirect:
  # route "/docs" { redirect = "https://example.com{rest}" }
}

# Another host:
# host "mail.HOST" { upstream = 8025 }
`

// Smallest returns a commented Proxyfile with one host, for a project in which
// Read finds no dev server. The host is a name like Result.Host.
func Smallest(host string) []byte { return format(strings.ReplaceAll(smallest, "HOST", host)) }

// ErrExists is the error of Write if the Proxyfile exists.
var ErrExists = errors.New("it already exists")

// Write creates the file at path with text. It never overwrites a file: the error
// is then ErrExists. It removes a file that it could not write completely.
func Write(path string, text []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return ErrExists
	}
	if err != nil {
		return fmt.Errorf("cannot create it: %w", err)
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(fmt.Errorf("cannot write it: %w", err), os.Remove(path))
	}
	return nil
}
