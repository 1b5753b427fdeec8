package main

import (
	"bufio"
	"context"
	"encoding/pem"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/devproxy/devproxy/localca"
)

// plainEnvironment is this process's without what tells programs whom to trust
// or which proxy to ask, and with these on top.
func plainEnvironment(more ...string) []string {
	names := append([]string{nodeVariable, "SSL_CERT_DIR", "GIT_SSL_NO_VERIFY", "JAVA_HOME", "SUDO_USER", "XDG_DATA_HOME", "XDG_CONFIG_HOME"}, bundleVariables()...)
	env := slices.DeleteFunc(os.Environ(), func(entry string) bool {
		name, _, _ := strings.Cut(entry, "=")
		return slices.Contains(names, name) || strings.HasSuffix(strings.ToLower(name), "_proxy")
	})
	return append(append(env, "NO_COLOR=1"), more...)
}

// trustTool is the path of a program; without it the test is skipped, or failed
// where CI promises that everything is there.
func trustTool(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	switch {
	case err == nil:
	case os.Getenv("CI") == "true":
		t.Fatal(err)
	default:
		t.Skip(err)
	}
	return path
}

// makeCA makes the CA of a state folder.
func makeCA(t *testing.T, state string) *localca.CA {
	t.Helper()
	ca, err := localca.Open(state)
	if err != nil {
		t.Fatal(err)
	}
	return ca
}

// certificatesIn are the DER bytes in a PEM file, in order.
func certificatesIn(t *testing.T, path string) (all []string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		all = append(all, string(block.Bytes))
	}
	return all
}

// TestEnvClients has real programs connect, without and with the environment.
func TestEnvClients(t *testing.T) {
	state := t.TempDir()
	addr, stop, err := listenWithLeaf(makeCA(t, state))
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	_, port, _ := net.SplitHostPort(addr)
	url := "https://localhost:" + port + "/"
	clients := map[string]struct {
		argv []string
		// reached is the output once the certificate is accepted.
		reached string
	}{
		"curl":    {[]string{"curl", "-q", "-sS", url}, "ok"},
		"node":    {[]string{"node", "-e", `require("https").get({host: "127.0.0.1", servername: "localhost", port: process.argv[1]}, r => r.pipe(process.stdout))`, port}, "ok"},
		"python3": {[]string{"python3", "-c", "import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1]).read())", url}, "ok"},
		// The page is not a repository: git says so once it has read it.
		"git": {[]string{"git", "ls-remote", url}, "not valid: is this a git repository"},
	}
	for name, client := range clients {
		t.Run(name, func(t *testing.T) {
			trustTool(t, name)
			run := func(argv ...string) string {
				cmd := exec.CommandContext(t.Context(), argv[0], argv[1:]...)
				cmd.Env = plainEnvironment("DEVPROXY_HOME="+state, "GIT_TERMINAL_PROMPT=0")
				out, _ := cmd.CombinedOutput() // git fails either way
				return string(out)
			}
			if out := run(client.argv...); strings.Contains(out, client.reached) {
				t.Fatalf("it trusts the CA without help, so this test proves nothing: %s", out)
			}
			if out := run(append([]string{"devproxy", "env", "--"}, client.argv...)...); !strings.Contains(out, client.reached) {
				t.Errorf("it does not trust the CA: %s", out)
			}
		})
	}
}

// bundleIn is the bundle that the exports of `devproxy env` name.
func bundleIn(t *testing.T, env ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "sh", "-c", `eval "$(devproxy env)" && eval "$(devproxy env)" && printf %s "$SSL_CERT_FILE"`)
	cmd.Env = plainEnvironment(env...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// TestEnvBundle looks into the bundle, each time after a second `devproxy env`
// in the environment of the first: that must not add to it.
func TestEnvBundle(t *testing.T) {
	trustTool(t, "sh")
	state := t.TempDir()
	home := "DEVPROXY_HOME=" + state
	ca := makeCA(t, state)
	corporate := makeCA(t, t.TempDir())

	path := bundleIn(t, home)
	public := certificatesIn(t, path)
	if len(public) < 2 || public[len(public)-1] != string(ca.Root().Raw) {
		t.Errorf("%d certificates, want the machine's and then ours", len(public))
	}
	if slices.Contains(public[:len(public)-1], string(ca.Root().Raw)) {
		t.Error("our root is in it twice")
	}
	before, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if before.Mode().Perm() != 0o644 {
		t.Errorf("mode %v, want what others may read", before.Mode())
	}

	// A shell with a file of its own has its own bundle.
	own := "SSL_CERT_FILE=" + corporate.RootFile()
	ownPath := bundleIn(t, home, own)
	if ownPath == path {
		t.Error("both shells have one bundle")
	}
	if !cmp.Equal(certificatesIn(t, ownPath), []string{string(corporate.Root().Raw), string(ca.Root().Raw)}) {
		t.Errorf("%d certificates, want the user's own and ours", len(certificatesIn(t, ownPath)))
	}

	// What has not changed is not written; what is broken is.
	if again := bundleIn(t, home); again != path {
		t.Errorf("the bundle moved to %s", again)
	}
	if after, err := os.Stat(path); err != nil || !os.SameFile(before, after) {
		t.Errorf("an unchanged bundle was written again (%v)", err)
	}
	if err := os.WriteFile(path, []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	bundleIn(t, home)
	if !cmp.Equal(certificatesIn(t, path), public) {
		t.Error("a broken bundle was not repaired")
	}
}

// variablesIn are the variables of `devproxy env` run twice, the second time in
// the environment of the first.
func variablesIn(t *testing.T, dir string, env ...string) map[string]string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "sh", "-c", `eval "$(devproxy env)" && cd / && eval "$(devproxy env)" && env`)
	cmd.Env = plainEnvironment(env...)
	cmd.Dir = dir
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]string{}
	for line := range strings.Lines(string(out)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		values[name] = value
	}
	return values
}

