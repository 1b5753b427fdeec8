# A front end before its API exists: what is not built yet is answered here,
# the rest goes to the API, and one call is as slow and unreliable as on a
# train.
host "mock.localhost" {
  upstream = 5173

  route "/api" {
    upstream = 8080
    simulate = { delay = "300ms", errors = "5%", bandwidth = "1.5Mbit/s" }
  }
  route "/api/health" {
    respond  = 204
    simulate = null
  }
  route "/api/users/me" {
    respond = { body = jsonencode({ id = 1, name = "Ann" }), headers = { Content-Type = "application/json" } }
    cors    = ["http://localhost:6006"]
  }
  route "/api/orders" {
    match   = { methods = ["POST", "PUT"] }
    respond = { status = 402, body = "no money\n" }
  }
}
