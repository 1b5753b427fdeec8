//go:build unix

package trust

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/devproxy/devproxy/devproxy/programs"
)

// fakeWindows are the two programs of WSL that the store uses: they write their
// arguments to a log, and keep the store's serial numbers in a file. It proves
// what is run, not what Windows makes of it.
func (f *fixture) fakeWindows() (log string) {
	f.t.Helper()
	bin := f.home("bin")
	log = f.home("log")
	f.write(filepath.Join(bin, "certutil.exe"), `#!/bin/sh
printf 'certutil.exe %s\n' "$*" >> `+log+`
store=`+f.home("store")+`
case "$2" in
-store) [ -e "$store" ] && grep -qx "$4" "$store" ;;
-addstore) [ "$4" = 'C:\root.pem' ] && echo `+(&windows{root: rootOf(f.ca)}).serial()+` > "$store" ;;
-delstore) rm "$store" ;;
esac
`)
	f.write(filepath.Join(bin, "wslpath"), "#!/bin/sh\nprintf 'wslpath %s\\n' \"$1\" >> "+log+"\ncp \"$2\" "+f.home("copy")+"\nprintf '%s\\n' 'C:\\root.pem'\n")
	for _, name := range []string{"certutil.exe", "wslpath"} {
		if err := os.Chmod(filepath.Join(bin, name), 0o755); err != nil {
			f.t.Fatal(err)
		}
	}
	f.t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	f.env["WSL_DISTRO_NAME"] = "Debian"
	return log
}

func TestWindowsFromWSL(t *testing.T) {
	f := newFixture(t)
	log := f.fakeWindows()
	store := f.store("windows")
	want(t, store.Check(t.Context()), Untrusted)
	checked, err := os.ReadFile(f.ca.RootFile())
	if err != nil {
		t.Fatal(err)
	}
	f.swapped()
	if got := want(t, store.Install(t.Context()), Trusted); !got.Changed {
		t.Error("a root that was installed has changed nothing")
	}
	if got, err := os.ReadFile(f.home("copy")); err != nil || string(got) != string(checked) {
		t.Errorf("certutil.exe got %q (%v)", got, err)
	}
	if got := want(t, store.Install(t.Context()), Trusted); got.Changed {
		t.Error("a root that was there is installed again")
	}
	if got := want(t, store.Uninstall(t.Context()), Untrusted); !got.Changed {
		t.Error("a root that was taken out has changed nothing")
	}
	if got := want(t, store.Uninstall(t.Context()), Untrusted); got.Changed || got.Detail != "" || got.Fix != "" {
		t.Errorf("taking out what is not there: %+v", got)
	}

	serial := (&windows{root: rootOf(f.ca)}).serial()
	if len(serial)%2 != 0 {
		t.Errorf("serial %q has half a byte", serial)
	}
	find := "certutil.exe -user -store Root " + serial
	wanted := []string{
		find,                                                                      // check
		find, "wslpath -w", `certutil.exe -user -addstore Root C:\root.pem`, find, // install, checked
		find, // install again
		find, "certutil.exe -user -delstore Root " + serial,
		find, // uninstall again
	}
	text, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(wanted, strings.Split(strings.TrimSpace(string(text)), "\n")); diff != "" {
		t.Errorf("what was run (-want +got):\n%s", diff)
	}
}

func TestWindowsWithoutCA(t *testing.T) {
	f := newFixture(t)
	log := f.fakeWindows()
	f.ca = nil
	want(t, f.store("windows").Uninstall(t.Context()), Skipped)
	if exists(log) {
		t.Error("certutil.exe was run for no root")
	}
}

func TestWindowsWithoutInterop(t *testing.T) {
	f := newFixture(t)
	f.env["WSL_DISTRO_NAME"] = "Debian"
	f.t.Setenv("PATH", f.home())
	if got := want(t, f.store("windows").Install(t.Context()), Skipped); !strings.Contains(got.Detail, "interop is off") {
		t.Errorf("detail %q", got.Detail)
	}
}

// TestRun: programs are run without the settings that change what they trust. What
// they write to the standard error is for their failures alone.
func TestRun(t *testing.T) {
	for _, name := range settings() {
		t.Setenv(name, "mine")
	}
	t.Setenv("UNRELATED", "kept")
	output, err := Here(programs.Here()).Run(t.Context(), "env")
	if err != nil || strings.Contains(string(output), "=mine\n") || !strings.Contains(string(output), "UNRELATED=kept\n") {
		t.Errorf("%s, %v", output, err)
	}
	for status, want := range map[string]string{"0": "out\n", "1": "out\nerr\n"} {
		output, err := Here(programs.Here()).Run(t.Context(), "sh", "-c", "echo err >&2; echo out; exit "+status)
		if string(output) != want || (err == nil) != (status == "0") {
			t.Errorf("exit %s: %q, %v", status, output, err)
		}
	}
	// A program that leaves another one behind, which keeps its output open.
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	began := time.Now()
	const longest = 20
	if _, err := Here(programs.Here()).Run(ctx, "sh", "-c", fmt.Sprintf("sleep %d & wait", longest)); err == nil {
		t.Error("a program that was stopped has succeeded")
	}
	if took := time.Since(began); took > longest*time.Second/2 {
		t.Errorf("it was waited for, for %v", took)
	}
	if here := Here(programs.Here()); here.Root != (os.Geteuid() == 0) || here.Run == nil || here.Find == nil {
		t.Errorf("%+v", here)
	}
}

func TestStores(t *testing.T) {
	f := newFixture(t)
	names := func() (names []string) {
		for _, s := range Stores(f.machine, rootOf(f.ca)) {
			names = append(names, s.Name())
		}
		return names
	}
	wanted := []string{"system", "chromium", "firefox", "java"}
	if !isWSL(f.machine) {
		if diff := cmp.Diff(wanted, names()); diff != "" {
			t.Errorf("stores (-want +got):\n%s", diff)
		}
	}
	f.env["WSL_DISTRO_NAME"] = "Debian"
	if !slices.Equal(names(), append(wanted, "windows")) {
		t.Errorf("inside WSL: %v", names())
	}
}
