package scaffold

import (
	"path"
	"regexp"

	"github.com/pelletier/go-toml/v2"
)

func (d *discovery) readRust() {
	for _, folder := range d.folders("Trunk.toml") {
		var config struct{ Serve struct{ Port int } }
		file := path.Join(folder, "Trunk.toml")
		_ = toml.Unmarshal(d.text(file), &config)
		c := d.server(folder, "trunk", app, 0, file)
		c.set(config.Serve.Port, stated, file, 0)
		c.set(8080, standard, file, 0)
	}
	for _, folder := range d.folders("Cargo.toml") {
		file := path.Join(folder, "Cargo.toml")
		kind, port := "", 0
		switch {
		case d.contains(file, "\nleptos"):
			kind, port = "leptos", 3000
		case d.contains(file, "\ndioxus"):
			kind, port = "dioxus", 8080
		case d.contains(file, "\nrocket"):
			kind, port = "rocket", 8000
		case d.contains(file, "\naxum", "\nactix-web", "\nwarp", "\nhyper", "\npoem", "\nsalvo", "\nloco-rs"):
			kind = "rust"
		default:
			continue
		}
		c := d.server(folder, kind, api, 0, file)
		if at, line := d.number(path.Join(folder, "Rocket.toml"), regexp.MustCompile(`(?m)^\s*port\s*=\s*(\d+)`)); at != 0 {
			c.set(at, stated, path.Join(folder, "Rocket.toml"), line)
		}
		if at, line := d.number(file, regexp.MustCompile(`(?m)^\s*site-addr\s*=\s*"[^"]*:(\d+)"`)); at != 0 {
			c.set(at, stated, file, line)
		}
		if at, line := d.number(path.Join(folder, "config/development.yaml"), regexp.MustCompile(`(?m)^\s+port:\s*(\d+)`)); at != 0 && d.contains(file, "loco-rs") {
			c.set(at, stated, path.Join(folder, "config/development.yaml"), line)
		}
		for _, source := range []string{"src/main.rs", "src/server.rs", "src/bin/server.rs"} {
			at, line := d.number(path.Join(folder, source), rustPort)
			c.set(at, sample, path.Join(folder, source), line)
		}
		c.set(port, standard, file, 0)
	}
}

var rustPort = regexp.MustCompile(`bind\(\s*&?"[^"]*:(\d+)"|bind\(\(\s*"[^"]*",\s*(\d+)\)|SocketAddr::from\(\(\s*\[[\d, ]*\],\s*(\d+)|\.run\(\(\s*\[[\d, ]*\],\s*(\d+)|"(?:0\.0\.0\.0|127\.0\.0\.1|localhost|\[::\]):(\d+)"|unwrap_or(?:_else)?\((?:\|_\|\s*)?"?(\d{4,5})`)
