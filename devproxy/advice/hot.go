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

// IsViteClient reports whether path is that of Vite's client, below any base
// (packages/vite/src/node/constants.ts, CLIENT_PUBLIC_PATH).
func IsViteClient(path string) bool { return strings.HasSuffix(path, "/@vite/client") }

// MaxViteClient bounds how long Vite's client may be, in bytes; it has 40 KB.
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
// middlewareMode, unless its configuration has a server.
const viteOwnPort = "24678"

// PatchViteClient makes Vite's client connect to the origin of its page, as it
// does unless the configuration has a port, a host or a protocol for it, as
// Storybook's always does. It changes client in place and keeps its length.
//
// Where the socket has another server than the upstream, that would not work: the
// client stays, and told says what to write.
func PatchViteClient(client []byte, upstream *plan.Upstream) (told string) {
	port, direct := submatch(client, vitePort), submatch(client, viteDirect)
	if direct == nil {
		return "" // not a client of Vite
	}
	if string(port) == viteOwnPort {
		return "Vite's hot replacement has its own server on port " + viteOwnPort + ", which bypasses devproxy: write server: { hmr: { server } } in Vite's configuration, with the HTTP server of your app"
	}
	if port != nil && !isUpstreamPort(portOf(direct), upstream) && portOf(direct) != portOf(submatch(client, viteServer)) {
		return fmt.Sprintf("Vite's hot replacement has its own server on port %s, which bypasses devproxy: remove server.hmr.port from Vite's configuration", portOf(direct))
	}
	hostname := submatch(client, viteHostname)
	if hostname != nil && !isLoopback(string(bytes.Trim(hostname, `"`))) {
		return "" // another machine, on purpose
	}
	blank(hostname, `""`)
	blank(port, "0") // the same as none
	blank(submatch(client, viteProtocol), `""`)
	return ""
}

// submatch returns the first group of e in text, as a slice of it; nil without a match.
func submatch(text []byte, e *regexp.Regexp) []byte {
	found := e.FindSubmatchIndex(text)
	if found == nil {
		return nil
	}
	return text[found[2]:found[3]]
}

// blank overwrites text with with and spaces.
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

// webpackClient matches the query that the client of webpack-dev-server is loaded with
// (webpack-dev-server/lib/Server.js, addAdditionalEntries): the address of its socket.
// It is in one of the bundles of a page.
var webpackClient = regexp.MustCompile(`\?protocol=(?:auto|wss?)%3A&(?:username=[^&"'\s]*&)?(?:password=[^&"'\s]*&)?hostname=([^&"'\s]*)&port=(\d*)&pathname=`)

const (
	// maxWebpackQuery is longer than what webpackClient matches, in bytes.
	maxWebpackQuery = 1 << 10
	// maxBundle bounds how much of a decoded bundle is looked at, in bytes.
	maxBundle = 64 << 20
)

// WebpackClient reads a script to its end and says what to write if the client of
// webpack-dev-server is in it and connects to another port: past devproxy, to
// a server without TLS. own is the port that the page came from. far is true when
// the browser is on another machine. found reports whether the client is in the script.
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
	case port == "", port == "0", port == own && anywhere:
		return ""
	case !anywhere && (!isLoopback(hostname) || !far):
		return "" // it names a machine that the browser can reach
	}
	return fmt.Sprintf(`hot replacement of webpack-dev-server connects to port %s, which bypasses devproxy: start it with --client-web-socket-url auto://0.0.0.0:0/ws, or write devServer: { client: { webSocketURL: 'auto://0.0.0.0:0/ws' } }; with Create React App, set WDS_SOCKET_PORT=0`, port)
}
