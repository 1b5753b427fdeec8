package scaffold

import (
	"path"
	"regexp"
	"strings"

	"github.com/pelletier/go-toml/v2"
)

// readSites takes generators of static sites, and other tools that are known by
// a file of theirs.
func (d *discovery) readSites() {
	for _, file := range d.named("hugo.toml", "hugo.yaml", "hugo.yml", "hugo.json", "config.toml", "config.yaml", "config.yml") {
		folder := path.Dir(file)
		hugo := strings.HasPrefix(path.Base(file), "hugo.")
		if !hugo && (!d.contains(file, "baseURL", "baseurl", "languageCode") || !d.has[path.Join(folder, "content")] && !d.has[path.Join(folder, "layouts")] && !d.has[path.Join(folder, "themes")]) {
			if path.Base(file) == "config.toml" && d.contains(file, "base_url") && d.has[path.Join(folder, "content")] {
				d.server(folder, "zola", app, 1111, file)
			}
			continue
		}
		d.server(folder, "hugo", app, 1313, file)
	}
	for _, file := range d.named("mkdocs.yml", "mkdocs.yaml") {
		c := d.server(path.Dir(file), "mkdocs", docs, 0, file)
		port, line := d.number(file, regexp.MustCompile(`(?m)^dev_addr:\s*["']?[^\s"']*?:(\d+)`))
		c.set(port, stated, file, line)
		c.set(8000, standard, file, 0)
	}
	for _, file := range d.named("wrangler.toml", "wrangler.json", "wrangler.jsonc") {
		folder := path.Dir(file)
		if len(d.of(folder)) > 0 || len(d.usesJS[folder].lines) > 0 {
			continue
		}
		c := d.add(&candidate{folder: folder, kind: "wrangler", role: api, file: file})
		d.configureTOML(c)
		c.set(8787, standard, file, 0)
	}
}

// configureTOML reads the configurations of wrangler, netlify and Redwood.
func (d *discovery) configureTOML(c *candidate) {
	switch c.kind {
	case "wrangler":
		if file := d.in(c.folder, "wrangler.json", "wrangler.jsonc"); file != "" {
			config, _ := d.json(file)
			port, _ := config.Field("dev", "port")
			c.set(port.Port(), stated, file, port.Line)
			return
		}
		var config struct {
			Dev struct {
				Port     int
				Protocol string `toml:"local_protocol"`
			}
		}
		file := d.in(c.folder, "wrangler.toml")
		_ = toml.Unmarshal(d.text(file), &config)
		c.set(config.Dev.Port, stated, file, 0)
		c.https = c.https || config.Dev.Protocol == "https"
	case "netlify":
		var config struct{ Dev struct{ Port int } }
		file := d.in(c.folder, "netlify.toml")
		_ = toml.Unmarshal(d.text(file), &config)
		c.set(config.Dev.Port, stated, file, 0)
	case "redwood":
		var config struct{ Web struct{ Port int } }
		file := d.in(c.folder, "redwood.toml")
		_ = toml.Unmarshal(d.text(file), &config)
		c.set(config.Web.Port, stated, file, 0)
	}
}
