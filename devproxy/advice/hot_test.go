package advice

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/devproxy/devproxy/devproxy/plan"
)

// viteClient are the constants of Vite's client, as the server fills them in.
func viteClient(server, protocol, port, hostname, direct string) string {
	return "console.debug(\"[vite] connecting...\");\nconst importMetaUrl = new URL(import.meta.url);\nconst serverHost = " + server +
		";\nconst socketProtocol = " + protocol + " || (importMetaUrl.protocol === \"https:\" ? \"wss\" : \"ws\");\nconst hmrPort = " + port +
		";\nconst socketHost = `${" + hostname + " || importMetaUrl.hostname}:${hmrPort || importMetaUrl.port}${\"/\"}`;\nconst directSocketHost = " + direct + ";\n"
}

func TestPatchViteClient(t *testing.T) {
	upstream := &plan.Upstream{Members: []plan.Member{{Addrs: []string{"127.0.0.1:6006", "[::1]:6006"}}}}
	const here, there = `"localhost:6006/"`, `"localhost:5173/"`
	for _, test := range []struct {
		name                                     string
		server, protocol, port, hostname, direct string
		want                                     string // empty for the same
		told                                     string
	}{
		{"the default", here, "null", "null", "null", here, "", ""},
		{"Storybook", there, "null", "6006", "null", here, viteClient(there, "null", "0   ", "null", here), ""},
		{"clientPort", there, "null", "443", "null", there, viteClient(there, "null", "0  ", "null", there), ""},
		{"in a container with another port", there, "null", "60060", "null", there, viteClient(there, "null", "0    ", "null", there), ""},
		{"a host of this machine", here, "null", "null", `"localhost"`, here, viteClient(here, "null", "null", `""         `, here), ""},
		{"a host of the project", here, `"wss"`, "443", `"shop.localhost"`, here, viteClient(here, `"wss"`, "0  ", `""              `, here), ""},
		{"everything", here, `"ws"`, "6006", `"127.0.0.1"`, here, viteClient(here, `""  `, "0   ", `""         `, here), ""},
		{"another machine", here, `"wss"`, "443", `"hot.example.com"`, here, "", ""},
		{"a server of its own", there, "null", "3010", "null", `"localhost:3010/"`, "", "remove server.hmr.port"},
		{"middlewareMode", there, "null", "24678", "null", there, "", "write server: { hmr: { server } }"},
	} {
		t.Run(test.name, func(t *testing.T) {
			client := []byte(viteClient(test.server, test.protocol, test.port, test.hostname, test.direct))
			want := test.want
			if want == "" {
				want = string(client)
			}
			told := PatchViteClient(client, upstream)
			if string(client) != want {
				t.Errorf("got\n%s\nwant\n%s", client, want)
			}
			if (told == "") != (test.told == "") || !strings.Contains(told, test.told) {
				t.Errorf("told %q", told)
			}
		})
	}
	const other = "const hmrPort = 6006; const socketProtocol = \"ws\" || 1"
	if client := []byte(other); PatchViteClient(client, upstream) != "" || string(client) != other {
		t.Errorf("another script became %s", client)
	}
}

func TestWebpackClient(t *testing.T) {
	query := func(protocol, hostname, port string) string {
		return fmt.Sprintf(`__webpack_require__("./node_modules/webpack-dev-server/client/index.js?protocol=%s&hostname=%s&port=%s&pathname=%%2Fws&logging=info&hot=true");`, protocol, hostname, port)
	}
	filler := strings.Repeat("// a module\n", 20_000)
	for _, test := range []struct {
		name, script string
		own          string
		far          bool
		told, found  bool
	}{
		{"the default", query("ws%3A", "0.0.0.0", "8089"), "443", false, true, true},
		{"the default, through a share", query("ws%3A", "0.0.0.0", "8089"), "443", true, true, true},
		{"late in a bundle", filler + query("ws%3A", "0.0.0.0", "8089") + filler, "443", false, true, true},
		{"IPv6", query("wss%3A", "%3A%3A", "8089"), "443", false, true, true},
		{"with the setting", query("auto%3A", "0.0.0.0", "0"), "443", false, false, true},
		{"no port", query("auto%3A", "0.0.0.0", ""), "443", false, false, true},
		{"devproxy's own port", query("ws%3A", "0.0.0.0", "8443"), "8443", false, false, true},
		{"a socket of this machine", query("ws%3A", "127.0.0.1", "8089"), "443", false, false, true},
		{"a socket of this machine, through a share", query("ws%3A", "localhost", "8089"), "443", true, true, true},
		{"another machine", query("wss%3A", "hot.example.com", "443"), "8443", true, false, true},
		{"no client", filler, "443", false, false, false},
		{"an API with such a query", `fetch("/api?protocol=ws&hostname=a&port=8089")`, "443", false, false, false},
		{"nothing", "", "443", false, false, false},
	} {
		for reader, read := range map[string]func(io.Reader) io.Reader{"at once": func(r io.Reader) io.Reader { return r }, "byte by byte": iotest.OneByteReader} {
			if len(test.script) > 300_000 && reader != "at once" {
				continue
			}
			told, found := WebpackClient(read(strings.NewReader(test.script)), test.own, test.far)
			if found != test.found || (told != "") != test.told || test.told && !strings.Contains(told, "WDS_SOCKET_PORT=0") {
				t.Errorf("%s, %s: %q, %v", test.name, reader, told, found)
			}
		}
	}
	if told, found := WebpackClient(iotest.ErrReader(errors.New("broken")), "443", false); told != "" || found {
		t.Errorf("%q, %v", told, found)
	}
	// A query that two reads share is found, wherever they part.
	for cut := range 200 {
		script := strings.Repeat("x", 32<<10-cut) + query("ws%3A", "0.0.0.0", "8089")
		if _, found := WebpackClient(strings.NewReader(script), "443", false); !found {
			t.Errorf("not found at %d", cut)
		}
	}
}
