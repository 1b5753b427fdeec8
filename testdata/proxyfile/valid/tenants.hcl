# One app for all tenants, which it tells apart by name: any label below
# tenants.localhost is one. Pages of all tenants send requests with cookies to
# the API, and a tenant's own folder of branding stays on its host.
domain = "tenants.localhost"

host "*.tenants.localhost" {
  upstream = 3000

  route "/branding" { upstream = 3002 }
}

host "api.tenants.localhost" {
  upstream   = 3001
  cors       = true
  rate_limit = "100/s"
}

host "tenants.localhost" { redirect = "https://www.tenants.localhost{rest}" }
