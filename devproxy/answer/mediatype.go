package answer

import (
	"cmp"
	"mime"
	"path"
	"strings"
)

// contentType returns the Content-Type of plain, sent with a content coding. It
// is empty where http.ServeContent shall look at the bytes, which it can't when
// they are compressed.
func contentType(plain *file, coding string) string {
	kind := mediaType(plain.name)
	switch {
	case isTransportStream(plain):
		return "video/mp2t"
	case kind == "" && isWellKnownJSON(plain):
		return "application/json"
	case kind == "" && coding != "":
		return "application/octet-stream"
	}
	return kind
}

// mediaType returns the Content-Type of a file by its name, empty when the name
// says nothing.
func mediaType(name string) string {
	ext := strings.ToLower(path.Ext(name))
	return cmp.Or(webType(ext), mime.TypeByExtension(ext))
}

// webType returns the type for an extension in lower case; empty for others than
// those of webTypes.
func webType(ext string) string {
	kind := webTypes[ext]
	if strings.HasPrefix(kind, "text/") || kind == "application/typescript" {
		kind += "; charset=utf-8"
	}
	return kind
}

// webTypes are the types of what web projects consist of, by extension. They are
// fixed, not taken from the system's tables, which differ between machines: a
// Windows registry may say that .js is text/plain, and then modules do not run;
// Debian's mime.types says that .ts is video/mp2t.
var webTypes = map[string]string{
	".html": "text/html", ".htm": "text/html", ".xhtml": "application/xhtml+xml",
	".js": "text/javascript", ".mjs": "text/javascript", ".cjs": "text/javascript",
	".ts": "application/typescript", ".mts": "application/typescript", ".cts": "application/typescript",
	".jsx": "text/jsx", ".tsx": "text/tsx", ".css": "text/css", ".wasm": "application/wasm",
	".json": "application/json", ".map": "application/json", ".jsonld": "application/ld+json",
	".geojson": "application/geo+json", ".webmanifest": "application/manifest+json",
	".gltf": "model/gltf+json", ".glb": "model/gltf-binary",

	// Browsers show these, and download text/markdown.
	".txt": "text/plain", ".text": "text/plain", ".log": "text/plain", ".md": "text/plain", ".markdown": "text/plain",
	".csv": "text/csv", ".tsv": "text/tab-separated-values", ".vtt": "text/vtt", ".ics": "text/calendar",
	".yaml": "application/yaml", ".yml": "application/yaml", ".toml": "application/toml",
	".xml": "application/xml", ".xsl": "application/xml", ".xslt": "application/xml",
	".rss": "application/rss+xml", ".atom": "application/atom+xml",

	".svg": "image/svg+xml", ".png": "image/png", ".apng": "image/apng", ".jpg": "image/jpeg", ".jpeg": "image/jpeg",
	".gif": "image/gif", ".webp": "image/webp", ".avif": "image/avif", ".bmp": "image/bmp", ".jxl": "image/jxl",
	".ico": "image/x-icon", ".woff": "font/woff", ".woff2": "font/woff2", ".ttf": "font/ttf", ".otf": "font/otf",
	".eot": "application/vnd.ms-fontobject",

	".mp4": "video/mp4", ".m4v": "video/mp4", ".webm": "video/webm", ".ogv": "video/ogg", ".mov": "video/quicktime",
	".m4s": "video/iso.segment", ".m3u8": "application/vnd.apple.mpegurl", ".mpd": "application/dash+xml",
	".mp3": "audio/mpeg", ".m4a": "audio/mp4", ".aac": "audio/aac", ".wav": "audio/wav", ".flac": "audio/flac",
	".ogg": "audio/ogg", ".oga": "audio/ogg", ".opus": "audio/ogg",

	".pdf": "application/pdf", ".zip": "application/zip", ".gz": "application/gzip",
}

// isTransportStream reports whether f, named ".ts", is a segment of an MPEG
// transport stream (HLS) and not TypeScript: its packets of 188 bytes each begin
// with 0x47 (ISO/IEC 13818-1 section 2.4.3.2).
func isTransportStream(f *file) bool {
	const packet, sync = 188, 0x47
	if !strings.EqualFold(path.Ext(f.name), ".ts") {
		return false
	}
	var head [2*packet + 1]byte
	n, _ := f.ReadAt(head[:], 0)
	return n > packet && head[0] == sync && head[packet] == sync && (n < len(head) || head[2*packet] == sync)
}

// isWellKnownJSON reports whether f, whose name has no type, is JSON below
// .well-known. Those names have no extension, and their readers insist on the
// type: "apple-app-site-association", "openid-configuration", "webfinger".
func isWellKnownJSON(f *file) bool {
	if !f.wellKnown {
		return false
	}
	var head [64]byte
	n, _ := f.ReadAt(head[:], 0)
	text := strings.TrimLeft(string(head[:n]), " \t\r\n")
	return strings.HasPrefix(text, "{") || strings.HasPrefix(text, "[")
}
