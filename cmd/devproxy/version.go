package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

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

// describeBuild joins what the go command recorded with the version of a release
// build, which has precedence if it is not empty.
func describeBuild(info *debug.BuildInfo, release string) buildInfo {
	build := buildInfo{Version: release, OS: runtime.GOOS, Arch: runtime.GOARCH, Go: runtime.Version()}
	if build.Version == "" {
		build.Version = info.Main.Version
	}
	if build.Version == "" || build.Version == "(devel)" {
		build.Version = "devel"
	}
	for _, setting := range info.Settings {
		switch setting.Key {
		case "vcs.revision":
			build.Commit = setting.Value
		case "vcs.time":
			build.Time = setting.Value
		case "vcs.modified":
			build.Modified = setting.Value == "true"
		}
	}
	return build
}
