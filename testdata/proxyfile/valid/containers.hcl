discover = "docker"
domain   = "shop.localhost"

host "shop.localhost" {
  upstream = service.web

  route "/api" { upstream = service.api }
}

service "web" { upstream = 3000 }

service "api" {
  container = { service = "api", port = 8080 }
  balance   = "cookie"
  health    = { path = "/healthz" }
  fallback  = 3001
  hold      = "30s"
}

service "worker" {
  command = "node worker.js"
  env     = { API_URL = service.api.origin == "" ? "" : service.api.origin }
}

service "mirror" {
  upstream = service.api
  hold     = "1s"
}

host "mirror.shop.localhost" { upstream = service.mirror }

host "api.shop.localhost" { upstream = service.api }
