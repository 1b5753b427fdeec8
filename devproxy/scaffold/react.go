package scaffold

import (
	"strings"

	"github.com/devproxy/devproxy/devproxy/scaffold/javascript"
)

// readReactScripts reads what create-react-app has instead of a configuration.
func (d configReader) readReactScripts(c *candidate, from command) {
	variable := func(name string) (string, bool) {
		if v := from.env[name]; v != "" {
			return v, true
		}
		return d.variable(c.folder, name)
	}
	https, _ := variable("HTTPS")
	c.https = c.https || https == "true"
	p := d.packages[c.folder]
	if proxy, ok := p.config.Field("proxy"); ok {
		d.proxyTable(&c.block, p.file, "proxy", proxy)
	}
	if file := d.script(c.folder, "src/setupProxy"); file != "" {
		d.readSetupProxy(c, file, from)
	}
	if _, set := variable("WDS_SOCKET_PORT"); !set {
		d.noteHotReload(c, "", 0)
	}
}

// readSetupProxy reads app.use('/api', createProxyMiddleware({ target })) and
// createProxyMiddleware('/api', { target }).
func (d configReader) readSetupProxy(c *candidate, file string, from command) {
	for _, call := range d.javascript(file, from.env).Calls("use") {
		for _, middleware := range call.Items {
			if middleware.Kind != javascript.Call || !strings.Contains(strings.ToLower(middleware.Text), "proxy") {
				continue
			}
			options, ok := middleware.Objects()
			if !ok {
				d.notes.add(Note{file, call.Line, "the options of a proxy are not written out"})
				continue
			}
			var keys []string
			for _, v := range []javascript.Value{call.Item(0), middleware.Item(0)} {
				for _, item := range append([]javascript.Value{v}, v.Items...) {
					if v.Kind != javascript.Call && item.Kind == javascript.String && strings.HasPrefix(item.Text, "/") {
						keys = append(keys, item.Text)
					}
				}
			}
			d.proxyEntry(&c.block, file, "the proxy of", append(keys, contextsOf(options)...), options)
		}
	}
}
