package scaffold

import (
	"path"
	"regexp"
)

func (d *discovery) readPHP() {
	for _, folder := range d.folders("composer.json") {
		file := path.Join(folder, "composer.json")
		config, _ := d.json(file)
		lines, _ := config.Field("scripts")
		s := d.scriptsOf(folder, lines)
		if len(d.of(folder)) == 0 || d.backendIn(folder) != "" {
			for _, name := range append([]string{"dev"}, devScripts...) {
				if line, ok := s.lines[name]; ok {
					list := d.started(folder, file, line.line, s.expand(line.text))
					for _, c := range list {
						if c.kind != "vite" {
							d.addStarted(c)
						}
					}
					if len(list) > 0 {
						break
					}
				}
			}
		}
		needs, _ := config.Field("require")
		_, wordpress := needs.Field("roots/wordpress")
		switch {
		case d.in(folder, "artisan") != "":
			c := d.server(folder, "laravel", app, 8000, file)
			if port, file, line := d.environmentPort(folder, "SERVER_PORT"); port != 0 {
				c.set(port, stated, file, line)
			} else {
				port, line := d.number(d.in(folder, ".env", ".env.example"), laravelURL)
				if port != 8000 {
					c.set(port, sample, d.in(folder, ".env", ".env.example"), line)
				}
			}
		case d.in(folder, "bin/console") != "" && d.in(folder, "symfony.lock", "config/bundles.php", "src/Kernel.php") != "":
			d.server(folder, "symfony", app, 8000, file)
		case d.in(folder, "spark") != "":
			d.server(folder, "codeigniter", app, 8080, file)
		case d.in(folder, "bin/cake") != "":
			d.server(folder, "cakephp", app, 8765, file)
		case d.in(folder, "craft", "wp-config.php", "public/index.php", "web/index.php", "index.php") != "" || wordpress:
			if d.kind(folder, "php", "laravel", "symfony", "wordpress") == nil {
				d.add(&candidate{folder: folder, kind: "php", role: app, file: file})
			}
		}
	}
	for _, folder := range d.folders("artisan") {
		d.server(folder, "laravel", app, 8000, path.Join(folder, "artisan"))
	}
	if d.in(".", "index.php", "public/index.php") != "" && len(d.of(".")) == 0 {
		d.add(&candidate{folder: ".", kind: "php", role: app, file: d.in(".", "index.php", "public/index.php")})
	}
	for _, file := range d.matching(func(base string) bool { return base == ".wp-env.json" }) {
		config, _ := d.json(file)
		port, _ := config.Field("port")
		c := d.server(path.Dir(file), "wordpress", app, 8888, file)
		c.set(port.Port(), stated, file, port.Line)
	}
}

var laravelURL = regexp.MustCompile(`(?m)^APP_URL=["']?https?://(?:localhost|127\.0\.0\.1):(\d+)`)
