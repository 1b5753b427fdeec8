package answer

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/devproxy/devproxy/devproxy/plan"
)

// TestFilesStayWithin: a folder behind a link that leads elsewhere than when the
// plan was made is not served.
func TestFilesStayWithin(t *testing.T) {
	base, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"in/site", "out"} {
		write(t, filepath.Join(base, dir, "a.txt"), "a")
	}
	for link, target := range map[string]string{"in/here": "site", "in/away": "../out"} {
		if err := os.Symlink(target, filepath.Join(base, link)); err != nil {
			t.Skip("this system has no links: ", err)
		}
	}
	for _, tt := range []struct {
		dir, within string
		served      bool
	}{
		{"in/site", "in", true}, {"in/here", "in", true}, {"in", "in", true}, {"out", "out", true}, {"in/away", "out", true}, {"in/away", "", true},
		{"in/away", "in", false}, {"out", "in", false},
	} {
		spec := &plan.Files{Dir: filepath.Join(base, tt.dir), Text: tt.dir}
		if tt.within != "" {
			spec.Within = filepath.Join(base, tt.within)
		}
		rest := "/a.txt"
		if tt.dir == "in" {
			rest = "/site/a.txt"
		}
		w, err := get(spec, http.MethodGet, rest, "", nil)
		var unread *ReadError
		if tt.served && (err != nil || w.Code != 200) || !tt.served && (!errors.As(err, &unread) || !errors.Is(err, errMoved)) {
			t.Errorf("%s within %q: %v", tt.dir, tt.within, err)
		}
	}
}
