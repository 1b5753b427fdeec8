package share

import "net/http"

// Kind is a class of what a share hides. Its text is what the terminal prints.
type Kind string

// The kinds of what a share hides.
const (
	Secrets Kind = "secret file"
	Tools   Kind = "developer tool"
)

// Rule is one entry of the table of what a share hides.
type Rule struct {
	Kind Kind
	// What says what the rule hides, in a few words that follow "hides": "the
	// mail previews of Rails".
	What string
	// Show is the text that opens the rule in `share { show = […] }`. It is
	// unique in the table.
	Show string

	// names are file names: "id_rsa", "*.pem", "secrets.*".
	names []string
	// paths are path patterns: "/a/b" at the root of the site, "**/a/b" at any
	// depth. Each hides what is below it too. A "*" stands for any text within a
	// segment.
	paths []string
	// query are names of query parameters that hide any path.
	query []string
	// response recognizes the tool by the head of its response and the first
	// bytes of its body. It is for paths that an app may have too. Nil means
	// that the request alone decides.
	response func(header http.Header, body []byte) bool
}
