package share

// otherTools are the developers' endpoints of everything but JavaScript's dev
// servers. Many are open to 127.0.0.1 alone, which is where an app believes
// that visitors come from.
func otherTools() []Rule {
	var rules []Rule
	for _, part := range [][]Rule{rubyTools(), pythonTools(), phpTools(), beamTools(), javaTools(), goTools(), dotnetTools(), serverTools()} {
		rules = append(rules, part...)
	}
	return rules
}

func rubyTools() []Rule {
	return []Rule{
		{
			Kind: Tools, What: "Rails mail previews",
			paths: []string{"**/rails/mailers"}, // railties: Rails::MailersController
		},
		{
			Kind: Tools, What: "Rails routes and properties",
			// railties: Rails::InfoController (/rails/info/routes, properties, notes).
			paths: []string{"/rails/info", "**/rails/info/routes", "**/rails/info/properties", "**/rails/info/notes"},
		},
		{
			Kind: Tools, What: "Rails conductor",
			paths: []string{"**/rails/conductor"}, // actionmailbox: sends mail to the app
		},
		{
			Kind: Tools, What: "consoles of Rails error pages",
			// web-console: /__web_console/repl_sessions/ID runs Ruby (CVE-2015-3224).
			// better_errors: /__better_errors/ID/eval (CVE-2021-39197).
			paths: []string{"**/__web_console", "**/__better_errors", "**/__rack_bug__"},
		},
		{
			Kind: Tools, What: "caught mail",
			paths: []string{"**/letter_opener", "**/letter_opener_web"},
		},
		{
			Kind: Tools, What: "job dashboards",
			paths: []string{"/sidekiq", "/admin/sidekiq", "/good_job", "/admin/good_job", "/resque", "/admin/resque", "/delayed_job", "/mission_control", "/solid_queue", "/bull-board", "/admin/queues/api"},
		},
		{
			Kind: Tools, What: "the environment, shown by rack-mini-profiler",
			// rack-mini-profiler, lib/mini_profiler.rb: it looks for /pp=env/ anywhere
			// in the query.
			query: []string{"pp=env*"},
			texts: []string{"pp=env"},
		},
		{
			Kind: Tools, What: "rack-mini-profiler",
			// The same: profiles, dumps of objects and SQL (CVE-2016-4442).
			// includes.js and includes.css are what pages ask for.
			paths: []string{
				"**/mini-profiler-resources/results*", "**/mini-profiler-resources/flamegraph", "**/mini-profiler-resources/snapshots",
				"/rack-mini-profiler", "/profiler/results*", "/rails/performance", "/pghero",
			},
			query: []string{"pp=help*", "pp=enable*", "pp=disable*", "pp=skip*", "pp=*-backtrace*"},
			texts: []string{"pp=analyze-memory", "pp=profile-memory", "pp=profile-gc", "pp=flamegraph", "pp=async-flamegraph", "pp=trace-exceptions"},
		},
		{
			Kind: Tools, What: "Tidewave, which runs code for agents",
			// tidewave for Rails, Phoenix and Django: /tidewave/mcp has project_eval.
			paths: []string{"/tidewave", "**/tidewave/mcp"},
		},
	}
}

func pythonTools() []Rule {
	return []Rule{
		{
			Kind: Tools, What: "the Werkzeug debugger",
			// werkzeug, debug/__init__.py: commands, frames and the PIN come in the
			// query of any path (CVE-2024-34069).
			query: []string{"__debugger__"},
		},
		{
			Kind: Tools, What: "Django Debug Toolbar",
			paths: []string{"**/__debug__"}, // its SQL panel: CVE-2021-30459
		},
		{
			Kind: Tools, What: "debug toolbars of Flask and Pyramid",
			paths: []string{"**/_debug_toolbar", "**/_debug_exception"},
		},
		{
			Kind: Tools, What: "Silk, the profiler for Django",
			paths: []string{"/silk/requests", "/silk/request", "/silk/profiling", "/silk/cprofile"},
		},
	}
}

