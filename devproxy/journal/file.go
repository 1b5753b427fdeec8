package journal

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"sync"
	"time"
)

const (
	// maxFile is the size from which a file is replaced, in bytes. One old file is
	// kept.
	maxFile = 4 << 20
	// maxAge is how long the files of other folders are kept after their last line.
	maxAge = 30 * 24 * time.Hour
)

// The ends of the names of log files.
const (
	logEnd = ".log"
	oldEnd = ".log.1"
)

// continued is the first line of a file whose run has begun in the old file.
const continued = "(the output before this line is in the file ending with .1)\n"

// File is the log file of a background run, mode 0600: at most 4 MiB, and one old file
// of the same size.
type File struct {
	path string

	mu   sync.Mutex
	file *os.File
	size int
}

// Create begins the file dir/name.log; the one that is there becomes name.log.1. It
// makes dir, mode 0700, and removes files there that are older than 30 days. A crash
// report of the Go runtime goes to the file too.
func Create(dir, name string) (*File, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("cannot make the folder of log files: %w", err)
	}
	if err := os.Chmod(dir, 0o700); err != nil {
		return nil, fmt.Errorf("cannot make the folder of log files private: %w", err)
	}
	sweep(dir, time.Now().Add(-maxAge))
	f := &File{path: Path(dir, name)}
	if err := f.begin(); err != nil {
		return nil, fmt.Errorf("cannot make the log file: %w", err)
	}
	return f, nil
}

// Path is the file that Create makes.
func Path(dir, name string) string { return filepath.Join(dir, name+logEnd) }

// oldOf is the old file of a path.
func oldOf(path string) string { return strings.TrimSuffix(path, logEnd) + oldEnd }

// Open returns what the last run has written to the file dir/name.log, from the old file
// on if the run was so long that it has begun there.
func Open(dir, name string) (io.ReadCloser, error) {
	file, err := os.Open(Path(dir, name))
	if err != nil {
		return nil, err
	}
	lines, isContinued := skipContinued(file)
	if !isContinued {
		return &readFiles{lines, []*os.File{file}}, nil
	}
	old, err := os.Open(oldOf(Path(dir, name)))
	if err != nil { // someone has removed it
		return &readFiles{lines, []*os.File{file}}, nil
	}
	older, _ := skipContinued(old)
	return &readFiles{io.MultiReader(older, lines), []*os.File{old, file}}, nil
}

// skipContinued returns the lines of a file without the one that says it is continued.
func skipContinued(file io.Reader) (lines io.Reader, isContinued bool) {
	reader := bufio.NewReader(file)
	begin, _ := reader.Peek(len(continued)) // a shorter file does not begin with it
	if string(begin) != continued {
		return reader, false
	}
	_, _ = reader.Discard(len(continued)) // it was read already
	return reader, true
}

// readFiles reads several files as one.
type readFiles struct {
	io.Reader
	files []*os.File
}

// Close closes the files.
func (r *readFiles) Close() (err error) {
	for _, file := range r.files {
		err = errors.Join(err, file.Close())
	}
	return err
}

// begin moves the file that is there and opens a new one.
func (f *File) begin() error {
	if err := os.Rename(f.path, oldOf(f.path)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	file, err := os.OpenFile(f.path, os.O_CREATE|os.O_EXCL|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	f.file, f.size = file, 0
	_ = debug.SetCrashOutput(file, debug.CrashOptions{}) // without it, a crash is only silent
	return nil
}

// Write appends p, which should end a line.
func (f *File) Write(p []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.file != nil && f.size+len(p) > maxFile {
		f.file.Close()
		f.file = nil
	}
	if f.file == nil {
		if err := f.begin(); err != nil {
			return 0, err
		}
		n, err := f.file.WriteString(continued)
		f.size += n
		if err != nil {
			return 0, err
		}
	}
	n, err := f.file.Write(p)
	f.size += n
	return n, err
}

// Close ends the file. Nothing may be written later.
func (f *File) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.file == nil {
		return nil
	}
	_ = debug.SetCrashOutput(nil, debug.CrashOptions{})
	err := f.file.Close()
	f.file = nil
	return err
}

// Name returns the path of the file.
func (f *File) Name() string { return f.path }

// sweep removes log files that were last written before a time.
func sweep(dir string, before time.Time) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return // they are harmless
	}
	for _, e := range entries {
		isLog := strings.HasSuffix(e.Name(), logEnd) || strings.HasSuffix(e.Name(), oldEnd)
		if info, err := e.Info(); isLog && err == nil && info.Mode().IsRegular() && info.ModTime().Before(before) {
			os.Remove(filepath.Join(dir, e.Name()))
		}
	}
}
