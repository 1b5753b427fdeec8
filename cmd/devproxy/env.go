package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/devproxy/devproxy/devproxy"
	"github.com/devproxy/devproxy/devproxy/control"
	"github.com/devproxy/devproxy/localca"
	"github.com/devproxy/devproxy/localca/trust"
)

func newEnvCmd(s *streams) *cobra.Command {
	var shell string
	var inside, asJSON bool
	var file fileFlags
	cmd := &cobra.Command{
		Use:   "env [-- CMD [ARG...]]",
		Short: "make runtimes of this shell trust the CA and the public roots",
		Long: `Prints exports for a shell, or runs CMD with them.

NODE_EXTRA_CA_CERTS, SSL_CERT_FILE, REQUESTS_CA_BUNDLE, CURL_CA_BUNDLE, GIT_SSL_CAINFO and AWS_CA_BUNDLE each name
a file with the CA and the certificates of the file that the variable named before. For a variable that was not set: Node
adds the CA to its own roots; the other five replace a program's roots, so their file has the public roots too, from your
SSL_CERT_FILE or else the system's. Java reads none of these variables: devproxy trust --store java.

In a project whose share block has callback, DEVPROXY_CALLBACK_URL and DEVPROXY_CALLBACK_ORIGIN have its callback host, from
the first share on.

--container prints what a container needs for the same, and to reach the hosts of the Proxyfile: lines of a compose file.`,
		Example: `  eval "$(devproxy env)"
  devproxy env -- npm test
  devproxy env --shell fish | source
  devproxy env --container`,
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case inside && len(args) > 0:
				return usagef("devproxy env --container, or devproxy env -- CMD", "--container runs no program")
			case inside && cmd.Flags().Changed("shell"):
				return usagef("devproxy env --container", "--container prints lines for a compose file, so --shell has no effect")
			case inside:
				return printContainerEnv(cmd.Context(), s, file, asJSON)
			case asJSON || file != (fileFlags{}):
				return usagef("devproxy env --container", "--json, -f and -C need --container")
			}
			pairs, err := environment()
			if err != nil {
				return err
			}
			pairs = append(pairs, callbackEnvironment()...)
			if len(args) > 0 {
				return runEnv(cmd.Context(), s, args, pairs)
			}
			return printEnv(s, shell, pairs)
		},
	}
	cmd.Flags().SetInterspersed(false) // the flags after CMD belong to it
	cmd.Flags().StringVar(&shell, "shell", "sh", "syntax of the exports: sh, fish, powershell")
	cmd.Flags().BoolVar(&inside, "container", false, "print what a container needs, as lines of a compose file")
	cmd.Flags().BoolVar(&asJSON, "json", false, "with --container, print one JSON object")
	addFileFlags(cmd, &file)
	return cmd
}

func printEnv(s *streams, shell string, pairs []pair) error {
	forms := map[string]func(pair) string{
		"sh":         func(p pair) string { return "export " + p.name + "=" + quoteSh(p.value) },
		"fish":       func(p pair) string { return "set -gx " + p.name + " " + quoteFish(p.value) },
		"powershell": func(p pair) string { return "$env:" + p.name + " = " + quotePowerShell(p.value) },
	}
	form, ok := forms[shell]
	if !ok {
		return usagef("--shell sh, fish or powershell", "unknown shell %q", shell)
	}
	for _, p := range pairs {
		fmt.Fprintln(s.Out, form(p))
	}
	return nil
}

// quoteSh quotes text as one word of a POSIX shell.
func quoteSh(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }

// quoteFish quotes text as one word of fish, where a backslash escapes even between
// single quotes.
func quoteFish(text string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, "'", `\'`).Replace(text) + "'"
}

