# A front end before its API is there: what is not built yet answers from here,
# what is built goes on to it, and one call is as slow and unreliable as it will
# be on a train.
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
