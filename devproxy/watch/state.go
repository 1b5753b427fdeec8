package watch

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"io/fs"
	"os"
)

// maxHashed bounds how much of a file is read. No Proxyfile comes near it; of
// a longer file the first part, the size and the time are compared.
const maxHashed = 16 << 20

// fault is why a file has no content to compare; empty when it has.
type fault string

const (
	missing    fault = "missing"
	folder     fault = "folder"
	special    fault = "special" // a device, a pipe: reading could wait for ever
	unreadable fault = "unreadable"
)

// state is what a file was found to be. States of equal content are equal.
type state struct {
	fault    fault
	sum      [sha256.Size]byte
	size     int64
	modified int64 // Unix nanoseconds, of a file longer than maxHashed
}

// stateOf is the state of a file with this content. For one that is too long
// for it, ok is false.
func stateOf(content []byte) (s state, ok bool) {
	if len(content) > maxHashed {
		return state{}, false
	}
	return state{sum: sha256.Sum256(content), size: int64(len(content))}, true
}

// vacant reports whether there is nothing in the file, which many an editor's
// save passes through.
func (s state) vacant() bool { return s.fault == missing || s.fault == "" && s.size == 0 }

// look finds out the state of the file at path.
func look(path string) state {
	info, err := os.Stat(path)
	if err != nil {
		return faulty(err)
	}
	if f := kind(info); f != "" {
		return state{fault: f}
	}
	f, err := open(path)
	if err != nil {
		return faulty(err)
	}
	defer f.Close()
	// Another file may have taken its place since.
	if info, err = f.Stat(); err != nil {
		return faulty(err)
	}
	if f := kind(info); f != "" {
		return state{fault: f}
	}
	return content(f, info)
}

func content(f io.Reader, info fs.FileInfo) state {
	var b bytes.Buffer
	if _, err := b.ReadFrom(io.LimitReader(f, maxHashed+1)); err != nil {
		return faulty(err)
	}
	if s, ok := stateOf(b.Bytes()); ok {
		return s
	}
	return state{
		sum:      sha256.Sum256(b.Bytes()[:maxHashed]),
		size:     info.Size(),
		modified: info.ModTime().UnixNano(),
	}
}

func kind(info fs.FileInfo) fault {
	switch {
	case info.IsDir():
		return folder
	case !info.Mode().IsRegular():
		return special
	}
	return ""
}

func faulty(err error) state {
	if errors.Is(err, fs.ErrNotExist) {
		return state{fault: missing}
	}
	return state{fault: unreadable}
}
