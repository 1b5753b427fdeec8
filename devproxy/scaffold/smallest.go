package scaffold

import (
	"strings"

	"github.com/devproxy/devproxy/hcl"
)

// smallest is the Proxyfile for a folder in which nothing names a dev server.
// Every commented line of code in it is valid once it is uncommented.
const smallest = `# The dev server of this project, at https://HOST
host "HOST" {
  upstream = 5173 # the port that your dev server prints when it starts

  # Another server below a path, with the same origin:
  # route "/api" { upstream = 3000 }

  # A path that goes elsewhere:
  # route "/docs" { redirect = "https://example.com{rest}" }
}

# Another host:
# host "mail.HOST" { upstream = 8025 }
`

// Smallest returns a commented Proxyfile of one host, for a project in which
// Read finds no dev server. The host is a name like Result.Host.
func Smallest(host string) []byte {
	// What cannot be formatted is returned as it is, and shows the fault.
	text, _ := hcl.Format([]byte(strings.ReplaceAll(smallest, "HOST", host)), "Proxyfile")
	return text
}
