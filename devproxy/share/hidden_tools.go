package share

// developerTools are the rules for endpoints with which development servers and frameworks
// act for the developer. Where a comment names a package and its version, the paths come
// from its source.
//
// Many are open to 127.0.0.1 only, where apps believe that visitors come from. Most dev
// servers of JavaScript protect their endpoints by comparing Origin and Host, or by the
// address of the client. A share makes all of them local, so that the rest of the app
// works. So the share has to protect the endpoints instead.
var developerTools = []Rule{
	// The dev servers of JavaScript.

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

	// Ruby.

	// railties: Rails::MailersController.
	{What: "Rails mail previews", paths: []string{"**/rails/mailers"}},
	{
		What: "Rails routes and properties",
		// railties: Rails::InfoController (/rails/info/routes, properties, notes).
		paths: []string{"/rails/info", "**/rails/info/routes", "**/rails/info/properties", "**/rails/info/notes"},
	},
	// actionmailbox: sends mail to the app.
	{What: "Rails conductor", paths: []string{"**/rails/conductor"}},
	// web-console: /__web_console/repl_sessions/ID runs Ruby (CVE-2015-3224).
	// better_errors: /__better_errors/ID/eval (CVE-2021-39197).
	{What: "consoles of Rails error pages", paths: []string{"**/__web_console", "**/__better_errors", "**/__rack_bug__"}},
	{What: "caught mail", paths: []string{"**/letter_opener", "**/letter_opener_web"}},
	{
		What:  "job dashboards",
		paths: []string{"/sidekiq", "/admin/sidekiq", "/good_job", "/admin/good_job", "/resque", "/admin/resque", "/delayed_job", "/mission_control", "/solid_queue", "/bull-board", "/admin/queues/api"},
	},
	// rack-mini-profiler, lib/mini_profiler.rb: it looks for /pp=env/ anywhere
	// in the query.
	{What: "the environment, shown by rack-mini-profiler", query: []string{"pp=env*"}, texts: []string{"pp=env"}},
	{
		What: "rack-mini-profiler",
		// The same: profiles, dumps of objects and SQL (CVE-2016-4442).
		// Pages request includes.js and includes.css.
		paths: []string{
			"**/mini-profiler-resources/results*", "**/mini-profiler-resources/flamegraph", "**/mini-profiler-resources/snapshots",
			"/rack-mini-profiler", "/profiler/results*", "/rails/performance", "/pghero",
		},
		query: []string{"pp=help*", "pp=enable*", "pp=disable*", "pp=skip*", "pp=*-backtrace*"},
		texts: []string{"pp=analyze-memory", "pp=profile-memory", "pp=profile-gc", "pp=flamegraph", "pp=async-flamegraph", "pp=trace-exceptions"},
	},
	// tidewave for Rails, Phoenix and Django: /tidewave/mcp has project_eval.
	{What: "Tidewave, which runs code for agents", paths: []string{"/tidewave", "**/tidewave/mcp"}},

	// Python.

	// werkzeug, debug/__init__.py: commands, frames and the PIN come in the
	// query of any path (CVE-2024-34069).
	{What: "the Werkzeug debugger", query: []string{"__debugger__"}},
	// Its SQL panel: CVE-2021-30459.
	{What: "Django Debug Toolbar", paths: []string{"**/__debug__"}},
	{What: "debug toolbars of Flask and Pyramid", paths: []string{"**/_debug_toolbar", "**/_debug_exception"}},
	{
		What:  "Silk, the profiler for Django",
		paths: []string{"/silk/requests", "/silk/request", "/silk/profiling", "/silk/cprofile"},
	},

	// PHP.

	// symfony/web-profiler-bundle: /_profiler/open?file=, /_profiler/phpinfo,
	// every request's data. The bar itself is /_wdt.
	{What: "Symfony profiler", paths: []string{"**/_profiler", "**/_wdt"}},
	// Its execute-solution: CVE-2021-3129.
	{What: "Laravel Ignition", paths: []string{"**/_ignition"}},
	// barryvdh/laravel-debugbar: /_debugbar/open?op=get, every request's data;
	// /_debugbar/assets are the assets of its bar. clockwork: /__clockwork/latest.
	{What: "Laravel Debugbar and Clockwork", paths: []string{"**/_debugbar", "**/__clockwork", "/clockwork/app"}},
	// laravel/telescope: the page has all its data from /telescope/telescope-api.
	{What: "Laravel Telescope", paths: []string{"**/telescope-api"}},
	{
		What: "Laravel Horizon",
		paths: []string{
			"**/horizon/api/stats", "**/horizon/api/workload", "**/horizon/api/masters", "**/horizon/api/monitoring", "**/horizon/api/metrics",
			"**/horizon/api/batches", "**/horizon/api/jobs", "**/horizon/dashboard",
		},
	},
	{What: "Laravel log viewers", paths: []string{"**/log-viewer/api", "/log-viewer", "/_boost/browser-logs"}},
	// laravel/dusk: /_dusk/login/{userId}.
	{What: "Laravel Dusk, which signs in as any user", paths: []string{"**/_dusk"}},
	{
		What: "Xdebug triggers",
		// xdebug 3, docs/step_debug: each starts a session with the developer's
		// editor, a profile or a trace.
		cookies: true,
		query:   []string{"xdebug_session", "xdebug_session_start", "xdebug_session_stop", "xdebug_session_stop_no_exec", "xdebug_trigger", "xdebug_profile", "xdebug_trace", "start_debug"},
	},
	{
		What: "consoles of PHP frameworks",
		// yiisoft/yii2-debug and yii2-gii (writes code): by path, and by ?r= where
		// URLs are not pretty. cakephp/debug_kit. CodeIgniter's ?debugbar.
		// nette/tracy: ?_tracy_bar=.
		paths: []string{"**/debug/default/view", "**/debug/default/index", "**/debug/default/db-explain", "**/debug/default/toolbar", "/gii", "**/index.php/gii", "**/debug-kit", "**/debug_kit", "/devel/php"},
		query: []string{"r=gii*", "r=debug", "r=debug/*", "debugbar", "debugbar_time", "_tracy_bar"},
	},
	// CVE-2017-9841.
	{What: "PHPUnit's eval-stdin.php, which runs what it is sent", paths: []string{"**/eval-stdin.php"}},
	{
		What:  "phpinfo and database consoles",
		paths: []string{"**/phpinfo.php", "**/adminer.php", "**/adminer-*.php", "/adminer", "**/phpmyadmin", "**/phpmyadmin-*", "/pma", "/_phpinfo"},
	},

	// Elixir.

	// phx.new: `scope "/dev"` with live_dashboard and Plug.Swoosh.MailboxPreview.
	{What: "Phoenix LiveDashboard and mailbox", paths: []string{"/dev/dashboard", "/dev/mailbox"}},
	// oban_web: Oban.Web.Router's example.
	{What: "Oban, the job dashboard", paths: []string{"/oban"}},
	// plug, Plug.Debugger: /__plug__/debugger/action.
	{What: "actions of Phoenix error pages", paths: []string{"**/__plug__"}},

	// Java.

	{
		What: "Spring Boot Actuator",
		// spring-boot-actuator: env, heapdump, loggers, shutdown, … Endpoints of
		// the app's own may be there too. Health and info are made to be public.
		// Below another path only the names of Spring count: shops sell actuators.
		// JHipster has them at /management, Spring Boot 1 at the root.
		paths: []string{
			"/actuator/*",
			"**/actuator/env", "**/actuator/heapdump", "**/actuator/threaddump", "**/actuator/configprops", "**/actuator/beans", "**/actuator/mappings",
			"**/actuator/loggers", "**/actuator/logfile", "**/actuator/httptrace", "**/actuator/httpexchanges", "**/actuator/auditevents",
			"**/actuator/conditions", "**/actuator/caches", "**/actuator/scheduledtasks", "**/actuator/sessions", "**/actuator/shutdown",
			"**/actuator/startup", "**/actuator/flyway", "**/actuator/liquibase", "**/actuator/integrationgraph", "**/actuator/quartz",
			"**/actuator/refresh", "**/actuator/restart", "**/actuator/gateway", "**/actuator/sbom", "**/actuator/metrics", "**/actuator/prometheus",
			"**/heapdump", "**/threaddump", "**/configprops", "**/management/env", "**/management/loggers",
			"**/management/logfile", "**/management/shutdown", "**/management/httptrace", "**/management/httpexchanges", "**/management/beans", "**/jolokia",
		},
		except: []string{"**/actuator/health", "**/actuator/info"},
	},
	// H2: CVE-2021-42392.
	{What: "database consoles", paths: []string{"**/h2-console", "/dbconsole", "/hawtio"}},
	// struts2-core, DebuggingInterceptor, with struts.devMode: both evaluate OGNL.
	{What: "the debugger of Struts", query: []string{"debug=command", "debug=browser"}},
	// vaadin-dev-server: ?v-r=push&debug_window edits source files.
	{What: "Vaadin's developer tools", query: []string{"debug_window"}},
	{
		What: "Quarkus Dev UI",
		// quarkus: /q/dev-ui changes the configuration and runs SQL (CVE-2022-4116).
		paths: []string{"**/q/dev-ui", "**/q/dev-v1", "**/q/dev-mcp", "/q/dev", "/q/dev-*", "/q/arc"},
	},
	// Play applies SQL; Revel runs tests.
	{What: "Play evolutions and tests", paths: []string{"/@evolutions", "/@tests"}},
	{
		What: "consoles of Tomcat, ColdFusion and Druid",
		paths: []string{
			"/manager/html", "/manager/text", "/manager/jmxproxy", "/host-manager",
			"**/cfide/administrator", "**/lucee/admin", "**/druid/sql.html", "**/druid/weburi.html", "**/druid/websession.html", "**/druid/datasource.html",
			"**/druid/sql.json", "**/druid/weburi.json", "**/druid/websession.json", "**/druid/datasource.json", "**/druid/basic.json",
		},
	},

	// Go.

	{
		What: "Go profiles and variables",
		// net/http/pprof (heap, goroutines, the command line), expvar,
		// golang.org/x/net/trace, statsviz, fgprof.
		paths: []string{"**/debug/pprof", "**/debug/vars", "/debug/requests", "/debug/events", "**/debug/statsviz", "**/debug/fgprof", "**/debug/charts"},
	},

	// .NET.

	{
		What:  "ASP.NET traces and error logs",
		paths: []string{"**/trace.axd", "**/elmah.axd", "/elmah", "**/glimpse.axd", "**/crystalquartzpanel.axd"},
	},
	// Microsoft.AspNetCore.Components.WebAssembly.Server.
	{What: "the Blazor debugger", paths: []string{"**/_framework/debug"}},
	// LocalRequestsOnlyAuthorizationFilter: open to 127.0.0.1.
	{What: "Hangfire, the job dashboard", paths: []string{"/hangfire"}},

	// Web servers.

	{
		What:  "status pages of web servers",
		paths: []string{"/server-status", "/server-info", "/nginx_status", "/php-fpm-status"},
	},
}
