package hcl

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestMain(m *testing.M) {
	flag.Bool("update", false, "rewrite the golden files")
	flag.Parse()
	os.Exit(m.Run())
}

func updating() bool { return flag.Lookup("update").Value.String() == "true" }

var expectation = regexp.MustCompile(`# (ERROR|WARNING): (.*)$`)

// TestFixtures loads every Proxyfile of testdata. A comment at the end of a line
// has the expected diagnostics of that line, NAME.golden the whole output.
func TestFixtures(t *testing.T) {
	files, err := filepath.Glob("../testdata/proxyfile/*/*.hcl")
	if err != nil || len(files) == 0 {
		t.Fatal("no fixtures", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(filepath.Dir(file))+"/"+filepath.Base(file), func(t *testing.T) { testFixture(t, file) })
	}
}

func testFixture(t *testing.T, path string) {
	path, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	file, diags, err := Load(path, Options{WorkDir: filepath.Dir(path), Getenv: testEnv})
	if err != nil {
		t.Fatal(err)
	}
	text := file.Sources[filepath.Base(path)]
	got := map[string][]string{}
	for _, d := range diags {
		line := fmt.Sprintf("%d", d.Range.Start.Line)
		got[line] = append(got[line], strings.ToUpper(string(d.Severity))+": "+d.Summary)
	}
	for _, summaries := range got {
		slices.Sort(summaries)
	}
	if diff := cmp.Diff(expectations(text), got); diff != "" {
		t.Errorf("diagnostics (-want +got):\n%s", diff)
	}
	checkRanges(t, file, diags)

	var out bytes.Buffer
	if err := diags.Write(&out, file.Sources, false); err != nil {
		t.Fatal(err)
	}
	golden := strings.TrimSuffix(path, ".hcl") + ".golden"
	switch filepath.Base(filepath.Dir(path)) {
	case "valid":
		if len(diags) > 0 {
			t.Errorf("a valid file has diagnostics:\n%s", &out)
		}
		return
	case "warn":
		if diags.HasErrors() {
			t.Errorf("a file with warnings has an error:\n%s", &out)
		}
	case "invalid":
		if !diags.HasErrors() {
			t.Error("an invalid file has no error")
		}
	}
	if updating() {
		if err := os.WriteFile(golden, out.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), out.String()); diff != "" {
		t.Errorf("rendered (-want +got; -update rewrites):\n%s", diff)
	}
}

func testEnv(name string) string {
	if name == "SET" {
		return "from the environment"
	}
	return ""
}

func expectations(text []byte) map[string][]string {
	want := map[string][]string{}
	number := 0
	for line := range strings.Lines(string(text)) {
		number++
		if m := expectation.FindStringSubmatch(strings.TrimRight(line, "\n")); m != nil {
			key := fmt.Sprintf("%d", number)
			for summary := range strings.SplitSeq(m[2], " | ") {
				want[key] = append(want[key], m[1]+": "+summary)
			}
			slices.Sort(want[key])
		}
	}
	return want
}
