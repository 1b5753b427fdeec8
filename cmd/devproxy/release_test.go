package main

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"
)

// releaseConfig has those fields of goreleaser's configuration that make
// promises to people who install devproxy. `make release-check` checks the rest.
type releaseConfig struct {
	Builds []struct {
		Env, Flags, Ldflags []string
		Goos, Goarch        []string
		ModTimestamp        string `yaml:"mod_timestamp"`
	}
	Archives []struct {
		Formats         []string
		FormatOverrides []struct {
			Goos    string
			Formats []string
		} `yaml:"format_overrides"`
		Files []struct{ Src, Dst string }
	}
	Nfpms  []map[string]any
	Casks  []struct{ Manpages []string } `yaml:"homebrew_casks"`
	SBOMs  []struct{ Artifacts string }  `yaml:"sboms"`
	Signs  []struct{ Artifacts string }
	Images []struct {
		Dockerfile string
		Platforms  []string
	} `yaml:"dockers_v2"`
	Changelog struct {
		Groups []struct{ Title, Regexp string }
	}
	Release struct{ Draft bool }
}

// readRelease is the configuration that releases are built with.
func readRelease(t *testing.T) releaseConfig {
	t.Helper()
	var config releaseConfig
	if err := yaml.Unmarshal([]byte(readText(t, "../../.ci/release/goreleaser.yaml")), &config); err != nil {
		t.Fatal(err)
	}
	return config
}

// TestReleaseTargets wants archives for three systems and two processors, with
// the manual and completions, and everything listed, signed and described.
func TestReleaseTargets(t *testing.T) {
	config := readRelease(t)
	if len(config.Builds) != 1 || len(config.Archives) != 1 || len(config.Nfpms) != 1 || len(config.Casks) != 1 || len(config.Images) != 1 {
		t.Fatalf("the configuration has changed its shape: %+v", config)
	}
	build := config.Builds[0]
	if !slices.Equal(build.Goos, []string{"linux", "darwin", "windows"}) || !slices.Equal(build.Goarch, []string{"amd64", "arm64"}) {
		t.Errorf("builds are for %v on %v", build.Goos, build.Goarch)
	}
	// A program of cgo needs the libc of the machine that has built it.
	if !slices.Contains(build.Env, "CGO_ENABLED=0") || !slices.Contains(build.Flags, "-trimpath") || build.ModTimestamp == "" {
		t.Errorf("builds are not static, or can't be built again: %+v", build)
	}
	if !strings.Contains(strings.Join(build.Ldflags, " "), "-X main.release=v{{ .Version }}") || !slices.Contains(build.Flags, "-buildvcs=true") {
		t.Errorf("builds do not know their version and commit: %+v", build)
	}
	var files []string
	for _, file := range config.Archives[0].Files {
		files = append(files, file.Src)
	}
	for _, want := range []string{"LICENSE", "README.md", "bin/release/man/*.1.gz", "bin/release/completions/*"} {
		if !slices.Contains(files, want) {
			t.Errorf("archives have %v, not %s", files, want)
		}
	}
	if override := config.Archives[0].FormatOverrides; len(override) != 1 || override[0].Goos != "windows" || !slices.Equal(override[0].Formats, []string{"zip"}) {
		t.Errorf("Windows has no zip: %v", override)
	}
	if len(config.SBOMs) == 0 || len(config.Signs) != 1 || config.Signs[0].Artifacts != "checksum" || config.Release.Draft {
		t.Errorf("no bill of materials, no signature, or a draft that the cask can't download: %+v", config)
	}
	if !slices.Equal(config.Images[0].Platforms, []string{"linux/amd64", "linux/arm64"}) {
		t.Errorf("images are for %v", config.Images[0].Platforms)
	}
}

// TestReleaseHasTheManual compares the pages of the cask, which have to be
// listed, with those that there are.
func TestReleaseHasTheManual(t *testing.T) {
	_, pages := manual(t)
	var want []string
	for name := range maps.Keys(pages) {
		want = append(want, "man/"+name+".gz")
	}
	got := slices.Clone(readRelease(t).Casks[0].Manpages)
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("homebrew_casks.manpages of goreleaser.yaml are\n%q, want\n%q", got, want)
	}
}

