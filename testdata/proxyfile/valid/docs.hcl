# Static documentation, compressed, with the addresses that it had before: whole
# trees that moved, one page that moved for good, and the search, which another
# program answers and whose answers are kept for as long as it allows.
host "docs.localhost" {
  files    = "site"
  compress = true

  route "/v1" { redirect = "/v2{rest}" }
  route "/guide/start.html" {
    exact    = true
    redirect = "/guide/"
    status   = 301
  }
  route "/blog" {
    redirect = "https://blog.example.com{rest}"
    status   = 308
  }
  route "/search" {
    upstream = 7700
    cache    = { size = "16MB" }
  }
  route "/playground" {
    files = "playground"
    spa   = true
  }
}
