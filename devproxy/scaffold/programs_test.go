package scaffold

import (
	"fmt"
	"strings"
	"testing"
)

// TestStarted finds the servers in command lines as people write them.
func TestStarted(t *testing.T) {
	named := map[string]scriptLine{
		"web":      {text: "vite --port 4001"},
		"api":      {text: "next dev -p 4002"},
		"dev:one":  {text: "vite --port 4003"},
		"dev:two":  {text: "astro dev"},
		"loop":     {text: "npm run loop"},
		"build":    {text: "vite build"},
		"serve":    {text: "http-server dist -p 4004"},
		"with env": {text: "PORT=4005 react-scripts start"},
	}
	env := func(name string) (string, bool) {
		v, set := map[string]string{"DEV_PORT": "4100"}[name]
		return v, set
	}
	for line, want := range map[string]string{
		// Wrappers.
		"next":                          "next 3000",
		"next -p 3001":                  "next 3001",
		"next dev -p3001":               "next 3001",
		"next dev --port=3001 --turbo":  "next 3001",
		"next dev --hostname 0.0.0.0":   "next 3000",
		"next build":                    "",
		"next start":                    "",
		"next lint && next dev":         "next 3000",
		"./node_modules/.bin/next dev":  "next 3000",
		"node ./node_modules/.bin/next": "next 3000",
		"npx next@latest dev":           "next 3000",
		"npx --yes @11ty/eleventy --serve --port=8081": "eleventy 8081",
		"pnpm exec next dev":                           "next 3000",
		"pnpm dlx vite":                                "vite 5173",
		"pnpm next dev":                                "next 3000",
		"yarn next dev":                                "next 3000",
		"yarn run vite":                                "vite 5173",
		"bunx --bun vite":                              "vite 5173",
		"bun --bun vite":                               "vite 5173",
		"bun --bun run vite dev":                       "vite 5173",
		"cross-env NODE_ENV=development PORT=3005 next dev": "next 3005",
		"PORT=3005 NODE_ENV=development next dev":           "next 3005",
		"env PORT=3005 next dev":                            "next 3005",
		"export PORT=3005 && next dev":                      "next 3005",
		"set PORT=3005 && react-scripts start":              "create-react-app 3005",
		"set \"PORT=3005\" && react-scripts start":          "create-react-app 3005",
		"dotenv -e .env.local -- next dev -p 3006":          "next 3006",
		"dotenvx run -f .env -- next dev":                   "next 3000",
		"env-cmd -f .env.development next dev":              "next 3000",
		"doppler run --project x -- next dev":               "next 3000",
		"infisical run --env=dev -- next dev":               "next 3000",
		"op run --env-file=.env -- vite":                    "vite 5173",
		"varlock run -- vite":                               "vite 5173",
		"portless shop next dev":                            "next 3000",
		"portless run next dev":                             "next 3000",
		"sst dev next dev":                                  "next 3000",
		"NODE_OPTIONS='--inspect' next dev":                 "next 3000",
		"rimraf dist && tsc -b && vite dev":                 "vite 5173",
		"tsc -w & vite":                                     "vite 5173",
		"(cd web && vite --port 4242)":                      "vite 4242",
		"sh -c 'vite --port 4242'":                          "vite 4242",
		"cross-env-shell PORT=4000 'vite --port 4001'":      "vite 4001",
		"wait-on tcp:3000 && vite":                          "vite 5173",
		"vite --host --port ${PORT:-4300}":                  "vite 4300",
		"vite --port $DEV_PORT":                             "vite 4100",
		"vite --port $NOTHING":                              "vite 5173",
		"vite build --watch":                                "",
		"vite preview":                                      "",
		"vite build && vite preview --port 5000":            "",
		"vitest":                                            "",
		"tsup --watch":                                      "",
		"echo 'next dev'":                                   "",
		"npm run web":                                       "vite 4001",
		"npm run web -- --port 4999":                        "vite 4999",
		"yarn web":                                          "vite 4001",
		"pnpm web":                                          "vite 4001",
		"bun run web":                                       "vite 4001",
		"node --run web":                                    "vite 4001",
		"npm run 'with env'":                                "create-react-app 4005",
		"npm run loop":                                      "",
		"npm run web --prefix client":                       "",
		"yarn workspace x web":                              "",
		"pnpm --filter web web":                             "",
		"turbo run web":                                     "",
		"concurrently \"npm:web\" \"npm:api\"":              "vite 4001, next 4002",
		"concurrently 'npm run web' 'npm run api'":          "vite 4001, next 4002",
		"concurrently -k -n a,b -c red,blue 'npm:dev:*'":    "vite 4003, astro 4321",
		"concurrently --kill-others \"vite\" \"tsc -w\"":    "vite 5173",
		"npm-run-all --parallel dev:*":                      "vite 4003, astro 4321",
		"run-p web api":                                     "vite 4001, next 4002",
		"run-s build serve":                                 "http-server 4004",
		"run-p 'web -- --force' api":                        "vite 4001, next 4002",
		"nodemon --watch src --exec 'next dev -p 3007'":     "next 3007",
		"nodemon --exec python manage.py runserver 8002":    "django 8002",
		// Dev servers.
		"craco start": "create-react-app 3000", "react-app-rewired start": "create-react-app 3000",
		"docusaurus start --port 3030": "docusaurus 3030", "vitepress dev docs --port 5180": "vitepress 5180", "vitepress build docs": "",
		"rsbuild dev": "rsbuild 3000", "rspack serve": "rspack 8080", "umi dev": "umi 8000", "ember serve --port 4201": "ember 4201", "ember s": "ember 4200",
		"wrangler dev --port 8799": "wrangler 8799", "wrangler pages dev dist": "wrangler 8788", "wrangler deploy": "", "vinxi dev --port 3009": "vinxi 3009",
		"expo start --web": "expo 8081", "expo start --port 19006": "expo 19006", "expo build": "", "nx serve web --port 4300": "nx 4300", "nx run web:serve": "nx 4200", "nx build": "",
		"webpack serve --port 9000": "webpack 9000", "webpack --watch": "", "webpack-dev-server --hot": "webpack 8080", "storybook dev -p 6006": "storybook 6006", "storybook build": "",
		"ng serve --port 4300": "angular 4300", "ng s": "angular 4200", "ng build": "", "ng run shop:serve": "", "gatsby develop -p 8001": "gatsby 8001", "parcel": "parcel 1234", "parcel src/index.html -p 1300": "parcel 1300",
		"parcel build src/index.html": "", "netlify dev": "netlify 8888", "vercel dev --listen 3030": "vercel 3030", "serve -l 5050 dist": "serve 5050", "http-server -p 8081 .": "http-server 8081",
		"strapi develop": "strapi 1337", "node ace serve --watch": "adonis 3333", "nest start --watch": "nest 3000", "slidev --open": "slidev 3030", "hexo server -p 4001": "hexo 4001",
		"eleventy --serve": "eleventy 8080", "eleventy": "", "meteor run --port 3010": "meteor 3010", "shopify theme dev": "shopify 9292", "tauri dev": "", "electron .": "",
		// Other languages.
		"php artisan serve": "laravel 8000", "php artisan serve --port=8001": "laravel 8001", "php artisan queue:listen": "", "./artisan serve --port 8002": "laravel 8002",
		"php -S localhost:8003 -t public": "php 8003", "php -S 0.0.0.0:8004 router.php": "php 8004", "symfony server:start --port=8005": "symfony 8005", "symfony serve -d": "symfony 8000",
		"python manage.py runserver": "django 8000", "python3 manage.py runserver 0.0.0.0:8006": "django 8006", "./manage.py runserver 8007": "django 8007", "poetry run python manage.py runserver": "django 8000",
		"uv run python manage.py runserver [::]:8008": "django 8008", "python manage.py migrate": "", "python -u manage.py runserver": "django 8000", "pipenv run flask run -p 5001": "flask 5001", "flask --app app run --debug": "flask 5000",
		"flask run --port=5002": "flask 5002", "FLASK_RUN_PORT=5003 flask run": "flask 5003", "uvicorn main:app --reload --port 8009": "uvicorn 8009", "python -m uvicorn main:app": "uvicorn 8000",
		"fastapi dev": "fastapi 8000", "fastapi dev app/main.py --port 8010": "fastapi 8010", "uv run fastapi dev": "fastapi 8000", "gunicorn -b 0.0.0.0:8011 app:app": "gunicorn 8011", "gunicorn app:app --bind=:8012": "gunicorn 8012",
		"hypercorn -b [::]:8013 app:app": "hypercorn 8013", "mkdocs serve -a 127.0.0.1:8014": "mkdocs 8014", "mkdocs serve --dev-addr=0.0.0.0:8015": "mkdocs 8015", "mkdocs build": "", "streamlit run app.py --server.port 8502": "streamlit 8502",
		"python -m http.server 8016": "python 8016", "python3 -m http.server": "python 8000", "celery -A app worker": "",
		"rails s": "rails 3000", "bin/rails server -p 3011": "rails 3011", "bundle exec rails s -p ${PORT:-3012}": "rails 3012", "env RUBY_DEBUG_OPEN=true bin/rails server": "rails 3000", "rails db:migrate": "",
		"bundle exec jekyll serve -P 4001": "jekyll 4001", "bundle exec puma -p 9293": "puma 9293", "puma -b tcp://0.0.0.0:9294": "puma 9294", "bundle exec sidekiq": "", "bin/dev": "",
		"mix phx.server": "phoenix 4000", "PORT=4001 mix phx.server": "phoenix 4001", "iex -S mix phx.server": "phoenix 4000", "mix test": "", "hugo server -D": "hugo 1313", "hugo serve --port 1314": "hugo 1314", "hugo": "",
		"zola serve --port 1112": "zola 1112", "trunk serve --port 8081": "trunk 8081", "go run ./cmd/api -addr :8017": "go 8017", "go run . --port=8018": "go 8018", "go run main.go -listen 127.0.0.1:8019": "go 8019", "go build": "",
		"dotnet run --urls http://localhost:5005": "dotnet 5005", "dotnet watch --project src/Web": "dotnet 0", "./mvnw spring-boot:run": "spring 8080", "./gradlew bootRun --args='--server.port=8085'": "spring 8085",
		"deno serve --port 8020 main.ts": "node 8020", "deno run -A main.ts --port 8021": "node 8021", "bun --port 8022 index.html": "node 8022", "bun run --hot src/index.ts": "node 0", "tsx watch src/index.ts --port 8023": "node 8023",
		"nodemon server.js --port 8024": "node 8024", "node --watch server.js": "node 0", "node -r dotenv/config dist/main.js": "node 0", "ts-node-dev --respawn src/index.ts": "node 0", "tsc && node dist/index.js": "node 0",
		"docker compose up": "", "make dev": "",
	} {
		s := &scripts{lines: named, env: env}
		var got []string
		for _, c := range s.expand(line) {
			p, ok := recognize(c.words)
			if !ok {
				continue
			}
			port := p.portIn(c)
			if port == 0 {
				port = p.port
			}
			got = append(got, fmt.Sprint(p.kind, " ", port))
		}
		if strings.Join(got, ", ") != want {
			t.Errorf("%s: %q, want %q", line, strings.Join(got, ", "), want)
		}
	}
}