// TestReleaseNotes sorts subjects of commits as the notes do: the first group
// that matches has it.
func TestReleaseNotes(t *testing.T) {
	groups := readRelease(t).Changelog.Groups
	for subject, want := range map[string]string{
		"cmd/devproxy, hcl: share through a list of relays": "Command line",
		"hcl, devproxy/plan: ask for consent":               "Proxyfile",
		"devproxy/share/provider: share through SSH":        "Shares",
		"tunnel/relay: dial once":                           "Relay and tunnel",
		"devproxy/middleware/cache: keep visitors apart":    "Server",
		"devproxy: answer":                                  "Server",
		"localca/trust: write":                              "Trust",
		"README: list":                                      "Other",
		"cmd/bench: measure":                                "Other",
	} {
		for _, group := range groups {
			if regexp.MustCompile(group.Regexp).MatchString(subject) {
				if group.Title != want {
					t.Errorf("%q is listed under %s, want %s", subject, group.Title, want)
				}
				break
			}
		}
	}
	if last := groups[len(groups)-1]; last.Regexp != "" {
		t.Errorf("the last group, %s, does not take what is left", last.Title)
	}
}

// TestRelayImage holds that the image runs the relay as an ordinary user, with
// nothing else in it.
func TestRelayImage(t *testing.T) {
	var froms, users []string
	for line := range strings.Lines(readText(t, filepath.Join("../..", readRelease(t).Images[0].Dockerfile))) {
		switch word, rest, _ := strings.Cut(strings.TrimSpace(line), " "); word {
		case "FROM":
			froms = append(froms, rest)
		case "USER":
			users = append(users, rest)
		case "RUN", "ADD":
			t.Errorf("the image is made with %s", line)
		case "ENTRYPOINT":
			if !strings.HasPrefix(rest, `["/usr/bin/devproxy", "relay"`) {
				t.Errorf("the image starts %s", rest)
			}
		}
	}
	if !slices.Equal(froms, []string{"scratch"}) || !slices.Equal(users, []string{"65532:65532"}) {
		t.Errorf("the image is from %v and runs as %v", froms, users)
	}
}

// workflow has what decides about a workflow's rights.
type workflow struct {
	On          map[string]any
	Permissions map[string]string
	Jobs        map[string]struct {
		Permissions map[string]string
		Steps       []struct {
			Uses string
			With map[string]any
		}
	}
}

// TestWorkflows holds that each job has the rights that it lists and no others,
// and that what it runs of others can't change: a tag can, a commit can't.
func TestWorkflows(t *testing.T) {
	pinned := regexp.MustCompile(`^[\w-]+/[\w-]+@[0-9a-f]{40}$`)
	// The jobs that may do more than read the repository.
	writers := map[string][]string{
		"release.yml goreleaser": {"contents", "id-token", "packages"},
		"release.yml npm":        {"id-token"},
	}
	paths, err := filepath.Glob("../../.github/workflows/*")
	if err != nil || len(paths) < 2 {
		t.Fatalf("workflows: %v, %v", paths, err)
	}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var w workflow
		if err := yaml.Unmarshal(text, &w); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		if w.Permissions == nil || len(w.Permissions) > 0 || len(w.Jobs) == 0 {
			t.Errorf("%s gives all of its jobs %v, want permissions: {}", path, w.Permissions)
		}
		// It runs a stranger's code with the repository's secrets.
		if _, found := w.On["pull_request_target"]; found {
			t.Errorf("%s runs on pull_request_target", path)
		}
		for name, job := range w.Jobs {
			var writes []string
			for right, level := range job.Permissions {
				if level == "write" {
					writes = append(writes, right)
				}
			}
			slices.Sort(writes)
			if id := filepath.Base(path) + " " + name; !slices.Equal(writes, writers[id]) {
				t.Errorf("%s may write %v, want %v", id, writes, writers[id])
			}
			for _, step := range job.Steps {
				if step.Uses != "" && !pinned.MatchString(step.Uses) {
					t.Errorf("%s uses %s, not a commit", path, step.Uses)
				}
				if strings.HasPrefix(step.Uses, "actions/checkout@") && step.With["persist-credentials"] != false {
					t.Errorf("%s leaves the token on the disk after checkout", path)
				}
			}
		}
	}
}