func phpTools() []Rule {
	return []Rule{
		{
			Kind: Tools, What: "Symfony profiler",
			// symfony/web-profiler-bundle: /_profiler/open?file=, /_profiler/phpinfo,
			// every request's data. The bar itself is /_wdt.
			paths: []string{"**/_profiler", "**/_wdt"},
		},
		{
			Kind: Tools, What: "Laravel Ignition",
			paths: []string{"**/_ignition"}, // execute-solution: CVE-2021-3129
		},
		{
			Kind: Tools, What: "Laravel Debugbar and Clockwork",
			// barryvdh/laravel-debugbar: /_debugbar/open?op=get, every request's data;
			// /_debugbar/assets are what its bar is made of. clockwork: /__clockwork/latest.
			paths: []string{"**/_debugbar", "**/__clockwork", "/clockwork/app"},
		},
		{
			Kind: Tools, What: "Laravel Telescope",
			// laravel/telescope: the page has all its data from /telescope/telescope-api.
			paths: []string{"**/telescope-api"},
		},
		{
			Kind: Tools, What: "Laravel Horizon",
			paths: []string{
				"**/horizon/api/stats", "**/horizon/api/workload", "**/horizon/api/masters", "**/horizon/api/monitoring", "**/horizon/api/metrics",
				"**/horizon/api/batches", "**/horizon/api/jobs", "**/horizon/dashboard",
			},
		},
		{
			Kind: Tools, What: "Laravel log viewers",
			paths: []string{"**/log-viewer/api", "/log-viewer", "/_boost/browser-logs"},
		},
		{
			Kind: Tools, What: "Laravel Dusk, which signs in as anybody",
			paths: []string{"**/_dusk"}, // laravel/dusk: /_dusk/login/{userId}
		},
		{
			Kind: Tools, What: "Xdebug triggers",
			// xdebug 3, docs/step_debug: each starts a session with the developer's
			// editor, a profile or a trace.
			cookies: true,
			query:   []string{"xdebug_session", "xdebug_session_start", "xdebug_session_stop", "xdebug_session_stop_no_exec", "xdebug_trigger", "xdebug_profile", "xdebug_trace", "start_debug"},
		},
		{
			Kind: Tools, What: "consoles of PHP frameworks",
			// yiisoft/yii2-debug and yii2-gii (writes code): by path, and by ?r= where
			// URLs are not pretty. cakephp/debug_kit. CodeIgniter's ?debugbar.
			// nette/tracy: ?_tracy_bar=.
			paths: []string{"**/debug/default/view", "**/debug/default/index", "**/debug/default/db-explain", "**/debug/default/toolbar", "/gii", "**/index.php/gii", "**/debug-kit", "**/debug_kit", "/devel/php"},
			query: []string{"r=gii*", "r=debug", "r=debug/*", "debugbar", "debugbar_time", "_tracy_bar"},
		},
		{
			Kind: Tools, What: "PHPUnit's eval-stdin.php, which runs what it is sent",
			paths: []string{"**/eval-stdin.php"}, // CVE-2017-9841
		},
		{
			Kind: Tools, What: "phpinfo and database consoles",
			paths: []string{"**/phpinfo.php", "**/adminer.php", "**/adminer-*.php", "/adminer", "**/phpmyadmin", "**/phpmyadmin-*", "/pma", "/_phpinfo"},
		},
	}
}

func beamTools() []Rule {
	return []Rule{
		{
			Kind: Tools, What: "Phoenix LiveDashboard and mailbox",
			// phx.new: `scope "/dev"` with live_dashboard and Plug.Swoosh.MailboxPreview.
			paths: []string{"/dev/dashboard", "/dev/mailbox"},
		},
		{
			Kind: Tools, What: "Oban, the job dashboard",
			paths: []string{"/oban"}, // oban_web: Oban.Web.Router's example
		},
		{
			Kind: Tools, What: "actions of Phoenix error pages",
			paths: []string{"**/__plug__"}, // plug, Plug.Debugger: /__plug__/debugger/action
		},
	}
}

func javaTools() []Rule {
	return []Rule{
		{
			Kind: Tools, What: "Spring Boot Actuator",
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
		{
			Kind: Tools, What: "database consoles",
			paths: []string{"**/h2-console", "/dbconsole", "/hawtio"}, // H2: CVE-2021-42392
		},
		{
			Kind: Tools, What: "the debugger of Struts",
			// struts2-core, DebuggingInterceptor, with struts.devMode: both evaluate OGNL.
			query: []string{"debug=command", "debug=browser"},
		},
		{
			Kind: Tools, What: "Vaadin's developer tools",
			query: []string{"debug_window"}, // vaadin-dev-server: ?v-r=push&debug_window edits source files
		},
		{
			Kind: Tools, What: "Quarkus Dev UI",
			// quarkus: /q/dev-ui changes the configuration and runs SQL (CVE-2022-4116).
			paths: []string{"**/q/dev-ui", "**/q/dev-v1", "**/q/dev-mcp", "/q/dev", "/q/dev-*", "/q/arc"},
		},
		{
			Kind: Tools, What: "Play evolutions and tests",
			paths: []string{"/@evolutions", "/@tests"}, // Play applies SQL; Revel runs tests
		},
		{
			Kind: Tools, What: "consoles of Tomcat, ColdFusion and Druid",
			paths: []string{
				"/manager/html", "/manager/text", "/manager/jmxproxy", "/host-manager",
				"**/cfide/administrator", "**/lucee/admin", "**/druid/sql.html", "**/druid/weburi.html", "**/druid/websession.html", "**/druid/datasource.html",
				"**/druid/sql.json", "**/druid/weburi.json", "**/druid/websession.json", "**/druid/datasource.json", "**/druid/basic.json",
			},
		},
	}
}

func goTools() []Rule {
	return []Rule{
		{
			Kind: Tools, What: "Go profiles and variables",
			// net/http/pprof (heap, goroutines, the command line), expvar,
			// golang.org/x/net/trace, statsviz, fgprof.
			paths: []string{"**/debug/pprof", "**/debug/vars", "/debug/requests", "/debug/events", "**/debug/statsviz", "**/debug/fgprof", "**/debug/charts"},
		},
	}
}

func dotnetTools() []Rule {
	return []Rule{
		{
			Kind: Tools, What: "ASP.NET traces and error logs",
			paths: []string{"**/trace.axd", "**/elmah.axd", "/elmah", "**/glimpse.axd", "**/crystalquartzpanel.axd"},
		},
		{
			Kind: Tools, What: "the Blazor debugger",
			paths: []string{"**/_framework/debug"}, // Microsoft.AspNetCore.Components.WebAssembly.Server
		},
		{
			Kind: Tools, What: "Hangfire, the job dashboard",
			paths: []string{"/hangfire"}, // LocalRequestsOnlyAuthorizationFilter: open to 127.0.0.1
		},
	}
}

func serverTools() []Rule {
	return []Rule{
		{
			Kind: Tools, What: "status pages of web servers",
			paths: []string{"/server-status", "/server-info", "/nginx_status", "/php-fpm-status"},
		},
	}
}
