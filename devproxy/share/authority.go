package share

import "strings"

// authority is a normal host and port (RFC 3986 section 3.2): the name in
// lower case without its trailing dot, the port always written out.
type authority struct{ name, port string }

// String is the authority as https writes it: without port 443.
func (a authority) String() string {
	if a.port == httpsPort {
		return a.name
	}
	return a.name + ":" + a.port
}

const (
	httpPort  = "80"
	httpsPort = "443"
)

// parseAuthority reads an authority without userinfo. port is what an authority
// without one means. A name may have a "*" in it: it is looked up like any
// other, and found only where the table has one.
func parseAuthority(text, port string) (a authority, ok bool) {
	name := text
	if i := strings.LastIndexByte(text, ':'); i > strings.LastIndexByte(text, ']') {
		name = text[:i]
		if text[i+1:] != "" {
			port = text[i+1:]
		}
	}
	name = strings.TrimSuffix(lower(name), ".")
	return authority{name, port}, name != "" && isPort(port) && isName(name)
}

func isPort(port string) bool {
	return len(port) <= len("65535") && strings.Trim(port, "0123456789") == ""
}

// isName reports whether name consists of what names and addresses are
// written with; name is in lower case.
func isName(name string) bool {
	for i := range len(name) {
		if !isLabelByte(name[i]) && strings.IndexByte(".*[:]", name[i]) < 0 {
			return false
		}
	}
	return true
}

// isLabel reports whether text can stand for the "*" of a wildcard.
func isLabel(text string) bool {
	if text == "" || len(text) > maxLabel {
		return false
	}
	for i := range len(text) {
		if !isLabelByte(text[i]) {
			return false
		}
	}
	return true
}

func isLabelByte(c byte) bool {
	return 'a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-' || c == '_'
}

// maxLabel is RFC 1035 section 2.3.4, in bytes.
const maxLabel = 63

// lower folds ASCII alone: folding more could turn one name into another. The
// result is as long as text.
func lower(text string) string {
	result := []byte(text)
	for i, c := range result {
		if 'A' <= c && c <= 'Z' {
			result[i] = c + 'a' - 'A'
		}
	}
	return string(result)
}

// within reports whether name is domain or below it.
func within(name, domain string) bool {
	return domain != "" && (name == domain || strings.HasSuffix(name, "."+domain))
}
