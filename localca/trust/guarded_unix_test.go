//go:build unix

package trust

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// stranger is the id of a user and a group that are not root's.
const stranger = 65534

// rootTest skips a test that makes files of root's.
func rootTest(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		missingHere(t, "only root can make files that belong to root")
	}
}

// tree is a folder of root's with dir/program, and a way to change it back.
func tree(t *testing.T) (dir, program string) {
	t.Helper()
	dir = t.TempDir()
	program = filepath.Join(dir, "bin", "program")
	if err := os.Mkdir(filepath.Dir(program), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(program, nil, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir, program
}

func TestGuarded(t *testing.T) {
	rootTest(t)
	chown := func(uid, gid int) func(string) error {
		return func(path string) error { return os.Lchown(path, uid, gid) }
	}
	chmod := func(mode os.FileMode) func(string) error {
		return func(path string) error { return os.Chmod(path, mode) }
	}
	for name, test := range map[string]struct {
		change func(dir, program string) error
		path   string // relative to dir; empty is the program
		others []uint32
		fails  string // what the error names, relative to dir; empty for no error
	}{
		"root's":                         {},
		"another's program":              {change: func(_, p string) error { return chown(stranger, 0)(p) }, fails: "bin/program"},
		"another's program, allowed":     {change: func(_, p string) error { return chown(stranger, 0)(p) }, others: []uint32{stranger}},
		"a third user's program":         {change: func(_, p string) error { return chown(stranger-1, 0)(p) }, others: []uint32{stranger}, fails: "bin/program"},
		"another's folder":               {change: func(d, _ string) error { return chown(stranger, 0)(d + "/bin") }, fails: "bin"},
		"a program for all":              {change: func(_, p string) error { return chmod(0o757)(p) }, fails: "bin/program"},
		"a folder for all":               {change: func(d, _ string) error { return chmod(0o777)(d + "/bin") }, fails: "bin"},
		"a folder for all, sticky":       {change: func(d, _ string) error { return chmod(0o777 | os.ModeSticky)(d + "/bin") }},
		"a sticky program":               {change: func(_, p string) error { return chmod(0o757 | os.ModeSticky)(p) }, fails: "bin/program"},
		"a folder for root's group":      {change: func(d, _ string) error { return chmod(0o775)(d + "/bin") }},
		"a folder for another group":     {change: func(d, _ string) error { return firstError(chown(0, stranger)(d+"/bin"), chmod(0o775)(d+"/bin")) }, fails: "bin"},
		"another group that only reads":  {change: func(d, _ string) error { return chown(0, stranger)(d + "/bin") }},
		"a link":                         {change: func(d, _ string) error { return os.Symlink("bin/program", d+"/link") }, path: "link"},
		"an absolute link":               {change: func(d, p string) error { return os.Symlink(p, d+"/link") }, path: "link"},
		"a link up":                      {change: func(d, _ string) error { return os.Symlink("bin/../bin/./program", d+"/link") }, path: "link"},
		"another's link":                 {change: func(d, p string) error { return firstError(os.Symlink(p, d+"/link"), chown(stranger, 0)(d+"/link")) }, path: "link", fails: "link"},
		"a link through another's":       {change: func(d, p string) error { return detour(d, p) }, path: "link", fails: "away"},
		"a link to a program for all":    {change: func(d, p string) error { return firstError(os.Symlink(p, d+"/link"), chmod(0o757)(p)) }, path: "link", fails: "bin/program"},
		"a folder that is a link to one": {change: func(d, _ string) error { return os.Symlink("bin", d+"/folder") }, path: "folder/program"},
		"links in a circle":              {change: func(d, _ string) error { return os.Symlink("link", d+"/link") }, path: "link", fails: "link: too many"},
		"nothing":                        {path: "missing", fails: "missing"},
	} {
		t.Run(name, func(t *testing.T) {
			dir, program := tree(t)
			if test.change != nil {
				if err := test.change(dir, program); err != nil {
					t.Fatal(err)
				}
			}
			path := program
			if test.path != "" {
				path = filepath.Join(dir, test.path)
			}
			err := guarded(path, test.others...)
			switch {
			case test.fails == "" && err != nil:
				t.Error(err)
			case test.fails != "" && (err == nil || !strings.Contains(err.Error()+" ", filepath.Join(dir, test.fails))):
				t.Errorf("%v, want one that names %s", err, test.fails)
			}
		})
	}
	for _, path := range []string{"bin/program", "usr", "."} { // though the root has a folder of that name
		if err := guarded(path); err == nil {
			t.Errorf("%s: a relative path is guarded", path)
		}
	}
	dir, program := tree(t)
	for links := 1; links <= maxLinks+1; links++ {
		if err := os.Mkdir(filepath.Join(dir, fmt.Sprint(links)), 0o755); err != nil {
			t.Fatal(err)
		}
		next := filepath.Join(dir, fmt.Sprint(links), "link")
		if err := os.Symlink(program, next); err != nil {
			t.Fatal(err)
		}
		program = next
		if err := guarded(program); (err == nil) != (links <= maxLinks) {
			t.Errorf("%d links: %v", links, err)
		}
	}
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// detour makes dir/link lead to program by a link in a folder of another's.
func detour(dir, program string) error {
	away := dir + "/away"
	return firstError(os.Mkdir(away, 0o755), os.Symlink(program, away+"/link"), os.Symlink("away/link", dir+"/link"), os.Chown(away, stranger, 0))
}

func TestGuardedProgram(t *testing.T) {
	rootTest(t)
	for name, test := range map[string]struct {
		change func(dir string) error
		fails  string
	}{
		"all root's":               {},
		"a folder of libraries":    {func(dir string) error { return os.Chmod(dir+"/lib", 0o777) }, "lib"},
		"a folder of settings":     {func(dir string) error { return os.Chown(dir+"/conf", stranger, 0) }, "conf"},
		"a folder of another kind": {func(dir string) error { return firstError(os.Mkdir(dir+"/jre", 0o755), os.Chmod(dir+"/jre", 0o777)) }, "jre"},
		"a library for all":        {func(dir string) error { return os.Chmod(dir+"/lib/libjli.so", 0o666) }, "lib/libjli.so"},
		"settings of another's":    {func(dir string) error { return os.Chown(dir+"/conf/security", stranger, 0) }, "conf/security"},
		"a link to another's":      {func(dir string) error { return os.Symlink(dir+"/mine", dir+"/lib/ext") }, "mine"},
		"a link to nowhere":        {func(dir string) error { return os.Symlink(dir+"/nowhere", dir+"/lib/ext") }, ""},
		"a store for all":          {func(dir string) error { return os.Chmod(dir+"/lib/cacerts", 0o666) }, ""},
		"something else of others": {func(dir string) error { return os.Chmod(dir+"/man", 0o777) }, ""},
		"the way to it":            {func(dir string) error { return os.Chmod(dir+"/link", 0o777) }, "link"},
		"the program":              {func(dir string) error { return os.Chmod(dir+"/bin/program", 0o777) }, "bin/program"},
	} {
		t.Run(name, func(t *testing.T) {
			dir, program := tree(t)
			for _, folder := range []string{"lib", "conf", "conf/security", "man"} {
				if err := os.Mkdir(filepath.Join(dir, folder), 0o755); err != nil {
					t.Fatal(err)
				}
			}
			for _, file := range []string{"lib/libjli.so", "lib/cacerts", "mine"} {
				if err := os.WriteFile(filepath.Join(dir, file), nil, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if err := os.Chown(filepath.Join(dir, "mine"), stranger, 0); err != nil {
				t.Fatal(err)
			}
			link := filepath.Join(dir, "link", "program") // the folders are those of what it leads to
			if err := os.Mkdir(filepath.Dir(link), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink(program, link); err != nil {
				t.Fatal(err)
			}
			if test.change != nil {
				if err := test.change(dir); err != nil {
					t.Fatal(err)
				}
			}
			err := guardedProgram(link)
			if (err == nil) != (test.fails == "") || err != nil && !strings.Contains(err.Error(), filepath.Join(dir, test.fails)) {
				t.Errorf("%v, want one that names %q", err, test.fails)
			}
		})
	}
}

// TestPrivateDir: a TMPDIR in which others can rename is not used.
func TestPrivateDir(t *testing.T) {
	mine, others := t.TempDir(), t.TempDir()
	if err := os.Chmod(others, 0o777); err != nil {
		t.Fatal(err)
	}
	for tmp, want := range map[string]string{mine: mine, others: "/tmp", filepath.Join(mine, "missing"): "/tmp"} {
		t.Setenv("TMPDIR", tmp)
		dir, err := privateDir()
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(dir)
		info, err := os.Lstat(dir)
		if err != nil || filepath.Dir(dir) != want || info.Mode().Perm() != 0o700 || info.Sys().(*syscall.Stat_t).Uid != uint32(os.Geteuid()) {
			t.Errorf("%s: %s, %v, %v", tmp, dir, info.Mode(), err)
		}
	}
}

// TestJavaThatRootMustNotRun has JAVA_HOME name a keytool that others wrote.
func TestJavaThatRootMustNotRun(t *testing.T) {
	rootTest(t)
	f := newFixture(t)
	f.javaHome("jdk")
	bin := f.home("jdk", "bin")
	if err := os.Chmod(bin, 0o777); err != nil {
		t.Fatal(err)
	}
	ran := f.home("ran")
	keytool := filepath.Join(bin, "keytool")
	if err := os.Remove(keytool); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(keytool, []byte("#!/bin/sh\ntouch "+ran+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, do := range map[string]func() Result{
		"check":   func() Result { return f.store("java").Check(t.Context()) },
		"trust":   func() Result { return f.store("java").Install(t.Context()) },
		"untrust": func() Result { return f.store("java").Uninstall(t.Context()) },
	} {
		got := want(t, do(), Failed)
		if !strings.Contains(got.Detail, keytool) || !strings.Contains(got.Detail, "write to "+bin) || !strings.Contains(got.Fix, "JAVA_HOME") || exists(ran) {
			t.Errorf("%s: %+v, ran %v", name, got, exists(ran))
		}
	}
	f.machine.Root = false // a user may run what is theirs
	f.store("java").Check(t.Context())
	if !exists(ran) {
		t.Error("an ordinary user's keytool was not run")
	}
}
