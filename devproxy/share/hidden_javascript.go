package share

// javascriptTools returns the rules for endpoints with which the dev servers of
// JavaScript frameworks act for the developer. Where a comment names a package and its
// version, the paths come from its source.
//
// Most of these servers protect their endpoints by comparing Origin and Host, or by the
// address of the client. A share makes all of them local, so that the rest of the app
// works. So the share has to protect the endpoints instead.
func javascriptTools() []Rule {
	return []Rule{
		{
			What: "editor openers",
			// vite 8.2.2 and @rsbuild/core 2.3.2: /__open-in-editor. react-dev-utils
			// 12.0.1 and gatsby 5.16.1: /__open-stack-frame-in-editor; its launchEditor
			// ran commands on Windows (CVE-2018-6342). react-dev-inspector:
			// /__inspect-open-in-editor and /__react-dev-inspector/launch-editor.
			// React Cosmos: /_open?filePath=. They start a program on the developer's
			// machine with a file that the query names.
			paths: []string{"**/__*open-in-editor*", "**/__*launch-editor*", "**/__*open-editor*", "**/__open-*editor*", "**/__open-source*", "**/__react-dev-inspector", "/_open"},
		},
		{
			What: "source readers of error pages",
			// react-dev-utils 12.0.1 and @docusaurus/core 3.10.2: /__get-internal-source.
			// gatsby 5.16.1: /__original-stack-frame, and until CVE-2023-34238
			// /__file-code-frame?filePath=, which read any file.
			paths: []string{"**/__get-internal-source*", "**/__original-stack-frame*", "**/__file-code-frame"},
		},
		// next 16.4.6, dist/next-devtools/server and dist/server/dev: source maps
		// and stack frames of any file, the editor, a restart of the dev server
		// (and a cleared cache), a debugger attached to it, its settings. Pages
		// request its fonts. Before CVE-2025-48068 it did not check the origin.
		{What: "Next.js developer endpoints", paths: []string{"**/__nextjs_*"}, except: []string{"**/__nextjs_font"}},
		// next 16.4.6: /_next/mcp, /_next/development/request-insights.
		{What: "Next.js MCP server and request log", paths: []string{"**/_next/mcp", "**/_next/development"}},
		{
			What: "webpack-dev-server's own pages",
			// webpack-dev-server 6.1.0, lib/Server.js: the list of assets with their
			// places, /invalidate, /open-editor?fileName=. @rsbuild/core 2.3.2 lists
			// its assets at /rsbuild-dev-server.
			paths: []string{"/webpack-dev-server", "/rsbuild-dev-server"},
			// The client script of webpack-dev-server 3.
			except: []string{"/webpack-dev-server.js"},
		},
		{
			What: "Vite and Vue developer tools",
			// vite-plugin-inspect 12.1.0: /__inspect/, every module's source.
			// vite-plugin-vue-devtools 8.2.1: /__devtools__/. @vitejs/devtools 0.8.0
			// and devframe 1.3.5: /__devtools/ with __connection.json, __ws, __mcp.
			// unplugin-vue-inspector, UnoCSS: /__unocss. vite-plugin-mcp: /__mcp.
			paths: []string{"**/__inspect", "**/__devtools__", "**/__devtools", "**/__devframe*", "**/__unocss", "**/__unocss_api", "**/__inspect_api", "**/__mcp", "**/__vue-inspector*", "**/__vue_devtools__"},
		},
		// @tanstack/devtools-vite 0.8.5, src/utils.ts: an editor opener and the
		// console of the server, wherever the text is in the URL.
		{What: "TanStack Devtools", paths: []string{"**/__tsd"}, texts: []string{"__tsd/open-source", "__tsd/console-pipe"}},
		{
			What: "Nuxt developer tools",
			// @nuxt/devtools 3.4.4: /__nuxt_devtools__/, whose RPC runs commands and
			// read files (CVE-2024-23657). nuxt-studio: /__nuxt_studio/dev/* writes
			// files. @nuxt/vite-builder 3: /__nuxt_vite_node__/, server code.
			// @nuxtjs/tailwindcss: /_tailwind/.
			// nuxt 3 in test mode: /__nuxt_component_test__/?path= imports any module
			// (CVE-2023-3224).
			paths: []string{"**/__nuxt_component_test__", "**/__nuxt_devtools__", "**/__nuxt_studio", "**/__nuxt_vite_node__", "/_tailwind"},
		},
		{
			What: "Keystatic's local storage",
			// @keystatic/core, api: with storage "local" it reads and writes the
			// project's files. Its sign-in at GitHub is open.
			paths: []string{"/api/keystatic/tree", "/api/keystatic/blob", "/api/keystatic/update"},
		},
		// nitro 3.0.0: /_nitro/tasks runs tasks; /_vfs and /_vfs.json show the
		// server's code.
		{What: "Nitro tasks and virtual files", paths: []string{"**/_nitro/tasks", "**/_vfs*"}},
		// vitest 5.1.2 and @vitest/ui 5.1.2: the UI's page contains the token of an
		// API that runs tests and writes files (CVE-2025-24964).
		// @web/test-runner: /__web-test-runner__/.
		{What: "Vitest UI and API", paths: []string{"**/__vitest_*", "**/__web-test-runner__"}},
		{
			What: "Gatsby's GraphQL and refresh endpoints",
			// gatsby 5.16.1, dist/utils/start-server.js: /_+graphi?ql over the content
			// with its places on the disk, POST /__refresh.
			paths: []string{"/_graphql", "/_graphiql", "**/__*graphql", "**/__*graphiql", "/__refresh"},
		},
		{
			What: "Parcel's editor and source endpoints",
			// @parcel/reporter-dev-server 2.16.4, lib/Server.js: __parcel_launch_editor,
			// __parcel_source_map, __parcel_source_root, __parcel_code_frame.
			paths:  []string{"**/__parcel_*"},
			except: []string{"**/__parcel_hmr", "**/__parcel_healthcheck"},
		},
		{
			What: "Metro and Expo developer endpoints",
			// @expo/cli 58.1.21, @react-native/dev-middleware 0.88.1, metro 0.87.1,
			// @react-native-community/cli-server-api 20.2.0. /open-url ran commands
			// (CVE-2025-11953); /symbolicate answers with code of the named files.
			paths: []string{
				"/open-url", "/open-stack-frame", "/symbolicate", "/open-debugger", "/debugger-frontend", "/debugger-proxy",
				"/inspector/debug", "/inspector/device",
				"/_expo/open", "/_expo/touch", "/_expo/atlas", "/_expo/plugins", "/_expo/debugger", "/_expo/link", "/_expo/error-overlay-meta",
			},
		},
		{
			What: "Wrangler's local explorer and triggers",
			// wrangler 4.164.0 and miniflare 4.20260730.0: /cdn-cgi/explorer shows
			// storage, handler and mf/scheduled run workers; /__scheduled with
			// --test-scheduled. @cloudflare/vite-plugin: /__debug, a debugger.
			paths: []string{
				"/cdn-cgi/explorer", "/cdn-cgi/local", "/cdn-cgi/handler", "/cdn-cgi/platform-proxy", "/cdn-cgi/inspectorproxyworker",
				"/cdn-cgi/mf/scheduled", "/cdn-cgi/mf/reload", "/__scheduled", "**/__debug",
			},
		},
		// browser-sync 3.0.4, dist/config.js.
		{What: "Browsersync's own page", paths: []string{"**/__browser_sync__"}},
		{
			What: "Bun's visualizers and error reports",
			// bun, src/bake/DevServer.zig: /_bun/; HMR and assets are there as well.
			paths: []string{"/_bun/incremental_visualizer", "/_bun/memory_visualizer", "/_bun/report_error"},
		},
		{
			What: "files above the root of @web/dev-server",
			// @web/dev-server-core: /__wds-outside-root__/N/… climbs N folders.
			// Pages request modules of the workspace there.
			paths: []string{"**/__wds-outside-root__"},
			except: []string{
				"**/__wds-outside-root__/*/node_modules", "**/__wds-outside-root__/*/packages", "**/__wds-outside-root__/*/libs",
				"**/__wds-outside-root__/*/components", "**/__wds-outside-root__/*/src", "**/__wds-outside-root__/*/dist",
			},
		},
		// vite, astro 7.3.5, @angular/build 22.2.7: the absolute path of the
		// project, which Chromium's DevTools request.
		{What: "the project's folder for Chromium", paths: []string{"/.well-known/appspecific/com.chrome.devtools.json"}},
		{
			Kind: Secrets, What: "secret files, requested through an image endpoint",
			// astro 7.3.5, dist/assets/endpoint/dev.js: /_image?href=/@fs/…. Next,
			// Nuxt Image and Vercel take the file in "url" too.
			paths:  []string{"**/_image", "**/_next/image", "**/_vercel/image", "**/_ipx", "**/.netlify/images", "**/@vite/lazy"},
			fileIn: []string{"href", "url", "src", "f", "id"},
		},
	}
}
