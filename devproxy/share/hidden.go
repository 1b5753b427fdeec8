package share

// Kind is a class of hidden things. The terminal prints its text.
type Kind string

// The kinds of what a share hides.
const (
	Secrets Kind = "secret"
	Tools   Kind = "developer tool"
)

// Rule is one entry of the table of what a share hides. Names, paths and query
// are alternatives: one match hides the request. They are written in lower
// case, and each is also the text that opens it in `share { show = […] }`.
type Rule struct {
	Kind Kind
	// What says what the rule hides, for "hidden: …": "Rails mail previews".
	What string

	// names are file names: "id_rsa", "*.pem", "ssh_host_*_key".
	names []string
	// paths are path patterns: "/a/b" at the root of the site, "**/a/b" at any
	// depth, opened by "/a/b". Each hides what is below it too, and the same
	// with an ending ("/a/b.json"). A "*" stands for any text within a segment.
	paths []string
	// query are names of parameters, with a value where that is needed:
	// "xdebug_session_start", "pp=env". They are opened by "?NAME".
	query []string

	// cookies tells that a cookie of such a name does the same. It is dropped.
	cookies bool

	// texts hide what holds them anywhere, for tools that look no closer at a URL.
	// What opens the rule's first path or parameter opens them.
	texts []string

	// except are paths, as in paths, that the rule does not hide.
	except []string
	// fileIn are parameters that name a file. With them the rule hides paths
	// only when that file is hidden.
	fileIn []string
}

// hiddenRules are all rules that are data. Those that need code are in guard.go
// and place.go.
func hiddenRules() []Rule {
	var rules []Rule
	for _, part := range [][]Rule{secretFiles(), javascriptTools(), otherTools()} {
		rules = append(rules, part...)
	}
	return rules
}

// The rules that need code. Their What is all that a person sees of them.
const (
	whatDot      = "names that begin with a dot"
	whatShort    = "short names of Windows, which may stand for any hidden name"
	whatOutside  = "files outside the project"
	whatWay      = "paths that lead out of their folder"
	whatOwn      = "devproxy's own pages"
	whatEncoding = "paths that are encoded again and again"
)

// servedDots are the dot segments that dev servers serve to browsers. What is
// secret below them has a rule of its own.
var servedDots = map[string]bool{
	".well-known": true, // RFC 8615
	".vite":       true, // node_modules/.vite/deps: Vite's cacheDir
	".next":       true, ".nuxt": true, ".storybook": true, ".vitepress": true, ".svelte-kit": true, ".astro": true,
	".angular":      true, // .angular/cache/…/vite/deps: @angular/build's cache
	".react-router": true, ".vinxi": true,
	".pnpm": true, ".yarn": true, // node_modules/.pnpm, .yarn/cache and .yarn/__virtual__
	".bun": true, ".deno": true, // their isolated node_modules
	".vuepress": true, ".quasar": true, // VuePress and Quasar serve generated modules from there
	".11ty":   true,                                                // @11ty/eleventy-dev-server: /.11ty/reload-client.js in every page
	".ory":    true,                                                // the Ory proxy: its API for browsers
	".net":    true,                                                // the platform, in /tags/.net
	".source": true, ".content-collections": true, ".velite": true, // Fumadocs, Content Collections, Velite: generated modules
}

// servedBelow are dot segments that are served below one segment only.
var servedBelow = map[string]map[string]bool{
	"node_modules": {
		".cache":           true, // Nuxt and Storybook: node_modules/.cache/…/deps
		".store":           true, // Yarn's nodeLinker: pnpm
		".prisma":          true, // the generated client for browsers
		".aspect_rules_js": true, // Bazel
		".histoire":        true, // Histoire: stories that plugins generate
	},
	".cache":    {".vite-storybook": true}, // node_modules/.cache/.vite-storybook/deps
	".vuepress": {".temp": true, ".cache": true},
	".expo":     {".virtual-metro-entry.bundle": true},
}

// servedPaths are paths below a dot segment that are served, also locally,
// while the rest of it is not.
var servedPaths = map[string]bool{
	".netlify/functions": true, ".netlify/images": true, ".netlify/identity": true, ".netlify/builders": true, // netlify-cli 27: `netlify dev`
	".redwood/functions":      true,                                         // Redwood: its web server's proxy of the API
	".sanity/runtime":         true,                                         // sanity dev: the page's entry
	".contentlayer/generated": true,                                         // Contentlayer: generated modules
	".auth/login":             true, ".auth/logout": true, ".auth/me": true, // Azure Static Web Apps CLI
	".expo/.virtual-metro-entry.bundle": true, // @expo/cli 58: the entry of a Metro bundle
}
