# Four packages of one repository on one host, each at the path that it has in
# production: the storefront, the back office below /admin with its prefix
# removed, two versions of the API by path, and a preview of the next API for
# requests with a certain header or parameter.
locals {
  api = { v1 = 4001, v2 = 4002, next = 4003 }
}

host "acme.localhost" {
  upstream = service.storefront

  route "/admin" {
    upstream     = service.admin
    strip_prefix = true
    allow        = ["127.0.0.0/8", "::1", "10.0.0.0/8"]
  }
  route "/api" {
    upstream = local.api.v1
    rewrite  = "/v1{rest}"
  }
  route "/api/v2" {
    upstream = local.api.v2
    rewrite  = "/v2{rest}"
  }
  route "/api" {
    upstream = local.api.next
    match    = { headers = { X-Preview = "*" } }
  }
  route "/api" {
    upstream = local.api.next
    match    = { query = { preview = "yes" } }
  }
}

service "storefront" { upstream = 5173 }
service "admin" { upstream = 5174 }
