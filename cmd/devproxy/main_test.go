package main

import (
	"encoding/json"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
)

// TestDescribeBuild has what the go command records for each way to build
// devproxy (debug.BuildInfo), and the release that a release build sets.
func TestDescribeBuild(t *testing.T) {
	const revision = "0123456789abcdef0123456789abcdef01234567"
	vcs := func(modified string) []debug.BuildSetting {
		return []debug.BuildSetting{
			{Key: "-trimpath", Value: "true"},
			{Key: "vcs", Value: "git"},
			{Key: "vcs.revision", Value: revision},
			{Key: "vcs.time", Value: "2026-01-02T15:04:05Z"},
			{Key: "vcs.modified", Value: modified},
		}
	}
	tests := map[string]struct {
		main     string
		settings []debug.BuildSetting
		release  string
		want     buildInfo
	}{
		"go install …@v1.2.3": {main: "v1.2.3", want: buildInfo{Version: "v1.2.3"}},
		"a checkout of a tag": {main: "v1.2.3", settings: vcs("false"),
			want: buildInfo{Version: "v1.2.3", Commit: revision, Time: "2026-01-02T15:04:05Z"}},
		"a changed checkout": {main: "v1.2.4-0.20260102150405-0123456789ab+dirty", settings: vcs("true"),
			want: buildInfo{Version: "v1.2.4-0.20260102150405-0123456789ab+dirty", Commit: revision, Time: "2026-01-02T15:04:05Z", Modified: true}},
		"without version control": {main: "(devel)", want: buildInfo{Version: "devel"}},
		"a test":                  {want: buildInfo{Version: "devel"}},
		"a release": {main: "v1.2.4-0.20260102150405-0123456789ab", settings: vcs("false"), release: "v1.2.3",
			want: buildInfo{Version: "v1.2.3", Commit: revision, Time: "2026-01-02T15:04:05Z"}},
		"a package of a distribution": {main: "(devel)", release: "v1.2.3", want: buildInfo{Version: "v1.2.3"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			test.want.OS, test.want.Arch, test.want.Go = runtime.GOOS, runtime.GOARCH, runtime.Version()
			got := describeBuild(&debug.BuildInfo{Main: debug.Module{Version: test.main}, Settings: test.settings}, test.release)
			if got != test.want {
				t.Errorf("describeBuild:\n got %+v\nwant %+v", got, test.want)
			}
		})
	}
}

// TestVersionJSON holds the fields of the documented object.
func TestVersionJSON(t *testing.T) {
	var out strings.Builder
	if code := run(&streams{In: strings.NewReader(""), Out: &out, Err: &out}, []string{"version", "--json"}); code != exitOK {
		t.Fatalf("exit code %d: %s", code, out.String())
	}
	var got buildInfo
	decoder := json.NewDecoder(strings.NewReader(out.String()))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&got); err != nil {
		t.Fatal(err)
	}
	if got != thisBuild() || strings.Count(out.String(), "\n") != 1 {
		t.Errorf("version --json prints %s", out.String())
	}
	for _, field := range []string{"version", "commit", "time", "modified", "os", "arch", "go"} {
		if !strings.Contains(out.String(), `"`+field+`":`) {
			t.Errorf("version --json has no %q: %s", field, out.String())
		}
	}
}
