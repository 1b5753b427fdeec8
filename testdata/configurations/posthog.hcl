# Caddy: PostHog/posthog, docker-compose.base.yml
host "posthog.localhost" {
  upstream = 8000

  route "/s" { upstream = 3001 }
  route "/e" { upstream = service.capture }
  route "/i/v0" { upstream = service.capture }
  route "/batch*" { upstream = service.capture }
  route "/capture*" { upstream = service.capture }
  route "/flags*" { upstream = 3002 }
}

service "capture" { upstream = 3000 }

#> POST /s/?ver=1 | /s | :3001 /s/?ver=1
#> POST /e/ | /e | :3000 /e/
#> POST /i/v0/e/ | /i/v0 | :3000 /i/v0/e/
#> POST /capture | /capture* | :3000 /capture
#> POST /capture_internal/a | /capture* | :3000 /capture_internal/a
#> POST /batch/ | /batch* | :3000 /batch/
#> POST /flags/?v=2 | /flags* | :3002 /flags/?v=2
#> GET /events | / | :8000 /events
