package watch

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"
)

const (
	// soon is far longer than anything takes that is bound to happen.
	soon = 20 * time.Second
	// calm is long enough to see that nothing happens: a burst is over and
	// polls have gone by.
	calm = longest + pollInterval + 2*quiet
)

// reader is a watcher with its reader: it watches paths and holds what it read
// last.
type reader struct {
	t       *testing.T
	w       *Watcher
	paths   []string
	content map[string]string // of the files that could be read
}

// follow starts watching. The first look has happened when it returns, so
// that what a test does next is not part of it.
func follow(t *testing.T, opts Options, paths ...string) *reader {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	r := &reader{t: t, w: New(opts), paths: paths}
	r.read()
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.w.Run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	r.quiet("at the start")
	return r
}

// read reads all files and tells the watcher.
func (r *reader) read() {
	r.content = map[string]string{}
	var files []File
	for _, path := range r.paths {
		content, err := os.ReadFile(path)
		if err == nil {
			r.content[path] = string(content)
		}
		files = append(files, File{Path: path, Content: content})
	}
	r.w.Set(files)
}

// until reads on changes until the first file holds want, or is gone for "".
func (r *reader) until(want string) {
	r.t.Helper()
	timeout := time.After(soon)
	for r.content[r.paths[0]] != want {
		select {
		case <-r.w.Changes():
			r.read()
		case <-timeout:
			r.t.Fatalf("the reader still holds %q, want %q", r.content[r.paths[0]], want)
		}
	}
}

// quiet fails when a change is reported.
func (r *reader) quiet(when string) {
	r.t.Helper()
	select {
	case <-r.w.Changes():
		r.t.Fatalf("%s: a change was reported, but nothing has changed", when)
	case <-time.After(calm):
	}
}

// changed waits for a change to be reported.
func (r *reader) changed(when string) {
	r.t.Helper()
	select {
	case <-r.w.Changes():
	case <-time.After(soon):
		r.t.Fatalf("%s: no change was reported", when)
	}
}

func write(t *testing.T, path, content string) {
	t.Helper()
	must(t, os.WriteFile(path, []byte(content), 0o644))
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// project is a folder with a Proxyfile that holds "old".
func project(t *testing.T) (dir, path string) {
	t.Helper()
	// Real, as the system's temporary folder may lie behind a link.
	dir, err := filepath.EvalSymlinks(t.TempDir())
	must(t, err)
	path = filepath.Join(dir, "Proxyfile")
	write(t, path, "old")
	return dir, path
}
