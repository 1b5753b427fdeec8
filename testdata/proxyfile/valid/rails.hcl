# A Rails app: ActionCable goes to a separate process that speaks WebSocket,
# built assets come from the folder without using Ruby, and Sidekiq's page
# requires a password. The app believes that it is reached by https.
host "blog.localhost" {
  upstream        = "unix:tmp/sockets/puma.sock"
  request_headers = { X-Forwarded-Ssl = "on" }

  route "/cable" { upstream = 28080 }
  route "/assets" {
    files            = "assets"
    response_headers = { Cache-Control = "public, max-age=31536000, immutable" }
  }
  route "/sidekiq" {
    basic_auth = { admin = "$2y$10$abcdefghijklmnopqrstuuABCDEFGHIJKLMNOPQRSTUVWXYZ01234" }
  }
  route "/sidekiq/healthz" {
    exact      = true
    basic_auth = null
  }
}
