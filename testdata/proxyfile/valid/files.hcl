host "shop.localhost" {
  upstream = 5173

  route "/sw.js" {
    files = "site/index.html"
    exact = true
  }
  route "/robots.txt" {
    files = "assets"
    exact = true
  }
  route "/docs" {
    redirect = "/docs/"
    exact    = true
  }
  route "/blog/" {
    redirect = "/blog"
    exact    = true
  }
  route "/*/" {
    files = "site"
    exact = true
  }
}

host "app.localhost" {
  upstream  = 3000
  try_files = "site"

  route "/assets" { response_headers = { Cache-Control = "max-age=60" } }
  route "/cable" { upstream = 28080 }
  route "/raw" { try_files = null }
  route "/static" {
    upstream  = 3001
    try_files = "assets"
  }
}
