package share

import "testing"

// TestShortNames: 8.3 names are hidden, and what only looks alike is not.
func TestShortNames(t *testing.T) {
	for path, want := range map[string]bool{
		"/ENV~1": true, "/env~12": true, "/ENV~1.LOC": true, "/GIT~1/config": true, "/a~1": true, "/PROXYF~1.HCL": true, "/abcdef~1": true, "/abcde~12": true, "/abcdef~12": true, "/abcdef~123": false, "/abcd~123": true, "/abc~1234": true, "/1a~1": true, "/12~1.key": true, "/12~1.hcl": true,
		"/EN0A1B~1": true, "/EN0A1B~1.JS": true, "/env~1.js": true, "/x/ENV~1": true, "/ENV~1.": true,
		"/~1": false, "/abcdefg~1": false, "/env~": true, "/env~12345": false, "/env~x": false, "/env~1x": false, "/env~1.abcd": false,
		"/a~1.js": false, "/main~2.css": false, "/en0a1~1.js": false, "/en0a1bc~1.js": false, "/en0a1g~1.js": false, "/xx0a1b~1.js": false, "/img~1.png": false,
		"/env~1.pdf": true, "/photo~1.pdf": false, "/en0a1b~1.ts": true, "/a~1.ts": false, "/a~0": false, "/a~01": false, "/sales~2024": false, "/2024~2025": false, "/5~10": false,
		"/env": false, "/a~b~1.txt": false, "/vendors~main.chunk.js": false, "/~me/x": false,
	} {
		if got := Hidden(path); got != want {
			t.Errorf("%s: hidden %v, want %v", path, got, want)
		}
	}
	// Endings of files that bundlers name alike: such a name is no secret's but
	// for those that ".env…" gets.
	for _, ending := range []string{
		"js", "mjs", "css", "map", "png", "jpg", "gif", "svg", "ts", "tsx", "jsx", "vue", "htm", "pdf", "ico", "bmp", "mp3", "mp4", "ogg", "wav", "ttf", "otf", "eot", "glb", "vtt",
	} {
		if Hidden("/photo~1." + ending) {
			t.Errorf("/photo~1.%s is hidden", ending)
		}
		if !Hidden("/env~1." + ending) {
			t.Errorf("/env~1.%s is not hidden", ending)
		}
	}
}
