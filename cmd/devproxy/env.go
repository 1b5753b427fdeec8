package main

import (
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
)

func newEnvCmd(s *streams) *cobra.Command {
	var shell string
	cmd := &cobra.Command{
		Use:   "env [-- CMD [ARG...]]",
		Short: "make runtimes of this shell trust the CA and the public roots",
		Long: `Prints exports for a shell, or runs CMD with them.

NODE_EXTRA_CA_CERTS, SSL_CERT_FILE, REQUESTS_CA_BUNDLE, CURL_CA_BUNDLE, GIT_SSL_CAINFO and AWS_CA_BUNDLE each name
a file with the CA and what the variable named before. When it named nothing: Node adds the CA to its own roots; the
other five replace a program's roots, so their file has the public ones, from your SSL_CERT_FILE or else the system's.
Java reads none of them: devproxy trust --store java.`,
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
