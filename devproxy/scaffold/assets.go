package scaffold

import (
	"path"
	"strings"

	"github.com/devproxy/devproxy/devproxy/scaffold/javascript"
)

// assetPlugins are plugins of Vite for backends that serve the pages.
var assetPlugins = []string{"laravel-vite-plugin", "vite-plugin-ruby", "vite-plugin-rails", "vite-plugin-symfony", "vite-plugin-django", "vite-plugin-wordpress", "@kucrut/vite-for-wp",
	"vite-plugin-phoenix", "phoenix_vite", "vite-plugin-craft", "vite-plugin-typo3", "vite-plugin-nette", "@nette/vite-plugin", "vite-plugin-adonis", "@adonisjs/vite", "vite-plugin-shopify",
	"@inertiajs/vite", "vite-plugin-live-reload", "vite-plugin-twig-reload", "@crxjs/vite-plugin", "vite-plugin-web-extension"}

// assetsOnly reports whether Vite serves scripts to the pages of a backend, and
// has no pages of its own.
func (d *discovery) assetsOnly(folder, file string, config javascript.Value) bool {
	p := d.usesJS[folder]
	if p.has(assetPlugins...) || d.contains(file, assetPlugins...) {
		return true
	}
	if d.in(folder, "index.html", "src/index.html") != "" || d.backendIn(folder) == "" {
		return false
	}
	// A backend in the same folder, and no page: what Vite builds are its assets.
	_, manifest := config.Field("build", "manifest")
	_, input := config.Field("build", "rollupOptions", "input")
	return manifest || input || !p.has("@sveltejs/kit", "@react-router/dev", "@remix-run/dev", "@tanstack/react-start", "vike")
}

// backendIn is the file that makes folder, or the one above it, a backend that
// serves pages; empty for none.
func (d *discovery) backendIn(folder string) string {
	for _, dir := range []string{folder, path.Dir(folder)} {
		if file := d.in(dir, "artisan", "manage.py", "config/application.rb", "bin/rails", "bin/console", "mix.exs", "wp-config.php", "craft"); file != "" {
			if path.Base(file) == "mix.exs" && !d.contains(file, ":phoenix") {
				continue
			}
			// Of the folder above, only the usual places of assets belong to it.
			base := path.Base(folder)
			if dir == folder || base == "assets" || base == "frontend" && d.in(folder, "index.html") == "" || strings.HasPrefix(base, "theme") || base == "static_src" {
				return file
			}
		}
	}
	return ""
}
