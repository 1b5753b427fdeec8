package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/devproxy/devproxy/localca/trust"
)

// runTrustVerb runs devproxy and returns its exit code and output.
func runTrustVerb(t *testing.T, env []string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "devproxy", args...)
	return runForCode(t, cmd, env)
}

func runForCode(t *testing.T, cmd *exec.Cmd, env []string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	cmd.Env, cmd.Stdout, cmd.Stderr = env, &out, &errs
	err := cmd.Run()
	var failed *exec.ExitError
	if err != nil && !errors.As(err, &failed) {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), out.String(), errs.String()
}

// TestTrustCheck is the life of a browser's store with the real certutil, and
// the exit codes on the way.
func TestTrustCheck(t *testing.T) {
	trustTool(t, "certutil")
	home := t.TempDir()
	env := plainEnvironment("HOME="+home, "DEVPROXY_HOME="+filepath.Join(home, "state"))
	makeCA(t, filepath.Join(home, "state"))
	steps := []struct {
		args   []string
		code   int
		stdout string
		said   string // in stderr
	}{
		{[]string{"trust", "--store", "chromium", "--check"}, 1, "  Chromium        untrusted   ~/.local/share/pki/nssdb: no database yet\n                              devproxy trust --store chromium\n", ""},
		{[]string{"trust", "--store", "chromium"}, 0, "  Chromium        trusted     ~/.local/share/pki/nssdb\nUndo: devproxy untrust\n", "This CA can sign"},
		{[]string{"trust", "--store", "chromium"}, 0, "  Chromium        trusted     ~/.local/share/pki/nssdb\nUndo: devproxy untrust\n", "Nothing was changed: this machine already trusts the CA.\n"},
		{[]string{"trust", "--store", "chromium", "--check"}, 0, "  Chromium        trusted     ~/.local/share/pki/nssdb\n", ""},
		{[]string{"trust", "--store", "chromium", "--check", "--json"}, 0, `{"store":"chromium","state":"trusted","detail":"~/.local/share/pki/nssdb","places":["` + home + `/.local/share/pki/nssdb"]}` + "\n", ""},
		{[]string{"untrust", "--store", "chromium"}, 0, "  Chromium        untrusted   ~/.local/share/pki/nssdb\n", ""},
		{[]string{"untrust", "--store", "chromium"}, 0, "  Chromium        skipped     no chromium database here\n", ""},
		{[]string{"trust", "--store", "chromium", "--check"}, 1, "  Chromium        untrusted   ~/.local/share/pki/nssdb: no database yet\n                              devproxy trust --store chromium\n", ""},
	}
	for _, step := range steps {
		code, stdout, stderr := runTrustVerb(t, env, step.args...)
		if code != step.code {
			t.Errorf("devproxy %s: exit code %d, want %d", strings.Join(step.args, " "), code, step.code)
		}
		if !strings.Contains(stderr, step.said) || strings.Contains(stderr, "Nothing was") != strings.Contains(step.said, "Nothing was") {
			t.Errorf("devproxy %s said %q, want %q", strings.Join(step.args, " "), stderr, step.said)
		}
		if diff := cmp.Diff(step.stdout, stdout); diff != "" {
			t.Errorf("devproxy %s (-want +got):\n%s", strings.Join(step.args, " "), diff)
		}
	}
}

// TestUntrustWithoutCA has lost the CA that a browser trusts: untrust takes its
// root out all the same.
func TestUntrustWithoutCA(t *testing.T) {
	certutil := trustTool(t, "certutil")
	home := t.TempDir()
	state := filepath.Join(home, "state")
	env := plainEnvironment("HOME="+home, "DEVPROXY_HOME="+state)
	listed := func() string {
		_, stdout, _ := runForCode(t, exec.CommandContext(t.Context(), certutil, "-L", "-d", "sql:"+filepath.Join(home, ".local", "share", "pki", "nssdb")), env)
		return stdout
	}
	if code, _, stderr := runTrustVerb(t, env, "trust", "--store", "chromium"); code != exitOK || !strings.Contains(listed(), "devproxy local CA") {
		t.Fatalf("exit code %d: %s%s", code, stderr, listed())
	}
	if err := os.RemoveAll(state); err != nil {
		t.Fatal(err)
	}
	code, _, stderr := runTrustVerb(t, env, "untrust", "--store", "chromium")
	if code != exitOK || !strings.Contains(stderr, "no CA found") {
		t.Errorf("exit code %d: %s", code, stderr)
	}
	if left := listed(); strings.Contains(left, "devproxy") {
		t.Errorf("still there:\n%s", left)
	}
	if _, err := os.Stat(state); err == nil {
		t.Error("untrust made a CA")
	}
}

