package watch

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// modes runs a test with the system's events and without.
func modes(t *testing.T, test func(t *testing.T, opts Options)) {
	t.Run("events", func(t *testing.T) { t.Parallel(); test(t, Options{noSafety: true}) })
	t.Run("polled", func(t *testing.T) { t.Parallel(); test(t, Options{Poll: true}) })
}

// saves are how programs save a file.
var saves = map[string]func(t *testing.T, path, content string){
	"in place (VS Code)": write,
	"renamed away, written again (vim)": func(t *testing.T, path, content string) {
		must(t, os.Rename(path, path+"~"))
		write(t, path, content)
		must(t, os.Remove(path+"~"))
	},
	"renamed over (vim, gofmt)": func(t *testing.T, path, content string) {
		write(t, path+".tmp", content)
		must(t, os.Rename(path+".tmp", path))
	},
	"through a backup (JetBrains)": func(t *testing.T, path, content string) {
		write(t, path+"___jb_tmp___", content)
		must(t, os.Rename(path, path+"___jb_old___"))
		must(t, os.Rename(path+"___jb_tmp___", path))
		must(t, os.Remove(path+"___jb_old___"))
	},
	"removed, linked (hard links)": func(t *testing.T, path, content string) {
		write(t, path+".new", content)
		must(t, os.Remove(path))
		must(t, os.Link(path+".new", path))
		must(t, os.Remove(path+".new"))
	},
	"same size, same time": func(t *testing.T, path, content string) {
		info, err := os.Stat(path)
		must(t, err)
		write(t, path, content)
		must(t, os.Chtimes(path, info.ModTime(), info.ModTime()))
	},
}

func TestEveryWayToSaveIsSeen(t *testing.T) {
	t.Parallel()
	for name, save := range saves {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			modes(t, func(t *testing.T, opts Options) {
				_, path := project(t)
				r := follow(t, opts, path)
				for i := range 3 {
					content := fmt.Sprintf("v-%d", i) // as long as the one before
					save(t, path, content)
					r.until(content)
				}
				r.quiet("after the last save")
			})
		})
	}
}

// An editor that truncates and then writes must not have the reader see an
// empty file in between.
func TestAFileThatIsEmptiedIsWaitedFor(t *testing.T) {
	t.Parallel()
	_, path := project(t)
	r := follow(t, Options{}, path)
	must(t, os.Truncate(path, 0))
	select {
	case <-r.w.Changes():
		t.Fatal("the empty file was reported at once")
	case <-time.After(3 * quiet): // well within the patience
	}
	write(t, path, "new")
	r.changed("written")
	r.read()
	if r.content[path] != "new" {
		t.Errorf("the reader saw %q", r.content[path])
	}

	must(t, os.Truncate(path, 0))
	r.until("")
}

func TestASaveIsSeenWithin100Milliseconds(t *testing.T) {
	_, path := project(t)
	r := follow(t, Options{}, path)
	// The best of some: the machine may be busy, the code may not be slow.
	best := soon
	for i := range 10 {
		start := time.Now()
		write(t, path, fmt.Sprint("save ", i))
		r.changed("saved")
		best = min(best, time.Since(start))
		r.read()
	}
	if best > 100*time.Millisecond || best < quiet {
		t.Errorf("a save was seen after %v, want %v to 100ms", best, quiet)
	}
}

// A neighbour that never stops writing must not put off the comparison.
func TestABusyNeighbourDoesNotDelayASave(t *testing.T) {
	dir, path := project(t)
	r := follow(t, Options{}, path)
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
				os.WriteFile(filepath.Join(dir, "server.log"), fmt.Append(nil, i), 0o644)
				time.Sleep(time.Millisecond)
			}
		}
	}()
	best := soon
	for i := range 10 {
		start := time.Now()
		write(t, path, fmt.Sprint("save ", i))
		r.changed("saved")
		best = min(best, time.Since(start))
		r.read()
	}
	close(stop)
	<-stopped
	if best >= longest/2 {
		t.Errorf("next to a busy neighbour a save was seen after %v", best)
	}
}

func TestTheLastOfAThousandQuickSavesIsSeen(t *testing.T) {
	t.Parallel()
	modes(t, func(t *testing.T, opts Options) {
		_, path := project(t)
		r := follow(t, opts, path)
		done := make(chan struct{})
		go func() {
			defer close(done)
			for i := range 1000 {
				// Two alternating contents and both ways to write: a reader
				// that misses the last is caught at an old content.
				content, temp := fmt.Append(nil, "content ", i%2), path+".tmp"
				if i%3 == 0 {
					temp = path
				}
				if os.WriteFile(temp, content, 0o644) == nil && temp != path {
					os.Rename(temp, path)
				}
			}
			os.WriteFile(path, []byte("the last"), 0o644)
		}()
		r.until("the last")
		<-done
		r.quiet("after the last save")
	})
}

func TestNothingIsSaidWhenTheContentIsTheSame(t *testing.T) {
	t.Parallel()
	modes(t, func(t *testing.T, opts Options) {
		_, path := project(t)
		r := follow(t, opts, path)
		must(t, os.Chtimes(path, time.Time{}, time.Now().Add(-time.Hour)))
		r.quiet("touched")
		write(t, path, "old")
		r.quiet("the same written again")
		must(t, os.Remove(path))
		write(t, path, "old")
		r.quiet("removed and made again")
		must(t, os.Chmod(path, 0o600))
		r.quiet("its mode changed")
	})
}

func TestGitCheckoutIsSeen(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("git"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	modes(t, func(t *testing.T, opts Options) {
		dir, path := project(t)
		git := func(args ...string) {
			t.Helper()
			cmd := exec.CommandContext(t.Context(), "git", append([]string{"-C", dir, "-c", "user.name=a", "-c", "user.email=a@localhost"}, args...)...)
			cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL="+os.DevNull, "GIT_CONFIG_SYSTEM="+os.DevNull)
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("git %v: %v\n%s", args, err, out)
			}
		}
		local := path + ".local"
		git("init", "-q", "-b", "main")
		git("add", "Proxyfile")
		git("commit", "-qm", "main")
		git("checkout", "-qb", "feature")
		write(t, path, "new")
		write(t, local, "local")
		git("add", "-A")
		git("commit", "-qm", "feature")

		r := follow(t, opts, path, local)
		for range 3 {
			git("checkout", "-q", "main")
			r.until("old")
			git("checkout", "-q", "feature")
			r.until("new")
		}
		if r.content[local] != "local" {
			t.Errorf("Proxyfile.local = %q", r.content[local])
		}
	})
}