// quotePowerShell quotes text as one string of PowerShell, which reads the
// typographic single quotes U+2018 to U+201B like the plain one. Each is doubled: of
// two in a row the second one counts.
func quotePowerShell(text string) string {
	return "'" + strings.NewReplacer("'", "''", "\u2018", "\u2018\u2018", "\u2019", "\u2019\u2019", "\u201a", "\u201a\u201a", "\u201b", "\u201b\u201b").Replace(text) + "'"
}

// runEnv runs a program with the variables and ends with its exit code.
func runEnv(ctx context.Context, s *streams, argv []string, pairs []pair) error {
	env := each(pairs, func(p pair) string { return p.name + "=" + p.value })
	err := runAttached(ctx, s, argv, env)
	if failed, ok := errors.AsType[*exec.ExitError](err); ok {
		if status, ok := failed.Sys().(syscall.WaitStatus); ok && status.Signaled() {
			return exit(128 + int(status.Signal())) // as shells do
		}
		return exit(failed.ExitCode())
	}
	if err == nil {
		return nil
	}
	// The codes of shells (POSIX, Shell Command Language, section 2.8.2).
	code := 126
	if errors.Is(err, errNoProgram) || errors.Is(err, errNoFile) {
		code = 127
	}
	return &exitError{code: code, err: failf("devproxy env -- CMD runs a program on PATH, or by its path", "%w", err)}
}

// callbackEnvironment returns the variables of the callback host of the project that the
// working folder is in; nil without one, before its first share, and for a Proxyfile that
// cannot be read, which other verbs report.
func callbackEnvironment() (pairs []pair) {
	store, err := openStore()
	if err != nil {
		return nil
	}
	loaded, _, err := loadProject(fileFlags{})
	if err != nil {
		return nil
	}
	for _, v := range control.CallbackVariables(devproxy.Callbacks(store, loaded.Plan.Share())) {
		pairs = append(pairs, pair{v.Name, v.Value})
	}
	return pairs
}

// nodeVariable names a file that Node adds to its roots.
const nodeVariable = "NODE_EXTRA_CA_CERTS"

