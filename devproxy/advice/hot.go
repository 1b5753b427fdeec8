package advice

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"regexp"
	"slices"
	"strings"

	"github.com/devproxy/devproxy/devproxy/plan"
)

// IsViteClient reports whether a path is that of the client of Vite, in any base
// (packages/vite/src/node/constants.ts, CLIENT_PUBLIC_PATH).
func IsViteClient(path string) bool { return strings.HasSuffix(path, "/@vite/client") }

// MaxViteClient bounds how long a client of Vite may be, in bytes; one has 40 KB.
const MaxViteClient = 1 << 20

// The constants of Vite's client (packages/vite/src/client/client.ts, the same from
// Vite 3 to 8): where the server is, and where the socket for hot replacement is.
var (
	viteServer   = regexp.MustCompile(`const serverHost = "([^"\n]*)"`)
	viteDirect   = regexp.MustCompile(`const directSocketHost = "([^"\n]*)"`)
	vitePort     = regexp.MustCompile(`const hmrPort = (\d+)`)
	viteProtocol = regexp.MustCompile(`const socketProtocol = ("ws") \|\|`)
	viteHostname = regexp.MustCompile("const socketHost = `\\$\\{(\"[^\"\n]*\") \\|\\|")
)

// viteOwnPort is where Vite listens for the sockets of hot replacement in
// middlewareMode, unless it is given a server.
const viteOwnPort = "24678"

// PatchViteClient has Vite's client connect to where its page came from, as it does
// unless the configuration names a port, a host or a protocol of its own, which
// Storybook always does. It changes client in place and keeps its length.
//
// Where the socket is another server than the upstream, that would lead nowhere: the
// client stays, and told says what to write.
func PatchViteClient(client []byte, upstream *plan.Upstream) (told string) {
	port, direct := submatch(client, vitePort), submatch(client, viteDirect)
	if direct == nil {
		return "" // not a client of Vite
	}
	if string(port) == viteOwnPort {
		return "hot replacement of Vite has a server of its own on port " + viteOwnPort + ", past devproxy: write server: { hmr: { server } } in Vite's configuration, with the HTTP server of your app"
	}
	if port != nil && !isUpstreamPort(portOf(direct), upstream) && portOf(direct) != portOf(submatch(client, viteServer)) {
		return fmt.Sprintf("hot replacement of Vite has a server of its own on port %s, past devproxy: remove server.hmr.port from Vite's configuration", portOf(direct))
	}
	if hostname := submatch(client, viteHostname); hostname != nil {
		if !isLoopback(string(bytes.Trim(hostname, `"`))) {
			return "" // it names another machine on purpose
		}
		blank(hostname, `""`)
	}
	if port != nil {
		blank(port, "0") // as good as none
	}
	if protocol := submatch(client, viteProtocol); protocol != nil {
		blank(protocol, `""`)
	}
	return ""
}

// submatch is the first group of e in text, as a part of text; nil without a match.
func submatch(text []byte, e *regexp.Regexp) []byte {
	found := e.FindSubmatchIndex(text)
	if found == nil {
		return nil
	}
	return text[found[2]:found[3]]
}

// blank writes with over text, and spaces over what is left of it.
func blank(text []byte, with string) {
	for i := copy(text, with); i < len(text); i++ {
		text[i] = ' '
	}
}

// portOf is the port in "localhost:5173/base/"; empty without one.
func portOf(server []byte) string {
	authority, _, _ := strings.Cut(string(server), "/")
	return authority[strings.LastIndexByte(authority, ':')+1:]
}

func isUpstreamPort(port string, upstream *plan.Upstream) bool {
	return slices.ContainsFunc(upstream.Members, func(m plan.Member) bool {
		return slices.ContainsFunc(m.Addrs, func(addr string) bool {
			_, its, err := net.SplitHostPort(addr)
			return err == nil && its == port
		})
	})
}

// webpackClient is what the client of webpack-dev-server is loaded with
// (webpack-dev-server/lib/Server.js, addAdditionalEntries): where its socket is. It
// is in one of the bundles of a page.
var webpackClient = regexp.MustCompile(`\?protocol=(?:auto|wss?)%3A&(?:username=[^&"'\s]*&)?(?:password=[^&"'\s]*&)?hostname=([^&"'\s]*)&port=(\d*)&pathname=`)

const (
	// maxWebpackQuery is longer than what webpackClient matches, in bytes.
	maxWebpackQuery = 1 << 10
	// maxBundle bounds how much of a decoded bundle is looked at, in bytes.
	maxBundle = 64 << 20
)

// WebpackClient reads a script to its end and says what to write when the client of
// webpack-dev-server is in it, and connects to a port of its own: past devproxy, to
// nothing that speaks TLS. own is the port that the page came from. far is true where
// the browser is on another machine. found reports that the client is in the script.
func WebpackClient(script io.Reader, own string, far bool) (told string, found bool) {
	script = io.LimitReader(script, maxBundle)
	buf := make([]byte, 0, 64<<10)
	for {
		n, err := script.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		if match := webpackClient.FindSubmatch(buf); match != nil {
			return webpackAdvice(string(match[1]), string(match[2]), own, far), true
		}
		if err != nil {
			return "", false
		}
		if len(buf) > cap(buf)/2 {
			buf = buf[:copy(buf[:cap(buf)], buf[len(buf)-maxWebpackQuery:])]
		}
	}
}

func webpackAdvice(hostname, port, own string, far bool) string {
	anywhere := hostname == "0.0.0.0" || hostname == "::" || hostname == "%3A%3A" || hostname == ""
	switch {
	case port == "" || port == "0":
		return ""
	case port == own && anywhere:
		return ""
	case !anywhere && (!isLoopback(hostname) || !far):
		return "" // it names a machine, and is reached there
	}
	return fmt.Sprintf(`hot replacement of webpack-dev-server connects to port %s, past devproxy: start it with --client-web-socket-url auto://0.0.0.0:0/ws, or write devServer: { client: { webSocketURL: 'auto://0.0.0.0:0/ws' } }; with Create React App, set WDS_SOCKET_PORT=0`, port)
}
