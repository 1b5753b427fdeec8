package main

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/devproxy/devproxy/localca"
	"github.com/devproxy/devproxy/localca/trust"
)

// bundlePrefix begins the names of the files in $DEVPROXY_HOME with the public
// roots and ours.
const bundlePrefix = "bundle"

// bundleVariables name a file that replaces a program's roots, so that they
// need the public ones too.
func bundleVariables() []string {
	return []string{"SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "GIT_SSL_CAINFO", "AWS_CA_BUNDLE"}
}

// nodeVariable names a file that Node adds to its roots.
const nodeVariable = "NODE_EXTRA_CA_CERTS"

func newEnvCmd(s *streams) *cobra.Command {
	var shell string
	cmd := &cobra.Command{
		Use:   "env [-- CMD [ARG...]]",
		Short: "make runtimes of this shell trust the CA and the public roots",
		Long: `Prints exports for a shell, or runs CMD with them.

NODE_EXTRA_CA_CERTS is the CA alone, since Node adds it to its own roots. SSL_CERT_FILE, REQUESTS_CA_BUNDLE,
CURL_CA_BUNDLE, GIT_SSL_CAINFO and AWS_CA_BUNDLE are the public roots and the CA, since they replace a program's own:
your SSL_CERT_FILE, if it is set, else the system's. Java reads none of them: devproxy trust --store java.`,
		Example: `  eval "$(devproxy env)"
  devproxy env -- npm test
  devproxy env --shell fish | source`,
		RunE: func(cmd *cobra.Command, args []string) error {
			pairs, err := environment()
			if err != nil {
				return err
			}
			if len(args) > 0 {
				return runEnv(cmd, s, args, pairs)
			}
			return printEnv(s, shell, pairs)
		},
	}
	cmd.Flags().SetInterspersed(false) // what follows CMD is its own
	cmd.Flags().StringVar(&shell, "shell", "sh", "form of the exports: sh, fish, powershell")
	return cmd
}

// pair is a variable and its value.
type pair struct{ name, value string }

// environment makes the bundle and returns the variables that name it.
func environment() ([]pair, error) {
	ca, err := openCA()
	if err != nil {
		return nil, err
	}
	home, own := filepath.Dir(ca.RootFile()), os.Getenv("SSL_CERT_FILE")
	if isBundle(home, own) { // we are inside an environment of ours
		own = bundleSource(own)
	}
	path := filepath.Join(home, bundleFor(own))
	text, from, err := trust.Bundle(own, trust.Root{Cert: ca.Root(), File: ca.RootFile()})
	if err != nil {
		return nil, err
	}
	if from == own {
		text = append([]byte(sourceMark+own+"\n"), text...)
	}
	if old, err := os.ReadFile(path); err != nil || !bytes.Equal(old, text) {
		if err := localca.WriteFile(path, text, 0o644); err != nil {
			return nil, failf("set DEVPROXY_HOME to a folder you can write to", "cannot write %s: %w", path, err)
		}
	}
	pairs := []pair{{nodeVariable, ca.RootFile()}}
	for _, name := range bundleVariables() {
		pairs = append(pairs, pair{name, path})
	}
	return pairs, nil
}

// bundleFor is the name of the bundle with the public roots of a file of the
// user's own; empty is the system's. Each file has its own bundle, since shells
// that name different ones may be open at once.
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

// sourceMark begins the first line of a bundle with the roots of a file of the
// user's own, and names that file. Readers of PEM skip what is outside of its
// blocks (RFC 7468 section 2).
const sourceMark = "# devproxy: the public roots of "

// bundleSource is the file of the user's own that a bundle's public roots are
// from; empty for the system's.
func bundleSource(path string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return "" // it is made anew
	}
	line, _, _ := strings.Cut(string(text), "\n")
	source, marked := strings.CutPrefix(line, sourceMark)
	if !marked {
		return ""
	}
	return source
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

// quoteSh is text as one word of a POSIX shell.
func quoteSh(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }

// quoteFish is text as one word of fish, where a backslash escapes even
// between single quotes.
func quoteFish(text string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, "'", `\'`).Replace(text) + "'"
}

// quotePowerShell is text as one string of PowerShell, which takes the
// typographic single quotes U+2018 to U+201B for the plain one. Each is
// doubled: of two in a row the second one counts.
func quotePowerShell(text string) string {
	return "'" + strings.NewReplacer("'", "''", "\u2018", "\u2018\u2018", "\u2019", "\u2019\u2019", "\u201a", "\u201a\u201a", "\u201b", "\u201b\u201b").Replace(text) + "'"
}

// runEnv runs a program with the variables and ends with its exit code.
func runEnv(cmd *cobra.Command, s *streams, argv []string, pairs []pair) error {
	env := make([]string, len(pairs))
	for i, p := range pairs {
		env[i] = p.name + "=" + p.value
	}
	err := runAttached(cmd.Context(), s, argv, env)
	var failed *exec.ExitError
	if errors.As(err, &failed) {
		if status, ok := failed.Sys().(syscall.WaitStatus); ok && status.Signaled() {
			return exit(128 + int(status.Signal())) // as shells do
		}
		return exit(failed.ExitCode())
	}
	if err != nil {
		return &exitError{code: notRun(err), err: err, fix: "devproxy env -- CMD runs a program on PATH, or by its path"}
	}
	return nil
}

// notRun is the exit code of a program that cannot be run, as shells have it
// (POSIX, Shell Command Language, section 2.8.2).
func notRun(err error) int {
	if errors.Is(err, errNoProgram) || errors.Is(err, errNoFile) {
		return 127
	}
	return 126
}
