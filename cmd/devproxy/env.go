package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/devproxy/devproxy/localca"
	"github.com/devproxy/devproxy/localca/trust"
)

// bundleName is the file in $DEVPROXY_HOME with the public roots and ours.
const bundleName = "bundle.pem"

// bundleVariables name a file that replaces a program's roots, so that they
// need the public ones too.
var bundleVariables = []string{"SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "GIT_SSL_CAINFO", "AWS_CA_BUNDLE"}

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
	path := filepath.Join(filepath.Dir(ca.RootFile()), bundleName)
	own := os.Getenv("SSL_CERT_FILE")
	if own == path {
		own = "" // we are inside an environment of ours
	}
	text, _, err := trust.Bundle(own, trust.Root{Cert: ca.Root(), File: ca.RootFile()})
	if err != nil {
		return nil, err
	}
	if old, err := os.ReadFile(path); err != nil || !bytes.Equal(old, text) {
		if err := localca.WriteFile(path, text, 0o644); err != nil {
			return nil, failf("set DEVPROXY_HOME to a folder you can write to", "cannot write %s: %w", path, err)
		}
	}
	pairs := []pair{{nodeVariable, ca.RootFile()}}
	for _, name := range bundleVariables {
		pairs = append(pairs, pair{name, path})
	}
	return pairs, nil
}

func printEnv(s *streams, shell string, pairs []pair) error {
	forms := map[string]func(pair) string{
		"sh":         func(p pair) string { return "export " + p.name + "=" + quoteSh(p.value) },
		"fish":       func(p pair) string { return "set -gx " + p.name + " " + quoteFish(p.value) },
		"powershell": func(p pair) string { return "$env:" + p.name + " = '" + strings.ReplaceAll(p.value, "'", "''") + "'" },
	}
	form, ok := forms[shell]
	if !ok {
		return usagef("--shell sh, fish or powershell", "there is no shell %q", shell)
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

// runEnv runs a program with the variables and ends with its exit code.
func runEnv(cmd *cobra.Command, s *streams, argv []string, pairs []pair) error {
	env := make([]string, len(pairs))
	for i, p := range pairs {
		env[i] = p.name + "=" + p.value
	}
	err := runAttached(cmd.Context(), s, argv, env)
	var failed *exec.ExitError
	if errors.As(err, &failed) {
		return exit(max(failed.ExitCode(), 1)) // -1 for a signal
	}
	if err != nil {
		return failf("devproxy env -- CMD runs a program on PATH", "%w", err)
	}
	return nil
}
