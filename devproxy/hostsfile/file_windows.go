package hostsfile

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/devproxy/devproxy/devproxy/failure"
)

const systemEnding = "\r\n"

// Path is the hosts file of this machine. Not tried on Windows.
func Path() string {
	root := os.Getenv("SystemRoot")
	if root == "" {
		root = `C:\Windows`
	}
	return filepath.Join(root, "System32", "drivers", "etc", "hosts")
}

// lock is held by one writer of a hosts file: a file next to it, which one process can
// make. The hosts file is written in place, since a new one would not keep its ACL.
type lock struct{ path string }

func acquire(ctx context.Context, path string) (*lock, error) {
	temp := path + ".devproxy"
	for {
		f, err := os.OpenFile(temp, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if err == nil {
			return &lock{temp}, f.Close()
		}
		if !errors.Is(err, fs.ErrExist) {
			return nil, err
		}
		select {
		case <-time.After(lockPoll):
		case <-ctx.Done():
			return nil, failure.Errorf("if no devproxy is running, delete "+temp, "another process has been writing %s for %v", path, lockWait)
		}
	}
}

func (l *lock) replace(string, []byte) error { return errInPlace }

func (l *lock) release() { os.Remove(l.path) }

func isReadOnly(error) bool { return false }
