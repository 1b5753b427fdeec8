package plan

// projects are the Proxyfiles of testdata/proxyfile/valid by name.
func projects() map[string][]ask {
	const staging = "fallback https tcp staging.example.com:443 host=staging.example.com tls=staging.example.com"
	const health = "health /healthz 1s 500ms 2 2 0"
	return map[string][]ask{
		"vite-go": {
			{"GET shop.localhost/", "/", ":5173", "/", nil},
			{"GET shop.localhost/@vite/client", "/", ":5173", "/@vite/client", nil},
			{"GET shop.localhost/apiary", "/", ":5173", "/apiary", nil},
			{"GET shop.localhost/api/users?page=2", "/api", ":8080", "/api/users", []string{"timeout 30s", "compress zstd, br, gzip"}},
			{"POST shop.localhost/api/upload", "/api/upload", ":8080", "/api/upload", []string{"timeout 2m0s", "max_body 25MB"}},
		},
		"next-auth": {
			{"GET app.localhost/dashboard", "/", ":3000", "/dashboard", nil},
			{"GET auth.app.localhost/session", "/", ":3001", "/session", []string{"cors pages of app.localhost, auth.app.localhost"}},
			{"POST auth.app.localhost/api/auth/callback/credentials", "/api/auth/callback (POST)", ":3001", "/api/auth/callback/credentials",
				[]string{"rate_limit 5/m", "cors pages of app.localhost, auth.app.localhost"}},
			{"GET auth.app.localhost/api/auth/callback/github?code=1", "/", ":3001", "/api/auth/callback/github",
				[]string{"cors pages of app.localhost, auth.app.localhost"}},
		},
		"rails": {
			{"GET blog.localhost/posts", "/", "unix:tmp/sockets/puma.sock", "/posts", []string{"request_headers X-Forwarded-Ssl: on"}},
			{"GET blog.localhost/cable", "/cable", ":28080", "/cable", []string{"request_headers X-Forwarded-Ssl: on"}},
			{"GET blog.localhost/assets/app-1f.css", "/assets", "files assets", "/assets/app-1f.css",
				[]string{"request_headers X-Forwarded-Ssl: on", "response_headers Cache-Control: public, max-age=31536000, immutable"}},
			{"GET blog.localhost/sidekiq/queues", "/sidekiq", "unix:tmp/sockets/puma.sock", "/sidekiq/queues",
				[]string{"request_headers X-Forwarded-Ssl: on", "basic_auth admin"}},
			{"GET blog.localhost/sidekiq/healthz", "/sidekiq/healthz (exact)", "unix:tmp/sockets/puma.sock", "/sidekiq/healthz",
				[]string{"request_headers X-Forwarded-Ssl: on"}},
			{"GET blog.localhost/sidekiq/healthz/x", "/sidekiq", "unix:tmp/sockets/puma.sock", "/sidekiq/healthz/x",
				[]string{"request_headers X-Forwarded-Ssl: on", "basic_auth admin"}},
		},
		"monorepo": {
			{"GET acme.localhost/cart", "/", ":5173", "/cart", nil},
			{"GET acme.localhost/admin/orders", "/admin", ":5174", "/orders",
				[]string{"strip_prefix true", "access allow 10.0.0.0/8, allow 127.0.0.0/8, allow ::1/128"}},
			{"GET acme.localhost/admin", "/admin", ":5174", "/",
				[]string{"strip_prefix true", "access allow 10.0.0.0/8, allow 127.0.0.0/8, allow ::1/128"}},
			{"GET acme.localhost/api/items", "/api", ":4001", "/v1/items", []string{"rewrite /v1{rest}"}},
			{"GET acme.localhost/api/v2/items", "/api/v2", ":4002", "/v2/items", []string{"rewrite /v2{rest}"}},
			{"GET acme.localhost/api/items\nX-Preview: 1", "/api (X-Preview: *)", ":4003", "/api/items", nil},
			{"GET acme.localhost/api/items?preview=no&preview=yes", "/api (?preview=yes)", ":4003", "/api/items", nil},
			{"GET acme.localhost/api/items?preview=yes!", "/api", ":4001", "/v1/items", []string{"rewrite /v1{rest}"}},
		},
		"tenants": {
			{"GET acme.tenants.localhost/", "/", ":3000", "/", nil},
			{"GET www.tenants.localhost/branding/logo.svg", "/branding", ":3002", "/branding/logo.svg", nil},
			{"GET api.tenants.localhost/branding", "/", ":3001", "/branding",
				[]string{"rate_limit 100/s", "cors pages of *.tenants.localhost, api.tenants.localhost, tenants.localhost"}},
			{"GET tenants.localhost/pricing?x=1", "/", "redirect https://www.tenants.localhost{rest}", "https://www.tenants.localhost/pricing?x=1", nil},
		},
		"grpc-web": {
			{"GET chat.localhost/", "/", ":5173", "/", []string{"timeout 1m0s"}},
			{"POST chat.localhost/chat.v1.Chat/Send\nContent-Type: application/grpc", "/chat.v1.Chat", "h2c://127.0.0.1:50051", "/chat.v1.Chat/Send",
				[]string{"cors http://localhost:6006"}},
			{"POST chat.localhost/chat.v1.Chat/Send\nContent-Type: application/grpc-web+proto", "/chat.v1.Chat (Content-Type: application/grpc-web*)", ":8081", "/chat.v1.Chat/Send",
				[]string{"cors http://localhost:6006"}},
			{"POST chat.localhost/chat.v1.Chatter/Send", "/", ":5173", "/chat.v1.Chatter/Send", []string{"timeout 1m0s"}},
		},
		"docs": {
			{"GET docs.localhost/guide/", "/", "files site", "/guide/", []string{"compress zstd, br, gzip"}},
			{"GET docs.localhost/v1/api?q=1", "/v1", "redirect /v2{rest}", "/v2/api?q=1", []string{"compress zstd, br, gzip"}},
			{"GET docs.localhost/guide/start.html", "/guide/start.html (exact)", "redirect /guide/", "/guide/", []string{"compress zstd, br, gzip"}},
			{"GET docs.localhost/blog/2024/x", "/blog", "redirect https://blog.example.com{rest}", "https://blog.example.com/2024/x", []string{"compress zstd, br, gzip"}},
			{"GET docs.localhost/search?q=x", "/search", ":7700", "/search", []string{"compress zstd, br, gzip", "cache 16MB"}},
			{"GET docs.localhost/playground/a/b", "/playground", "files playground", "/playground/a/b", []string{"compress zstd, br, gzip"}},
		},
		"webhooks": {
			{"POST pay.localhost/hooks/stripe", "/hooks/stripe (POST)", ":3000", "/hooks/stripe", []string{
				"access allow 3.18.12.63/32, allow 54.187.205.0/24, allow 127.0.0.1/32, allow ::1/128", "rate_limit 20/s", "max_body 256kB"}},
			{"GET pay.localhost/hooks/stripe", "/hooks", "respond 405", "/hooks/stripe", nil},
			{"POST pay.localhost/hooks/github\nX-GitHub-Event: push", "/hooks/github (POST; X-Github-Event: *)", ":3001", "/hooks/github", []string{"max_body 25MB"}},
			{"POST pay.localhost/hooks/github", "/hooks", "respond 405", "/hooks/github", nil},
			{"GET pay.localhost/account", "/", ":3000", "/account", nil},
		},
		"replicas": {
			{"GET api.localhost/items", "/", ":3001, :3002, :3003", "/items", []string{"balance least_conn", health, staging}},
			{"GET api.localhost/reports/7", "/reports", ":3001, :3002, :3003", "/reports/7", []string{"balance cookie", health}},
			{"PUT api.localhost/uploads/a", "/uploads", ":3001, :3002, :3003", "/uploads/a", nil},
		},
		"stubs": {
			{"GET mock.localhost/", "/", ":5173", "/", nil},
			{"GET mock.localhost/api/search", "/api", ":8080", "/api/search", []string{"simulate delay 300ms, errors 5%, bandwidth 187500B/s"}},
			{"GET mock.localhost/api/health", "/api/health", "respond 204", "/api/health", nil},
			{"GET mock.localhost/api/users/me", "/api/users/me", "respond 200", "/api/users/me", []string{"cors http://localhost:6006"}},
			{"PUT mock.localhost/api/orders", "/api/orders (POST, PUT)", "respond 402", "/api/orders", nil},
			{"GET mock.localhost/api/orders", "/api", ":8080", "/api/orders", []string{"simulate delay 300ms, errors 5%, bandwidth 187500B/s"}},
		},
	}
}
