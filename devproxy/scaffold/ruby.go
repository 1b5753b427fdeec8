package scaffold

import (
	"path"
	"regexp"
	"slices"
)

func (d *discovery) readRuby() {
	for _, folder := range d.folders("Gemfile") {
		file := path.Join(folder, "Gemfile")
		switch {
		case d.in(folder, "config/application.rb", "bin/rails") != "" || d.gem(file, "rails"):
			if d.in(folder, "config/application.rb", "bin/rails", "config.ru", "config/routes.rb") == "" && d.kind(folder, "jekyll") != nil {
				continue
			}
			c := d.server(folder, "rails", app, 3000, file)
			puma := path.Join(folder, "config/puma.rb")
			port, line := d.number(puma, pumaPort)
			if c.evidence < stated && port != 0 && port != c.port {
				c.set(port, stated, puma, line)
			}
		case d.gem(file, "jekyll", "github-pages"):
			d.server(folder, "jekyll", app, 4000, file)
		case d.gem(file, "bridgetown"):
			d.server(folder, "bridgetown", app, 4000, file)
		case d.gem(file, "middleman"):
			d.server(folder, "middleman", app, 4567, file)
		case d.gem(file, "hanami"):
			d.server(folder, "hanami", app, 2300, file)
		case d.gem(file, "sinatra"):
			port := 4567
			if d.in(folder, "config.ru") != "" {
				port = 9292
			}
			d.server(folder, "sinatra", app, port, file)
		}
	}
	for _, folder := range d.folders("_config.yml", "_config.yaml") {
		file := d.in(folder, "_config.yml", "_config.yaml")
		if d.in(folder, "Gemfile") == "" && !d.contains(file, "jekyll", "theme:", "plugins:") || d.in(folder, "scaffolds") != "" || d.usesJS[folder].has("hexo") {
			continue
		}
		c := d.server(folder, "jekyll", app, 4000, file)
		if port, line := d.number(file, yamlPort); c.evidence < stated {
			c.set(port, stated, file, line)
		}
	}
}

func (d *discovery) gem(file string, names ...string) bool {
	return slices.ContainsFunc(names, func(name string) bool {
		return regexp.MustCompile(`(?m)^\s*gem\s+["']` + regexp.QuoteMeta(name) + `["']`).Match(d.text(file))
	})
}

var (
	pumaPort = regexp.MustCompile(`(?m)^\s*port\s*\(?\s*(?:ENV\.fetch\(?\s*["']PORT["']\s*(?:,\s*["']?(\d+)|\)?\s*\{\s*["']?(\d+))|ENV\[["']PORT["']\]\s*\|\|\s*["']?(\d+)|(\d+))`)
	yamlPort = regexp.MustCompile(`(?m)^port:\s*["']?(\d+)`)
)
