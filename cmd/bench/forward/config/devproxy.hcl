listen {
  https    = HTTPS_PORT
  http     = HTTP_PORT
  redirect = false
}

host "HOST" {
  upstream = "UPSTREAM"

  route "/ws" { upstream = "SOCKETS" }
  route "/version" { respond = { status = 200, body = "VERSION" } }
}
