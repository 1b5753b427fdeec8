package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"github.com/hbollon/go-edlib"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/devproxy/devproxy/devproxy"
	"github.com/devproxy/devproxy/devproxy/failure"
	"github.com/devproxy/devproxy/devproxy/programs"
)

// Exit codes, as README.md documents them.
const (
	exitOK        = 0
	exitFailed    = 1
	exitUsage     = 2
	exitProxyfile = 3 // the Proxyfile has errors
	exitPort      = 4 // a port is in use or not allowed
)

// exitError is an error with its own exit code.
type exitError struct {
	code int
	err  error
	// quiet means that the verb has already printed the reason.
	quiet bool
}

func (e *exitError) Error() string { return e.err.Error() }
func (e *exitError) Unwrap() error { return e.err }

// failf returns an error for exit code 1. The text is one lower-case sentence; fix is
// the command or edit that helps.
func failf(fix, format string, args ...any) error { return failure.Errorf(fix, format, args...) }

// usagef returns an error for a mistake in the command line.
func usagef(fix, format string, args ...any) error {
	return &exitError{code: exitUsage, err: failf(fix, format, args...)}
}

// exit ends a verb with a code whose reason the verb has already printed.
func exit(code int) error {
	return &exitError{code: code, err: fmt.Errorf("exit code %d", code), quiet: true}
}

// failedEvent comes before an exit code other than 0.
type failedEvent struct {
	Event string `json:"event"`
	Error string `json:"error"`
	Fix   string `json:"fix,omitempty"`
}

// report prints err for the user and returns the exit code. With asJSON it also
// prints the failed event on Out.
func report(s *streams, err error, asJSON bool) int {
	if err == nil {
		return exitOK
	}
	code := exitFailed
	if e, ok := errors.AsType[*exitError](err); ok {
		if code = e.code; e.quiet {
			return code
		}
	}
	text, fix := devproxy.Explain(err)
	if fix = typed(fix); asJSON {
		_ = s.json(failedEvent{"failed", text, fix}) // print errors are ignored
	}
	const prefix = "devproxy: "
	start := prefix
	for line := range strings.Lines(text) {
		s.hang(s.Err, start, len(prefix), printable(strings.TrimSuffix(line, "\n")))
		start = strings.Repeat(" ", len(prefix)) // of further lines
	}
	for line := range strings.Lines(fix) {
		if line = printable(strings.TrimRight(line, "\n")); isCommand(line) {
			fmt.Fprintln(s.Err, "  "+line)
		} else {
			s.hang(s.Err, "  ", 2, line)
		}
	}
	return code
}

// isCommand reports whether a line of a fix is only a command. It is not wrapped, so
// that it still runs when it is copied.
func isCommand(line string) bool {
	first, _, _ := strings.Cut(strings.TrimSpace(line), " ")
	return first == program() || slices.Contains(append([]string{"devproxy", "echo", "export", "stty", "kill", "env"}, programs.RootPrograms...), first)
}

// The texts of cobra and pflag are about arguments, shorthands and Go types. These
// replace them, with exit code 2 and the next command.

// noArgs refuses arguments.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	if cmd.HasAvailableSubCommands() {
		return unknownVerb(cmd, args[0])
	}
	return usagef(cmd.CommandPath()+" --help", "%s takes no arguments, not %q", verbOf(cmd), strings.Join(args, " "))
}

// oneArg requires one argument, as in example.
func oneArg(what, example string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return usagef(example, "%s needs one %s", verbOf(cmd), what)
		}
		return atMostOneArg(what, example)(cmd, args)
	}
}

// atMostOneArg is oneArg for an argument that may be left out.
func atMostOneArg(what, example string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) < 2 {
			return nil
		}
		return usagef(example, "%s takes one %s, not %d", verbOf(cmd), what, len(args))
	}
}

// verbOf returns a command as it is typed after devproxy: "relay login".
func verbOf(cmd *cobra.Command) string { return strings.TrimPrefix(cmd.CommandPath(), "devproxy ") }

