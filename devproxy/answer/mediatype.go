package answer

import (
	"cmp"
	"mime"
	"path"
	"strings"
)

// mediaType is the Content-Type of a file by its name, empty when the name says
// nothing.
func mediaType(name string) string {
	ext := strings.ToLower(path.Ext(name))
	return cmp.Or(webType(ext), mime.TypeByExtension(ext))
}

// webType is the type of what web projects are made of, by the ending of a name in
// lower case; empty for other endings. It is fixed, not left to the system's tables,
// which differ between machines: a Windows registry may say that .js is text/plain,
// and then modules do not run; Debian's mime.types says that .ts is video/mp2t.
func webType(ext string) string {
	switch ext {
	case ".html", ".htm":
		return "text/html; charset=utf-8"
	case ".xhtml":
		return "application/xhtml+xml"
	case ".js", ".mjs", ".cjs":
		return "text/javascript; charset=utf-8"
	case ".ts", ".mts", ".cts":
		return "application/typescript; charset=utf-8"
	case ".jsx":
		return "text/jsx; charset=utf-8"
	case ".tsx":
		return "text/tsx; charset=utf-8"
	case ".css":
		return "text/css; charset=utf-8"
	case ".json", ".map":
		return "application/json"
	case ".jsonld":
		return "application/ld+json"
	case ".geojson":
		return "application/geo+json"
	case ".gltf":
		return "model/gltf+json"
	case ".glb":
		return "model/gltf-binary"
	case ".webmanifest":
		return "application/manifest+json"
	case ".svg":
		return "image/svg+xml"
	case ".txt", ".text", ".log", ".md", ".markdown": // browsers show these, and download text/markdown
		return "text/plain; charset=utf-8"
	case ".csv":
		return "text/csv; charset=utf-8"
	case ".tsv":
		return "text/tab-separated-values; charset=utf-8"
	case ".vtt":
		return "text/vtt; charset=utf-8"
	case ".ics":
		return "text/calendar; charset=utf-8"
	case ".yaml", ".yml":
		return "application/yaml"
	case ".toml":
		return "application/toml"
	case ".xml", ".xsl", ".xslt":
		return "application/xml"
	case ".rss":
		return "application/rss+xml"
	case ".atom":
		return "application/atom+xml"
	case ".wasm":
		return "application/wasm"
	case ".png":
		return "image/png"
	case ".apng":
		return "image/apng"
	case ".jpg", ".jpeg":
		return "image/jpeg"
	case ".gif":
		return "image/gif"
	case ".webp":
		return "image/webp"
	case ".avif":
		return "image/avif"
	case ".bmp":
		return "image/bmp"
	case ".jxl":
		return "image/jxl"
	case ".ico":
		return "image/x-icon"
	case ".woff":
		return "font/woff"
	case ".woff2":
		return "font/woff2"
	case ".ttf":
		return "font/ttf"
	case ".otf":
		return "font/otf"
	case ".eot":
		return "application/vnd.ms-fontobject"
	case ".mp4", ".m4v":
		return "video/mp4"
	case ".webm":
		return "video/webm"
	case ".ogv":
		return "video/ogg"
	case ".mov":
		return "video/quicktime"
	case ".m4s":
		return "video/iso.segment"
	case ".m3u8":
		return "application/vnd.apple.mpegurl"
	case ".mpd":
		return "application/dash+xml"
	case ".mp3":
		return "audio/mpeg"
	case ".m4a":
		return "audio/mp4"
	case ".aac":
		return "audio/aac"
	case ".wav":
		return "audio/wav"
	case ".flac":
		return "audio/flac"
	case ".ogg", ".oga", ".opus":
		return "audio/ogg"
	case ".pdf":
		return "application/pdf"
	case ".zip":
		return "application/zip"
	case ".gz":
		return "application/gzip"
	}
	return ""
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
