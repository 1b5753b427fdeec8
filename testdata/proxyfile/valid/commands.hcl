# Two Vite apps and two servers, all started by devproxy.

locals { level = "debug" }

host "shop.localhost" {
  upstream = service.web

  route "/api" { upstream = service.api }
}

host "admin.shop.localhost" { upstream = service.admin }

service "web" {
  command    = "pnpm --filter web dev --port {port}"
  depends_on = ["api"]
  ready      = { path = "/", status = 200 }
}

service "admin" {
  command    = ["pnpm", "--filter", "admin app", "dev", "--port", "{port}"]
  depends_on = [service.api]
  env = {
    API_URL   = service.api.url
    ORIGIN    = service.admin_origin.origin
    LOG_LEVEL = local.level
    FORCE     = null
  }
}

service "api" {
  command  = "go run ./api 'two words' \"and \\\"more\\\"\" a\\ b --filter '*.go'"
  upstream = 3000
  dir      = "."
  ready    = { log = "listening on *" }
  restart  = "never"
  stop     = "30s"
}

service "worker" { command = "node worker.js" }

service "admin_origin" { upstream = 9000 }

host "other.localhost" { upstream = service.admin_origin }
