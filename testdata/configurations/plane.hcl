# Caddy: makeplane/plane, apps/proxy/Caddyfile.ce
host "plane.localhost" {
  upstream = 3000
  max_body = "5MB"

  route "/spaces" { upstream = 3002 }
  route "/spaces" {
    redirect = "/spaces/"
    status   = 301
    exact    = true
  }
  route "/god-mode" { upstream = 3001 }
  route "/god-mode" {
    redirect = "{path}/"
    status   = 301
    exact    = true
  }
  route "/live" { upstream = 3100 }
  route "/api" { upstream = service.api }
  route "/auth" { upstream = service.api }
  route "/static" { upstream = service.api }
  route "/uploads" { upstream = 9000 }
}

service "api" { upstream = 8000 }

#> GET /spaces?a=b | /spaces (exact) | 301 /spaces/?a=b
#> GET /spaces/ | /spaces | :3002 /spaces/
#> GET /god-mode | /god-mode (exact) | 301 /god-mode/
#> GET /god-mode/general | /god-mode | :3001 /god-mode/general
#> GET /api/workspaces/ | /api | :8000 /api/workspaces/
#> GET /uploads | /uploads | :9000 /uploads
#> GET /login | / | :3000 /login
