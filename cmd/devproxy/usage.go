package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"

	"github.com/hbollon/go-edlib"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// The texts of cobra and pflag speak of arguments, shorthands and types. These
// are what the user reads in their place: exit code 2, and the next command.

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

// oneArg asks for one argument, which example shows.
func oneArg(what, example string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch len(args) {
		case 1:
			return nil
		case 0:
			return usagef(example, "%s needs one %s", verbOf(cmd), what)
		}
		return usagef(example, "%s takes one %s, not %d", verbOf(cmd), what, len(args))
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

// verbOf is a command as it is typed after devproxy: "relay login".
func verbOf(cmd *cobra.Command) string { return strings.TrimPrefix(cmd.CommandPath(), "devproxy ") }

// flagFailure is what pflag says of a command line, in the user's terms.
func flagFailure(cmd *cobra.Command, err error) error {
	help := cmd.CommandPath() + " --help"
	var (
		unknown *pflag.NotExistError
		missing *pflag.ValueRequiredError
		invalid *pflag.InvalidValueError
		syntax  *pflag.InvalidSyntaxError
	)
	switch {
	case errors.As(err, &unknown):
		return unknownFlag(cmd, unknown)
	case errors.As(err, &missing):
		name := "--" + missing.GetFlag().Name
		return usagef(cmd.CommandPath()+" "+name+" "+placeholder(missing.GetFlag()), "%s needs a value", name)
	case errors.As(err, &invalid):
		return invalidFlag(cmd, invalid)
	case errors.As(err, &syntax):
		return usagef(help, "%q is not a flag", syntax.GetSpecifiedFlag())
	}
	return usagef(help, "%w", err)
}

// placeholder is what stands for a flag's value in its help.
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
		up, _, _ := cmd.Find([]string{"up"}) // it is there
		for _, verb := range append([]*cobra.Command{up}, cmd.Commands()...) {
			if verb.Flags().Lookup(unknown.GetSpecifiedName()) != nil {
				return usagef("did you mean: "+verb.CommandPath()+" "+name, "devproxy has no flag %s", name)
			}
		}
	}
	fix, best := cmd.CommandPath()+" --help", maxSlips+1
	cmd.Flags().VisitAll(func(flag *pflag.Flag) {
		if d := edlib.LevenshteinDistance(unknown.GetSpecifiedName(), flag.Name); !flag.Hidden && d < best && d < len(flag.Name)-1 {
			fix, best = "did you mean: "+cmd.CommandPath()+" --"+flag.Name, d
		}
	})
	return usagef(fix, "unknown flag %s", name)
}

// maxSlips is how many letters a flag may be off to be suggested.
const maxSlips = 2

// usageError is what a flag of ours says of a value: what is wrong, and what to
// write.
type usageError struct{ text, fix string }

func (e *usageError) Error() string { return e.text }

func invalidFlag(cmd *cobra.Command, invalid *pflag.InvalidValueError) error {
	flag, value := invalid.GetFlag(), invalid.GetValue()
	name := "--" + flag.Name
	var own *usageError
	if errors.As(invalid, &own) {
		return usagef(own.fix, "%s: %s", name, own.text)
	}
	switch flag.Value.Type() {
	case "bool":
		return usagef(fmt.Sprintf("write %s, or leave it out", name), "%s is on or off, not %q", name, value)
	case "int":
		return usagef(fmt.Sprintf("%s %s %s", cmd.CommandPath(), name, flag.DefValue), "%s is a whole number, not %q", name, value)
	case "stringSlice":
		return usagef("write them with commas between them", "%s: %q is not a list of names", name, value)
	}
	return usagef(cmd.CommandPath()+" --help", "%s: %q cannot be used", name, value)
}

// flagTypes are what pflag puts behind a flag for its value, in the types of Go.
var flagTypes = regexp.MustCompile(`(?m)^(\s+(?:-\w, )?--[a-z-]+)(\[=true\|false\]| (?:stringArray|strings|string|int)\b)`)

// plainHelp has the help of root and all below it show values as the rest of its
// texts do, in the same columns.
func plainHelp(root *cobra.Command) {
	help := root.HelpFunc()
	root.SetHelpFunc(func(cmd *cobra.Command, args []string) {
		out := cmd.OutOrStdout()
		var text bytes.Buffer
		cmd.SetOut(&text)
		help(cmd, args)
		cmd.SetOut(out)
		_, _ = io.WriteString(out, plainFlags(text.String())) // as with every print
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
