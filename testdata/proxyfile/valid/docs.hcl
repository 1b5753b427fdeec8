# Static documentation, compressed, with redirects from its former addresses: for
# two folders, and for one page that moved permanently. Another program answers
# searches, and its responses are cached for as long as it allows.
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
