# nginx: getsentry/self-hosted, nginx/nginx.conf
host "sentry.localhost" {
  upstream        = service.web
  max_body        = "100MB"
  timeout         = "30s"
  request_headers = { X-Request-Id = "{id}" }

  route "/api/store" { upstream = service.relay }
  route "/api/*/store" { upstream = service.relay }
  route "/api/*/envelope" { upstream = service.relay }
  route "/api/*/minidump" { upstream = service.relay }
  route "/api/*/security" { upstream = service.relay }
}

service "web" { upstream = 9000 }
service "relay" { upstream = 3000 }

#> POST /api/1/store/ | /api/*/store | :3000 /api/1/store/
#> POST /api/42/envelope/?sentry_key=a | /api/*/envelope | :3000 /api/42/envelope/?sentry_key=a | X-Request-Id: {id}
#> POST /api/store/ | /api/store | :3000 /api/store/
#> GET /api/0/projects/ | / | :9000 /api/0/projects/
#> GET /organizations/a/issues/ | / | :9000 /organizations/a/issues/
