package share

// otherTools returns the developers' endpoints of everything but JavaScript's dev
// servers. Many are open to 127.0.0.1 only, where apps believe that visitors come from.
func otherTools() []Rule {
	return []Rule{
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
}
