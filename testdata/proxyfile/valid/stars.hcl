host "shop.localhost" {
  upstream = 8000

  route "/api/*/store" { upstream = 3000 }
  route "/api/*" { upstream = 3001 }
  route "/api/0" { upstream = 8000 }
  route "/app_*" { upstream = 3002 }
  route "/favicon.*" { files = "assets" }
  route "/*.js" {
    files = "assets"
    exact = true
  }
}

share {
  paths  = ["/api/*/store", "/app_*", "/hooks"]
  public = ["/hooks/*/in", "/*/1/store"]
}
