// Command devproxy gives a project's dev servers one trusted HTTPS origin.
package main

import (
	"cmp"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

func main() {
	os.Exit(run(processStreams(), os.Args[1:]))
}

// run executes one command line and returns the exit code.
func run(s *streams, args []string) int {
	root := newRootCmd(s)
	root.SetArgs(args)
	cmd, err := root.ExecuteC()
	asJSON, _ := cmd.Flags().GetBool("json") // false for a verb without it
	return report(s, err, asJSON)
}

func newRootCmd(s *streams) *cobra.Command {
	root := &cobra.Command{
		Use:           "devproxy",
		Short:         "One file gives your dev servers one trusted https address.",
		Version:       thisBuild().Version,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return unknownVerb(cmd, args[0])
			}
			fmt.Fprint(s.Out, typed(welcome))
			return nil
		},
	}
	root.SetIn(s.In)
	root.SetOut(s.Out)
	root.SetErr(s.Err)
	root.SetFlagErrorFunc(flagError)
	root.SetVersionTemplate(versionLine(thisBuild()) + "\n")
	root.SetHelpCommand(newHelpCmd(root))
	plainHelp(root)
	root.AddCommand(
		newInitCmd(s),
		newUpCmd(s),
		newShareCmd(s),
		newAllowCmd(s),
		newDenyCmd(s),
		newCheckCmd(s),
		newFmtCmd(s),
		newExplainCmd(s),
		newHashPasswordCmd(s),
		newTrustCmd(s),
		newUntrustCmd(s),
		newEnvCmd(s),
		newNamesCmd(s),
		newStatusCmd(s),
		newDownCmd(s),
		newRestartCmd(s),
		newLogsCmd(s),
		newDoctorCmd(s),
		newOpenCmd(s),
		newRelayCmd(s),
		newVersionCmd(s),
		newCompletionCmd(s),
		newManCmd(root),
		newGuardCmd(),
	)
	completeValues(root)
	for _, cmd := range append(root.Commands(), root) {
		cmd.SuggestionsMinimumDistance = maxTypos
	}
	return root
}

const welcome = `One file gives your dev servers one trusted https address.

  devproxy init     write a Proxyfile from the project's files
  devproxy up       serve it; every save applies
  devproxy trust    make this machine's browsers accept it
  devproxy share    publish it under a link
  devproxy check    report every mistake in the Proxyfile
  devproxy explain  say which route answers a URL
`

// unknownVerb is the error of a word that is not a verb below cmd.
func unknownVerb(cmd *cobra.Command, verb string) error {
	fix := cmd.CommandPath() + " --help"
	if near := meantVerb(cmd, verb); near != "" {
		fix = "did you mean: " + cmd.CommandPath() + " " + near
	}
	return usagef(fix, "unknown command %q", strings.TrimPrefix(verbOf(cmd)+" "+verb, "devproxy "))
}

// newHelpCmd is `devproxy help VERB`.
func newHelpCmd(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use:               "help [COMMAND]",
		Short:             "show the help of a command",
		Example:           "  devproxy help up",
		ValidArgsFunction: adapt(verbValues),
		RunE: func(_ *cobra.Command, args []string) error {
			cmd, rest, err := root.Find(args)
			if err != nil || len(rest) > 0 {
				return unknownVerb(cmd, rest[0])
			}
			return cmd.Help()
		},
	}
}

// meantVerb returns the verb that another tool gives this name, else one that is
// spelled almost like it; empty if there is none.
func meantVerb(root *cobra.Command, verb string) string {
	for _, cmd := range root.Commands() {
		if slices.Contains(cmd.SuggestFor, verb) {
			return cmd.Name()
		}
	}
	if near := root.SuggestionsFor(verb); len(near) > 0 {
		return near[0]
	}
	return ""
}

// release is the version that a release build sets, as in
// go build -ldflags "-X main.release=v1.2.3". Packagers that build from an archive of
// the sources set it too, since the go command finds no version there.
var release string

// buildInfo describes how this program was built. Its JSON is what
// `devproxy version --json` prints; unknown values are empty.
type buildInfo struct {
	// Version is a release (v1.2.3), the go command's version of a checkout
	// (v1.2.4-0.20260102150405-0123456789ab, with +dirty after changes), or "devel".
	Version  string `json:"version"`
	Commit   string `json:"commit"`   // the full hash
	Time     string `json:"time"`     // of the commit, RFC 3339
	Modified bool   `json:"modified"` // files differed from the commit
	OS       string `json:"os"`
	Arch     string `json:"arch"`
	Go       string `json:"go"` // the toolchain
}

func newVersionCmd(s *streams) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "version",
		Short:   "print the version",
		Long:    "Prints the version, the platform and the Go toolchain. --json prints one object, with the commit too.",
		Example: "  devproxy version\n  devproxy version --json",
		Args:    noArgs,
		RunE: func(*cobra.Command, []string) error {
			if asJSON {
				return s.json(thisBuild())
			}
			fmt.Fprintln(s.Out, versionLine(thisBuild()))
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return cmd
}

// versionLine is what `devproxy version` and --version print.
func versionLine(build buildInfo) string {
	return fmt.Sprintf("devproxy %s %s/%s %s", build.Version, build.OS, build.Arch, build.Go)
}

func thisBuild() buildInfo {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		info = &debug.BuildInfo{}
	}
	return describeBuild(info, release)
}

// describeBuild combines the go command's build information with the version of
// a release build, which takes precedence if it is not empty.
func describeBuild(info *debug.BuildInfo, release string) buildInfo {
	version := cmp.Or(release, info.Main.Version, "devel")
	if version == "(devel)" {
		version = "devel"
	}
	settings := map[string]string{}
	for _, setting := range info.Settings {
		settings[setting.Key] = setting.Value
	}
	return buildInfo{
		Version: version, OS: runtime.GOOS, Arch: runtime.GOARCH, Go: runtime.Version(),
		Commit: settings["vcs.revision"], Time: settings["vcs.time"], Modified: settings["vcs.modified"] == "true",
	}
}
