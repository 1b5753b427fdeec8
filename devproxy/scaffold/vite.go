package scaffold

import (
	"cmp"
	"path"
	"strings"

	"github.com/devproxy/devproxy/devproxy/scaffold/javascript"
)

// viteFolder returns the folder that a command serves: vite apps/web, vitepress
// dev docs.
func (d configReader) viteFolder(folder string, from command) string {
	where := folder
	for _, w := range from.words[min(1, len(from.words)):] {
		if in := path.Join(folder, w); d.has[in] && !strings.HasPrefix(w, "-") && w != "." && !strings.HasPrefix(in, "..") && d.script(in, "vite.config", ".vitepress/config") != "" {
			where = in
		}
	}
	return where
}

// readVite reads what Vite's configuration says about the project, and returns the
// object with the options of the server. It makes the kind of c empty if the
// configuration builds a library, and its role assets if it serves those of a
// backend.
func (d configReader) readVite(c *candidate, file string, config javascript.Value) javascript.Value {
	c.file = cmp.Or(c.file, file)
	d.configured[file] = true
	if inner, ok := config.At("vite").Object(); ok { // of VitePress
		config = inner
	}
	_, library := config.Field("build", "lib")
	if library && d.in(c.folder, "index.html") == "" {
		c.kind = ""
		return config
	}
	_, manifest := config.Field("build", "manifest")
	input := config.At("build.rollupOptions.input").Source
	if d.assetsOnly(c.folder, file, manifest || input != "") {
		c.role = assets
	}
	c.entries = manifest || input != "" && !strings.Contains(input, ".html")
	c.https = c.https || d.contains(file, "plugin-basic-ssl", "vite-plugin-mkcert")
	return config
}

// addVite adds the dev server of a configuration that no script starts.
func (d configReader) addVite(file string) {
	folder := path.Dir(file)
	known := len(d.of(folder)) > 0
	backend := d.kind(folder, "rails", "django", "laravel", "symfony", "phoenix", "php") != nil
	if d.configured[file] || known && !backend || len(d.packages[folder].lines) > 0 {
		return
	}
	config, ok := d.config(file, command{})
	if !ok && !known {
		d.notes.add(Note{File: file, Text: unreadableConfig})
	}
	_, test := config.Field("test")
	_, server := config.Field("server")
	if !ok || test && !server {
		return
	}
	c := &candidate{folder: folder, kind: "vite", role: app, file: file}
	if d.readOptions(c, viteConfig, file, config); c.kind != "" {
		d.refine(c)
		c.set(5173, standard, "", 0)
		d.add(c)
	}
}

// assetPlugins are plugins of Vite for backends that serve the pages.
var assetPlugins = strings.Fields("laravel-vite-plugin vite-plugin-ruby vite-plugin-rails vite-plugin-symfony vite-plugin-django vite-plugin-wordpress @kucrut/vite-for-wp " +
	"vite-plugin-phoenix phoenix_vite vite-plugin-craft vite-plugin-typo3 vite-plugin-nette @nette/vite-plugin vite-plugin-adonis @adonisjs/vite vite-plugin-shopify " +
	"@inertiajs/vite vite-plugin-live-reload vite-plugin-twig-reload @crxjs/vite-plugin vite-plugin-web-extension")

// assetsOnly reports whether Vite serves scripts to the pages of a backend, and
// has no pages itself. entries is true if its configuration names the files to
// build.
func (d configReader) assetsOnly(folder, file string, entries bool) bool {
	p := d.packages[folder]
	if p.has(assetPlugins...) || d.contains(file, assetPlugins...) {
		return true
	}
	if d.in(folder, "index.html", "src/index.html") != "" || d.backendIn(folder) == "" {
		return false
	}
	// With a backend in the same folder and no page, Vite builds its assets.
	return entries || !p.has("@sveltejs/kit", "@react-router/dev", "@remix-run/dev", "@tanstack/react-start", "vike")
}

// backendIn returns the file that makes folder, or the one above it, a backend
// that serves pages; empty if there is none.
func (r *repository) backendIn(folder string) string {
	for _, dir := range []string{folder, path.Dir(folder)} {
		file := r.in(dir, "artisan", "manage.py", "config/application.rb", "bin/rails", "bin/console", "mix.exs", "wp-config.php", "craft")
		if file == "" || path.Base(file) == "mix.exs" && !r.contains(file, ":phoenix") {
			continue
		}
		// In the folder above, only the usual places of assets belong to it.
		base := path.Base(folder)
		if dir == folder || base == "assets" || base == "frontend" && r.in(folder, "index.html") == "" || strings.HasPrefix(base, "theme") || base == "static_src" {
			return file
		}
	}
	return ""
}
