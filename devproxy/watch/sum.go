package watch

import (
	"crypto/sha256"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// maxRead bounds what is compared of one file. A Proxyfile ends at 1 MiB; of
// anything larger, size and time tell enough.
const maxRead = 2 << 20

// sum is what a file's state is compared by. The zero sum is no file's: a
// missing file has its own state.
type sum struct {
	state   string // "missing", "unreadable", a file's type, or "read"
	content [sha256.Size]byte
	size    int64
	time    time.Time // for a file too large to read
}

// sumOf reads a regular file. Others are not opened: a FIFO would block.
func sumOf(path string) sum {
	info, err := os.Stat(path)
	if err != nil {
		return sum{state: "missing"}
	}
	if !info.Mode().IsRegular() {
		return sum{state: info.Mode().Type().String()}
	}
	if info.Size() > maxRead {
		return sum{state: "large", size: info.Size(), time: info.ModTime()}
	}
	return read(path)
}

func read(path string) sum {
	f, err := os.Open(path)
	if err != nil {
		return sum{state: "unreadable"}
	}
	defer f.Close()
	hash := sha256.New()
	n, err := io.Copy(hash, io.LimitReader(f, maxRead))
	if err != nil {
		return sum{state: "unreadable"}
	}
	return sum{state: "read", content: [sha256.Size]byte(hash.Sum(nil)), size: n}
}

// maxLinks bounds a chain of symbolic links, as the kernel does.
const maxLinks = 40

// folders are the folders in which a change can change what path holds: its
// own, and that of each file it links to. Of a folder that is missing, the
// nearest parent that exists.
func folders(path string) []string {
	var dirs []string
	for range maxLinks {
		dir := filepath.Dir(path)
		dirs = append(dirs, nearest(dir))
		if real, err := filepath.EvalSymlinks(dir); err == nil && real != dir {
			dirs = append(dirs, real, nearest(filepath.Dir(dir)))
		}
		target, err := os.Readlink(path)
		if err != nil {
			return dirs
		}
		if !filepath.IsAbs(target) {
			target = filepath.Join(dir, target)
		}
		path = target
	}
	return dirs
}

func nearest(dir string) string {
	for {
		info, err := os.Stat(dir)
		parent := filepath.Dir(dir)
		if err == nil && info.Mode().Type() == fs.ModeDir || parent == dir {
			return dir
		}
		dir = parent
	}
}
