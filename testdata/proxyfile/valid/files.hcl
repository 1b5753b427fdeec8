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
