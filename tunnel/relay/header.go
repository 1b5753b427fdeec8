package relay

import (
	"net/http"

	"github.com/devproxy/devproxy/tunnel/field"
)

// requestFields are the fields of r that go to the agent, as far as package
// field allows them; the framing of its body and an upgrade come on top.
func requestFields(r *http.Request) http.Header {
	out := make(http.Header, len(r.Header)+2)
	for name, values := range r.Header {
		switch name {
		case "Content-Length", "Host": // HTTP/2 may carry a Host too; only :authority counts
		case field.Hop: // by which the agent recognizes a loop through the relay
			out[name] = values
		default:
			if field.Allowed(name, field.Visitor) {
				out[name] = values
			}
		}
	}
	field.DropNamed(out, r.Header["Connection"])
	field.KeepTE(out, r.Header)
	return out
}