// flagError returns what pflag says about a command line in the user's terms.
func flagError(cmd *cobra.Command, err error) error {
	help := cmd.CommandPath() + " --help"
	switch wrong := err.(type) { //nolint:errorlint // pflag does not wrap them
	case *pflag.NotExistError:
		return unknownFlag(cmd, wrong)
	case *pflag.ValueRequiredError:
		name := "--" + wrong.GetFlag().Name
		return usagef(cmd.CommandPath()+" "+name+" "+placeholder(wrong.GetFlag()), "%s needs a value", name)
	case *pflag.InvalidValueError:
		return invalidFlag(cmd, wrong)
	case *pflag.InvalidSyntaxError:
		return usagef(help, "%q is not a flag", wrong.GetSpecifiedFlag())
	}
	return usagef(help, "%w", err)
}

// placeholder returns the text for the value in a flag's help.
func placeholder(flag *pflag.Flag) string {
	if name, _ := pflag.UnquoteUsage(flag); name != "" && name == strings.ToUpper(name) {
		return name
	}
	return "VALUE"
}

func unknownFlag(cmd *cobra.Command, unknown *pflag.NotExistError) error {
	name := "--" + unknown.GetSpecifiedName()
	if unknown.GetSpecifiedShortnames() != "" {
		return usagef(cmd.CommandPath()+" --help", "unknown flag -%s", unknown.GetSpecifiedName())
	}
	if !cmd.HasParent() {
		up, _, _ := cmd.Find([]string{"up"}) // it exists
		for _, verb := range append([]*cobra.Command{up}, cmd.Commands()...) {
			if verb.Flags().Lookup(unknown.GetSpecifiedName()) != nil {
				return usagef("did you mean: "+verb.CommandPath()+" "+name, "devproxy has no flag %s", name)
			}
		}
	}
	fix, best := cmd.CommandPath()+" --help", maxTypos+1
	cmd.Flags().VisitAll(func(flag *pflag.Flag) {
		if d := edlib.LevenshteinDistance(unknown.GetSpecifiedName(), flag.Name); !flag.Hidden && d < best && d < len(flag.Name)-1 {
			fix, best = "did you mean: "+cmd.CommandPath()+" --"+flag.Name, d
		}
	})
	return usagef(fix, "unknown flag %s", name)
}

// maxTypos is how many letters of a suggested flag or verb may differ.
const maxTypos = 2

func invalidFlag(cmd *cobra.Command, invalid *pflag.InvalidValueError) error {
	flag, value := invalid.GetFlag(), invalid.GetValue()
	name := "--" + flag.Name
	if own, ok := errors.AsType[*failure.Error](invalid); ok {
		return usagef(own.Fix, "%s: %w", name, own.Err)
	}
	switch flag.Value.Type() {
	case "bool":
		return usagef(fmt.Sprintf("write %s, or leave it out", name), "%s is on or off, not %q", name, value)
	case "stringSlice":
		return usagef("write them with commas between them", "%s: %q is not a list of names", name, value)
	}
	return usagef(cmd.CommandPath()+" --help", "%s: %q cannot be used", name, value)
}

// flagTypes matches what pflag writes after a flag for its value, in the types of Go.
var flagTypes = regexp.MustCompile(`(?m)^(\s+(?:-\w, )?--[a-z-]+)(\[=true\|false\]| (?:stringArray|strings|string|int)\b)`)

// plainHelp makes the help of root and its verbs show values as its other texts do,
// in the same columns.
func plainHelp(root *cobra.Command) {
	help := root.HelpFunc()
	root.SetHelpFunc(func(cmd *cobra.Command, args []string) {
		out := cmd.OutOrStdout()
		var text bytes.Buffer
		cmd.SetOut(&text)
		help(cmd, args)
		cmd.SetOut(out)
		_, _ = io.WriteString(out, plainFlags(text.String())) // print errors are ignored
	})
}

func plainFlags(help string) string {
	return flagTypes.ReplaceAllStringFunc(help, func(line string) string {
		found := flagTypes.FindStringSubmatch(line)
		value := map[string]string{"[=true|false]": "", " int": " N"}
		shown, known := value[found[2]]
		if !known {
			shown = " VALUE"
		}
		return found[1] + pad(shown, len(found[2]))
	})
}
