# A Vite front end and a Go API on one host. Everything under /api goes to Go,
# the rest to Vite, including the WebSocket of hot module replacement. Go may
# restart for ten seconds without an error page, and the upload route accepts no
# more than the server in production does.
host "shop.localhost" {
  upstream = 5173

  route "/api" {
    upstream = service.api
    compress = true
  }
  route "/api/upload" {
    upstream = service.api
    max_body = "25MB"
    timeout  = "2m"
  }
}

service "api" {
  upstream = 8080
  hold     = "10s"
  timeout  = "30s"
}
