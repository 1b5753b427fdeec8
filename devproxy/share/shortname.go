package share

import "strings"

// isShortName reports a name of the form that Windows also gives to long names
// and to those that begin with a dot (8.3 names): "ENV~1", "GI3F2A~1",
// "PROXYF~1.HCL". Assets of bundlers look alike ("a~1.js"); such an ending is a
// short name only where it may stand for a hidden one.
func isShortName(name string) bool {
	base, extension, _ := strings.Cut(name, ".")
	letters, number, found := strings.Cut(base, "~")
	if !found || len(letters) < 1 || len(letters) > 6 || !isNumber(number) || number[0] == '0' || len(number) > 2 && len(base) > 8 || len(extension) > 3 {
		return false
	}
	if extension == "" && isNumber(letters) {
		return false // "5~10" is a range: no hidden name is only digits
	}
	switch extension {
	case "js", "mjs", "css", "map", "png", "jpg", "gif", "svg", "ts", "tsx", "jsx", "vue", "htm", "pdf", "ico", "bmp", "mp3", "mp4", "ogg", "wav", "ttf", "otf", "eot", "glb", "vtt":
		return strings.HasPrefix(letters, "env") || isHashed(letters)
	}
	return true
}

// isHashed reports "EN" and four digits of a checksum, which later names of
// ".env…" get.
func isHashed(letters string) bool {
	return len(letters) == 6 && letters[:2] == "en" && strings.Trim(letters[2:], "0123456789abcdef") == ""
}

func isNumber(text string) bool { return text != "" && strings.Trim(text, "0123456789") == "" }
