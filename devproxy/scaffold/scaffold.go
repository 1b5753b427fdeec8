// Package scaffold is `devproxy init`: it reads the files of other tools in a
// folder and writes the Proxyfile that says the same. It runs nothing of what
// it reads, follows no link out of the folder, and bounds what it reads.
//
// Each source of knowledge is a file of this package: readers turn files into
// candidates, servers with the evidence for their port, and decide chooses
// between them in one place.
package scaffold

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/devproxy/devproxy/hcl"
)

// Found is a file that said something.
type Found struct {
	File string // relative to the folder, with slashes
	Text string // "vite on 5173"
}

// Result is what a folder holds.
type Result struct {
	Found []Found
	// Notes are what was seen and could not be carried over or determined, each
	// thing once.
	Notes []Note
	// Text is the Proxyfile, formatted; nil when nothing here names a server.
	Text []byte
	// Host is the name that the project has, NAME.localhost.
	Host string
}

// Read looks through dir, absolute, and the folders in it, and makes a
// Proxyfile of what it finds. listening are processes of this machine; those
// that work in dir say a port where no file does. The error is about dir itself;
// a file that cannot be read or understood is a Note.
func Read(dir string, listening []Listener) (*Result, error) {
	r, err := openRepository(dir)
	if err != nil {
		return nil, err
	}
	defer r.close()
	d := &discovery{repository: r, dir: dir, listening: listening, configured: map[string]bool{}, serviceBodies: map[string]string{}}
	d.project = label(d.projectName(filepath.Base(dir)))
	d.readNamed()
	d.readPackages()
	d.readProcfiles()
	d.readTasks()
	d.readBackends()
	d.readConfigs()
	d.applyAppPorts()
	d.readCompose()
	d.readCaddyfiles()
	d.readHints()
	d.favour()
	d.readProcesses()
	hosts := d.decide()
	return &Result{Found: d.found, Notes: d.notes.all(), Text: render(hosts), Host: d.project + suffix}, nil
}

// render is the Proxyfile of hosts; nil for none.
func render(hosts []*host) []byte {
	if len(hosts) == 0 {
		return nil
	}
	var out strings.Builder
	for i, h := range hosts {
		if i > 0 {
			out.WriteByte('\n')
		}
		h.write(&out)
	}
	taken := map[string]bool{}
	for _, h := range hosts {
		for _, s := range h.services() {
			if !taken[s.service] {
				out.WriteByte('\n')
				s.writeService(&out)
			}
			taken[s.service] = true
		}
	}
	// What cannot be formatted is returned as it is, and shows the fault.
	text, _ := hcl.Format([]byte(out.String()), "Proxyfile")
	return text
}

// ErrExists is the error of Write when a Proxyfile exists already.
var ErrExists = errors.New("it exists already")

// Write makes path with text in it. It never overwrites: the error is then
// ErrExists. A file that could not be written whole is removed.
func Write(path string, text []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return ErrExists
	}
	if err != nil {
		return fmt.Errorf("cannot make it: %w", err)
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(fmt.Errorf("cannot write it: %w", err), os.Remove(path))
	}
	return nil
}
