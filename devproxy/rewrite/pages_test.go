package rewrite

import (
	"flag"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// update rewrites the goldens.
var update = flag.Bool("update", false, "rewrite testdata/pages/*.golden")

// pageTypes are the media types of testdata/pages.
var pageTypes = map[string]string{
	".html": "text/html; charset=utf-8", ".js": "text/javascript", ".css": "text/css", ".map": "application/json",
	".flight": "text/x-component", ".turbo": "text/vnd.turbo-stream.html; charset=utf-8",
}

// TestPages: what frameworks send, shortened. Wherever it is cut, and in every coding, it
// becomes the golden: cut at every byte, and in two at some, which differ from run to run. TestFrameworks has browsers open the whole pages.
func TestPages(t *testing.T) {
	files, err := filepath.Glob("testdata/pages/*")
	if err != nil || len(files) == 0 {
		t.Fatalf("%q, %v", files, err)
	}
	for _, file := range files {
		if strings.HasSuffix(file, ".golden") {
			continue
		}
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			checkPage(t, file)
		})
	}
}

func checkPage(t *testing.T, file string) {
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	through := func(name string, body []byte, cut func(int) int) string {
		t.Helper()
		h := http.Header{"Content-Type": {pageTypes[filepath.Ext(file)]}, "Content-Encoding": {name}}
		got, err := respond(request(), h, http.StatusOK, body, cut, ignore)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		return decode(t, got.Body.Bytes(), name)
	}
	if *update {
		if err := os.WriteFile(file+".golden", []byte(through("", text, whole)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	golden, err := os.ReadFile(file + ".golden")
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(rand.Uint64(), 13))
	for _, name := range codings {
		body := encode(t, text, name, r)
		check := func(cut func(int) int, which string, at int) {
			t.Helper()
			if got := through(name, body, cut); got != string(golden) {
				t.Fatalf("%q, %s %d: it becomes\n%s\nwant\n%s", name, which, at, got, golden)
			}
		}
		check(func(int) int { return 1 }, "in pieces of", 1) // at every border at once
		step := 1 + len(body)/100
		if name != "" {
			step = 1 + len(body)/5
		}
		for at := r.IntN(step); at < len(body); at += step {
			first := true
			check(func(left int) int {
				if first && at > 0 {
					first = false
					return at
				}
				return left
			}, "cut at", at)
		}
	}
}
