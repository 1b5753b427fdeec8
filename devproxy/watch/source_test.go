package watch

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestAFileThatComesToBeIsSeen(t *testing.T) {
	t.Parallel()
	modes(t, func(t *testing.T, opts Options) {
		dir, _ := project(t)
		local := filepath.Join(dir, "Proxyfile.local")
		r := follow(t, opts, local)
		write(t, local, "here")
		r.until("here")
		must(t, os.Remove(local))
		r.until("")
	})
}

func TestAFileInFoldersThatComeToBeIsSeen(t *testing.T) {
	t.Parallel()
	modes(t, func(t *testing.T, opts Options) {
		dir, _ := project(t)
		path := filepath.Join(dir, "a", "b", "c", "Proxyfile")
		r := follow(t, opts, path)
		must(t, os.MkdirAll(filepath.Dir(path), 0o755))
		write(t, path, "deep")
		r.until("deep")
		must(t, os.RemoveAll(filepath.Join(dir, "a")))
		r.until("")
	})
}

func TestAFolderThatIsReplacedIsSeen(t *testing.T) {
	t.Parallel()
	modes(t, func(t *testing.T, opts Options) {
		root, _ := project(t)
		dir := filepath.Join(root, "project")
		path := filepath.Join(dir, "Proxyfile")
		must(t, os.Mkdir(dir, 0o755))
		write(t, path, "first")
		r := follow(t, opts, path)

		must(t, os.RemoveAll(dir))
		must(t, os.Mkdir(dir, 0o755))
		write(t, path, "removed and made again")
		r.until("removed and made again")
		r.quiet("the Set that followed is over")
		write(t, path, "watched again")
		r.until("watched again")

		must(t, os.Rename(dir, dir+".old"))
		must(t, os.Mkdir(dir, 0o755))
		write(t, path, "another in its place")
		r.until("another in its place")

		must(t, os.Rename(dir, dir+".away"))
		must(t, os.Rename(dir+".away", dir))
		write(t, path, "away and back")
		r.until("away and back")
		r.quiet("the Set that followed is over")
		write(t, path, "watched again")
		r.until("watched again")
		r.quiet("at the end")
	})
}

// The parent's move makes no event in the folder that is watched.
func TestAFolderReplacedFurtherUpIsSeen(t *testing.T) {
	t.Parallel()
	root, _ := project(t)
	path := filepath.Join(root, "a", "b", "Proxyfile")
	must(t, os.MkdirAll(filepath.Dir(path), 0o755))
	write(t, path, "first")
	r := follow(t, Options{}, path)
	must(t, os.Rename(filepath.Join(root, "a"), filepath.Join(root, "x")))
	must(t, os.MkdirAll(filepath.Dir(path), 0o755))
	write(t, path, "second")
	r.until("second")
	r.quiet("the Set that followed is over")
	start := time.Now()
	write(t, path, "third")
	r.until("third")
	if took := time.Since(start); took > safetyInterval/2 {
		t.Errorf("the new folder is not watched: a save was seen after %v", took)
	}
}

func TestSymlinksAreFollowed(t *testing.T) {
	t.Parallel()
	modes(t, func(t *testing.T, opts Options) {
		dir, path := project(t)
		other := t.TempDir()
		must(t, os.Remove(path))
		write(t, filepath.Join(other, "one"), "one")
		write(t, filepath.Join(other, "two"), "two")
		must(t, os.Symlink(filepath.Join(other, "one"), path))
		r := follow(t, opts, path)

		write(t, filepath.Join(other, "one"), "one, changed")
		r.until("one, changed")

		must(t, os.Symlink(filepath.Join(other, "two"), filepath.Join(dir, "link")))
		must(t, os.Rename(filepath.Join(dir, "link"), path))
		r.until("two")

		write(t, filepath.Join(other, "two"), "two, changed")
		r.until("two, changed")

		must(t, os.Remove(filepath.Join(other, "two")))
		r.until("")
		write(t, filepath.Join(other, "two"), "two again")
		r.until("two again")
	})
}

// Kubernetes keeps a mounted file behind two links and exchanges the second.
func TestAnExchangedFolderLinkIsSeen(t *testing.T) {
	t.Parallel()
	modes(t, func(t *testing.T, opts Options) {
		dir, path := project(t)
		must(t, os.Remove(path))
		version := func(name, content string) {
			must(t, os.Mkdir(filepath.Join(dir, name), 0o755))
			write(t, filepath.Join(dir, name, "Proxyfile"), content)
			must(t, os.Symlink(name, filepath.Join(dir, "..data_tmp")))
			must(t, os.Rename(filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data")))
		}
		version("..2026_1", "first")
		must(t, os.Symlink(filepath.Join("..data", "Proxyfile"), path))
		r := follow(t, opts, path)
		version("..2026_2", "second")
		must(t, os.RemoveAll(filepath.Join(dir, "..2026_1")))
		r.until("second")
		version("..2026_3", "third")
		must(t, os.RemoveAll(filepath.Join(dir, "..2026_2")))
		r.until("third")
	})
}

func TestPlacesOfAPath(t *testing.T) {
	dir, path := project(t)
	must(t, os.MkdirAll(filepath.Join(dir, "real", "sub"), 0o755))
	write(t, filepath.Join(dir, "real", "file"), "")
	must(t, os.Symlink(filepath.Join("real", "sub"), filepath.Join(dir, "up")))
	must(t, os.Symlink("loop", filepath.Join(dir, "loop")))
	for _, c := range []struct {
		path string
		want []place
	}{
		{path, []place{{dir, "Proxyfile"}}},
		{filepath.Join(dir, "none", "deep"), []place{{dir, "none"}}},
		// ".." is above the link's target, not above the link.
		{dir + "/up/../file", []place{{dir, "up"}, {filepath.Join(dir, "real"), "file"}}},
		{filepath.Join(path, "below"), []place{{path, "below"}}},
	} {
		got := placesOf(c.path)
		if len(got) != len(c.want) {
			t.Errorf("%s: %v, want %v", c.path, got, c.want)
			continue
		}
		for i := range got {
			if got[i] != c.want[i] {
				t.Errorf("%s: %v, want %v", c.path, got, c.want)
			}
		}
	}
	if got := placesOf(filepath.Join(dir, "loop")); len(got) != linkLimit {
		t.Errorf("a link to itself was followed %d times, want %d", len(got), linkLimit)
	}
}
