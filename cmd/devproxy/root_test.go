package main

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/devproxy/devproxy/devproxy/programs"
)

// TestProgramPath: no program of the project that devproxy is started in, or that it is
// asked about, is found. The user's own folders are not a project.
func TestProgramPath(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("programs have other names there")
	}
	home := realPath(t.TempDir())
	t.Setenv("HOME", home)
	install := func(folder string) {
		t.Helper()
		if err := os.MkdirAll(folder, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(folder, "xdg-open"), nil, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	write := func(path string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	repository, archive, plain := filepath.Join(home, "repository"), filepath.Join(home, "archive"), filepath.Join(home, "plain")
	write(filepath.Join(repository, ".git", "HEAD"))
	write(filepath.Join(archive, "Proxyfile"))
	for _, folder := range []string{repository, archive, plain} {
		install(filepath.Join(folder, "web", "bin"))
	}
	for _, test := range []struct {
		in, bin, about string
		want           error
	}{
		{repository, repository, "", programs.ErrInside},
		{filepath.Join(repository, "web"), repository, "", programs.ErrInside},
		{filepath.Join(archive, "web"), archive, "", programs.ErrInside},
		{home, repository, repository, programs.ErrInside},
		{home, repository, "", nil},
		{repository, archive, "", nil},
		{plain, plain, "", nil}, // nothing says that it is a project
	} {
		t.Chdir(test.in)
		t.Setenv("PATH", filepath.Join(test.bin, "web", "bin"))
		if _, err := programPath(test.about).Find("xdg-open"); !errors.Is(err, test.want) {
			t.Errorf("in %s, about %q, in %s: %v, want %v", test.bin, test.about, test.in, err, test.want)
		}
		if got := programEnv(test.about)("PATH"); (got == "") != (test.want != nil) {
			t.Errorf("in %s, about %q, in %s: programs get the PATH %q", test.bin, test.about, test.in, got)
		}
	}
	write(filepath.Join(home, ".git", "HEAD"))
	write(filepath.Join(home, "Proxyfile"))
	t.Chdir(home)
	if _, err := programPath().Find("xdg-open"); err != nil {
		t.Errorf("a home directory in git: %v", err)
	}
}
