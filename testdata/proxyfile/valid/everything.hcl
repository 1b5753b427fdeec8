domain = "shop.localhost"

locals {
  api     = service.api
  docs    = "${local.root}/docs"
  root    = "."
  headers = { X-From = "devproxy", X-Powered-By = null }
}

listen {
  https    = 8443
  http     = "127.0.0.1:8080"
  redirect = false
}

host "shop.localhost" {
  aliases          = ["www.shop.localhost", "SHOP2.localhost"]
  upstream         = service.web
  timeout          = "1m30s"
  hold             = "0s"
  tls_skip_verify  = true
  forwarded_proto  = "http"
  public_host      = true
  request_headers  = local.headers
  response_headers = { Server = null, X-Number = 1, X-Bool = true }

  route "/api" {
    upstream     = local.api
    strip_prefix = true
    hold         = "500ms"
  }
  route "/v2" {
    upstream = "h2c://127.0.0.1:50051"
    rewrite  = "/v1{rest}"
  }
  route "/exact" {
    upstream = [3000, "3001", ":::1" == "" ? 1 : "[::1]:3002", "http://127.0.0.1", "https://example.com:8443", service.web]
    exact    = true
  }
  route "/exact" { upstream = "unix:tmp/app.sock" }
  route "/exact" {
    upstream = "localhost:3000"
    match    = { methods = ["get", "POST"], headers = { X-Debug = "1", x-version = 2 }, query = { v = "*" } }
  }
  route "/files" {
    files = local.root
    spa   = true
  }
  route "/old" { redirect = "/docs{rest}" }
  route "/older" {
    redirect = "https://example.com{rest}"
    status   = 301
  }
  route "/healthz" { respond = 204 }
  route "/stub" {
    respond = { status = 418, body = jsonencode({ a = [1, true, null] }), headers = { Content-Type = "application/json" } }
  }
  route "/café" { upstream = service.web.port + 1 }
  route "/none" {
    upstream        = "${service.web.url}"
    timeout         = null
    request_headers = { Host = "example.com" }
  }
  route "/unset" {
    respond  = null
    upstream = 3000
  }
  route "/inherits" { exact = true }
  route "/around" {
    cors       = true
    basic_auth = { ann = "$2y$10$abcdefghijklmnopqrstuuABCDEFGHIJKLMNOPQRSTUVWXYZ01234" }
    allow      = ["127.0.0.1", "::1", "10.0.0.0/8"]
    deny       = ["10.1.0.0/16"]
    rate_limit = { rate = "10/s", burst = 20, by = "user" }
    max_concurrent = 2
    max_body   = "10MB"
    compress   = true
    cache      = { size = "16MiB" }
    simulate   = { delay = "300ms", errors = "5%", bandwidth = "1.5Mbit/s" }
  }
  route "/around/less" {
    cors       = ["https://app.example.com", "http://localhost:6006"]
    basic_auth = null
    allow      = []
    deny       = null
    rate_limit = "100/m"
    max_concurrent = false
    max_body   = "0"
    compress   = false
    cache      = true
    simulate   = false
  }
  route "/around/any" { cors = ["*"] }
}

host "*.tenant.shop.localhost" { upstream = service.web }
host "localhost" {
  upstream = "example.com:80"
  share    = false
}

share {
  relay    = "T.example.com:8443"
  hosts    = ["shop.localhost", "*.Tenant.shop.localhost"]
  name     = "Shop-2"
  password = env("SET")
  paths    = ["/", "/café"]
  public   = ["/hooks/stripe"]
  show     = ["/rails/mailers", "*.sqlite3", "?pp=env*"]
  allow    = ["203.0.113.0/24", "2001:db8::/32", "198.51.100.7"]
  expires  = "2h"
}

service "web" { upstream = 5173 }
service "api" {
  upstream        = [3000, 3001]
  balance         = "cookie"
  health          = { path = "/healthz", interval = "2s", timeout = "1s", rise = 1, fall = 2, status = 200 }
  fallback        = service.staging
  hold            = "5s"
  timeout         = "10s"
  tls_skip_verify = false
  forwarded_proto = "https"
}
service "staging" { upstream = "https://staging.example.com" }