// TestEnvMerges has each variable keep the roots that it named.
func TestEnvMerges(t *testing.T) {
	trustTool(t, "sh")
	state, work := t.TempDir(), t.TempDir()
	ca := makeCA(t, state)
	ours := string(ca.Root().Raw)
	roots := map[string][]string{} // the certificates of what a variable may name
	for _, name := range append(bundleVariables(), nodeVariable) {
		corporate := makeCA(t, filepath.Join(work, name))
		roots[corporate.RootFile()] = []string{string(corporate.Root().Raw)}
	}
	of := func(variable string) string { return filepath.Join(work, variable, "root.pem") }
	folder := filepath.Join(work, "folder")
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	for link, to := range map[string]string{"b.pem": of("AWS_CA_BUNDLE"), "0123abcd.0": of("AWS_CA_BUNDLE"), "a.pem": of("CURL_CA_BUNDLE"), "broken": "nowhere"} {
		if err := os.Symlink(to, filepath.Join(folder, link)); err != nil {
			t.Skip("this system has no links: ", err)
		}
	}
	roots[folder] = append(slices.Clone(roots[of("AWS_CA_BUNDLE")]), roots[of("CURL_CA_BUNDLE")]...)
	both := filepath.Join(work, "both.pem")
	text, err := os.ReadFile(of("SSL_CERT_FILE"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(both, append(slices.Clone(ca.RootPEM()), text...), 0o600); err != nil {
		t.Fatal(err)
	}
	roots[both] = append(slices.Clone(roots[of("SSL_CERT_FILE")]), ours)
	const public, alone = "the machine's", "ours alone"
	all := func(path string) map[string]string {
		return map[string]string{nodeVariable: alone, "SSL_CERT_FILE": path, "REQUESTS_CA_BUNDLE": path, "CURL_CA_BUNDLE": path, "GIT_SSL_CAINFO": path, "AWS_CA_BUNDLE": path}
	}
	with := func(m map[string]string, more ...string) map[string]string {
		for i := 0; i < len(more); i += 2 {
			m[more[i]] = more[i+1]
		}
		return m
	}
	each := all(public)
	for name := range each {
		each[name] = of(name)
	}
	for name, test := range map[string]struct{ set, want map[string]string }{
		"nothing":     {nil, all(public)},
		"each":        {each, each},
		"node":        {map[string]string{nodeVariable: of(nodeVariable)}, with(all(public), nodeVariable, of(nodeVariable))},
		"openssl":     {map[string]string{"SSL_CERT_FILE": of("SSL_CERT_FILE")}, all(of("SSL_CERT_FILE"))},
		"git":         {map[string]string{"GIT_SSL_CAINFO": of("GIT_SSL_CAINFO")}, with(all(public), "GIT_SSL_CAINFO", of("GIT_SSL_CAINFO"))},
		"aws":         {map[string]string{"AWS_CA_BUNDLE": of("AWS_CA_BUNDLE")}, with(all(public), "AWS_CA_BUNDLE", of("AWS_CA_BUNDLE"))},
		"requests":    {map[string]string{"REQUESTS_CA_BUNDLE": of("AWS_CA_BUNDLE")}, with(all(public), "REQUESTS_CA_BUNDLE", of("AWS_CA_BUNDLE"), "AWS_CA_BUNDLE", of("AWS_CA_BUNDLE"))},
		"curl":        {map[string]string{"CURL_CA_BUNDLE": of("CURL_CA_BUNDLE")}, with(all(public), "CURL_CA_BUNDLE", of("CURL_CA_BUNDLE"), "REQUESTS_CA_BUNDLE", of("CURL_CA_BUNDLE"), "AWS_CA_BUNDLE", of("CURL_CA_BUNDLE"))},
		"folder":      {map[string]string{"REQUESTS_CA_BUNDLE": folder, "AWS_CA_BUNDLE": of("AWS_CA_BUNDLE")}, with(all(public), "REQUESTS_CA_BUNDLE", folder, "AWS_CA_BUNDLE", of("AWS_CA_BUNDLE"))},
		"relative":    {map[string]string{nodeVariable: "AWS_CA_BUNDLE/root.pem", "GIT_SSL_CAINFO": "./GIT_SSL_CAINFO/root.pem"}, with(all(public), nodeVariable, of("AWS_CA_BUNDLE"), "GIT_SSL_CAINFO", of("GIT_SSL_CAINFO"))},
		"missing":     {map[string]string{nodeVariable: "/no/such", "AWS_CA_BUNDLE": "/no/such"}, all(public)},
		"ours":        {map[string]string{nodeVariable: ca.RootFile(), "AWS_CA_BUNDLE": ca.RootFile()}, all(public)},
		"merged once": {map[string]string{nodeVariable: both, "CURL_CA_BUNDLE": both, "REQUESTS_CA_BUNDLE": of("AWS_CA_BUNDLE")}, with(all(public), nodeVariable, both, "CURL_CA_BUNDLE", both, "REQUESTS_CA_BUNDLE", of("AWS_CA_BUNDLE"), "AWS_CA_BUNDLE", of("AWS_CA_BUNDLE"))},
	} {
		t.Run(name, func(t *testing.T) {
			env := []string{"DEVPROXY_HOME=" + state}
			for variable, path := range test.set {
				env = append(env, variable+"="+path)
			}
			got := variablesIn(t, work, env...)
			for variable, want := range test.want {
				certificates := certificatesIn(t, got[variable])
				switch n := len(certificates); {
				case !slices.Contains(certificates, ours):
					t.Errorf("%s: the CA is not in %s", variable, got[variable])
				case want == alone:
					if n != 1 {
						t.Errorf("%s: %d certificates, want the CA alone", variable, n)
					}
				case want == public:
					if filepath.Base(got[variable]) != bundleFor("") || n < 2 {
						t.Errorf("%s: %s, want the machine's roots", variable, got[variable])
					}
				default:
					slices.Sort(certificates)
					if wanted := slices.Compact(slices.Sorted(slices.Values(append(slices.Clone(roots[want]), ours)))); !slices.Equal(certificates, wanted) {
						t.Errorf("%s: %d certificates, want those of %s and the CA", variable, n, want)
					}
				}
			}
		})
	}
}

// TestEnvSignal terminates devproxy: the program it runs gets the signal, and
// its exit code is devproxy's.
func TestEnvSignal(t *testing.T) {
	trustTool(t, "sh")
	// A signal that does not arrive is a failure, not a test without an end.
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "devproxy", "env", "--", "sh", "-c", `trap 'kill $!; exit 9' TERM; sleep 600 & echo ready; wait`)
	cmd.Env = plainEnvironment("DEVPROXY_HOME=" + t.TempDir())
	cmd.WaitDelay = time.Second
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "ready\n" {
		t.Fatalf("%q, %v", line, err)
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	var failed *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &failed) || failed.ExitCode() != 9 {
		t.Errorf("it ended with %v, want the program's exit code 9", err)
	}
}

func TestQuote(t *testing.T) {
	const nasty = `it's $HOME \ "x"; *`
	out, err := exec.CommandContext(t.Context(), trustTool(t, "sh"), "-c", "printf %s "+quoteSh(nasty)).Output()
	if err != nil || string(out) != nasty {
		t.Errorf("sh reads %q (%v), want %q", out, err, nasty)
	}
	if got, want := quoteFish(nasty), `'it\'s $HOME \\ "x"; *'`; got != want {
		t.Errorf("fish %s, want %s", got, want)
	}
	if fish, err := exec.LookPath("fish"); err == nil {
		cmd, home := exec.CommandContext(t.Context(), fish, "-c", "printf %s "+quoteFish(nasty)), t.TempDir()
		cmd.Env = append(os.Environ(), "HOME="+home, "XDG_CONFIG_HOME="+home, "XDG_DATA_HOME="+home, "XDG_CACHE_HOME="+home)
		out, err := cmd.Output()
		if err != nil || string(out) != nasty {
			t.Errorf("fish reads %q (%v), want %q", out, err, nasty)
		}
	}
}

func TestIsBundle(t *testing.T) {
	home := filepath.FromSlash("/home/amy/.devproxy")
	for path, want := range map[string]bool{
		filepath.Join(home, bundleFor("")):          true,
		filepath.Join(home, bundleFor("/corp.pem")): true,
		filepath.Join(home, "root.pem"):             false,
		filepath.Join("/etc", bundleFor("")):        false,
		"":                                          false,
	} {
		if got := isBundle(home, path); got != want {
			t.Errorf("isBundle(%q) = %v", path, got)
		}
	}
}

// TestQuotePowerShell has the characters that PowerShell takes for the end of a
// string in single quotes.
func TestQuotePowerShell(t *testing.T) {
	for text, want := range map[string]string{
		"it's $HOME `x` \"y\"":           "'it''s $HOME `x` \"y\"'",
		"a\u2018; calc; \u2019b":         "'a\u2018\u2018; calc; \u2019\u2019b'",
		"\u201a\u201b'":                  "'\u201a\u201a\u201b\u201b'''",
		"\u2017\u201c\u201d\u201e\u00b4": "'\u2017\u201c\u201d\u201e\u00b4'",
		"":                               "''",
	} {
		if got := quotePowerShell(text); got != want {
			t.Errorf("%q is quoted as %q, want %q", text, got, want)
		}
	}
}