// bundleVariables name a file that replaces a program's roots.
func bundleVariables() []string {
	return []string{"SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "GIT_SSL_CAINFO", "AWS_CA_BUNDLE"}
}

// fallbackVariables are the variables that a program reads if the variable
// itself is unset: Python's requests reads CURL_CA_BUNDLE
// (requests.Session.merge_environment_settings), boto3 reads REQUESTS_CA_BUNDLE
// (botocore.httpsession), curl reads SSL_CERT_FILE (its manual, --cacert).
// SSL_CERT_FILE is the last for all. Each list contains those of its variables,
// so that running inside of our own environment changes nothing.
var fallbackVariables = map[string][]string{
	"REQUESTS_CA_BUNDLE": {"CURL_CA_BUNDLE", "SSL_CERT_FILE"},
	"CURL_CA_BUNDLE":     {"SSL_CERT_FILE"},
	"GIT_SSL_CAINFO":     {"SSL_CERT_FILE"},
	"AWS_CA_BUNDLE":      {"REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"},
}

// pair is a variable and its value.
type pair struct{ name, value string }

// environment makes the bundles and returns the variables that name them. The bundle
// of a variable has the roots of the file that it named before, and the CA.
func environment() ([]pair, error) {
	b, err := newBundler()
	if err != nil {
		return nil, err
	}
	node, err := b.ownRoots()
	if err != nil {
		return nil, err
	}
	if own := b.own(nodeVariable); own != "" {
		if node, err = b.bundle(own); err != nil {
			return nil, err
		}
	}
	pairs := []pair{{nodeVariable, node}}
	for _, name := range bundleVariables() {
		own := b.own(name)
		for _, other := range fallbackVariables[name] {
			own = cmp.Or(own, b.own(other))
		}
		path, err := b.bundle(own)
		if err != nil {
			return nil, err
		}
		pairs = append(pairs, pair{name, path})
	}
	return pairs, nil
}

// newBundler returns a bundler for the CA, and those of the domains that the user trusts.
func newBundler() (*bundler, error) {
	ca, err := openCA()
	if err != nil {
		return nil, err
	}
	b := bundler{home: filepath.Dir(ca.RootFile()), roots: []trust.Root{{Cert: ca.Root(), File: ca.RootFile()}}, made: map[string]string{}}
	for _, domain := range trustedDomains() {
		if ca, err := localca.LoadDomain(b.home, domain); err == nil { // else it signs nothing
			b.roots = append(b.roots, trust.Root{Cert: ca.Root(), File: ca.RootFile()})
		}
	}
	return &b, nil
}

// bundler writes the bundles in $DEVPROXY_HOME.
type bundler struct {
	home string
	// roots are the CA's, and those of the domains that the user trusts.
	roots []trust.Root
	made  map[string]string // the bundles that are written, by the user's file
}

// ownRoots returns the path of a file with the roots alone.
func (b *bundler) ownRoots() (string, error) {
	if len(b.roots) == 1 {
		return b.roots[0].File, nil
	}
	path := filepath.Join(b.home, bundlePrefix+"-roots.pem")
	return path, writeBundle(path, trust.Append(nil, b.roots...))
}

// own returns the absolute path of the file or folder that a variable of the
// user names; empty if it does not exist or is the CA. In our own environment
// it is the path that the variable named outside.
func (b *bundler) own(variable string) string {
	path := os.Getenv(variable)
	if path == "" {
		return ""
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return ""
	}
	if isBundle(b.home, path) {
		path = bundleSource(path)
	}
	if _, err := os.Stat(path); err != nil || path == b.roots[0].File {
		return ""
	}
	return path
}

// bundle returns the path of the bundle with the roots of own and the CA, and writes
// it if it has changed. An empty own means the machine's roots.
func (b *bundler) bundle(own string) (string, error) {
	if path, ok := b.made[own]; ok {
		return path, nil
	}
	path := filepath.Join(b.home, bundleFor(own))
	text, from, err := trust.Bundle(own, b.roots...)
	if err != nil {
		return "", err
	}
	if from == own {
		text = append([]byte(sourceMark+own+"\n"), text...)
	}
	if err := writeBundle(path, text); err != nil {
		return "", err
	}
	b.made[own] = path
	return path, nil
}

// writeBundle writes a bundle if it has changed.
func writeBundle(path string, text []byte) error {
	if old, err := os.ReadFile(path); err == nil && bytes.Equal(old, text) {
		return nil
	}
	if err := localca.WriteFile(path, text, 0o644); err != nil {
		return failf("set DEVPROXY_HOME to a folder that you can write to", "cannot write %s: %w", path, err)
	}
	return nil
}

// bundlePrefix starts the names of the bundles in $DEVPROXY_HOME.
const bundlePrefix = "bundle"

// bundleFor returns the name of the bundle with the roots of a user's file; empty
// means the system's. Each file has its own bundle, since shells that name different
// ones may be open at once.
func bundleFor(own string) string {
	if own == "" {
		return bundlePrefix + ".pem"
	}
	sum := sha256.Sum256([]byte(own))
	return fmt.Sprintf("%s-%x.pem", bundlePrefix, sum[:4])
}

func isBundle(home, path string) bool {
	ours, _ := filepath.Match(bundlePrefix+"*.pem", filepath.Base(path))
	return ours && filepath.Dir(path) == home
}

// sourceMark starts the first line of a bundle with the roots of a user's file, and is
// followed by the name of that file. PEM readers skip text outside of its blocks
// (RFC 7468 section 2).
const sourceMark = "# devproxy: the public roots of "

// bundleSource returns the user's file that a bundle's roots are from; empty for the
// system's.
func bundleSource(path string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return "" // it is written again
	}
	line, _, _ := strings.Cut(string(text), "\n")
	if source, marked := strings.CutPrefix(line, sourceMark); marked {
		return source
	}
	return ""
}