// TestTrustOneBadStore has a Firefox profile that is broken, before and after
// stores that are not: each has its line, and the exit code tells.
func TestTrustOneBadStore(t *testing.T) {
	trustTool(t, "certutil")
	home := t.TempDir()
	profile := filepath.Join(home, ".mozilla", "firefox", "p")
	if err := os.MkdirAll(profile, 0o700); err != nil {
		t.Fatal(err)
	}
	for path, text := range map[string]string{
		filepath.Join(profile, "cert9.db"):                   "broken",
		filepath.Join(filepath.Dir(profile), "profiles.ini"): "[Profile0]\nPath=p\n",
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	env := plainEnvironment("HOME="+home, "DEVPROXY_HOME="+filepath.Join(home, "state"), "JAVA_HOME="+home)
	for verb, states := range map[string][]trust.State{
		"trust":   {trust.Trusted, trust.Failed, trust.Skipped},
		"untrust": {trust.Untrusted, trust.Failed, trust.Skipped},
	} {
		makeCA(t, filepath.Join(home, "state"))
		if verb == "untrust" {
			runTrustVerb(t, env, "trust", "--store", "chromium")
		}
		code, stdout, _ := runTrustVerb(t, env, verb, "--store", "chromium,firefox,java", "--json")
		if code != exitFailed {
			t.Errorf("%s: exit code %d", verb, code)
		}
		var got []trust.State
		for line := range strings.Lines(stdout) {
			var result trust.Result
			if err := json.Unmarshal([]byte(line), &result); err != nil {
				t.Fatalf("%v: %s", err, line)
			}
			got = append(got, result.State)
		}
		if diff := cmp.Diff(states, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", verb, diff)
		}
	}
}

// TestAskedForRoot shows the command that needs root and obeys the answer. The
// command here only leaves a file.
func TestAskedForRoot(t *testing.T) {
	touch := trustTool(t, "touch")
	trustTool(t, "su")
	for name, test := range map[string]struct {
		tty    bool
		answer string
		yes    bool
		runs   bool
	}{
		"enter":                    {tty: true, answer: "\n"},
		"y":                        {tty: true, answer: "y\n", runs: true},
		"Yes":                      {tty: true, answer: "Yes\n", runs: true},
		"n":                        {tty: true, answer: "n\n"},
		"something else":           {tty: true, answer: "what?\n"},
		"end of input":             {tty: true},
		"no terminal":              {answer: "y\n"},
		"--yes":                    {tty: true, answer: "n\n", yes: true, runs: true},
		"--yes without a terminal": {yes: true, runs: true},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "ran")
			var out, errs bytes.Buffer
			run := trustRun{
				streams: &streams{In: strings.NewReader(test.answer), Out: &out, Err: &errs, InTTY: test.tty},
				opts:    trustOptions{yes: test.yes},
			}
			again := 0
			got := run.asRoot(t.Context(), trust.Result{Store: "system", State: trust.NeedsRoot, Fix: "sudo it", AsRoot: []string{touch, file}}, func() trust.Result {
				again++
				return trust.Result{Store: "system", State: trust.Trusted}
			})
			_, err := os.Stat(file)
			if ran := err == nil; ran != test.runs {
				t.Errorf("the command ran: %v, want %v", ran, test.runs)
			}
			if !strings.HasPrefix(errs.String(), "System store needs root:\n  sudo it\n") {
				t.Errorf("shown: %q", errs.String())
			}
			if asked := strings.Contains(errs.String(), "[y/N]"); asked != (test.tty && !test.yes) {
				t.Errorf("asked: %v", asked)
			}
			wanted := trust.NeedsRoot
			if test.runs {
				wanted = trust.Trusted
			}
			if got.State != wanted || again == 0 == test.runs {
				t.Errorf("state %q after asking the store %d times", got.State, again)
			}
		})
	}
}

