package hostsfile

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const common = "127.0.0.1\tlocalhost\n::1 localhost\n"

func edit(t *testing.T, text, user string, names ...string) string {
	t.Helper()
	edited, err := Edit([]byte(text), user, names)
	if err != nil {
		t.Fatalf("Edit(%q): %v", text, err)
	}
	return string(edited)
}

func TestEdit(t *testing.T) {
	got := edit(t, common, "1000", "shop.localhost", "admin.shop.localhost", "shop.localhost")
	want := common + `# devproxy: begin of the names of user 1000
# written by devproxy names sync, removed by devproxy names clean
127.0.0.1 admin.shop.localhost
127.0.0.1 shop.localhost
::1 admin.shop.localhost
::1 shop.localhost
# devproxy: end of the names of user 1000
`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatal(diff)
	}
	// Another project, and a line that the user has added after the block.
	got = edit(t, got+"10.0.0.1 nas", "1000", "blog.localhost")
	want = common + `# devproxy: begin of the names of user 1000
# written by devproxy names sync, removed by devproxy names clean
127.0.0.1 blog.localhost
::1 blog.localhost
# devproxy: end of the names of user 1000
10.0.0.1 nas`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatal(diff)
	}
	if names, err := Names([]byte(got), "1000"); err != nil || !cmp.Equal(names, []string{"blog.localhost"}) {
		t.Errorf("Names: %q, %v", names, err)
	}
	if names, err := Names([]byte(got), "100"); err != nil || names != nil {
		t.Errorf("Names of another user: %q, %v", names, err)
	}
	if got := edit(t, got, "1000"); got != common+"10.0.0.1 nas" {
		t.Errorf("clean leaves %q", got)
	}
}

// TestCleanRestores puts blocks of two users into files of all shapes, and removes them in
// both orders.
func TestCleanRestores(t *testing.T) {
	for _, text := range []string{"", "\n", "a", "a\r", "a\n", "a\r\n", "a\r\nb", "\ufeffa\r\n", "a\n\n\n", "# caf\xe9\n", strings.ReplaceAll(common, "\n", "\r\n") + "x"} {
		one := edit(t, text, "1000", "a.localhost")
		two := edit(t, one, "1001", "b.localhost", "c.localhost")
		two = edit(t, edit(t, two, "1000", "d.localhost", "a.localhost"), "1001", "e.localhost")
		for _, order := range [][2]string{{"1000", "1001"}, {"1001", "1000"}} {
			if got := edit(t, edit(t, two, order[0]), order[1]); got != text {
				t.Errorf("%q, cleaned in the order %v, became %q", text, order, got)
			}
		}
		if got := edit(t, one, "1000"); got != text {
			t.Errorf("%q became %q", text, got)
		}
		if strings.Contains(text, "\r\n") && strings.Count(one, "\n") != strings.Count(one, "\r\n") {
			t.Errorf("%q got other line endings: %q", text, one)
		}
	}
}

// FuzzClean checks that sync, again sync and clean return every file, and that
// everything outside the block stays.
func FuzzClean(f *testing.F) {
	f.Add([]byte(common), true)
	f.Add([]byte("a\r\n\r"), false)
	f.Add([]byte("a\n# devproxy: begin of the names of user 1001, after a line without its ending\r\n# devproxy: end of the names of user 1001"), true)
	f.Fuzz(func(t *testing.T, text []byte, twice bool) {
		if names, err := Names(text, "1000"); err != nil || names != nil || bytes.Contains(text, []byte(markStart)) {
			return
		}
		synced, err := Edit(text, "1000", []string{"shop.localhost"})
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.HasPrefix(synced, text) {
			t.Fatalf("%q became %q", text, synced)
		}
		if twice {
			if synced, err = Edit(synced, "1000", []string{"a.localhost", "b.localhost"}); err != nil {
				t.Fatal(err)
			}
		}
		if cleaned, err := Edit(synced, "1000", nil); err != nil || !bytes.Equal(cleaned, text) {
			t.Fatalf("%q became %q: %v", text, cleaned, err)
		}
	})
}

func TestBrokenBlock(t *testing.T) {
	const start, end = markStart + "1000\n", markEnd + "1000\n"
	for text, want := range map[string]BlockError{
		common + start + "127.0.0.1 a.localhost\n": {3, "the block of user 1000 begins here and has no end"},
		common + end:                                            {3, "the block of user 1000 ends here, and its beginning is missing"},
		start + end + common + start:                            {5, "a second block of user 1000 begins here"},
		start + end + end:                                       {3, "the block of user 1000 ends here, and its beginning is missing"},
		start + start + end:                                     {2, "a block of user 1000 begins here, and the one above has no end"},
		start + "10.0.0.1 nas\n" + end:                          {2, "this line is in the block of user 1000, and devproxy did not write it"},
		start + "127.0.0.1 a.localhost b\n" + end:               {2, "this line is in the block of user 1000, and devproxy did not write it"},
		start + markStart + "1001\n" + markEnd + "1001\n" + end: {2, "this line is in the block of user 1000, and devproxy did not write it"},
	} {
		for _, names := range [][]string{nil, {"shop.localhost"}} {
			_, err := Edit([]byte(text), "1000", names)
			if got, ok := errors.AsType[*BlockError](err); !ok || *got != want {
				t.Errorf("Edit(%q): %v, want %v", text, err, &want)
			}
		}
		if _, err := Edit([]byte(text), "7", []string{"shop.localhost"}); err != nil {
			t.Errorf("another user's broken block: %v", err)
		}
	}
}

func TestHostileNames(t *testing.T) {
	for name, domains := range map[string][]string{
		"shop.localhost": nil, "a_b.x-1.localhost": nil, "shop.test": {"shop.test"}, "api.shop.test": {"other.test", "shop.test"},
	} {
		if err := Check(name, domains); err != nil {
			t.Errorf("Check(%q, %q): %v", name, domains, err)
		}
	}
	for name, domains := range map[string][]string{
		"": nil, "localhost": nil, "github.com": nil, "localhost.com": nil, "xlocalhost": nil, "myshop.test": {"shop.test"},
		"test": {"shop.test"}, "shop.localhost\n10.0.0.1 github.com": nil, "shop.localhost github.com": nil, "a\t.localhost": nil,
		"*.localhost": nil, "*.a.localhost": nil, "Shop.localhost": nil, ".localhost": nil, "a..localhost": nil, "shop.localhost.": nil,
		"127.0.0.1": nil, "::1": nil, "#.localhost": nil, "-a.localhost": nil, "caf\u00e9.localhost": nil, "\u212a.localhost": nil,
		strings.Repeat("a", 64) + ".localhost": nil, strings.Repeat("a.", 130) + "localhost": nil,
	} {
		if err := Check(name, domains); err == nil {
			t.Errorf("Check(%q, %q) passes", name, domains)
		}
	}
	for _, user := range []string{"", "1000\n", "ann", "1 2", "1000, after"} {
		if CheckUser(user) == nil {
			t.Errorf("CheckUser(%q) passes", user)
		}
	}
}

func TestOthers(t *testing.T) {
	text := common + "10.0.0.1 nas Shop.localhost # x\n# 10.0.0.2 shop.localhost\n127.0.0.2 shop.localhost\nfe80::1%lo0 blog.localhost\n"
	want := []Entry{{3, "shop.localhost", "10.0.0.1"}, {6, "blog.localhost", "fe80::1%lo0"}}
	if got := Others([]byte(text), []string{"shop.localhost", "blog.localhost"}); !cmp.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}
