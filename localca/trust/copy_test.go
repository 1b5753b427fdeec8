package trust

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/devproxy/devproxy/localca"
)

// swapped replaces the file of the fixture's root after it was checked, by
// another root, which it returns.
func (f *fixture) swapped() *localca.CA {
	f.t.Helper()
	other := newCA(f.t)
	text, err := os.ReadFile(other.RootFile())
	if err != nil {
		f.t.Fatal(err)
	}
	if err := os.WriteFile(f.ca.RootFile(), text, 0o644); err != nil {
		f.t.Fatal(err)
	}
	return other
}

func TestWithCopy(t *testing.T) {
	f := newFixture(t)
	text, err := os.ReadFile(f.ca.RootFile())
	if err != nil {
		t.Fatal(err)
	}
	f.swapped()
	var seen string
	failure := errors.New("no")
	err = rootOf(f.ca).withCopy(func(path string) error {
		seen = path
		if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, text) {
			t.Errorf("the copy is %q, %v", got, err)
		}
		return failure
	})
	if !errors.Is(err, failure) {
		t.Error(err)
	}
	if exists(filepath.Dir(seen)) {
		t.Errorf("%s was left behind", seen)
	}
}

func TestJavaGetsWhatWasChecked(t *testing.T) {
	f := newFixture(t)
	f.javaHome("jdk")
	other := f.swapped()
	want(t, f.store("java").Install(t.Context()), Trusted)
	want(t, f.storeFor("java", other).Check(t.Context()), Untrusted)
}

func TestNSSGetsWhatWasChecked(t *testing.T) {
	needTool(t, "certutil")
	f := newFixture(t)
	f.database(f.home(".pki", "nssdb"))
	other := f.swapped()
	want(t, f.store("chromium").Install(t.Context()), Trusted)
	want(t, f.storeFor("chromium", other).Check(t.Context()), Untrusted)
}
