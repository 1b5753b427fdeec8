package main

import (
	goversion "go/version"
	"os"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/mod/modfile"
)

// safeToolchain is the first release whose net/http encodes responses safely
// while a client changes SETTINGS_HEADER_TABLE_SIZE. With an older one, a client
// without credentials crashes the relay and up (CVE-2026-97032).
const safeToolchain = "go1.26.9"

// TestToolchain keeps everybody from building with a toolchain that has that
// hole: the go line of go.mod refuses it, and so does this test.
func TestToolchain(t *testing.T) {
	text, err := os.ReadFile("../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	mod, err := modfile.Parse("go.mod", text, nil)
	if err != nil {
		t.Fatal(err)
	}
	line := "go" + mod.Go.Version
	for what, got := range map[string]string{"the go line of go.mod": line, "this toolchain": strings.Fields(runtime.Version())[0]} {
		if goversion.Compare(got, safeToolchain) < 0 {
			t.Errorf("%s is %s, want %s or newer", what, got, safeToolchain)
		}
	}
	if goversion.Compare(runtime.Version(), line) < 0 {
		t.Errorf("built with %s, go.mod wants %s", runtime.Version(), line)
	}
	workflow, err := os.ReadFile("../../.github/workflows/ci.yml")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(workflow), "go-version-file: go.mod") {
		t.Error("CI does not take its toolchain from go.mod")
	}
}