// TestRootTwice is a store that holds two roots, each with its own command.
func TestRootTwice(t *testing.T) {
	touch, dir := trustTool(t, "touch"), t.TempDir()
	run := trustRun{streams: &streams{In: strings.NewReader(""), Out: &bytes.Buffer{}, Err: &bytes.Buffer{}}, opts: trustOptions{yes: true}}
	ask := func() trust.Result {
		for _, name := range []string{"one", "two"} {
			path := filepath.Join(dir, name)
			if _, err := os.Stat(path); err != nil {
				return trust.Result{Store: "java", State: trust.NeedsRoot, Fix: "delete " + name, AsRoot: []string{touch, path}}
			}
		}
		return trust.Result{Store: "java", State: trust.Untrusted}
	}
	if got := run.asRoot(t.Context(), ask(), ask); got.State != trust.Untrusted || !got.Changed {
		t.Errorf("%+v", got)
	}
}

// TestRootCommandFails is a command that ran and failed.
func TestRootCommandFails(t *testing.T) {
	run := trustRun{streams: &streams{In: strings.NewReader(""), Out: &bytes.Buffer{}, Err: &bytes.Buffer{}}, opts: trustOptions{yes: true}}
	result := trust.Result{Store: "java", State: trust.NeedsRoot, AsRoot: []string{trustTool(t, "false")}}
	got := run.asRoot(context.Background(), result, func() trust.Result { t.Error("the store was asked again"); return trust.Result{} })
	if got.State != trust.Failed || !strings.Contains(got.Detail, "exit status 1") {
		t.Errorf("%+v", got)
	}
}

// TestSystemCommand is one that a shell reads as it is meant, through the program
// that is here to become root.
func TestSystemCommand(t *testing.T) {
	state := filepath.Join(t.TempDir(), "it's mine")
	t.Setenv("DEVPROXY_HOME", state)
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	here := func(names ...string) {
		bin := t.TempDir()
		for _, name := range names {
			if err := os.WriteFile(filepath.Join(bin, name), []byte("#!/bin/sh\n"), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		t.Setenv("PATH", bin)
	}
	plain := []string{"env", "DEVPROXY_HOME=" + state, program, "untrust", "--store", "system"}
	for names, want := range map[string][]string{
		"sudo doas run0 su": append([]string{"sudo"}, plain...),
		"doas su":           append([]string{"doas"}, plain...),
		"run0":              append([]string{"run0"}, plain...),
		"su":                {"su", "-c", `env 'DEVPROXY_HOME=` + strings.ReplaceAll(state, "'", `'\''`) + `' ` + program + ` untrust --store system`},
		"":                  plain,
	} {
		here(strings.Fields(names)...)
		if diff := cmp.Diff(want, rootCommand("untrust", "system", "")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", names, diff)
		}
	}
	here("sudo")
	want := []string{"sudo", "env", "DEVPROXY_HOME=" + state, "JAVA_HOME=/opt/jdk", program, "trust", "--store", "java"}
	if diff := cmp.Diff(want, rootCommand("trust", "java", "", "JAVA_HOME=/opt/jdk")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}

	// Where nothing becomes root, nothing is offered: not even --yes runs it.
	here()
	var errs bytes.Buffer
	run := trustRun{streams: &streams{In: strings.NewReader("y\n"), Out: &bytes.Buffer{}, Err: &errs, InTTY: true}, opts: trustOptions{yes: true}}
	result := trust.Result{Store: "system", State: trust.NeedsRoot, Fix: "it", AsRoot: []string{"/bin/false"}}
	got := run.asRoot(t.Context(), result, func() trust.Result { t.Error("asked again"); return result })
	if got.State != trust.NeedsRoot || errs.String() != "System store needs root, and none of sudo, doas, run0, su is installed. Run as root:\n  it\n" {
		t.Errorf("%+v %q", got, errs.String())
	}
}
