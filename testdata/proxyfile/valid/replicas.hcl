# Three replicas of an API with a health check: one that is killed or hangs is
# skipped within two checks, and if all are down the staging server answers.
# Reports stay with the replica that has their session. Uploads must not be
# repeated, so they take turns without a check.
host "api.localhost" {
  upstream = service.api

  route "/reports" { upstream = service.reports }
  route "/uploads" { upstream = [3001, 3002, 3003] }
}

service "api" {
  upstream = [3001, 3002, 3003]
  balance  = "least_conn"
  health   = { path = "/healthz", interval = "1s", timeout = "500ms", rise = 2, fall = 2 }
  fallback = service.staging
}

service "reports" {
  upstream = service.api
  balance  = "cookie"
  fallback = null
}

service "staging" { upstream = "https://staging.example.com" }
