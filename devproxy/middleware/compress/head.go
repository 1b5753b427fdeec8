package compress

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/devproxy/devproxy/tunnel/field"
)

// smallest is the least that is worth it, in bytes: below, the head is longer
// than what could be saved, and all of it fits a packet.
const smallest = 256

// mayChange reports whether an answer with this head may be had compressed by
// somebody, which is when it varies by Accept-Encoding.
func mayChange(status int, h http.Header) bool {
	switch {
	case status < 200, status == http.StatusNoContent, status == http.StatusPartialContent:
		return false
	case status == http.StatusNotModified:
		return true // of something that is there
	case h.Get("Content-Range") != "", coded(h), field.Has(h["Cache-Control"], "no-transform"):
		return false
	case h.Get("Content-Length") != "" && length(h) < smallest:
		return false
	}
	return compressible(h.Get("Content-Type"))
}

func coded(h http.Header) bool {
	for _, line := range h["Content-Encoding"] {
		if line = strings.TrimSpace(line); line != "" && !strings.EqualFold(line, "identity") {
			return true
		}
	}
	return false
}

// length is the declared one, -1 when there is none.
func length(h http.Header) int64 {
	n, err := strconv.ParseInt(h.Get("Content-Length"), 10, 64)
	if err != nil {
		return -1
	}
	return n
}

// compressible reports whether a media type is text, or shrinks like it.
func compressible(contentType string) bool {
	kind := strings.ToLower(strings.TrimSpace(contentType))
	if i := strings.IndexAny(kind, ";, \t"); i >= 0 {
		kind = kind[:i] // parameters may be broken
	}
	major, minor, _ := strings.Cut(kind, "/")
	switch {
	case kind == "text/event-stream", major == "application" && strings.HasPrefix(minor, "grpc"): // which frames, and codes, by itself
		return false
	case major == "text", strings.HasSuffix(minor, "+json"), strings.HasSuffix(minor, "+xml"), strings.HasSuffix(minor, "+text"):
		return true
	case major == "application":
		return slices.Contains([]string{
			"json", "javascript", "x-javascript", "ecmascript", "xml", "wasm", "graphql", "x-ndjson", "jsonl", "json-seq",
			"x-www-form-urlencoded", "yaml", "x-yaml", "toml", "sql", "vnd.ms-fontobject", "x-font-ttf",
		}, minor)
	case major == "font":
		return minor == "ttf" || minor == "otf" || minor == "sfnt" || minor == "collection"
	case major == "image":
		return minor == "bmp" || minor == "vnd.microsoft.icon" || minor == "x-icon"
	}
	return false
}

// describe makes h that of a compressed representation. What was said of the
// plain bytes no longer holds.
func describe(h http.Header, c *coding) {
	h["Content-Encoding"] = []string{c.token}
	for _, name := range []string{"Content-Length", "Accept-Ranges", "Content-Md5", "Content-Digest", "Repr-Digest", "Digest"} {
		delete(h, name)
	}
	if tag := h.Get("Etag"); strings.HasPrefix(tag, `"`) {
		h["Etag"] = []string{"W/" + tag}
	}
}

// describeUnchanged is for a 304: whoever asked with a weak tag has a
// representation that was compressed here, and goes on having it.
func describeUnchanged(h, asked http.Header) {
	if tag := h.Get("Etag"); strings.HasPrefix(tag, `"`) && strings.Contains(strings.Join(asked["If-None-Match"], ","), "W/"+tag) {
		h["Etag"] = []string{"W/" + tag}
	}
}

func addVary(h http.Header) {
	if !field.Has(h["Vary"], "Accept-Encoding") && !field.Has(h["Vary"], "*") {
		h["Vary"] = append(slices.Clip(h["Vary"]), "Accept-Encoding")
	}
}
